"""Each config fits its editor: with its own settings a group is drawn and gives a gradient, in miniature."""

import random
from pathlib import Path

import pytest
import torch
from editor_families import KLEIN, KONTEXT, QWEN, QWEN_2511, QWEN_PLUS, Family

from edit_grpo.algorithms.algorithm import algorithm_of
from edit_grpo.algorithms.settings import GrpoSettings
from edit_grpo.policies.loading import load_policy
from edit_grpo.rollout.rollout import generators_of
from edit_grpo.run.settings_file import load_settings
from tiny_pipelines import INSTRUCTIONS

CONFIGS = Path(__file__).parents[2] / "edit_training" / "configs"
FAMILY_OF = {
    "flux_kontext_paper": KONTEXT,
    "flux_kontext_recommended": KONTEXT,
    "flux2_klein_recommended": KLEIN,
    "qwen_image_edit_paper": QWEN,
    "qwen_image_edit_recommended": QWEN,
    "qwen_image_edit_2509_recommended": QWEN_PLUS,
    "qwen_image_edit_2511_recommended": QWEN_2511,
}


def test_every_config_is_tried() -> None:
    assert {file.stem for file in CONFIGS.glob("*.yaml")} == FAMILY_OF.keys()


@pytest.mark.parametrize(("name", "family"), FAMILY_OF.items(), ids=FAMILY_OF)
def test_a_config_s_own_settings_draw_a_group_and_give_it_a_gradient(
    name: str, family: Family, tmp_path: Path
) -> None:
    settings = load_settings(CONFIGS / f"{name}.yaml", [])
    assert isinstance(settings.algorithm, GrpoSettings)
    small = {"name": str(family.save(tmp_path)), "area_pixels": 64 * 64}
    policy = load_policy(settings.policy.model_copy(update=small))
    assert type(policy) is family.policy
    condition = policy.encode([family.sources()], INSTRUCTIONS[:1])
    algorithm = algorithm_of(policy, settings.algorithm, settings.sampling)
    group = algorithm.draw(condition, generators_of(0, 0, 0, 2), 0, random.Random(0))
    window = settings.algorithm.window.size
    assert len(group.points) == (settings.sampling.steps - 1 if window is None else window)
    found = algorithm.loss(group, group.points[0], torch.arange(2), torch.tensor([1.0, -1.0]))
    found.loss.backward()
    assert found.watched["ratio"].tolist() == [1.0, 1.0]
    gradients = [each.grad for each in policy.trainable() if each.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)
