"""In-memory twin of `shapes generate` + `pretrain-shapes`: SECONDS on the command line."""
import sys, os, time, json
t0=time.time()
def say(*a): print(f"[{time.time()-t0:.0f} s]", *a, flush=True)
import numpy as np
from multiprocessing import get_context
BS=tuple(map(int,os.environ.get('BS','512,1024').split(','))); SM=int(os.environ.get('SM','40'))
PROCS, N, C = 16, int(sys.argv[2]), 2
SHM='/dev/shm/pictures.bin'
def work(k):
    from edit_rrm_training.shapes.dataset import make_edit
    bank=np.memmap(SHM,dtype=np.uint8,mode='r+',shape=(PROCS*N*(1+C),3,96,96))
    rows=[]
    for i in range(N):
        e=make_edit(60+k,i,C)
        at=(k*N+i)*(1+C)
        for j,p in enumerate([e.picture(),*(c.picture() for c in e.candidates)]):
            bank[at+j]=np.asarray(p.convert('RGB')).transpose(2,0,1)
        rows.append((e.id,e.request.instruction,[c.score for c in e.candidates]))
    return rows
if __name__=='__main__':
    with open(SHM,'wb') as f: f.truncate(PROCS*N*(1+C)*3*96*96)
    pool=get_context('fork').Pool(PROCS)
    res=pool.map_async(work, range(PROCS), chunksize=1)
    import torch
    from pathlib import Path
    import edit_grpo.pretraining.run as run
    from edit_grpo.pretraining.banks import Bank
    from edit_grpo.pretraining.settings import PretrainSettings
    from edit_grpo.pretraining.shapes_edits import ShapesEdit
    say('imports')
    torch.zeros(1,device=os.environ.get('DEV','cuda')); say(os.environ.get('DEV','cuda'))
    rows=[r for part in res.get() for r in part]; say('generated',len(rows))
    edits=[]; paths=[]
    for n,(i,ins,sc) in enumerate(rows):
        w,_,x=i.partition('-')
        d=Path('/tmp/edits')/w/'images'
        ps=[d/f'{i}-source.png',*(d/f'{i}-{c}.png' for c in range(C))]
        paths+=ps; edits.append(ShapesEdit(i,ins,ps[0],tuple(ps[1:]),tuple(sc)))
    pixels=torch.from_numpy(np.memmap(SHM,dtype=np.uint8,mode='r',shape=(len(paths),3,96,96))).to(os.environ.get('DEV','cuda'))
    bank=Bank(paths,pixels)
    run.picture_bank=lambda *a,**k: bank
    say('bank',tuple(pixels.shape))
    torch.set_float32_matmul_precision('high')
    OUT=Path(os.environ['OUT'])
    base=dict(dtype='float32',grid_every=10**6,checkpoint_every=10**6)
    times={}
    for b in BS:
        s=PretrainSettings(steps=SM,batch_size=b,lr=1e-3,**base)
        r=run.Pretraining(edits,[],Path(f'/tmp/smoke{b}'),s,device=os.environ.get('DEV','cuda'))
        got=[]
        r._run_to(SM,lambda rep: got.append(rep) or True)
        times[b]=sum(x.step_s for x in got[SM//3:])/len(got[SM//3:]); say(b,times[b],got[-1].loss)
    b=BS[1] if times[BS[1]]<1.35*times[BS[0]] else BS[0]
    left=float(sys.argv[1])-(time.time()-t0)
    steps=int(left/times[b]*0.97)
    s=PretrainSettings(steps=steps,batch_size=b,lr=2e-3,decay_share=0.5,warmup_steps=200,**base); say(s)
    (OUT/'settings.json').write_text(s.model_dump_json())
    r=run.Pretraining(edits,[],Path('/tmp/run'),s,device=os.environ.get('DEV','cuda'))
    end=t0+float(sys.argv[1])
    import subprocess
    def on(rep):
        if rep.step%500==499: say(rep.step+1,rep.loss,rep.step_s)
        if rep.step+1 in (int(steps*.65), int(steps*.85)):
            r.save_checkpoint(Path('/tmp/mid')/str(rep.step+1)); subprocess.run(['tar','cf',str(OUT/f'editor-{rep.step+1}.tar'),'-C',f'/tmp/mid/{rep.step+1}','.'])
        return time.time()<end
    r._run_to(steps,on)
    r.save_checkpoint(Path('/tmp/ck')); subprocess.run(['tar','cf',str(OUT/'editor.tar'),'-C','/tmp/ck','.'])
    subprocess.run('gzip -c /tmp/run/log.jsonl > $OUT/log.jsonl.gz',shell=True)
    say('done',r.step)
