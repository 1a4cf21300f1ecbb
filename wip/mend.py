import torch, math
from diffusers.training_utils import EMAModel
from safetensors.torch import load_file
from edit_grpo.policies import load_policy, PolicySettings
from edit_grpo.policies.shapes_vae import ShapesVAE
torch.set_num_threads(2)
pol=load_policy('runs/vae/checkpoint',PolicySettings(keep_reference=False)); p=pol.pipeline
a=torch.load('runs/vae/vae.pt',weights_only=True)['weights'][0]
lost=(a['norm.running_var']>65504).nonzero()[:,0].tolist(); print('lost',lost, a['norm.running_var'].tolist())
v=p.vae.float(); v.load_state_dict(a)
with torch.no_grad():
    s=(v.norm.running_var+v.norm.eps).rsqrt(); c=v.encoder[7]
    c.bias.copy_((c.bias-v.norm.running_mean)*s); c.weight.mul_(s[:,None,None,None])
    v.norm.running_mean.zero_(); v.norm.running_var.fill_(1-v.norm.eps)
p.vae.half(); p.save_pretrained('runs/vae2')
