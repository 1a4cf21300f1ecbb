"""Which of the packages that are installed have known weaknesses, and under which licences are they?

    .venv/bin/python deploy/supply_chain/audit.py [--licences FILE]

`make audit` runs it. pip-audit asks a service on the internet about every package, pip-licenses reads what is
installed; both run in environments of their own (uv tool run), so that nothing is installed here. Status 0:
none is known. 1: there are some. 2: the service was not reached, or knew no package (a mirror of a package
index may be without it): nothing is known then, which is another thing than nothing wrong.
"""

import json
import subprocess
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

AUDIT = ("--from", "pip-audit==2.10.1", "pip-audit")
LICENCES = ("--from", "pip-licenses==5.5.5", "pip-licenses")
OURS = frozenset({"edit-rrm", "edit-rrm-shapes"})
RECIPROCAL = "GPL"
TIMEOUT_S = 15
WEAK, UNKNOWN = 1, 2

console = Console(soft_wrap=True)


@dataclass(frozen=True)
class Weakness:
    """A known one, and the versions that do not have it."""

    package: str
    version: str
    name: str
    mended_in: tuple[str, ...]


@dataclass(frozen=True)
class Audit:
    """How many packages the service knew, which it did not, and what is wrong with those it knew."""

    asked: int
    unknown: tuple[str, ...]
    weaknesses: tuple[Weakness, ...]

    @property
    def status(self) -> int:
        """See the module."""
        if not self.asked:
            return UNKNOWN
        return WEAK if self.weaknesses else 0


def read_audit(report: Mapping[str, Any]) -> Audit:
    """pip-audit's JSON. Our own packages, which no index has, are left out."""
    packages = [each for each in report["dependencies"] if each["name"] not in OURS]
    known = [each for each in packages if "skip_reason" not in each]
    return Audit(
        asked=len(known),
        unknown=tuple(each["name"] for each in packages if "skip_reason" in each),
        weaknesses=tuple(
            Weakness(each["name"], each["version"], one["id"], tuple(one["fix_versions"]))
            for each in known
            for one in each["vulns"]
        ),
    )


def by_licence(packages: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """The names by the first line of their licence, the most common first."""
    found: dict[str, list[str]] = defaultdict(list)
    for each in packages:
        lines = each["License"].strip().splitlines()
        found[lines[0].strip() if lines else "UNKNOWN"].append(each["Name"])
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def ran(tool: Sequence[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A tool in an environment of its own."""
    command = [sys.executable, "-m", "uv", "tool", "run", *tool, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def audit() -> Audit | str:
    """What the service says of this environment, or in one line why it could not be asked."""
    site = sysconfig.get_paths()["purelib"]
    options = ("--format", "json", "--progress-spinner", "off", "--timeout", str(TIMEOUT_S))
    ended = ran(AUDIT, "--path", site, *options)
    try:
        return read_audit(json.loads(ended.stdout))
    except ValueError:
        said = ended.stderr.strip().splitlines()
        return said[-1][:200] if said else f"pip-audit ended with {ended.returncode} and said nothing"


def main(
    licences: Annotated[
        Path | None, typer.Option(help="Where the licence of every package is written, as JSON.")
    ] = None,
) -> None:
    """See the module."""
    _tell_licences(licences)
    found = audit()
    if isinstance(found, str):
        console.print(f"no audit: the service of known weaknesses was not reached: {found}", markup=False)
        raise typer.Exit(UNKNOWN)
    if not found.asked:
        console.print(f"no audit: the service of known weaknesses knew none of {len(found.unknown)} packages")
        raise typer.Exit(found.status)
    for one in found.weaknesses:
        mended = f"mended in {', '.join(one.mended_in)}" if one.mended_in else "not mended yet"
        console.print(f"{one.package} {one.version}: {one.name}, {mended}", markup=False)
    unknown = f"; not known there: {', '.join(found.unknown)}" if found.unknown else ""
    console.print(f"{found.asked} packages, {len(found.weaknesses)} known weaknesses{unknown}", markup=False)
    raise typer.Exit(found.status)


def _tell_licences(file: Path | None) -> None:
    ended = ran(LICENCES, "--python", sys.executable, "--format", "json")
    try:
        packages = json.loads(ended.stdout)
    except ValueError:
        console.print("no licences: pip-licenses could not be had", markup=False)
        return
    table = Table("licence", "packages", "which")
    for licence, names in by_licence(packages).items():
        named = RECIPROCAL in licence or licence == "UNKNOWN" or len(names) == 1
        table.add_row(licence[:60], str(len(names)), ", ".join(names) if named else "")
    console.print(table)
    if file is not None:
        file.write_text(json.dumps(packages, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
