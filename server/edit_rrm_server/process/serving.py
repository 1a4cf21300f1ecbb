"""The process: uvicorn around the application, the start shown as it goes, SIGTERM turned into a drain."""

import asyncio
import errno
import logging
import os
import socket
import sys
import time
from pathlib import Path
from types import FrameType

import uvicorn

from edit_rrm.proxies import is_loopback
from edit_rrm.quiet_libraries import quieten
from edit_rrm_server.api.app import create_app
from edit_rrm_server.engines.child_processes import kill_descendants
from edit_rrm_server.engines.detached_thread import is_work_left
from edit_rrm_server.engines.loaded_model import LoadedModel
from edit_rrm_server.engines.openai.start import load_openai_model
from edit_rrm_server.engines.vllm.loading import load_vllm_model
from edit_rrm_server.engines.vllm.start import end_forkserver
from edit_rrm_server.event_loop import run_to_end
from edit_rrm_server.http.connections import ConnectionLimits, bounded_protocol, connections_for
from edit_rrm_server.life.service import Service
from edit_rrm_server.observe import tracing
from edit_rrm_server.observe.fleet_metrics import FleetMetrics
from edit_rrm_server.observe.log_lines import LogLines
from edit_rrm_server.process.allocation import keep_freed_memory
from edit_rrm_server.process.progress import StartProgress
from edit_rrm_server.scoring.warm_up import warm_up
from edit_rrm_server.settings.server import ServerSettings

_CLOSE_CONNECTIONS_S = 2
_KEEP_ALIVE_S = 65
_BACKLOG = 2048
# asyncio accepts as many as its backlog before it looks at any; that many must find descriptors.
_ACCEPTED_AT_ONCE = 64
_FIRST_INHERITED = 3  # sd_listen_fds(3)

logger = logging.getLogger(__name__)


def serve(settings: ServerSettings, started_at: float) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit status: 0, or 1 if it cannot serve as it should.

    If vLLM is the engine, `engines.vllm.start.prepare_environment` must have been called. Does not return,
    but ends the process with that status, when a load goes on that cannot be interrupted.
    """
    _configure_logging(settings.log_level)
    keep_freed_memory()
    progress = StartProgress(started_at)
    progress.step("starting")
    try:
        status = run_to_end(_serve(settings, progress)) if _traces(settings, progress) else 1
    finally:
        progress.end()
        tracing.stop()
        if is_work_left():
            kill_descendants()
        end_forkserver()
    if is_work_left():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _traces(settings: ServerSettings, progress: StartProgress) -> bool:
    """Begins to send traces if that is wanted; False, with the reason shown, if it cannot be done."""
    if settings.otlp_endpoint is not None:
        try:
            tracing.start(settings.otlp_endpoint)
        except (ImportError, ValueError) as error:
            progress.say(f"otlp_endpoint: no traces can be sent (is the extra `otel` installed?): {error}")
            return False
    return True


async def _serve(settings: ServerSettings, progress: StartProgress) -> int:
    async def load(checkpoint: Path) -> LoadedModel:
        try:
            if fleet_metrics is not None:
                return await load_openai_model(
                    settings, progress.step, fleet_metrics, on_no_upstream=no_upstream
                )
            chosen = settings.model_copy(update={"model": checkpoint})
            return await load_vllm_model(chosen, progress.step, warm_up)
        finally:
            progress.end()

    def no_upstream() -> None:
        if not service.engine_away:
            progress.say(f"no upstream answers at {', '.join(settings.upstreams)}: looking on until one does")
        service.engine_away = True

    service = Service(settings, load)
    fleet_metrics = FleetMetrics(service.metrics.registry) if settings.engine == "openai" else None
    try:
        listening = inherited_socket() or _listen(settings.host, settings.port)
    except OSError as error:
        progress.say(f"cannot listen: {cannot_listen(settings.host, settings.port, error)}")
        progress.end()
        return 1
    host = str(listening.getsockname()[0])
    if not (is_loopback(host) or settings.allow_open or settings.all_keys):
        progress.say(f"the inherited socket on {host} is open to other machines and no key is set")
        progress.end()
        listening.close()
        return 1
    config = http_config(service)
    server = _DrainingServer(config, service)
    announcing = asyncio.create_task(_announce(service, server, progress, _url(host, listening)))
    await server.serve(sockets=[listening])
    announcing.cancel()
    return 0 if service.failure is None else 1


def http_config(service: Service) -> uvicorn.Config:
    """How uvicorn serves the application."""
    settings = service.settings
    limits = ConnectionLimits(
        connections_for(settings.max_connections, files_open=len(os.listdir("/proc/self/fd"))),
        settings.max_header_bytes,
        settings.header_timeout_s,
        unread_answer_s=settings.unread_answer_s,
    )
    return uvicorn.Config(
        create_app(service),
        http=bounded_protocol(limits, service.metrics.http),
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=_CLOSE_CONNECTIONS_S,
        timeout_keep_alive=_KEEP_ALIVE_S,
        backlog=_ACCEPTED_AT_ONCE,
    )


async def _announce(service: Service, server: uvicorn.Server, progress: StartProgress, url: str) -> None:
    progress.say(f"listening on {url}; the model is being loaded")
    await service.load_ended.wait()
    if service.failure is None:
        took_s = time.monotonic() - progress.started_at
        progress.say(f"ready in {took_s:.1f} s: {service.model.name} on {url}")
        if service.model.card.judges:
            progress.say(service.model.card.judges)
        await service.failed.wait()
        progress.say(f"the service ends: {service.failure}")
    else:
        progress.say(f"the model could not be loaded: {service.failure}")
    server.should_exit = True


class _DrainingServer(uvicorn.Server):
    """Goes on answering probes while running calls finish; a second signal ends them at once.

    Does not pass the signal on to the default handler afterwards: a drained service ended well.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._drain: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Once it listens, the kernel may hold more connections than are accepted at once."""
        await super().startup(sockets)
        for one in sockets or ():
            one.listen(_BACKLOG)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal handler: only tells the loop."""
        self._loop.call_soon_threadsafe(self._signalled)

    def _signalled(self) -> None:
        if self._drain is None:
            self._drain = asyncio.create_task(self._drain_and_exit())
        else:
            self.should_exit = True

    async def _drain_and_exit(self) -> None:
        timeout_s = self._service.settings.drain_timeout_s
        logger.info("draining: %d calls are running", self._service.active_calls)
        if not await self._service.drain(timeout_s):
            logger.warning("%d calls did not finish in %g s", self._service.active_calls, timeout_s)
        self.should_exit = True


