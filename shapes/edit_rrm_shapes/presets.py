"""The miniature's presets, which every training takes by name: `sft_tiny`, `gcpo_tiny`, `tiny_editor`."""

from pathlib import Path

from edit_rrm.presets import preset_folder

FOLDER = preset_folder(Path(__file__).parent)
