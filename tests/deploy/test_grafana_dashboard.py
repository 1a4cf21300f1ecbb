"""The dashboard's file is what its source writes; what it shows exists."""

import json
from typing import Any

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


def asked(part: Any) -> list[dict[str, str]]:
    """Every data source that a part of the dashboard names."""
    if isinstance(part, list):
        return [found for each in part for found in asked(each)]
    if not isinstance(part, dict):
        return []
    own = [part["datasource"]] if "datasource" in part else []
    return own + [found for name, each in part.items() if name != "datasource" for found in asked(each)]


def test_everything_asks_the_prometheus_that_the_reader_chose_and_no_other() -> None:
    board = json.loads(dashboard.text())
    found = asked(board)
    assert len(found) > 30
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in found)
    chosen = board["templating"]["list"][0]  # before the variables that ask it
    assert (chosen["name"], chosen["type"], chosen["query"]) == ("datasource", "datasource", "prometheus")


def test_the_provisioned_prometheus_is_grafana_s_default_which_the_dashboard_begins_with() -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())
    (source,) = provisioned["datasources"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert json.loads(dashboard.text())["templating"]["list"][0]["current"]["value"] == "default"
