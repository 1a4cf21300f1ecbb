"""`locate`: the checkpoint that the settings name, as directories on this machine; loads nothing."""

import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edit_rrm import plugins
from edit_rrm.checkpoint import FILE_NAME, RRMCard, checkpoint_directory, checkpoint_meant, read_card
from edit_rrm.errors import CheckpointError
from edit_rrm.judges.spec import judge_file_beside
from edit_rrm.run_directories import what_it_holds
from edit_rrm_server.engines.checkpoints.adapters import (
    ADAPTER_FILE,
    Adapter,
    check_fits,
    is_adapter,
    read_adapter,
)
from edit_rrm_server.engines.checkpoints.child_work import run_in_child
from edit_rrm_server.engines.checkpoints.contents import CONFIG_FILE, check_complete
from edit_rrm_server.engines.checkpoints.hub_ids import HubId, hub_id
from edit_rrm_server.engines.checkpoints.transfer import Transfer
from edit_rrm_server.engines.detached_thread import run_detached
from edit_rrm_server.engines.weights_digest import DIGEST_HEX_CHARS, default_cache_file, weights_digest
from edit_rrm_server.settings.server import ServerSettings

_DOWNLOAD = "edit_rrm_server.engines.checkpoints.download"
_MERGE = "edit_rrm_server.engines.checkpoints.merging"

Progress = Callable[[str], None]

logger = logging.getLogger(__name__)

# Snapshots by id: an engine that is restarted gets the weights it had, whatever a branch points to by then.
_snapshots: dict[HubId, Path] = {}


@dataclass(frozen=True)
class LocatedCheckpoint:
    """What an engine loads, and what identifies it."""

    directory: Path
    card: RRMCard
    digest: str  # 12 hex digits
    beside: Path  # where a judge file of the checkpoint's own would lie
    adapter: Adapter | None = None  # served beside the directory's weights, not merged into them
    further: "tuple[LocatedCheckpoint, ...]" = ()
    """Further adapters of the same directory, each a model of its own."""


async def locate(
    settings: ServerSettings, progress: Progress, environment: Mapping[str, str]
) -> LocatedCheckpoint:
    """The checkpoint of `settings.model`: a directory, a hub id, or an adapter that is either.

    With it come those of `settings.adapters`. `environment` is what the operator set, for the hub.
    Raises CheckpointError, which says what is missing.
    """
    found = await _model(settings, progress, environment)
    further = []
    for name, named in settings.adapters.items():
        if name == found.card.name:
            raise CheckpointError(f"two models are called {name!r}: the base and one of its adapters")
        further.append(await _further(name, named, found.directory, settings, progress, environment))
    return replace(found, further=tuple(further))


async def _further(
    name: str,
    named: str,
    base: Path,
    settings: ServerSettings,
    progress: Progress,
    environment: Mapping[str, str],
) -> LocatedCheckpoint:
    """One of several adapters of `base`. Raises CheckpointError that names the setting."""
    try:
        directory, _ = await _directory(named, progress, environment, _runs_code(settings))
        if not is_adapter(directory):
            raise CheckpointError(f"{named} is no adapter: it holds no {ADAPTER_FILE}")
        adapter = read_adapter(directory)
        await run_detached(lambda: check_fits(adapter, base))
    except CheckpointError as error:
        raise CheckpointError(f"adapters.{name}: {error}") from error
    card = _adapted_card(directory, None, base, None).model_copy(update={"name": name})
    digest = await run_detached(lambda: _joint_digest(base, directory))
    return LocatedCheckpoint(base, card, digest, _asked_as(directory, base), adapter)


