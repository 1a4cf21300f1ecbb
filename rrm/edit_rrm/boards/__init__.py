"""Boards: where a run's curves, pictures and tables can be looked at, TensorBoard and Weights & Biases.

They know neither what is trained nor torch: whoever runs a training hands TensorBoard's writer in, and wandb
is imported once a run asks for it.
"""

from edit_rrm.boards.board import Board, Table
from edit_rrm.boards.tensorboard import TensorBoard
from edit_rrm.boards.wandb import WandbBoard, check_wandb, start_wandb
from edit_rrm.boards.wandb_settings import WandbSettings

__all__ = ["Board", "Table", "TensorBoard", "WandbBoard", "WandbSettings", "check_wandb", "start_wandb"]
