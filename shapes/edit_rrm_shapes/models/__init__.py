"""Checkpoints that ship: two judges, the bases they came from, and an editor; where each lies.

It must not know what they are made of: they are files, which it does not open.
"""

from pathlib import Path

HERE = Path(__file__).parent
TINY_SFT = HERE / "edit-rrm-tiny-sft"
TINY_GCPO = HERE / "edit-rrm-tiny-gcpo"
TINY_BASE_M = HERE / "edit-rrm-tiny-base-m"
TINY_BASE_S = HERE / "edit-rrm-tiny-base-s"
SHAPES_EDITOR = HERE / "shapes-editor"
