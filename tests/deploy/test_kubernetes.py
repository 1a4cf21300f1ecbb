"""The manifests: valid by Kubernetes' own schemas, and of one mind with the image and the settings."""

import importlib.util
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
import yaml
from dockerfile import read_stages
from kustomization import Manifest, render

from edit_rrm_server.engines.vllm.engine import _SHUTDOWN_S as ENGINE_END_S
from edit_rrm_server.settings.server import ENV_PREFIX, ServerSettings

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "deploy" / "k8s"
OVERLAYS = ("cpu", "gpu", "fleet")
BASE_KINDS = {
    "Namespace", "Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy",
}  # fmt: skip
MORE_KINDS = {"gpu": {"PersistentVolumeClaim"}}
BY_HAND = ("secret.example", "checkpoint-writer")
# The oldest Kubernetes that has all of it (policy/v1, autoscaling/v2), and a newer one.
VERSIONS = ("1.25", kubernetes_validate.latest_version())
REGISTRY = "registry.example"  # which no registry is: an overlay as it stands pulls nothing
SPARE_S = 10.0  # closing connections, and the process itself


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> dict[str, Manifest]:
    return {found["kind"]: found for found in render(K8S / "overlays" / request.param)}


def pod(manifests: dict[str, Manifest]) -> dict[str, Any]:
    spec: dict[str, Any] = manifests["Deployment"]["spec"]["template"]["spec"]
    return spec


def container(manifests: dict[str, Manifest]) -> dict[str, Any]:
    (only,) = pod(manifests)["containers"]
    found: dict[str, Any] = only
    return found


