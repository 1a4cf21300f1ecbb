import sys, time, json, math, torch, copy
from pathlib import Path
from torch import nn
import numpy as np
A=json.loads(sys.argv[1]); torch.set_num_threads(A['threads'])
import sys as s_; 
from edit_grpo.pretraining.banks import picture_bank, instruction_bank
from edit_grpo.pretraining.shapes_edits import read_edits, ShapesExamples
from edit_grpo.policies.shapes_editor import build_shapes_editor, _modest
from edit_grpo.policies.change_transformer import ChangeFluxTransformer2DModel as T
from edit_grpo.policies import load_policy, PolicySettings
from diffusers import FluxKontextPipeline as FP
from diffusers.training_utils import EMAModel
C,W=A['C'],A['W']
class VAE(nn.Module):
    def __init__(s):
        super().__init__()
        s.enc=nn.Sequential(nn.PixelUnshuffle(8),nn.Conv2d(192,W,1),nn.GELU(),nn.Conv2d(W,W,3,padding=1),nn.GELU(),nn.Conv2d(W,C,1))
        s.norm=nn.BatchNorm2d(C,affine=False,momentum=0.02)
        s.dec=nn.Sequential(nn.Conv2d(C,W,3,padding=1),nn.GELU(),nn.Conv2d(W,W,3,padding=1),nn.GELU(),nn.Conv2d(W,W,3,padding=1),nn.GELU(),nn.Conv2d(W,192,1),nn.PixelShuffle(8))
    def encode(s,x): return s.norm(s.enc(x))
vae=VAE(); vae.load_state_dict(torch.load(A['vae'])); vae.eval()
old=load_policy('runs/gpu2/editor-1804',PolicySettings(keep_reference=False)).pipeline
dirs=[Path(f'runs/gpu2/d{k}') for k in A['worlds']]
e=read_edits(dirs); held=read_edits([Path('runs/gpu/held')])
paths=list(dict.fromkeys(p for x in e for p in (x.source,*x.targets)))
pix=picture_bank(paths,torch.device('cpu'))
@torch.no_grad()
def enc(ps,bank): 
    z=[]
    for i in range(0,len(ps),256): z.append(vae.encode(bank(ps[i:i+256]).float()/127.5-1))
    return torch.cat(z)
pack=lambda z: FP._pack_latents(z,*z.shape)
t0=time.time(); Z=pack(enc(paths,pix)).half(); place={p:i for i,p in enumerate(paths)}; print('latents',Z.shape,round(time.time()-t0),'s',flush=True)
torch.manual_seed(0)
tr=_modest(T(in_channels=4*C,head_width=384))
sd={k:v for k,v in old.transformer.state_dict().items() if not k.startswith(('x_embedder','proj_out'))}
print(tr.load_state_dict(sd,strict=False).missing_keys)
# least squares of the embedding
with torch.no_grad():
    Wx,b=old.transformer.x_embedder.weight.float(),old.transformer.x_embedder.bias.float()
    sub=paths[:3000]; P=pack(old.vae.encode(pix(sub).float()/127.5-1).latents); P=(P-0)  # pixel latents
    scale,shift=old.vae.config.scaling_factor,old.vae.config.shift_factor
    P=(P-shift)*scale
    X=Z[:3000].float().flatten(0,1); Y=P.flatten(0,1)@Wx[:,768:].T
    X1=torch.cat([X,torch.ones(len(X),1)],1); S=torch.linalg.lstsq(X1,Y).solution
    print('source fit r2',1-((X1@S-Y).var(0).sum()/Y.var(0).sum()).item())
    Yc=(P.flatten(0,1))@Wx[:,:768].T; Sc=torch.linalg.lstsq(X1,Yc).solution
    tr.x_embedder.weight.copy_(torch.cat([Sc[:-1].T,S[:-1].T],1)); tr.x_embedder.bias.copy_(b+S[-1])
te,te2,tok=old.text_encoder.float(),old.text_encoder_2.float(),old.tokenizer
mods=[tr.float(),te,te2]
if A.get('resume'): 
    for m,w in zip(mods,torch.load(A['resume'])): m.load_state_dict(w)
