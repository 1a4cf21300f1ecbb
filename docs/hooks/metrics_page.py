"""Writes docs/reference/metrics.md: every metric of the service, from the classes that make them.

    .venv/bin/python docs/hooks/metrics_page.py

The page is in the repository for those who read it there, and tests/docs/test_metrics_page.py compares it. As
a hook it gives the site what the code says today.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from edit_rrm_server.observe.admission_metrics import AdmissionMetrics
from edit_rrm_server.observe.fleet_metrics import FleetMetrics
from edit_rrm_server.observe.http_metrics import HttpMetrics
from edit_rrm_server.observe.life_metrics import LifeMetrics
from edit_rrm_server.observe.scoring_metrics import ScoringMetrics

DOCS = Path(__file__).parents[1]
PAGE = "reference/metrics.md"
_OPENING = """# Metrics of the service

What `GET /metrics` holds of this service; [Metrics](../metrics.md) says what to do when one moves. A counter
ends in `_total`; a histogram is `_bucket`, `_sum` and `_count`.

Written by `docs/hooks/metrics_page.py` from the code."""


class NamedMetric(NamedTuple):
    """A metric as it stands in the exposition. `kind` is Prometheus's word."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


class _Kept(CollectorRegistry):
    """A registry that tells what was registered, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.collectors: list[Collector] = []

    def register(self, collector: Collector) -> None:
        super().register(collector)
        self.collectors.append(collector)


def metrics() -> dict[str, list[NamedMetric]]:
    """Every metric, by what reports it."""
    rooms = {
        "Requests and connections": HttpMetrics,
        "Admission": AdmissionMetrics,
        "Scoring": ScoringMetrics,
        "The service's life": lambda registry: LifeMetrics(registry, lambda: True),
        "A fleet (`engine=openai`)": FleetMetrics,
    }
    found = {}
    for heading, room in rooms.items():
        registry = _Kept()
        room(registry)
        found[heading] = list(_described(registry))
    return found


def page() -> str:
    """The text of the page."""
    parts = [_OPENING]
    for heading, found in metrics().items():
        parts.append(f"## {heading}")
        parts.append("\n".join(map(_line, found)))
    return "\n\n".join(parts) + "\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Has the site show the page as it would be written now."""
    written = files.get_file_from_path(PAGE)
    if written is not None:
        files.remove(written)
    files.append(File.generated(config, PAGE, content=page()))
    return files


def _described(registry: _Kept) -> Iterator[NamedMetric]:
    for collector in registry.collectors:
        for family in collector.describe():
            name = f"{family.name}_total" if family.type == "counter" else family.name
            # Nothing public of prometheus_client says the labels of a metric that has no sample yet.
            labels: tuple[str, ...] = tuple(getattr(collector, "_labelnames", ()))
            yield NamedMetric(name, family.type, labels, family.documentation)


def _line(metric: NamedMetric) -> str:
    labels = f", by {', '.join(f'`{label}`' for label in metric.labels)}" if metric.labels else ""
    return f"- `{metric.name}` ({metric.kind}{labels}): {metric.text}"


if __name__ == "__main__":
    (DOCS / PAGE).write_text(page(), encoding="utf-8")
    print(DOCS / PAGE)