def environment(manifests: dict[str, Manifest]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(manifests)["env"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_manifest_is_valid(overlay: str, version: str) -> None:
    rendered = render(K8S / "overlays" / overlay)
    assert {manifest["kind"] for manifest in rendered} == BASE_KINDS | MORE_KINDS.get(overlay, set())
    by_hand = [yaml.safe_load((K8S / f"{name}.yaml").read_text()) for name in BY_HAND]
    for manifest in (*rendered, *by_hand):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_schemas_would_refuse_a_misspelt_field(manifests: dict[str, Manifest]) -> None:
    wrong = {**manifests["Service"], "spec": {**manifests["Service"]["spec"], "selectr": {}}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_the_grace_period_covers_the_drain(manifests: dict[str, Manifest]) -> None:
    drain_s = float(environment(manifests)["EDIT_RRM_DRAIN_TIMEOUT_S"])
    assert drain_s >= ServerSettings.model_fields["drain_timeout_s"].default
    pre_stop_s = float(container(manifests)["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod(manifests)["terminationGracePeriodSeconds"] >= pre_stop_s + drain_s + ENGINE_END_S + SPARE_S


def test_every_variable_is_a_setting_and_its_value_is_accepted(
    manifests: dict[str, Manifest], tmp_path: Path
) -> None:
    given = {name.removeprefix(ENV_PREFIX).lower(): value for name, value in environment(manifests).items()}
    keys = tmp_path / "keys"
    keys.write_text("k")
    settings = ServerSettings(**{**given, "api_keys_file": keys, "host": "0.0.0.0"})
    assert given.keys() <= settings.model_fields_set
    # Kubernetes would set EDIT_RRM_PORT to the Service's address, which is no port.
    assert pod(manifests)["enableServiceLinks"] is False


def test_probes_ask_what_they_are_for(manifests: dict[str, Manifest]) -> None:
    server = container(manifests)
    asked = {kind: server[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    assert asked == {"startup": "/ready", "readiness": "/ready", "liveness": "/health"}
    assert server["startupProbe"]["periodSeconds"] * server["startupProbe"]["failureThreshold"] == 600


def test_the_container_runs_unprivileged_as_the_image_s_user(manifests: dict[str, Manifest]) -> None:
    user = read_stages(ROOT / "Dockerfile")[-1].last("USER").argument
    security = pod(manifests)["securityContext"]
    assert f"{security['runAsUser']}:{security['runAsGroup']}" == user
    assert security["runAsNonRoot"] is True
    assert container(manifests)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_every_mount_has_its_volume_and_caches_are_writable(manifests: dict[str, Manifest]) -> None:
    mounts = {mount["mountPath"]: mount for mount in container(manifests)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod(manifests)["volumes"]}
    assert {mount["name"] for mount in mounts.values()} == volumes.keys()
    for path in ("/cache", "/tmp"):
        assert "emptyDir" in volumes[mounts[path]["name"]]
    for path in set(mounts) - {"/cache", "/tmp", "/dev/shm"}:
        assert mounts[path]["readOnly"] is True


def test_keys_come_from_the_secret_of_the_example(manifests: dict[str, Manifest]) -> None:
    example = yaml.safe_load((K8S / "secret.example.yaml").read_text())
    (keys,) = [volume for volume in pod(manifests)["volumes"] if volume["name"] == "keys"]
    assert keys["secret"]["secretName"] == example["metadata"]["name"]
    assert environment(manifests)["EDIT_RRM_API_KEYS_FILE"] == "/run/secrets/edit-rrm/keys"
    assert list(example["stringData"]) == ["keys"]


def test_the_example_secret_holds_no_key_so_nothing_starts_with_it(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(yaml.safe_load((K8S / "secret.example.yaml").read_text())["stringData"]["keys"])
    with pytest.raises(ValueError, match="holds no key"):
        ServerSettings(api_keys_file=keys)


def test_selectors_find_the_pods(manifests: dict[str, Manifest]) -> None:
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        manifests["Deployment"]["spec"]["selector"]["matchLabels"],
        manifests["Service"]["spec"]["selector"],
        manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector and selector.items() <= labels.items() for selector in selectors)


def test_the_autoscaler_reads_the_metric_that_the_adapter_makes(manifests: dict[str, Manifest]) -> None:
    adapter = yaml.safe_load((K8S / "monitoring" / "prometheus-adapter-values.yaml").read_text())
    (rule,) = adapter["rules"]["custom"]
    (metric,) = manifests["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"] == "edit_rrm_queue_jobs"
    assert metric["pods"]["target"]["averageValue"] == str(ServerSettings().engine_window)
    assert manifests["HorizontalPodAutoscaler"]["spec"]["minReplicas"] > 1  # else a disruption takes it all
    assert "replicas" not in manifests["Deployment"]["spec"]


def test_gpus_are_asked_for_where_the_image_needs_them() -> None:
    by_overlay = {
        name: container({m["kind"]: m for m in render(K8S / "overlays" / name)}) for name in OVERLAYS
    }
    assert by_overlay["gpu"]["image"] == f"{REGISTRY}/edit-rrm:gpu"
    gpus = by_overlay["gpu"]["resources"]["limits"]["nvidia.com/gpu"]
    assert gpus == by_overlay["gpu"]["resources"]["requests"]["nvidia.com/gpu"]
    variables = {each["name"]: each["value"] for each in by_overlay["gpu"]["env"]}
    assert gpus == variables["EDIT_RRM_TENSOR_PARALLEL_SIZE"]
    for name in ("cpu", "fleet"):
        assert by_overlay[name]["image"] == f"{REGISTRY}/edit-rrm:cpu"
        assert "nvidia.com/gpu" not in by_overlay[name]["resources"]["requests"]


def test_checkpoints_lie_in_a_claim_that_is_asked_for_and_can_be_filled() -> None:
    manifests = {found["kind"]: found for found in render(K8S / "overlays" / "gpu")}
    claim = manifests["PersistentVolumeClaim"]
    name, where = claim["metadata"]["name"], claim["metadata"]["namespace"]
    (read,) = [volume for volume in pod(manifests)["volumes"] if "persistentVolumeClaim" in volume]
    assert read["persistentVolumeClaim"] == {"claimName": name, "readOnly": True}
    (mount,) = [each for each in container(manifests)["volumeMounts"] if each["name"] == read["name"]]
    assert environment(manifests)["EDIT_RRM_MODEL"].startswith(f"{mount['mountPath']}/")
    writer = yaml.safe_load((K8S / "checkpoint-writer.yaml").read_text())
    assert writer["metadata"]["namespace"] == where == manifests["Deployment"]["metadata"]["namespace"]
    assert writer["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": name}
    # replicas on several nodes read while the writer, on another, writes
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    # what the namespace's Pod Security (restricted) asks of a pod
    assert writer["spec"]["securityContext"] == pod(manifests)["securityContext"]
    (only,) = writer["spec"]["containers"]
    assert only["securityContext"] == container(manifests)["securityContext"]
    assert only["image"] == container(manifests)["image"]


def test_a_fleet_s_front_reaches_its_upstreams_and_nothing_else() -> None:
    manifests = {found["kind"]: found for found in render(K8S / "overlays" / "fleet")}
    upstream = httpx.URL(environment(manifests)["EDIT_RRM_UPSTREAMS"])
    _, namespace, *rest = upstream.host.split(".")
    assert rest == ["svc", "cluster", "local"]
    fleet, dns = manifests["NetworkPolicy"]["spec"]["egress"]
    assert fleet["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}]
    assert fleet["ports"] == [{"protocol": "TCP", "port": upstream.port}]
    assert {(each["protocol"], each["port"]) for each in dns["ports"]} == {("UDP", 53), ("TCP", 53)}
    for name in ("cpu", "gpu"):  # which fetch nothing: all that leaves is refused
        (policy,) = [each for each in render(K8S / "overlays" / name) if each["kind"] == "NetworkPolicy"]
        assert "Egress" in policy["spec"]["policyTypes"]
        assert "egress" not in policy["spec"]


def test_prometheus_reads_every_replica() -> None:
    monitor, rule = render(K8S / "monitoring")
    service = yaml.safe_load((K8S / "base" / "service.yaml").read_text())
    # A CRD has no schema in kubernetes-validate: its shape as far as it is used.
    assert (monitor["apiVersion"], monitor["kind"]) == ("monitoring.coreos.com/v1", "ServiceMonitor")
    assert monitor["spec"].keys() == {"selector", "endpoints"}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint == {"port": service["spec"]["ports"][0]["name"], "path": "/metrics", "interval": "15s"}
    assert (rule["apiVersion"], rule["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")


def test_the_operator_s_rules_are_those_of_prometheus() -> None:
    source = K8S / "monitoring" / "prometheus_rule.py"
    spec = importlib.util.spec_from_file_location("prometheus_rule", source)
    assert spec is not None
    assert spec.loader is not None
    prometheus_rule = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prometheus_rule)
    assert prometheus_rule.TARGET.read_text() == prometheus_rule.text(), f"run python {source}"
    (first, *_) = [
        rule
        for group in yaml.safe_load(prometheus_rule.text("https://docs.example/rrm/"))["spec"]["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    link = "https://docs.example/rrm/operations/#editrrmtargetdown"
    assert first["annotations"]["runbook_url"] == link
