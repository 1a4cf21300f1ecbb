"""The small renderer, on examples small enough to render by hand."""

from pathlib import Path

import pytest
from kustomization import render, strategic_merge

DEPLOYMENT = """
kind: Deployment
metadata: {name: a}
spec: {template: {spec: {containers: [{name: x, image: a, env: [{name: ONE, value: "1"}]}]}}}
"""


def write(directory: Path, **files: str) -> Path:
    directory.mkdir()
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text)
    return directory


def test_named_items_are_merged_and_other_lists_replaced() -> None:
    base = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "args": ["x", "y"], "kept": 1}
    patch = {"env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}], "args": ["z"]}
    assert strategic_merge(base, patch) == {
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}, {"name": "C", "value": "4"}],
        "args": ["z"],
        "kept": 1,
    }


def test_an_overlay_patches_its_base_and_names_the_image(tmp_path: Path) -> None:
    write(tmp_path / "base", kustomization="{resources: [a.yaml], namespace: n}", a=DEPLOYMENT)
    overlay = write(
        tmp_path / "overlay",
        kustomization="""
            {resources: [../base], patches: [{path: p.yaml}], images: [{name: a, newName: b, newTag: c}]}""",
        p="""
            {kind: Deployment, metadata: {name: a},
             spec: {template: {spec: {containers: [{name: x, env: [{name: TWO, value: "2"}]}]}}}}""",
    )
    (rendered,) = render(overlay)
    assert rendered["metadata"] == {"name": "a", "namespace": "n"}
    assert rendered["spec"]["template"]["spec"]["containers"] == [
        {"name": "x", "image": "b:c", "env": [{"name": "ONE", "value": "1"}, {"name": "TWO", "value": "2"}]}
    ]


def test_what_the_renderer_does_not_know_is_refused(tmp_path: Path) -> None:
    unknown = write(tmp_path / "a", kustomization="{resources: [], namePrefix: x}")
    with pytest.raises(ValueError, match="namePrefix"):
        render(unknown)
    untargeted = write(
        tmp_path / "b",
        kustomization="{resources: [], patches: [{path: p.yaml}]}",
        p="{kind: Deployment, metadata: {name: a}}",
    )
    with pytest.raises(ValueError, match="no Deployment a to patch"):
        render(untargeted)