async def _model(
    settings: ServerSettings, progress: Progress, environment: Mapping[str, str]
) -> LocatedCheckpoint:
    """`locate` without further adapters."""
    named = str(settings.model)
    with_code = _runs_code(settings)
    directory, name = await _directory(named, progress, environment, with_code)
    if not is_adapter(directory):
        if settings.base is not None and settings.reload_root is None:
            raise CheckpointError(f"base has no effect: {named} is no adapter, it holds no {ADAPTER_FILE}")
        await run_detached(lambda: _check(directory, named))
        digest = await run_detached(lambda: weights_digest(directory, default_cache_file()))
        return LocatedCheckpoint(directory, read_card(directory, name), digest, directory)
    if settings.adapters and settings.adapter_mode == "merge":
        raise CheckpointError(
            f"adapters need their base as it is, and {named} would be merged into it: name it among them and "
            "the base as model, or set adapter_mode=lora"
        )
    adapter = read_adapter(directory)
    base_named = settings.base or adapter.base
    if base_named is None:
        raise CheckpointError(f"the adapter {named} does not name its base: set base")
    try:
        base, base_name = await _directory(base_named, progress, environment, with_code)
        if is_adapter(base):
            raise CheckpointError(f"{base_named} is an adapter itself")
        await run_detached(lambda: _check(base, base_named))
    except CheckpointError as error:
        origin = "base" if settings.base else f"{ADAPTER_FILE} of {named}, which the setting base goes before"
        raise CheckpointError(f"{error} (named by {origin})") from error
    await run_detached(lambda: check_fits(adapter, base))
    card = _adapted_card(directory, name, base, base_name)
    digest = await run_detached(lambda: _joint_digest(base, directory))
    asked_as = _asked_as(directory, base)
    if settings.adapter_mode == "lora":
        return LocatedCheckpoint(base, card, digest, asked_as, adapter)
    target = default_cache_file().parent / "merged" / digest
    if not target.is_dir():
        progress(f"merging {named} into {base_named}")
        arguments = {"target": str(target), "base": str(base), "adapter": str(directory)}
        await run_in_child(_MERGE, arguments, os.environ)
    logger.info("serving %s merged into %s, kept in %s", named, base_named, target)
    return LocatedCheckpoint(target, card, digest, asked_as)


async def _directory(
    named: str, progress: Progress, environment: Mapping[str, str], with_code: bool
) -> tuple[Path, str | None]:
    """The directory, and the name of a checkpoint without a card; None: the directory's own."""
    wanted = _meaning(named)
    if isinstance(wanted, Path):
        return wanted, None
    if wanted is None:
        raise CheckpointError(_nowhere(named))
    if wanted in _snapshots:
        return _snapshots[wanted], wanted.repo
    progress(f"looking up {wanted}")
    transfer = Transfer(f"downloading {wanted}", progress)
    arguments = {"repo": wanted.repo, "revision": wanted.revision, "with_code": with_code}
    try:
        snapshot = Path(await run_in_child(_DOWNLOAD, arguments, environment, transfer.report))
    except CheckpointError as error:
        raise CheckpointError(f"{error}{checkpoint_meant(named)}") from error
    logger.info("%s is %s", wanted, snapshot)
    _snapshots[wanted] = snapshot
    return snapshot, wanted.repo


def check_named(named: str) -> None:
    """Refuses at once what cannot be a checkpoint, whatever the hub has. Raises CheckpointError."""
    wanted = _meaning(named)
    if wanted is None:
        raise CheckpointError(_nowhere(named))
    if isinstance(wanted, Path) and not is_adapter(wanted):
        _check_config(wanted, named)


def _nowhere(named: str) -> str:
    """Says of a name that is neither a directory nor an id what was expected, and which is like it."""
    registered = ", ".join(plugins.names("edit_rrm.checkpoints"))
    return (
        f"there is no checkpoint {named}: expected a directory, an id of the hub (org/name or "
        f"org/name@revision) or a registered name ({registered or 'there are none'}){checkpoint_meant(named)}"
    )


def _meaning(named: str) -> Path | HubId | None:
    """The directory, given or registered, or else the id that a name stands for."""
    path = checkpoint_directory(named)
    if path.is_dir():
        return path
    return None if path.exists() or path.is_absolute() else hub_id(named)


def _check(directory: Path, named: str) -> None:
    _check_config(directory, named)
    check_complete(directory, named)


def _check_config(directory: Path, named: str) -> None:
    if not (directory / CONFIG_FILE).is_file():
        raise CheckpointError(
            f"{named} is no checkpoint: it holds no {CONFIG_FILE}; {what_it_holds(directory)}"
        )


def _asked_as(adapter: Path, base: Path) -> Path:
    """An adapter that says nothing of how it is asked is asked as its base is."""
    return adapter if judge_file_beside(adapter) or (adapter / FILE_NAME).is_file() else base


def _runs_code(settings: ServerSettings) -> bool:
    return bool(settings.engine_args.get("trust_remote_code"))


def _adapted_card(adapter: Path, name: str | None, base: Path, base_name: str | None) -> RRMCard:
    """The adapter's card, or its base's under the adapter's name: it is asked as its base is."""
    if (adapter / FILE_NAME).is_file():
        return read_card(adapter, name)
    own_name = name or adapter.absolute().name
    return read_card(base, base_name).model_copy(update={"name": own_name, "judges": "", "training": {}})


def _joint_digest(base: Path, adapter: Path) -> str:
    """One identity for both, whether merged or not."""
    parts = [weights_digest(directory, default_cache_file()) for directory in (base, adapter)]
    return hashlib.sha256("+".join(parts).encode()).hexdigest()[:DIGEST_HEX_CHARS]
