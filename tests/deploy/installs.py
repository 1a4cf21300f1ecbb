"""Environments made by uv from this checkout's wheel: empty but for what an extra brings.

uv's own cache is shared, and versions are those of the environment that the tests run in, so that little is
fetched and nothing is built.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 300.0


def uv(*arguments: str, cwd: Path = ROOT) -> str:
    """What a command of uv says."""
    command = [sys.executable, "-m", "uv", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def build_wheel(source: Path, out: Path) -> Path:
    """The wheel of a project."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)
    (wheel,) = out.glob("*.whl")
    return wheel


def versions_here(file: Path) -> Path:
    """Constraints: what this environment has, but for what lies in a folder."""
    lines = uv("pip", "freeze", "--quiet", "--python", sys.executable).splitlines()
    file.write_text("\n".join(line for line in lines if "==" in line) + "\n", encoding="utf-8")
    return file


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def run(
        self, script: str, *arguments: str, cwd: Path, patience_s: float = PATIENCE_S
    ) -> subprocess.CompletedProcess[str]:
        """A console script of it, away from this checkout and its settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "EDIT_"))}
        return subprocess.run(
            [str(self.folder / "bin" / script), *arguments],
            cwd=cwd, env={**kept, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
            capture_output=True, text=True, timeout=patience_s, check=False,
        )  # fmt: skip


def empty_environment(folder: Path, *options: str) -> Environment:
    """One with nothing in it; `options` are of `uv venv`."""
    uv("venv", "--quiet", "--python", sys.executable, *options, str(folder))
    return Environment(folder)


def shell(made: Environment, text: str, constraints: Path, cwd: Path) -> None:
    """Commands in a shell in which an environment is active; pip and uv take versions that are here."""
    path = f"{made.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    active = {"VIRTUAL_ENV": str(made.folder), "PATH": path}
    pinned = {"PIP_CONSTRAINT": str(constraints), "UV_CONSTRAINT": str(constraints), "UV_NO_CONFIG": "1"}
    pinned["UV_COMPILE_BYTECODE"] = "1"  # the first start is not to wait for it
    done = subprocess.run(
        ["bash", "-e"], input=text, cwd=cwd, env={**os.environ, **active, **pinned},
        capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def installed(wheel: Path, extra: str, constraints: Path, folder: Path) -> Environment:
    """One with the wheel and an extra of it, without this checkout's overrides."""
    made = empty_environment(folder)
    wanted = f"edit-rrm[{extra}] @ {wheel.as_uri()}" if extra else f"edit-rrm @ {wheel.as_uri()}"
    uv("pip", "install", "--quiet", "--no-config", "--python", str(made.python),
       "--constraints", str(constraints), wanted, cwd=folder)  # fmt: skip
    return made