for m in mods: m.requires_grad_(True)
P_=[q for m in mods for q in m.parameters()]
opt=torch.optim.AdamW(P_,lr=0,betas=(.9,.98),weight_decay=.01,fused=True); ema=EMAModel(P_,decay=A.get('ema',.99),foreach=True)
ins=instruction_bank(tok,[x.instruction for x in e]+[x.instruction for x in held],torch.device('cpu'))
ids=FP._prepare_latent_image_ids(1,6,6,'cpu',torch.float32)
def vel(x,sig,src,instr):
    i=ins(instr); t=te2(i)[0]
    return tr(hidden_states=torch.cat([x,src],1),timestep=sig,guidance=None,pooled_projections=te(i).pooler_output,encoder_hidden_states=t,txt_ids=torch.zeros(t.shape[1],3),img_ids=torch.cat([ids,ids]),return_dict=False)[0]
ex={t:ShapesExamples(e,t) for t in (A['T1'],A['T2'])}
hp=picture_bank([x.source for x in held],torch.device('cpu'))
@torch.no_grad()
def sample(out,steps=8,n=100):
    out=Path(out); out.mkdir(parents=True,exist_ok=True)
    from PIL import Image
    from edit_grpo.pretraining.sheets import SheetRow, contact_sheet
    from edit_grpo.pretraining.shapes_edits import open_picture
    ema.store(P_); ema.copy_to(P_)
    src=pack(enc([x.source for x in held[:n]],hp))
    g=torch.Generator().manual_seed(7); x=torch.randn(src.shape,generator=g)
    sg=torch.linspace(1,1/steps,steps); mu=.6; sg=math.exp(mu)/(math.exp(mu)+(1/sg-1)); sg=[*sg.tolist(),0.]
    for a,b in zip(sg,sg[1:]):
        x=x+(b-a)*vel(x,torch.full((len(x),),a),src,[h.instruction for h in held[:n]])
    y=vae.dec(FP._unpack_latents(x,96,96,8).view(-1,C,12,12)).clamp(-1,1)
    r=vae.dec(FP._unpack_latents(src,96,96,8).view(-1,C,12,12)).clamp(-1,1)
    rows=[]
    for h,im,rr in zip(held,y,r):
        f=lambda t: Image.fromarray(((t+1)*127.5).round().byte().permute(1,2,0).numpy())
        f(im).save(out/f'{h.id}.png'); rows.append(SheetRow(h.instruction,(open_picture(h.source),f(rr),f(im))))
    contact_sheet(rows[:24]).save(out/'contact-sheet.png'); ema.restore(P_)
g=np.random.default_rng(1); N=A['steps']; B=A['batch']; acc=[]; t0=time.time(); gen=torch.Generator().manual_seed(1)
for st in range(N):
    lr=A['lr']*min(1,(st+1)/50)*min(1,(N-st)/(N*A['decay']))
    for q in opt.param_groups: q['lr']=lr
    b=ex[A['T1'] if st<N*A['share'] else A['T2']].batch(1,st,B)
    src=Z[[place[x.source] for x in b]].float(); dat=Z[[place[x.target] for x in b]].float()
    sig=torch.sigmoid(torch.randn(B,generator=gen)*A['ss']+A['sm']); n=torch.randn(dat.shape,generator=gen); s3=sig[:,None,None]
    v=vel((1-s3)*dat+s3*n,sig,src,[x.instruction for x in b])
    loss=((v-(n-dat)).square().mean((1,2))*(sig/.25).clamp(max=1).square()).mean()
    loss.backward(); nn.utils.clip_grad_norm_(P_,1.0); opt.step(); opt.zero_grad(); ema.step(P_); acc.append(loss.item())
    if st%50==49: print(st+1,round(sum(acc[-50:])/50,4),round((time.time()-t0)/(st+1),2),'s/step',flush=True)
    if (st+1)%A['every']==0 or st+1==N: sample(A['out']+f'/s{st+1}'); torch.save([m.state_dict() for m in mods],A['out']+'/state.pt')
