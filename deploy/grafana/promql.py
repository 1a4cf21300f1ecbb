"""The few shapes of PromQL the dashboard is made of, each over all replicas of a deployment.

`$job` chooses the deployments shown, `$__rate_interval` is Grafana's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Query:
    """One PromQL expression and how its series are called in the legend."""

    expression: str
    legend: str


def rate(metric: str, by: str = "", matching: str = "") -> str:
    """Events a second of a counter, summed over replicas; `matching` are further label matchers."""
    return f"sum by ({_labels('job', by)}) (rate({_chosen(metric, matching)}[$__rate_interval]))"


def share(part: str, whole: str) -> str:
    """One rate as a share of another; no value while nothing happens."""
    return f"{part} / ({whole} > 0)"


def mean(histogram: str) -> str:
    """Mean of a histogram's observations."""
    return share(rate(f"{histogram}_sum"), rate(f"{histogram}_count"))


def quantiles(
    histogram: str, by: str = "", *, levels: Sequence[float] = (0.5, 0.95), matching: str = ""
) -> tuple[Query, ...]:
    """Quantiles of a histogram, one query a level."""
    counts = rate(f"{histogram}_bucket", _labels("le", by), matching)
    return tuple(
        Query(f"histogram_quantile({level}, {counts})", _legend(by, f"p{level * 100:.0f}"))
        for level in levels
    )


def buckets(histogram: str) -> tuple[Query]:
    """For a heatmap: observations by bucket, of all deployments shown together."""
    counts = _chosen(f"{histogram}_bucket")
    return (Query(f"sum by (le) (increase({counts}[$__rate_interval]))", "{{le}}"),)


def gauge(metric: str, by: str = "", how: str = "sum") -> str:
    """A gauge over all replicas."""
    return f"{how} by ({_labels('job', by)}) ({_chosen(metric)})"


def one(expression: str, by: str = "") -> tuple[Query]:
    """A panel's only query."""
    return (Query(expression, _legend(by)),)


def _chosen(metric: str, matching: str = "") -> str:
    matchers = _labels('job=~"$job"', matching)
    return f"{metric}{{{matchers}}}"


def _labels(first: str, others: str) -> str:
    return f"{first}, {others}" if others else first


def _legend(by: str, name: str = "") -> str:
    return " ".join(part for part in ("{{job}}", by and f"{{{{{by}}}}}", name) if part)
