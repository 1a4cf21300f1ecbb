"""Run by torchrun in a test: a run over two processes; the first one writes the weights."""

import os
import sys
from pathlib import Path

import torch
from small_runs import small_settings, train

folder = Path(sys.argv[1])
os.environ["ACCELERATE_USE_CPU"] = "true"
_, editor = train(small_settings(folder / "two", optimizer={"ema": 0.5}))
if os.environ["RANK"] == "0":
    torch.save([parameter.detach() for parameter in editor.trainable()], folder / "weights.pt")
