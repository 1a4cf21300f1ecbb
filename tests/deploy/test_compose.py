"""compose.yaml: what it mounts exists, what it sets is a setting, and the three services find each other."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dockerfile import read_stages

from edit_rrm_server.engines.vllm.engine import _SHUTDOWN_S as ENGINE_END_S
from edit_rrm_server.settings.server import ENV_PREFIX, ServerSettings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
FILES = ("compose.yaml", "compose.gpu.yaml")
SERVICE_KEYS = {
    "image", "build", "init", "restart", "read_only", "tmpfs", "cap_drop", "security_opt", "volumes",
    "environment", "command", "ports", "stop_grace_period", "depends_on", "shm_size", "deploy",
}  # fmt: skip
SPARE_S = 10.0


def composed(name: str = "compose.yaml") -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    return found


def bind_mounts(service: dict[str, Any]) -> list[tuple[str, str]]:
    mounts = [mount.removesuffix(":ro").rsplit(":", 1) for mount in service["volumes"]]
    return [(source, target) for source, target in mounts if source.startswith(".")]


@pytest.mark.parametrize("name", FILES)
def test_services_use_only_known_keys(name: str) -> None:
    for service in composed(name)["services"].values():
        assert service.keys() <= SERVICE_KEYS


def test_every_mounted_file_exists_and_every_named_volume_is_declared() -> None:
    compose = composed()
    for service in compose["services"].values():
        for source, _ in bind_mounts(service):
            assert (DEPLOY / source).exists(), source
    named = {m.split(":")[0] for s in compose["services"].values() for m in s["volumes"] if m[0] != "."}
    assert named == compose["volumes"].keys()


@pytest.mark.parametrize("name", FILES)
def test_every_variable_of_the_service_is_a_setting(name: str) -> None:
    server = composed(name)["services"]["server"]
    named = {variable.removeprefix(ENV_PREFIX).lower() for variable in server["environment"]}
    assert named <= ServerSettings.model_fields.keys()
    assert (DEPLOY / server["build"]["context"] / server["build"]["dockerfile"]).is_file()


def test_nothing_starts_without_a_key_and_a_password_of_the_operator_s() -> None:
    services = composed()["services"]
    for service, variable in (("server", "EDIT_RRM_API_KEYS"), ("grafana", "GF_SECURITY_ADMIN_PASSWORD")):
        assert re.fullmatch(r"\$\{\w+:\?.+\}", services[service]["environment"][variable])


def test_ports_are_open_on_this_machine_only_and_are_those_of_the_services() -> None:
    ports = {name: service["ports"] for name, service in composed()["services"].items()}
    assert ports == {
        "server": ["127.0.0.1:8000:8000"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    }
    assert ServerSettings.model_fields["port"].default == 8000
    assert read_stages(DEPLOY.parent / "Dockerfile.cpu")[-1].last("EXPOSE").argument == "8000"


def test_prometheus_and_grafana_find_what_they_read() -> None:
    services = composed()["services"]
    (scrape,) = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": ["server:8000"]}]
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())
    assert sources["datasources"][0]["url"] == "$PROMETHEUS_URL"
    assert services["grafana"]["environment"]["PROMETHEUS_URL"] == "${PROMETHEUS_URL:-http://prometheus:9090}"
    assert "prometheus" in services
    (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/edit-rrm.yml").read_text())[
        "providers"
    ]
    mounted = {target for _, target in bind_mounts(services["grafana"])}
    assert f"{provider['options']['path']}/edit-rrm.json" in mounted


def test_prometheus_puts_the_address_of_the_documentation_into_its_alerts() -> None:
    prometheus = composed()["services"]["prometheus"]
    labels = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["global"]["external_labels"]
    assert labels == {"edit_rrm_docs": "${EDIT_RRM_DOCS_URL}"}
    assert prometheus["environment"] == {"EDIT_RRM_DOCS_URL": "${EDIT_RRM_DOCS_URL:-http://127.0.0.1:8001}"}
    assert "--enable-feature=expand-external-labels" in prometheus["command"]
    mounted = {target for _, target in bind_mounts(prometheus)}
    (config,) = [word for word in prometheus["command"] if word.startswith("--config.file=")]
    assert config.removeprefix("--config.file=") in mounted


def test_the_service_is_given_time_to_drain() -> None:
    server = composed()["services"]["server"]
    grace_s = float(server["stop_grace_period"].removesuffix("s"))
    assert grace_s >= float(server["environment"]["EDIT_RRM_DRAIN_TIMEOUT_S"]) + ENGINE_END_S + SPARE_S


@pytest.mark.parametrize("service", ["server", "prometheus", "grafana"])
def test_no_container_may_write_to_its_root_or_has_a_capability(service: str) -> None:
    """Not one of them is left out: the three are all there are."""
    services = composed()["services"]
    assert services.keys() == {"server", "prometheus", "grafana"}
    assert services[service]["read_only"] is True
    assert services[service]["cap_drop"] == ["ALL"]
    assert services[service]["security_opt"] == ["no-new-privileges:true"]
    assert not services[service].keys() & {"cap_add", "privileged", "user", "network_mode", "pid"}


def test_the_gpus_take_none_of_that_back() -> None:
    (server,) = composed("compose.gpu.yaml")["services"].values()
    assert not server.keys() & {"read_only", "cap_drop", "cap_add", "security_opt", "privileged", "user"}


def test_the_root_file_system_is_read_only_and_what_is_written_has_a_place() -> None:
    server = composed()["services"]["server"]
    assert server["read_only"] is True
    assert server["tmpfs"] == ["/tmp"]
    assert "cache:/cache" in server["volumes"]
