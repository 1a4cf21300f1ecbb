"""Which layers of a transformer get adapters: by each family's names, or by those that are asked for."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from edit_grpo.policies.errors import PolicySettingsError
from edit_grpo.policies.settings import ATTENTION, ATTENTION_AND_MLP


@dataclass(frozen=True)
class LoraLayers:
    """The linear layers of a transformer's blocks, as regular expressions of their whole names."""

    attention: str
    mlp: str

    def targets(self, asked: str | tuple[str, ...], names: Iterable[str]) -> str | list[str]:
        """What PEFT is given for `asked`; `names` are those of the transformer's modules.

        Raises PolicySettingsError where something that is asked for is the name of none.
        """
        if asked == ATTENTION_AND_MLP:
            return f"(?:{self.attention})|(?:{self.mlp})"
        if asked == ATTENTION:
            return self.attention
        known = list(names)
        if isinstance(asked, str):
            missing = [] if any(re.fullmatch(asked, name) for name in known) else [asked]
        else:
            missing = [end for end in asked if not any(f".{name}".endswith(f".{end}") for name in known)]
        if missing:
            raise PolicySettingsError(
                f"lora.targets: no layer of this transformer is called {', '.join(missing)}; "
                f"`{ATTENTION_AND_MLP}` are those of every block"
            )
        return asked if isinstance(asked, str) else list(asked)
