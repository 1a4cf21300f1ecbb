"""The service: FastAPI in front of vLLM. Rooms, each importing only those below it:

process, api, http, life, scoring, engines, admission, settings, observe, errors.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("edit-rrm")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
