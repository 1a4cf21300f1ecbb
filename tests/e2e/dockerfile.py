"""A Dockerfile as data: its stages, their instructions in order, and what they set. Only what ours use."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Instruction:
    """One instruction, continued lines joined."""

    name: str
    argument: str

    @property
    def words(self) -> list[str]:
        """The argument of an exec-form instruction (JSON), or split as a shell would."""
        if self.argument.startswith("["):
            words: list[str] = json.loads(self.argument)
            return words
        return shlex.split(self.argument)


@dataclass(frozen=True)
class Stage:
    """From one FROM to the next."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]

    def all(self, name: str) -> list[Instruction]:
        """Its instructions of this kind."""
        return [instruction for instruction in self.instructions if instruction.name == name]

    def last(self, name: str) -> Instruction:
        """The one that counts."""
        return self.all(name)[-1]

    @property
    def environment(self) -> dict[str, str]:
        """ARG defaults and ENV, variables unexpanded."""
        pairs = [word for found in ("ARG", "ENV") for each in self.all(found) for word in each.words]
        return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}

    @property
    def copied(self) -> list[tuple[list[str], str]]:
        """Sources and destination of each COPY from the build context."""
        copies = [each.words for each in self.all("COPY") if not each.argument.startswith("--from")]
        return [(words[:-1], words[-1]) for words in copies]


def read_stages(file: Path) -> list[Stage]:
    """The stages of a Dockerfile."""
    lines = [line for line in file.read_text().splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    stages: list[Stage] = []
    for line in joined.splitlines():
        name, argument = line.split(maxsplit=1)
        if name == "FROM":
            base, *alias = argument.split(" AS ")
            stages.append(Stage(alias[0] if alias else "", base, ()))
        elif stages:
            last = stages.pop()
            grown = (*last.instructions, Instruction(name, argument))
            stages.append(Stage(last.name, last.base, grown))
    return stages
