"""The dashboard's file is what its source writes; what it shows exists."""

import json

import dashboard
import deployed_queries
import yaml

GRAFANA = dashboard.TARGET.parent


def test_the_committed_file_is_what_the_source_writes() -> None:
    assert dashboard.TARGET.read_text() == dashboard.text(), "run python deploy/grafana/dashboard.py"


def test_panels_do_not_overlap_and_have_numbers_of_their_own() -> None:
    panels = json.loads(dashboard.text())["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_three_rows_show_the_service_the_engine_and_the_rewards() -> None:
    rows = [panel["title"] for panel in json.loads(dashboard.text())["panels"] if panel["type"] == "row"]
    assert rows == ["Service", "Engine", "Reward health"]


def test_every_graph_is_limited_to_the_chosen_deployments() -> None:
    for title, expressions in deployed_queries.graphs(job="$job", interval="5m").items():
        for expression in expressions:
            named = deployed_queries.metric_names(expression)
            assert named, title
            assert expression.count('job=~"$job"') >= len(named), title


def test_graphs_read_only_recorded_values_that_exist() -> None:
    for expressions in deployed_queries.graphs(job="a", interval="5m").values():
        for expression in expressions:
            read = {name for name in deployed_queries.metric_names(expression) if name.startswith("job")}
            assert read <= deployed_queries.recorded(), expression


def test_the_dashboard_asks_the_data_source_that_is_provisioned() -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())
    (source,) = provisioned["datasources"]
    assert (source["uid"], source["type"]) == (dashboard.DATASOURCE["uid"], dashboard.DATASOURCE["type"])
