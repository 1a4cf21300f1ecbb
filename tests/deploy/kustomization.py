"""Renders a kustomization as far as ours go: resources, namespace, images and strategic merge patches.

The kustomize binary cannot be had here. Anything else in a kustomization is refused, so that nothing is
passed over in silence.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

_KNOWN = {"apiVersion", "kind", "namespace", "resources", "images", "patches"}
_CLUSTER_WIDE = {"Namespace"}
# By which field an item of a list is known to a strategic merge; other lists are replaced.
_MERGE_KEYS = {
    "containers": "name",
    "env": "name",
    "ports": "containerPort",
    "volumes": "name",
    "volumeMounts": "mountPath",
}


def render(directory: Path) -> list[Manifest]:
    """The manifests of a kustomization, patched. Raises ValueError for what this renderer does not know."""
    kustomization = yaml.safe_load((directory / "kustomization.yaml").read_text())
    unknown = kustomization.keys() - _KNOWN
    if unknown:
        raise ValueError(f"{directory}: expected only {sorted(_KNOWN)}, got {sorted(unknown)} too")
    manifests = [found for name in kustomization["resources"] for found in _resource(directory / name)]
    for patch in kustomization.get("patches", []):
        manifests = _patched(manifests, yaml.safe_load((directory / patch["path"]).read_text()))
    for image in kustomization.get("images", []):
        for container in _containers(manifests):
            if container["image"] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    if "namespace" in kustomization:
        for manifest in manifests:
            if manifest["kind"] not in _CLUSTER_WIDE:
                manifest["metadata"]["namespace"] = kustomization["namespace"]
    return manifests


def strategic_merge(base: Any, patch: Any, field: str = "") -> Any:
    """`patch` laid over `base` as Kubernetes does: maps are merged, and lists whose items have a name."""
    if isinstance(base, dict) and isinstance(patch, dict):
        merged = {**base}
        for name, value in patch.items():
            merged[name] = strategic_merge(base[name], value, name) if name in base else value
        return merged
    if isinstance(base, list) and isinstance(patch, list) and field in _MERGE_KEYS:
        key = _MERGE_KEYS[field]
        by_key = {item[key]: item for item in base}
        for item in patch:
            by_key[item[key]] = strategic_merge(by_key.get(item[key], {}), item)
        return list(by_key.values())
    return patch


def _resource(path: Path) -> list[Manifest]:
    if path.is_dir():
        return render(path)
    return [found for found in yaml.safe_load_all(path.read_text()) if found]


def _patched(manifests: list[Manifest], patch: Manifest) -> list[Manifest]:
    def is_target(manifest: Manifest) -> bool:
        return (manifest["kind"], manifest["metadata"]["name"]) == (patch["kind"], patch["metadata"]["name"])

    if not any(map(is_target, manifests)):
        raise ValueError(f"there is no {patch['kind']} {patch['metadata']['name']} to patch")
    return [strategic_merge(found, patch) if is_target(found) else found for found in manifests]


def _containers(manifests: list[Manifest]) -> Iterator[Manifest]:
    for manifest in manifests:
        yield from manifest.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
