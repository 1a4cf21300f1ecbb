"""The Grafana dashboard, written down once; `python deploy/grafana/dashboard.py` writes edit-rrm.json.

Knows Grafana's JSON and which graphs are worth looking at; how PromQL is put together is promql.py's.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from promql import Query, buckets, gauge, mean, one, quantiles, rate, share

TARGET = Path(__file__).with_name("edit-rrm.json")
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
"""Whichever the reader chooses above the graphs; Grafana begins with its default."""
_COLUMNS, _WIDTH, _HEIGHT = 24, 8, 8  # Grafana's grid

Unit = Literal["reqps", "percentunit", "s", "short", "bytes", "none", "ops"]


@dataclass(frozen=True)
class Panel:
    """A graph; `about` is what a reader sees behind the (i). A heatmap has one query, by `le`."""

    title: str
    about: str
    unit: Unit
    queries: tuple[Query, ...]
    kind: Literal["timeseries", "heatmap"] = "timeseries"


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


SERVICE = Row(
    "Service",
    (
        Panel("Calls", "Calls answered a second by code; probes are left out.", "reqps",
              one(rate("edit_rrm_requests_total", "code", matching='route!~"/(health|ready|metrics)"'),
                  "code")),
        Panel("Calls that fail", "Share of calls that end in 5xx. The alert's bar is 7.2 %.", "percentunit",
              one('job:edit_rrm_calls_failed:ratio_rate5m{job=~"$job"}')),
        Panel("Replicas by state", "Only replicas that are ready score.", "short",
              one(gauge("edit_rrm_state", "state"), "state")),
        Panel("Time of a call", "From arrival to the last byte of the answer, /v1/score.", "s",
              quantiles("edit_rrm_request_seconds", levels=(0.5, 0.95, 0.99), matching='route="/v1/score"')),
        Panel("Where a call's time goes", "95th percentile of waiting for the engine and of each phase.", "s",
              (*quantiles("edit_rrm_phase_seconds", "phase", levels=(0.95,)),
               *quantiles("edit_rrm_queue_seconds", "lane", levels=(0.95,)))),
        Panel("Jobs that wait", "Near EDIT_RRM_QUEUE_CAPACITY calls are refused.", "short",
              one(gauge("edit_rrm_queue_jobs", "lane"), "lane")),
        Panel("Oldest call that waits", "Pages above a minute, except in the bulk lane.", "s",
              one(gauge("edit_rrm_queue_oldest_seconds", "lane", "max"), "lane")),
        Panel("Jobs refused and dropped", "Refused with queue_full; without a result, by reason.", "ops",
              (Query(rate("edit_rrm_jobs_refused_total"), "{{job}} refused"),
               Query(rate("edit_rrm_jobs_dropped_total", "reason"), "{{job}} {{reason}}"))),
        Panel("Score cache", "Share of deterministic candidates whose score was known.", "percentunit",
              one(share(rate("edit_rrm_score_cache_total", matching='result="hit"'),
                        rate("edit_rrm_score_cache_total")))),
    ),
)  # fmt: skip

ENGINE = Row(
    "Engine",
    (
        Panel("Engines that are up", "Falls when an engine dies, until it is restarted.", "short",
              one(gauge("edit_rrm_engine_up"))),
        Panel("Deaths and restarts", "Within the last hour.", "short",
              (Query('sum by (job) (increase(edit_rrm_engine_deaths_total{job=~"$job"}[1h]))',
                     "{{job}} deaths"),
               Query('sum by (job, outcome) (increase(edit_rrm_engine_restarts_total{job=~"$job"}[1h]))',
                     "{{job}} restarts {{outcome}}"))),
        Panel("Window in use", "Mean share of EDIT_RRM_WINDOW as jobs start. 1 with an idle GPU: raise it.",
              "percentunit", one(mean("edit_rrm_window_occupancy"))),
        Panel("Jobs in the engine", "As the service counts them, and as vLLM does.", "short",
              (Query(gauge("edit_rrm_jobs_in_flight"), "{{job}} in flight"),
               Query(gauge("vllm:num_requests_running"), "{{job}} running"),
               Query(gauge("vllm:num_requests_waiting"), "{{job}} waiting in vLLM"))),
        Panel("Tokens", "Prompt tokens include the cached ones.", "ops",
              one(rate("edit_rrm_tokens_total", "kind"), "kind")),
        Panel("Prompt tokens found in the cache", "Falls when groups are torn apart.", "percentunit",
              (Query(share(rate("edit_rrm_tokens_total", matching='kind="cached_prompt"'),
                           rate("edit_rrm_tokens_total", matching='kind="prompt"')), "{{job}} of all"),
               Query(share(rate("vllm:prefix_cache_hits_total"), rate("vllm:prefix_cache_queries_total")),
                     "{{job}} vLLM's prefix cache"),
               Query(share(rate("vllm:mm_cache_hits_total"), rate("vllm:mm_cache_queries_total")),
                     "{{job}} vLLM's image cache"))),
        Panel("KV cache in use", "Near 1 vLLM preempts sequences and computes them again.", "percentunit",
              one(gauge("vllm:kv_cache_usage_perc", how="max"))),
        Panel("Preemptions", "Sequences put off for want of KV cache.", "ops",
              one(rate("vllm:num_preemptions_total"))),
        Panel("Time to the first token", "vLLM's: waiting inside the engine, images and prefill.", "s",
              quantiles("vllm:time_to_first_token_seconds")),
        Panel("Time between tokens", "vLLM's: decoding.", "s",
              quantiles("vllm:inter_token_latency_seconds")),
        Panel("Tokens a step", "Mean tokens that vLLM computes at once: how full its batches are.", "short",
              one(mean("vllm:iteration_tokens_total"))),
    ),
)  # fmt: skip

REWARDS = Row(
    "Reward health",
    (
        Panel("Mean reward", "0 to 1. Rises while an editor learns; a step is something else.", "none",
              one(mean("edit_rrm_reward"))),
        Panel("Rewards", "How they are spread: piling up at one end teaches nothing.", "short",
              buckets("edit_rrm_reward"), "heatmap"),
        Panel("Scores", "What the model gave, 0 to 10, before aggregator and guards.", "short",
              buckets("edit_rrm_score"), "heatmap"),
        Panel("Pass rate by category", "Share of verdicts that are met.", "percentunit",
              one(share(rate("edit_rrm_verdicts_total", "category", matching='met="true"'),
                        rate("edit_rrm_verdicts_total", "category")), "category")),
        Panel("Groups without variance", "Share of groups whose rewards are all equal: GRPO learns nothing.",
              "percentunit", one(share(rate("edit_rrm_groups_total", matching='variance="zero"'),
                                       rate("edit_rrm_groups_total")))),
        Panel("Guards", "Candidates a second for which a guard fired.", "ops",
              one(rate("edit_rrm_guards_triggered_total", "guard"), "guard")),
        Panel("Disagreement", "Mean standard deviation of a candidate's sample scores.", "none",
              one(mean("edit_rrm_disagreement"))),
        Panel("Candidates by outcome", "Anything but ok is a candidate without a reward.", "ops",
              one(rate("edit_rrm_candidates_total", "outcome"), "outcome")),
        Panel("Texts that cannot be parsed", "Attempts as a share of jobs, and by task.", "percentunit",
              (Query('job:edit_rrm_texts_unparsed:ratio_rate15m{job=~"$job"}', "{{job}}"),)),
        Panel("Principle sets", "From the cache, or written by the model.", "ops",
              one(rate("edit_rrm_principle_sets_total", "origin"), "origin")),
    ),
)  # fmt: skip

ROWS = (SERVICE, ENGINE, REWARDS)


def dashboard() -> dict[str, Any]:
    """Grafana's JSON."""
    return {
        "uid": "edit-rrm",
        "title": "edit-rrm",
        "tags": ["edit-rrm"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_DATASOURCE_VARIABLE, _job_variable()]},
        "panels": list(_placed(ROWS)),
    }


