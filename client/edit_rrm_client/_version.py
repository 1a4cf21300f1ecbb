"""The distribution's version."""

from importlib.metadata import version

__version__ = version("edit-rrm")
