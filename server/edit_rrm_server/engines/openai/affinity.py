"""Which upstream a prompt goes to: the one its group went to before, unless that has much more to do. Pure.

A new group goes to the upstream with the least outstanding. Among equals a hash of group and upstream
decides, so that several services in front of one idle fleet decide alike.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping

_GROUPS = 4096


class Affinity:
    """Remembers the last groups. A group leaves its upstream, whole, once that has `slack` more to do."""

    def __init__(self, slack: int, groups: int = _GROUPS) -> None:
        self._slack = slack
        self._groups = groups
        self._homes: OrderedDict[str, str] = OrderedDict()

    def choose(self, group: str, outstanding: Mapping[str, int]) -> str:
        """One of the upstreams that `outstanding` names with their prompts under way; at least one.

        The prompts of no group ("") stay nowhere.
        """
        least = min(outstanding, key=lambda name: (outstanding[name], _rank(group, name)))
        home = self._homes.get(group, least)
        keeps = home in outstanding and outstanding[home] <= outstanding[least] + self._slack
        chosen = home if keeps else least
        if group:
            self._homes[group] = chosen
            self._homes.move_to_end(group)
            if len(self._homes) > self._groups:
                self._homes.popitem(last=False)
        return chosen


def _rank(group: str, name: str) -> bytes:
    return hashlib.blake2b(f"{group} {name}".encode(), digest_size=8).digest()
