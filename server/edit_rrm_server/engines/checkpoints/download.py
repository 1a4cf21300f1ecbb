"""Downloads what serving needs of a hub's model into the hub's own cache; run as a process of its own.

The hub's library reads its environment (HF_HOME, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE, …) on import: here it
is the operator's, not the one vLLM gets. A connection that breaks is taken up where it broke; files
that are there whole are not fetched again, so a stopped download costs the files that were under way.
"""

import contextlib
import glob
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edit_rrm.errors import CheckpointError
from edit_rrm_server.engines.checkpoints.child_work import answer, note, tell
from edit_rrm_server.engines.checkpoints.contents import files_to_load

_WORKERS = 4  # more would lose more when stopped, and be no faster
_REPORT_S = 0.5
_ATTEMPTS = 5
_WAIT_S = 2.0


def download(repo: str, revision: str, *, with_code: bool) -> Path:
    """The directory of the snapshot. Raises CheckpointError, which says what to do about it."""
    import httpx
    from huggingface_hub import constants, errors

    if constants.is_offline_mode():
        return _cached(
            repo, revision, f"HF_HUB_OFFLINE is set and {repo}@{revision} is not in the hub's cache"
        )
    where = f"the hub at {constants.ENDPOINT}"
    try:
        return _fetch(repo, revision, with_code)
    except errors.GatedRepoError:
        raise CheckpointError(
            f"{repo} is gated: accept its terms at {constants.ENDPOINT}/{repo} and set HF_TOKEN to a key of "
            "that account"
        ) from None
    except errors.RepositoryNotFoundError:
        raise CheckpointError(
            f"there is no directory {repo}, and {where} has no model of that id, or HF_TOKEN may not read it"
        ) from None
    except errors.RevisionNotFoundError:
        raise CheckpointError(f"{repo} has no revision {revision!r} at {where}") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise CheckpointError(
                f"{where} refuses {repo} ({status}): set HF_TOKEN to a key that may read it"
            ) from None
        raise CheckpointError(f"{where} answered {status} for {repo}") from None
    except (httpx.TransportError, errors.LocalEntryNotFoundError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        found = _cached(
            repo, revision, f"{where} cannot be reached and {repo}@{revision} is not in its cache ({reason})"
        )
        note(f"{where} cannot be reached ({reason}): {repo}@{revision} is served as its cache has it")
        return found
    except OSError as error:
        raise CheckpointError(
            f"{repo} could not be stored below {constants.HF_HUB_CACHE}: {error}"
        ) from error


def _fetch(repo: str, revision: str, with_code: bool) -> Path:
    import httpx
    from huggingface_hub import HfApi, snapshot_download

    info = HfApi().model_info(repo, revision=revision, files_metadata=True)
    wanted = set(files_to_load((file.rfilename for file in info.siblings or ()), with_code=with_code))
    if not any(name.endswith(".safetensors") for name in wanted):
        raise CheckpointError(
            f"{repo} holds no *.safetensors weights at {revision}; pickled ones are not loaded"
        )
    sizes = {
        (file.lfs.sha256 if file.lfs else file.blob_id) or "": file.size or 0
        for file in info.siblings or ()
        if file.rfilename in wanted
    }
    with _reporting(repo, sizes):
        for attempt in range(_ATTEMPTS):
            try:
                return Path(
                    snapshot_download(
                        repo,
                        revision=revision,
                        allow_patterns=[glob.escape(name) for name in wanted],
                        max_workers=_WORKERS,
                    )
                )
            except httpx.TransportError:
                if attempt + 1 == _ATTEMPTS:
                    raise
                time.sleep(_WAIT_S * 2**attempt)
    raise AssertionError  # the loop returns or raises


def _cached(repo: str, revision: str, otherwise: str) -> Path:
    from huggingface_hub import errors, snapshot_download

    try:  # whether the weights are whole is checked by whoever asked, by their index
        return Path(
            snapshot_download(
                repo,
                revision=revision,
                local_files_only=True,
                allow_patterns=["config.json", "adapter_config.json"],
            )
        )
    except errors.LocalEntryNotFoundError:
        raise CheckpointError(otherwise) from None


@contextlib.contextmanager
def _reporting(repo: str, sizes: dict[str, int]) -> Iterator[None]:
    """Tells how many bytes of the wanted blobs lie in the cache, until the end."""
    from huggingface_hub import constants

    blobs = Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}" / "blobs"
    total = sum(sizes.values())
    before = {file.name for file in blobs.glob("*.incomplete")}
    ended = threading.Event()

    def there() -> int:
        done = sum(size for name, size in sizes.items() if (blobs / name).is_file())
        for file in blobs.glob("*.incomplete"):
            with contextlib.suppress(OSError):
                done += file.stat().st_size if file.name not in before else 0
        return min(done, total)

    def report() -> None:
        while not ended.wait(_REPORT_S):
            try:
                tell(there(), total)
            except BrokenPipeError:  # nobody is left to download for
                _clear_and_exit()

    tell(there(), total)
    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        ended.set()
        reporter.join()
    tell(total, total)


def _clear_and_exit(*_: object) -> None:
    """Takes the files under way along: the library names each anew and would not go on with it."""
    import psutil  # type: ignore[import-untyped]

    for file in psutil.Process().open_files():
        if file.path.endswith(".incomplete"):
            with contextlib.suppress(OSError):
                os.unlink(file.path)
    os._exit(143)


def _main(arguments: dict[str, Any]) -> str:
    signal.signal(signal.SIGTERM, _clear_and_exit)
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    return str(download(arguments["repo"], arguments["revision"], with_code=arguments["with_code"]))


if __name__ == "__main__":
    answer(_main)
