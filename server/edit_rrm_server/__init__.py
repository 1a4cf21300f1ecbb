"""The service: HTTP routes, admission and batching, engines, metrics. `edit-rrm-server serve` starts it."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("edit-rrm")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
