"""Rows and summary as the compact JSON that the page's scripts read (page/data.js). Pure.

Texts stand once in a table and are named by their place in it, -1 for none. A row is an array in the
order of `COLUMNS`; its verdicts, guards, subscores and further sources are flattened: four, four, two and
two numbers each. A guard passed (0), fired and was only reported (1), or limited the reward (2).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from edit_rrm.principles import Category
from edit_rrm_client.bulk.rows import ResultRow, RowGuard
from edit_rrm_client.report.statistics import GroupSummary, Summary
from edit_rrm_client.report.thumbnails import Thumbnail

COLUMNS = (
    "key", "id", "candidate", "model", "category", "instruction", "source", "source_note", "edited",
    "edited_note", "ok", "reward", "score", "follow", "keep", "quality", "disagreement", "verdicts", "guards",
    "subscores", "reasoning", "error_code", "error_detail", "seconds", "more_sources", "change",
)  # fmt: skip
_CATEGORIES = tuple(Category)


class Table:
    """Values by the place where they were first met."""

    def __init__(self) -> None:
        self._places: dict[Any, int] = {}

    def place(self, value: Any) -> int:
        """The place of a value, a new one if it was not met before; -1 for None and the empty text."""
        return -1 if value is None or value == "" else self._places.setdefault(value, len(self._places))

    def values(self) -> list[Any]:
        """The values in order of their places."""
        return list(self._places)


class Records:
    """Takes rows with their thumbnails and gives the page's data."""

    def __init__(self) -> None:
        self._texts = Table()
        self._principles = Table()
        self._models: dict[str, int] = {}
        self._categories: dict[str, int] = {}
        self._rows: list[list[Any]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(
        self,
        row: ResultRow,
        source: Thumbnail,
        edited: Thumbnail,
        more_sources: Sequence[Thumbnail] = (),
        change: Thumbnail = Thumbnail(),  # noqa: B008  # frozen
    ) -> None:
        """Adds one row; `more_sources` are those after the first, `change` lies on `edited`."""
        text = self._texts.place
        verdicts: list[float | int | None] = []
        for verdict in row.verdicts:
            category = _CATEGORIES.index(verdict.category)
            principle = self._principles.place((text(verdict.question), category, verdict.weight))
            probability = _number(verdict.probability, 3)
            verdicts += [principle, int(verdict.met), probability, text(verdict.evidence)]
        guards: list[float | int | None] = []
        for guard in row.guards:
            guards += [text(guard.name), _state(guard), _number(guard.value, 4), text(guard.note)]
        subscores: list[float | int | None] = []
        for subscore in row.subscores:
            subscores += [text(subscore.name), _number(subscore.value, 3)]
        more = [value for shown in more_sources for value in (shown.index, text(shown.note))]
        self._rows.append([
            row.key, row.id, row.candidate, self._model(row.model), self._category(row.category),
            text(row.instruction), source.index, text(source.note), edited.index, text(edited.note),
            int(row.status == "ok"), _number(row.reward, 4), _number(row.score, 3), _number(row.follow, 3),
            _number(row.keep, 3), _number(row.quality, 3), _number(row.disagreement, 3), verdicts, guards,
            subscores, text(row.reasoning), text(row.error_code), text(row.error_detail),
            _number(row.total_s, 3), more, change.index,
        ])  # fmt: skip

    def data(self, title: str, facts: str, notes: Sequence[str], summary: Summary) -> dict[str, Any]:
        """Everything the page's scripts need beside the images."""
        summed = self._summed(summary)  # first: it may name models that are in no row of the gallery
        return {
            "title": title,
            "facts": facts,
            "notes": list(notes),
            "models": list(self._models),
            "categories": list(self._categories),
            "texts": self._texts.values(),
            "principles": self._principles.values(),
            "columns": COLUMNS,
            "rows": self._rows,
            "summary": summed,
        }

    def _summed(self, summary: Summary) -> dict[str, Any]:
        distributions = [
            {"model": self._model(d.model), "reward": asdict(d.reward), "score": asdict(d.score)}
            for d in summary.distributions
        ]
        tallest = {
            "reward": max((d.reward.tallest for d in summary.distributions), default=0.0) or 1.0,
            "score": max((d.score.tallest for d in summary.distributions), default=0.0) or 1.0,
        }
        return {
            "models": [self._group(group) for group in summary.models],
            "cells": [self._group(group) for group in summary.cells],
            "distributions": distributions,
            "tallest": tallest,
            "pass_rates": [{**asdict(rate), "model": self._model(rate.model)} for rate in summary.pass_rates],
            "failures": [
                {"model": self._model(tally.model), "code": tally.name, "rows": tally.rows}
                for tally in summary.failures
            ],
            "guards": [
                {"model": self._model(tally.model), "name": tally.name, "rows": tally.rows}
                for tally in summary.guards
            ],
        }

    def _group(self, group: GroupSummary) -> dict[str, Any]:
        return {
            **asdict(group),
            "model": None if group.model is None else self._model(group.model),
            "category": None if group.category is None else self._category(group.category),
        }

    def _model(self, name: str) -> int:
        return self._models.setdefault(name, len(self._models))

    def _category(self, name: str) -> int:
        return self._categories.setdefault(name, len(self._categories))


def _state(guard: RowGuard) -> int:
    if not guard.triggered:
        return 0
    return 1 if guard.decides is False else 2


def _number(value: float | None, digits: int) -> float | None:
    """The value rounded for the page; what is no number (a guard may divide by nothing) is shown as none."""
    return None if value is None or not math.isfinite(value) else round(value, digits)
