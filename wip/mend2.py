import torch
from edit_grpo.policies import load_policy, PolicySettings
p=load_policy('runs/start2',PolicySettings(keep_reference=False)).pipeline
st=torch.load('wip/f.pt',weights_only=True,map_location='cpu'); print('step',st['step'])
a=torch.load('runs/vae/vae.pt',weights_only=True)['weights'][0]
lost=(a['norm.running_var']>65504).nonzero()[:,0].tolist()
good=p.transformer.x_embedder.weight.detach().clone()
mods=[p.components[n].float() for n in ('transformer','text_encoder','text_encoder_2')]
for m,w in zip(mods,st['weights']): m.load_state_dict(w)
P=[q for m in mods for q in m.parameters()]
for q,s in zip(P,st['average']['shadow_params']): q.data.copy_(s)
# a token packs 2×2 latents: channel c, place k → 4·c + k
with torch.no_grad():
    for c in lost:
        for half in (0,64): p.transformer.x_embedder.weight[:,half+4*c:half+4*c+4]=good[:,half+4*c:half+4*c+4]
for m in mods: m.half()
p.save_pretrained('runs/start3')
