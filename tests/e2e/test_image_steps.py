"""The steps of Dockerfile.cpu without a container engine: the same commands in a tree of its own, then the
entry point in the image's environment until it is ready.

Not as in the image: uv may use this machine's cache, bytecode and kernels are taken from where this machine
has compiled them (all of it would take minutes), torch comes from the usual index, apt-get is not run, and
the user is whoever runs the test.
"""

import contextlib
import getpass
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from dockerfile import ROOT, Stage, read_stages

NOT_AS_IN_THE_IMAGE = {"UV_NO_CACHE", "UV_COMPILE_BYTECODE", "UV_TORCH_BACKEND"}
READY_LIMIT_S = 240.0
# Shared libraries that every Debian image of Python has.
IN_THE_BASE = {"libc6", "libgcc-s1", "libstdc++6"}


class Tree:
    """The image's file system under a directory: /opt, /cache and /build; the base image's Python is ours."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.build = root / "build"
        for directory in (self.build, root / "cache"):
            directory.mkdir()
        subprocess.run([sys.executable, "-m", "venv", root / "base"], check=True)

    def placed(self, value: str) -> str:
        """The value with the image's absolute paths put under the tree."""
        return re.sub(r"(?<![\w.])/(opt|cache)\b", rf"{self.root}/\1", value)

    def environment(self, *stages: Stage) -> dict[str, str]:
        """What the stages set, one built on the other, on top of the least a shell needs."""
        kept = {
            name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "UV_CACHE"))
        }
        found = {**kept, "PATH": f"{self.root}/base/bin:/usr/bin:/bin", "HOME": str(Path.home())}
        for stage in stages:
            for name, value in stage.environment.items():
                if name not in NOT_AS_IN_THE_IMAGE:
                    found[name] = self.placed(value).replace("$PATH", found["PATH"])
        return found

    def run(self, stage: Stage, environment: Mapping[str, str]) -> None:
        """COPY and RUN of a stage in their order."""
        for step in stage.instructions:
            if step.name == "COPY":
                *sources, target = step.words
                for source in sources:
                    self._copy(source, target)
            elif step.name == "RUN":
                command = ["bash", "-euc", step.argument]
                ended = subprocess.run(
                    command, cwd=self.build, env=environment, capture_output=True, text=True
                )
                assert ended.returncode == 0, step.argument + ended.stdout[-2000:] + ended.stderr[-2000:]

    def _copy(self, source: str, target: str) -> None:
        if (ROOT / source).is_file():
            shutil.copy(ROOT / source, self.build / target)
        else:
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(ROOT / source, self.build / target, ignore=ignored)


@pytest.fixture(scope="module")
def image() -> list[Stage]:
    return read_stages(ROOT / "Dockerfile.cpu")


@pytest.fixture(scope="module")
def tree(image: list[Stage], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """The tree after the two building stages."""
    tree = Tree(tmp_path_factory.mktemp("image"))
    dependencies, application, _ = image
    tree.run(dependencies, tree.environment(dependencies))
    tree.run(application, tree.environment(dependencies, application))
    take_what_is_compiled(tree)
    yield tree
    shutil.rmtree(tree.root)  # six gigabytes where the cache cannot be linked


def test_the_entry_point_becomes_ready_passes_its_health_check_and_ends_well(
    tree: Tree, image: list[Stage], tmp_path: Path
) -> None:
    final = image[-1]
    port = free_port()
    environment = {
        **tree.environment(final),
        "EDIT_RRM_API_KEYS": "of-this-test",
        "EDIT_RRM_PORT": str(port),
    }
    before = files_of(tree)
    log = tmp_path / "log"
    with log.open("wb") as output:
        service = subprocess.Popen(
            final.last("ENTRYPOINT").words + final.last("CMD").words,
            executable=shutil.which("edit-rrm-server", path=environment["PATH"]),
            env=environment, cwd=tmp_path, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        wait_until_ready(service, port, log)
        check = json.loads(final.last("HEALTHCHECK").argument.split("CMD")[1])
        subprocess.run(check, env=environment, check=True, timeout=30)
        assert httpx.get(f"http://127.0.0.1:{port}/v1/models").status_code == 401
        service.send_signal(signal.SIGTERM)
        status = service.wait(60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(service.pid, signal.SIGKILL)  # whatever is left of its session
    assert status == 0, log.read_text()[-3000:]
    assert files_of(tree) == before  # a read-only root file system would do


def test_the_image_has_the_system_libraries_that_vllm_is_linked_against(
    tree: Tree, image: list[Stage]
) -> None:
    installed = set(
        re.findall(r"--no-install-recommends (.*?) &&", image[-1].last("RUN").argument)[0].split()
    )
    kernels = sorted(tree.root.glob("opt/edit-rrm/venv/lib/python3*/site-packages/vllm/_C*.so"))
    assert kernels
    needed = set()
    for kernel in kernels:
        shown = subprocess.run(["ldd", kernel], capture_output=True, text=True, check=True).stdout
        needed |= set(re.findall(r"=> (/(?:usr/)?lib/\S+)", shown))
    assert {package_of(Path(library)) for library in needed} <= IN_THE_BASE | installed


def take_what_is_compiled(tree: Tree) -> None:
    """Copies bytecode and kernels; Python and torch compile again what does not fit."""
    here = Path(sysconfig.get_path("purelib"))
    there = next((tree.root / "opt" / "edit-rrm" / "venv" / "lib").glob("python3*/site-packages"))
    for source in here.rglob("__pycache__"):
        target = there / source.relative_to(here)
        if target.parent.is_dir() and not target.exists():
            shutil.copytree(source, target)
    kernels = Path(tempfile.gettempdir(), f"torchinductor_{getpass.getuser()}")
    for source, target in (
        (kernels, "torchinductor"),
        (Path.home() / ".cache/vllm/modelinfos", "vllm/modelinfos"),
    ):
        if source.is_dir():
            shutil.copytree(source, tree.root / "cache" / target)


def package_of(library: Path) -> str:
    """The Debian package that owns a file."""
    for path in (library, library.resolve(), Path(f"/usr{library}")):
        found = subprocess.run(["dpkg", "-S", path], capture_output=True, text=True, check=False)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    raise AssertionError(f"no package owns {library}")


def files_of(tree: Tree) -> dict[str, int]:
    """Every file under /opt with the time of its last change."""
    return {
        str(file): file.lstat().st_mtime_ns for file in (tree.root / "opt").rglob("*") if not file.is_dir()
    }


def wait_until_ready(service: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Waits for /ready."""
    started = time.monotonic()
    while True:
        assert service.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() - started < READY_LIMIT_S, log.read_text()[-3000:]
        try:
            if httpx.get(f"http://127.0.0.1:{port}/ready", timeout=5.0).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)


def free_port() -> int:
    """A port nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
