import sys, time, json, math, torch
from pathlib import Path
from torch import nn
import numpy as np
A=dict(arch='flat',C=16,W=160,H=64,noise=0.1,secs=150,lr=2e-3,bs=32,threads=1,cl=False,T=3.0,out='wip/vx.pt',crop=0,opt='adam',init='',worlds=[60,61],res=True); A.update(json.loads(sys.argv[1]))
torch.set_num_threads(A['threads'])
from edit_grpo.pretraining.banks import picture_bank
from edit_grpo.pretraining.shapes_edits import read_edits
e=read_edits([Path(f'runs/d/d{k}') for k in A['worlds']])
w={}
for x in e:
    w[x.source]=1.0
    for t,s in zip(x.targets,x.scores): w[t]=math.exp((s-10)/A['T'])
paths=list(w); p=torch.tensor([w[q] for q in paths]).double().numpy(); p/=p.sum()
bank=picture_bank(paths,torch.device('cpu'))

def crops(b,k):
    # one aligned crop of k blocks around a block with detail, for each picture
    x=bank(b); n=len(b)
    d=x.float().reshape(n,3,12,8,12,8).transpose(3,4).flatten(4).std(-1).amax(1)  # n,12,12
    w=(d>12).float()+1e-3
    i=torch.multinomial(w.flatten(1),1)[:,0]; r,c=i//12,i%12
    j=torch.randint(0,k,(2,n)); r=(r-j[0]).clamp(0,12-k); c=(c-j[1]).clamp(0,12-k)
    a=torch.arange(8*k); R=(8*r)[:,None]+a; Cc=(8*c)[:,None]+a
    return x[torch.arange(n)[:,None,None,None],torch.arange(3)[None,:,None,None],R[:,None,:,None],Cc[:,None,None,:]]
C,W,H=A['C'],A['W'],A['H']
class Res(nn.Module):
    def __init__(s,w):
        super().__init__(); s.c=nn.Conv2d(w,w,3,padding=1); s.p=nn.Conv2d(w,w,1)
        nn.init.zeros_(s.p.weight); nn.init.zeros_(s.p.bias)
    def forward(s,x): return x+s.p(nn.functional.gelu(s.c(nn.functional.gelu(x))))
class VAE(nn.Module):
    def __init__(s):
        super().__init__(); c1=lambda a,b: nn.Conv2d(a,b,1); c3=lambda a,b: nn.Conv2d(a,b,3,padding=1); G=nn.GELU
        if A['arch']=='flat':
            s.enc=nn.Sequential(nn.PixelUnshuffle(8),c1(192,2*W),G(),c1(2*W,W),G(),c3(W,W),G(),c1(W,C))
            s.dec=nn.Sequential(c3(C,W),G(),c3(W,W),G(),c3(W,W),G(),c1(W,4*W),G(),c1(4*W,192),nn.PixelShuffle(8))
        elif A['arch']=='hier':
            s.enc=nn.Sequential(nn.PixelUnshuffle(4),c1(48,H),G(),c3(H,H),G(),nn.PixelUnshuffle(2),c1(4*H,W),G(),c3(W,W),G(),c1(W,C))
            s.dec=nn.Sequential(c3(C,W),Res(W),Res(W),G(),c1(W,4*H),nn.PixelShuffle(2),Res(H),Res(H),G(),c1(H,4*H),G(),c1(4*H,48),nn.PixelShuffle(4))
        elif A['arch']=='hier2':
            Q=A.get('Q',32)
            s.enc=nn.Sequential(nn.PixelUnshuffle(2),c1(12,Q),G(),c3(Q,Q),G(),nn.PixelUnshuffle(2),c1(4*Q,H),G(),c3(H,H),G(),nn.PixelUnshuffle(2),c1(4*H,W),G(),c3(W,W),G(),c1(W,C))
            s.dec=nn.Sequential(c3(C,W),Res(W),G(),c1(W,4*H),nn.PixelShuffle(2),Res(H),G(),c1(H,4*Q),nn.PixelShuffle(2),Res(Q),Res(Q),G(),c1(Q,2*Q),G(),c1(2*Q,12),nn.PixelShuffle(2))
        s.norm=nn.BatchNorm2d(C,affine=False,momentum=0.02)
    def forward(s,x,noise):
        z=s.norm(s.enc(x)); return s.dec(z+noise*torch.randn_like(z))
torch.manual_seed(0); v=VAE()
if A['cl']: v=v.to(memory_format=torch.channels_last)
print(A, sum(q.numel() for q in v.parameters()))

class Muon(torch.optim.Optimizer):
    def __init__(s,ps,lr): super().__init__(ps,dict(lr=lr))
    @torch.no_grad()
    def step(s):
        for g in s.param_groups:
            for p in g['params']:
                if p.grad is None: continue
                st=s.state[p]
                if 'm' not in st: st['m']=torch.zeros_like(p)
                st['m'].mul_(.95).add_(p.grad); u=p.grad+.95*st['m']; U=u.flatten(1); tr=U.shape[0]>U.shape[1]
                X=U.T if tr else U; X=X/(X.norm()+1e-7)
                for _ in range(5):
                    a=X@X.T; X=3.4445*X+(-4.775*a+2.0315*a@a)@X
                if tr: X=X.T
                p.add_(X.view_as(p),alpha=-g['lr']*0.2*max(U.shape)**.5)
if A['opt']=='muon':
    hid=[q for q in v.parameters() if q.ndim>=2]; oth=[q for q in v.parameters() if q.ndim<2]
    mu=Muon(hid,lr=0)
opt=torch.optim.AdamW((oth if A['opt']=='muon' else v.parameters()),lr=0,betas=(.9,.98),weight_decay=0.0,fused=True)
g=np.random.default_rng(0); t=time.time(); acc=[]; st=0; last=t
while True:
    f=(time.time()-t)/A['secs']
    if f>=1: break
    lr=A['lr']*min(1,(st+1)/50)*min(1,(1-f)/.7)
    for q in opt.param_groups: q['lr']=lr
    if A['opt']=='muon':
        for q in mu.param_groups: q['lr']=lr
        for q in opt.param_groups: q['lr']=lr
    b=[paths[i] for i in g.choice(len(paths),size=A['bs'],p=p)]
    x=(crops(b,A['crop']) if A['crop'] else bank(b)).float()/127.5-1
    if A['cl']: x=x.contiguous(memory_format=torch.channels_last)
    y=v(x,A['noise']); d=y-x; m=d.square().mean(); loss=d.abs().mean()+m
    loss.backward(); nn.utils.clip_grad_norm_(v.parameters(),1.0); (mu.step() if A['opt']=='muon' else None); opt.step(); opt.zero_grad(); acc.append(m.item()); st+=1
    if time.time()-last>30:
        last=time.time(); mm=sum(acc[-50:])/len(acc[-50:]); print(st,'psnr',round(10*math.log10(4/mm),2),round((time.time()-t)/st,3),'s/step',flush=True)
v.eval(); torch.save(v.state_dict(),A['out'])
h=read_edits([Path('runs/d/held')]); hs=[q for x in h for q in (x.source,)]; hb=picture_bank(hs,torch.device('cpu'))
with torch.no_grad():
    x=hb(hs).float()/127.5-1
    for nz in (0,.1,.2): print('held noise',nz,'psnr',round(10*math.log10(4/(v(x,nz)-x).square().mean().item()),2))
