import sys, time, json, math, torch
from pathlib import Path
from torch import nn
torch.set_num_threads(int(sys.argv[1])); OUT=Path(sys.argv[2]); STEPS=int(sys.argv[3]); C=int(sys.argv[4]); W=int(sys.argv[5]); NZ=float(sys.argv[6])
from edit_grpo.pretraining.banks import picture_bank
from edit_grpo.pretraining.shapes_edits import read_edits
e=read_edits([Path(f'./runs/gpu2/d{k}') for k in (60,61,62,63)])
w={}
for x in e:
    w[x.source]=1.0
    for t,s in zip(x.targets,x.scores): w[t]=math.exp((s-10)/3)
paths=list(w); p=torch.tensor([w[q] for q in paths]).double().numpy(); p/=p.sum()
bank=picture_bank(paths,torch.device('cpu'))
class VAE(nn.Module):
    def __init__(s):
        super().__init__()
        s.enc=nn.Sequential(nn.PixelUnshuffle(8),nn.Conv2d(192,2*W,1),nn.GELU(),nn.Conv2d(2*W,W,1),nn.GELU(),nn.Conv2d(W,W,3,padding=1),nn.GELU(),nn.Conv2d(W,C,1))
        s.norm=nn.BatchNorm2d(C,affine=False,momentum=0.02)
        s.dec=nn.Sequential(nn.Conv2d(C,W,3,padding=1),nn.GELU(),nn.Conv2d(W,W,3,padding=1),nn.GELU(),nn.Conv2d(W,W,3,padding=1),nn.GELU(),nn.Conv2d(W,4*W,1),nn.GELU(),nn.Conv2d(4*W,192,1),nn.PixelShuffle(8))
    def forward(s,x,noise):
        z=s.norm(s.enc(x)); return s.dec(z+noise*torch.randn_like(z))
torch.manual_seed(0); v=VAE(); opt=torch.optim.AdamW(v.parameters(),lr=2e-3,betas=(.9,.98),weight_decay=0.0,fused=True)
import numpy as np
g=np.random.default_rng(0); t=time.time(); acc=[]
for st in range(STEPS):
    lr=2e-3*min(1,(st+1)/50)*min(1,(STEPS-st)/(STEPS*.7))
    for q in opt.param_groups: q['lr']=lr
    b=[paths[i] for i in g.choice(len(paths),size=32,p=p)]
    x=bank(b).float()/127.5-1
    y=v(x,NZ); loss=(y-x).abs().mean()+ (y-x).square().mean()
    loss.backward(); nn.utils.clip_grad_norm_(v.parameters(),1.0); opt.step(); opt.zero_grad(); acc.append((y-x).square().mean().item())
    if st%100==99:
        m=sum(acc[-100:])/100; print(st+1,'mse',round(m,5),'psnr',round(10*math.log10(4/m),2),round((time.time()-t)/(st+1),2),'s/step',flush=True); torch.save(v.state_dict(),OUT)
