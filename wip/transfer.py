"""runs/vae/checkpoint + trunk of editor-1804 → runs/start."""
import sys, json, torch
from pathlib import Path
from safetensors.torch import load_file
from diffusers import FluxKontextPipeline as FP
from edit_grpo.policies import load_policy, PolicySettings
from edit_grpo.pretraining.banks import picture_bank
from edit_grpo.pretraining.shapes_edits import read_edits
torch.set_num_threads(2)
OLD=Path('wip/editor-1804'); VAE=sys.argv[1]; OUT=sys.argv[2]
pol=load_policy(VAE,PolicySettings(keep_reference=False)); pipe=pol.pipeline
ov=json.loads((OLD/'tokenizer/tokenizer.json').read_text())['model']['vocab']
assert ov==pipe.tokenizer.get_vocab(), set(ov)^set(pipe.tokenizer.get_vocab())
sd={k:v.float() for k,v in load_file(OLD/'transformer/diffusion_pytorch_model.safetensors').items()}
tr=pipe.transformer.float()
Wx,b=sd['x_embedder.weight'],sd['x_embedder.bias']
print(tr.load_state_dict({k:v for k,v in sd.items() if not k.startswith(('x_embedder','proj_out'))},strict=False))
for n in ('text_encoder','text_encoder_2'):
    print(getattr(pipe,n).load_state_dict({k:v.float() for k,v in load_file(OLD/n/'model.safetensors').items()},strict=False))
e=read_edits([Path('runs/d/d60')])
paths=list(dict.fromkeys(p for x in e for p in (x.source,*x.targets)))[:3000]
bank=picture_bank(paths,torch.device('cpu')); pix=bank(paths).float()/127.5-1
pack=lambda z: FP._pack_latents(z,*z.shape)
with torch.no_grad():
    Z=pack(torch.cat([pol.encode_pixels(c) for c in pix.split(250)])).float()
    print('latents',Z.shape,Z.mean().item(),Z.std().item())
    P=(pack(torch.nn.functional.pixel_unshuffle(pix,8))-.33)*2.3255813953488373
    X=Z.flatten(0,1); P=P.flatten(0,1); X1=torch.cat([X,torch.ones(len(X),1)],1); n=P.shape[1]
    G=(X1.double().T@X1.double()); fit=lambda Y: torch.linalg.solve(G+1e-3*torch.eye(len(G),dtype=G.dtype),X1.double().T@Y.double()).float()
    Ys=P@Wx[:,n:].T; S=fit(Ys); Sc=fit(P@Wx[:,:n].T)
    print('finite',X1.isfinite().all(),P.isfinite().all(),P.std(),Ys.std(),S.std(),'r2',1-((X1@S-Ys).var(0).sum()/Ys.var(0).sum()).item())
    tr.x_embedder.weight.copy_(torch.cat([Sc[:-1].T,S[:-1].T],1)); tr.x_embedder.bias.copy_(b+S[-1])
    # The old head's inner layer knows what is to be drawn; the last is new.
    tr.proj_out[0].load_state_dict({k:sd[f'proj_out.0.{k}'] for k in ('weight','bias')}) if sd['proj_out.0.weight'].shape==tr.proj_out[0].weight.shape else print('head is new')
    pass
pipe.save_pretrained(OUT)