def inherited_socket(first: int = _FIRST_INHERITED) -> socket.socket | None:
    """The listening socket that systemd, or who starts processes as it does, holds for this one; else None.

    Connections wait in it while the service is restarted (sd_listen_fds(3): LISTEN_PID, LISTEN_FDS). Raises
    OSError for what is no socket that listens.
    """
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)  # the engine's processes are not meant
    if pid != str(os.getpid()) or not count.isdecimal() or int(count) < 1:
        return None
    listening = socket.socket(fileno=first)
    if not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise OSError(f"the inherited file descriptor {first} is no socket that listens")
    listening.set_inheritable(False)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections, so that an address that was announced is never refused.

    What connects before uvicorn accepts waits in the kernel's queue; a taken port is refused before anything
    is loaded.

    Connections inherit TCP_NODELAY. asyncio sets it only where the socket names its protocol, and without it
    the body of every answer on a kept connection waits 40 ms for the acknowledgement of its headers.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.bind((host, port))
    listening.listen(_BACKLOG)
    return listening


def cannot_listen(host: str, port: int, error: OSError) -> str:
    """Why an address is not to be had, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is taken by another process; end that one, or choose another with --port "
            "(0 takes a free one)"
        )
    if error.errno == errno.EACCES:
        return f"port {port} is not for this user: choose one from 1024 on with --port"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{host} is no address of this machine: choose another with --host"
    return str(error)


def _url(host: str, listening: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}"


def _configure_logging(level: str) -> None:
    """Our own lines as they are (the access log is JSON already), others only from warnings on."""
    handler = LogLines(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("edit_rrm_server").setLevel(level.upper())
    quieten()
    access = logging.getLogger("edit_rrm_server.http.access")
    lines = LogLines(sys.stdout)
    lines.setFormatter(logging.Formatter("%(message)s"))
    access.addHandler(lines)
    access.propagate = False