_DATASOURCE_VARIABLE = {
    "name": "datasource",
    "label": "Prometheus",
    "type": "datasource",
    "query": "prometheus",
    "current": {"text": "default", "value": "default"},
}


def _job_variable() -> dict[str, Any]:
    return {
        "name": "job",
        "label": "deployment",
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": "label_values(edit_rrm_state, job)", "refId": "job"},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _placed(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    number, y = 0, 0
    for row in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": y, "w": _COLUMNS, "h": 1},
        }
        y += 1
        for start in range(0, len(row.panels), _COLUMNS // _WIDTH):
            for column, panel in enumerate(row.panels[start : start + _COLUMNS // _WIDTH]):
                number += 1
                place = {"x": column * _WIDTH, "y": y, "w": _WIDTH, "h": _HEIGHT}
                yield {"id": number, "gridPos": place, **_panel(panel)}
            y += _HEIGHT


def _panel(panel: Panel) -> dict[str, Any]:
    heatmap = panel.kind == "heatmap"
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {"calculate": False} if heatmap else {"legend": {"showLegend": True}},
        "targets": [
            {
                "refId": chr(ord("A") + position),
                "datasource": DATASOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
                "format": "heatmap" if heatmap else "time_series",
            }
            for position, query in enumerate(panel.queries)
        ],
    }


def text() -> str:
    """The file's content."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
