"""Which instructions are hard: multi-step, fine detail, implicit, spatial (docs/paper.md, Stage 1, Generate).

A filter on the words of an instruction, with no model behind it: it finds candidates for the hard half of a
training set, and errs both ways. Pure.
"""

import random
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum

from edit_rrm_training.pipeline.rows import EditRow


class Hard(StrEnum):
    """Why an instruction is hard."""

    MULTI_STEP = "multi-step"
    FINE_DETAIL = "fine detail"
    IMPLICIT = "implicit"
    SPATIAL = "spatial"


_VERB = (
    r"(?:add|adjust|apply|blur|brighten|bring|change|colou?r|convert|crop|darken|delete|draw|edit|enhance|"
    r"enlarge|erase|extend|fill|flip|give|increase|insert|keep|lower|make|move|open|paint|place|put|raise|"
    r"reduce|remove|render|repaint|replace|resize|rotate|set|shift|shrink|swap|take|tilt|transform|turn|use|"
    r"widen|write)"
)
_STARTS = re.compile(rf"(?:^|[.;,]\s*|\band\s+(?:then\s+)?|\bthen\s+|\balso\s+){_VERB}\b", re.IGNORECASE)
_SPATIAL = re.compile(
    r"\b(?:left|right|behind|beside|between|above|below|beneath|under|underneath|on top of|next to|near|"
    r"in front of|foreground|background of|corner|top|bottom|upper|lower|middle|cent(?:er|re)|edge|opposite|"
    r"nearest|closest|farthest|furthest|facing|towards?)\b",
    re.IGNORECASE,
)
_DETAIL = re.compile(
    r"\b(?:button|earrings?|eyelash\w*|eyebrow\w*|fingernails?|fingers?|freckle\w*|handle|iris|label|laces?|"
    r"letter\w*|logo|necklace|nose|patch|pupils?|ring|rim|scar|screw|stitch\w*|strap|tattoo|teeth|texture|"
    r"thread|watch|wrinkle\w*|zipper|slightly|subtl\w+|a little|tiny|small(?:est)?|thin|only the)\b"
    r"|[\"“'][^\"”']+[\"”']|\b\d+(?:\.\d+)?\s*(?:%|percent|degrees?|px|pixels?|cm)\b",
    re.IGNORECASE,
)
_IMPLICIT = re.compile(
    r"\b(?:as if|as though|imagine|what would|what if|look(?:s|ing)? like (?:it|he|she|they)|so that|"
    r"suitable for|ready for|feel(?:s)? like|"
    r"more (?:festive|inviting|professional|dramatic|realistic|cheerful|romantic)|"
    r"for (?:christmas|halloween|winter|summer|a party|a wedding|a birthday)|years (?:later|older|younger)|"
    r"after (?:it|the) \w+)\b",
    re.IGNORECASE,
)


def hard_kinds(instruction: str) -> frozenset[Hard]:
    """Every reason why an instruction is hard; empty for a plain one."""
    starts = len(_STARTS.findall(instruction))
    found = {
        Hard.MULTI_STEP: starts >= 2,
        Hard.FINE_DETAIL: _DETAIL.search(instruction) is not None,
        # Saying no operation at all leaves to the reader what has to change.
        Hard.IMPLICIT: _IMPLICIT.search(instruction) is not None or starts == 0,
        Hard.SPATIAL: _SPATIAL.search(instruction) is not None,
    }
    return frozenset(kind for kind, holds in found.items() if holds)


def hard_subset(
    edits: Iterable[EditRow], hard: int | None, random_others: int, seed: int
) -> Sequence[EditRow]:
    """At most `hard` hard edits (None: all) and `random_others` of the others, in the order of the file."""
    listed = list(edits)
    rng = random.Random(f"hard-{seed}")
    difficult = [place for place, edit in enumerate(listed) if hard_kinds(edit.instruction)]
    chosen = set(difficult if hard is None else rng.sample(difficult, min(hard, len(difficult))))
    others = [place for place in range(len(listed)) if place not in chosen]
    chosen |= set(rng.sample(others, min(random_others, len(others))))
    return [listed[place] for place in sorted(chosen)]
