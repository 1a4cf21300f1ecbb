"""The container images, as far as that shows without building them."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from dockerfile import ROOT, Stage, read_stages

from edit_rrm_server.settings.server import ENV_PREFIX, ServerSettings
from guide_blocks import shell_blocks

IMAGES = ("Dockerfile", "Dockerfile.cpu")


@pytest.fixture(params=IMAGES)
def image(request: pytest.FixtureRequest) -> list[Stage]:
    return read_stages(ROOT / request.param)


@pytest.mark.parametrize("name", IMAGES)
def test_hadolint_has_nothing_to_say(name: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    ended = subprocess.run([hadolint, ROOT / name], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_the_service_does_not_run_as_root(image: list[Stage]) -> None:
    assert image[-1].last("USER").argument == "10001:10001"


@pytest.mark.parametrize("name", IMAGES)
def test_the_line_that_runs_it_gives_it_no_more_than_it_needs(name: str) -> None:
    head = (ROOT / name).read_text().split("\nARG")[0].replace("\\\n#", " ")
    (line,) = (line for line in head.splitlines() if "docker run" in line)
    for option in ("--read-only", "--tmpfs /tmp", "--cap-drop ALL", "--security-opt no-new-privileges"):
        assert option in line
    assert "--privileged" not in line


def test_whatever_is_cached_is_cached_under_the_one_writable_volume(image: list[Stage]) -> None:
    (volume,) = image[-1].last("VOLUME").words
    caches = {name: value for name, value in image[-1].environment.items() if value.startswith("/cache")}
    assert volume == "/cache"
    assert {"HOME", "XDG_CACHE_HOME", "HF_HOME", "VLLM_CACHE_ROOT", "TRITON_CACHE_DIR"} <= caches.keys()


def test_every_setting_the_image_makes_is_one_and_none_is_a_secret(image: list[Stage]) -> None:
    named = {name for stage in image for name in stage.environment}
    ours = {name.removeprefix(ENV_PREFIX).lower() for name in named if name.startswith(ENV_PREFIX)}
    assert ours == {"host"}
    assert ours <= ServerSettings.model_fields.keys()
    assert not any(word in name for name in named for word in ("SECRET", "TOKEN", "PASSWORD", "API_KEY"))


def test_the_image_asks_whether_the_service_lives_and_serves_by_default(image: list[Stage]) -> None:
    assert "/health" in image[-1].last("HEALTHCHECK").argument
    assert image[-1].last("ENTRYPOINT").words == ["edit-rrm-server"]
    assert image[-1].last("CMD").words == ["serve"]


def test_only_finished_trees_reach_the_last_stage(image: list[Stage]) -> None:
    assert image[-1].copied == []
    assert [stage.name for stage in image] == ["dependencies", "application", ""]


def test_every_package_of_the_distribution_is_copied(image: list[Stage]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = {source for stage in image for sources, _ in stage.copied for source in sources}
    assert copied == {str(Path(p).parent) for p in packages} | {"pyproject.toml", "README.md", "LICENSE"}


def test_the_context_holds_what_is_copied_and_nothing_else(image: list[Stage]) -> None:
    rules = (ROOT / ".dockerignore").read_text().split("\n")
    assert "*" in rules
    let_through = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {source for stage in image for sources, _ in stage.copied for source in sources}
    assert let_through == copied


def test_no_registry_is_named(image: list[Stage]) -> None:
    for name in IMAGES:
        assert not re.search(r"https?://(?!127\.0\.0\.1)|--(extra-)?index", (ROOT / name).read_text())
    for stage in image:
        assert "." not in stage.base.split("/")[0].split(":")[0], stage.base


def test_the_gpu_image_has_what_the_readme_installs_for_serving() -> None:
    installed = read_stages(ROOT / "Dockerfile")[0].last("RUN").argument
    (block,) = (block for block in shell_blocks("../README.md") if "make install-gpu" in block.code)
    (line,) = (line for line in block.code.splitlines() if line.endswith("# serving"))
    (extras,) = re.findall(r"\.\[([\w,-]+)\]", line)
    assert re.findall(r"--extra ([\w-]+)", installed) == extras.split(",")


def test_each_image_installs_its_own_engine() -> None:
    installed = {name: read_stages(ROOT / name)[0].last("RUN").argument for name in IMAGES}
    assert "--extra gpu" in installed["Dockerfile"]
    assert "--no-config" in installed["Dockerfile"]  # the overrides are those of the CPU build
    assert "--extra cpu" in installed["Dockerfile.cpu"]
    assert "--no-config" not in installed["Dockerfile.cpu"]
