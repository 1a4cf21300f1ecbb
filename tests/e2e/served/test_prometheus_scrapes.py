"""A real Prometheus with the deployed rules scrapes the real service: every graph and rule has its data."""

from collections.abc import Iterator

import deployed_queries
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_process import PrometheusProcess, require_prometheus
from service_process import ServiceProcess
from shape_calls import group_call

from edit_rrm_shapes.world.dataset import EditRecord
from guide_blocks import blocks_of

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
# Nothing of the kind happens in this test, and no label of theirs is known before it does.
MAY_BE_EMPTY = {"Guards"}


@pytest.fixture(scope="module")
def monitored(
    server: ServiceProcess, edit: EditRecord, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrometheusProcess]:
    """Prometheus after it has seen two groups being scored."""
    require_prometheus()
    prometheus = PrometheusProcess(tmp_path_factory.mktemp("prometheus"), server.url.removeprefix("http://"))
    try:
        prometheus.wait_until('edit_rrm_state{state="ready"} == 1')
        # The first call makes series; only what is added to a series that was seen is a rate.
        for seed in (1, 2):
            seen = sum(float(s["value"][1]) for s in prometheus.query("edit_rrm_candidates_total"))
            call = group_call(
                edit, samples=2, principles=None, guards="off", sampling={"temperature": 0.7, "seed": seed}
            )
            assert server.http.post("/v1/score", **call).status_code == 200
            assert server.http.post("/v1/score", **group_call(edit, guards="off")).status_code == 200
            prometheus.wait_until(f"sum(edit_rrm_candidates_total) >= {seen + 16}")
        prometheus.wait_until("sum(increase(edit_rrm_candidates_total[1m])) > 0")
        prometheus.wait_until("job:edit_rrm_reward:mean1h > 0")
        yield prometheus
    finally:
        prometheus.end()


def test_every_metric_that_graphs_and_rules_name_exists(server: ServiceProcess) -> None:
    exposed = {
        family.name + suffix
        for family in text_string_to_metric_families(server.http.get("/metrics").text)
        for suffix in SUFFIXES.get(family.type, ("",))
    }
    expressions = [rule["expr"] for rule in deployed_queries.rules()]
    expressions += [e for panel in deployed_queries.graphs("edit-rrm", "1m").values() for e in panel]
    named = set().union(*map(deployed_queries.metric_names, expressions)) - deployed_queries.recorded()
    assert len(named) > 30
    assert named <= exposed, sorted(named - exposed)


def test_every_graph_has_data(monitored: PrometheusProcess) -> None:
    empty = {
        title
        for title, expressions in deployed_queries.graphs(job="edit-rrm", interval="1m").items()
        for expression in expressions
        if not monitored.query(expression)
    }
    assert empty <= MAY_BE_EMPTY


def test_every_rule_is_evaluated_and_a_well_service_raises_no_alarm(monitored: PrometheusProcess) -> None:
    rules = monitored.rules()
    assert len(rules) == len(deployed_queries.rules())
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
    assert [rule["name"] for rule in rules if rule.get("state", "inactive") == "firing"] == []


def test_recorded_values_are_those_of_the_service(monitored: PrometheusProcess) -> None:
    (reward,) = monitored.query("job:edit_rrm_reward:mean1h")
    assert reward["metric"]["job"] == "edit-rrm"
    assert 0.0 < float(reward["value"][1]) <= 1.0
    (failed,) = monitored.query("job:edit_rrm_calls_failed:ratio_rate5m")
    assert float(failed["value"][1]) == 0.0


def test_the_queries_that_the_guide_shows_have_answers(monitored: PrometheusProcess) -> None:
    (block,) = (block for block in blocks_of("metrics.md") if block.language == "promql")
    queries = block.code.replace("[5m]", "[1m]").splitlines()
    assert len(queries) == 2
    assert all(monitored.query(query) for query in queries)
