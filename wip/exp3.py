import sys, json, torch, time
from pathlib import Path
from edit_grpo.pretraining.run import Pretraining
from edit_grpo.pretraining.settings import PretrainSettings
from edit_grpo.pretraining.shapes_edits import read_edits
from edit_grpo.sde import noised
from edit_grpo.policy import Condition
name, threads, kw = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
torch.set_num_threads(threads)
e=read_edits([Path('runs/gpu2/data60')])
s=PretrainSettings(**{**dict(batch_size=32,dtype='float32',grid_every=10**6,checkpoint_every=100,ema_decay=.99,warmup_steps=30), **kw})
import edit_grpo.pretraining.run as R
import edit_grpo.policies.loading as L
r=Pretraining(e,[],Path('runs/exp')/name,s)
if len(sys.argv)>4:
    for m in r._modules:
        for n,q in m.named_parameters(): q.requires_grad_(n.startswith(sys.argv[4]))
held=[x for x in read_edits([Path('runs/gpu/data')])[2800:] if max(x.scores)==10][:64]
ex=[(x.instruction,x.source,x.targets[x.scores.index(10)]) for x in held]
from edit_grpo.pretraining.banks import picture_bank, instruction_bank
pb=picture_bank([p for x in ex for p in x[1:]],torch.device('cpu'))
@torch.no_grad()
def evaluate():
    enc=lambda ps: r.policy.encode_pixels(pb(ps).float()/127.5-1)
    src=enc([x[1] for x in ex]); dat=enc([x[2] for x in ex])
    out={}
    text=r.policy.encode_text([x[0] for x in ex]); c=Condition({"source_latents":src,**text})
    for sg in (0.99,0.9,0.6,0.3,0.15):
        g=torch.Generator().manual_seed(1); n=torch.randn(dat.shape,generator=g); sig=torch.full((len(ex),),sg)
        v=r.policy.velocity(noised(dat,n,sig),sig,c)
        x0=noised(dat,n,sig)-sg*v
        m=((src-dat).abs()>.45).float(); out[sg]=round((((x0-dat)**2*m).sum()/((src-dat)**2*m).sum()).item(),4)
    return out
acc=[]
print(name,0,evaluate(),flush=True)
def on(rep):
    acc.append(rep.loss)
    if len(acc)%50==0: print(name, rep.step+1, round(sum(acc[-50:])/50,4), round(rep.step_s,2), evaluate(), flush=True)
    return True
r.run(None,on)
