"""The identity of a group: prompts on one source image and instruction begin alike."""

import hashlib

from edit_rrm.images import EditImage


def group_id(source: EditImage, instruction: str) -> str:
    """32 hex digits. Principles are left out: their own decomposition uses the same source image."""
    return hashlib.sha256(f"{source.digest} {instruction}".encode()).hexdigest()[:32]
