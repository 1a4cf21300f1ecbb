"""Which replica a prompt goes to: the one its group went to before, unless that has much more to do. Pure.

Replicas are the upstreams of a fleet, or the ranks of an engine in this process. A new group goes to the
one with the least outstanding. Among equals a hash of group and replica decides, so that several services
in front of one idle fleet decide alike.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_GROUPS = 4096
_SLACK = 32


class Affinity:
    """Remembers the last groups. A group leaves its replica, whole, once that has `slack` more to do."""

    def __init__(self, slack: int, groups: int = _GROUPS) -> None:
        self._slack = slack
        self._groups = groups
        self._homes: OrderedDict[str, str] = OrderedDict()

    def choose(self, group: str, outstanding: Mapping[str, int]) -> str:
        """One of the replicas that `outstanding` names with their prompts under way; at least one.

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


class Places:
    """Replicas by their places, 0 to `count` - 1: the ranks of an engine, its front ends."""

    def __init__(self, count: int, slack: int = _SLACK) -> None:
        self._affinity = Affinity(slack)
        self._outstanding = {str(place): 0 for place in range(count)}

    @contextmanager
    def use(self, group: str) -> Iterator[int | None]:
        """The place for a prompt, which counts as outstanding there meanwhile; None where there is one."""
        if len(self._outstanding) == 1:
            yield None
            return
        place = self._affinity.choose(group, self._outstanding)
        self._outstanding[place] += 1
        try:
            yield int(place)
        finally:
            self._outstanding[place] -= 1


def _rank(group: str, name: str) -> bytes:
    return hashlib.blake2b(f"{group} {name}".encode(), digest_size=8).digest()
