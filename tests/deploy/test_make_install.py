"""`make install` ends with what comes next, and names nothing that is not there."""

import re
import subprocess

from installs import ROOT


def test_make_install_says_what_comes_next() -> None:
    made = subprocess.run(
        ["make", "--no-print-directory", "--assume-old=.venv/.installed", "install"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    heading, *lines = made.stdout.splitlines()
    assert heading == "What comes next:"
    steps = [line.strip().partition("#")[0].strip() for line in lines]
    assert steps == ["source .venv/bin/activate", "make demo", "make serve"]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert {"demo", "serve"} <= set(targets)
    (page,) = re.findall(r"docs/[\w-]+\.md", made.stdout)
    assert (ROOT / page).is_file()
