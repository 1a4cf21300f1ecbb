"""`Turns`: a prompt asked of the engine in its call's turn, its tokens counted where they are spent."""

from collections.abc import Mapping

from edit_rrm.images import EditImage
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm_server.admission.batching import Admission
from edit_rrm_server.admission.callers import TokenAllowances
from edit_rrm_server.engines.engine import Completion, Engine, SamplingSettings
from edit_rrm_server.engines.quarantine import Quarantine, prompt_key
from edit_rrm_server.engines.watched_engine import engine_dead
from edit_rrm_server.observe.scoring_metrics import ScoringMetrics
from edit_rrm_server.scoring.usage import usage_of


class Turns:
    """See the module. One for a model: `adapter` is its own, "" for the weights alone."""

    def __init__(
        self,
        engine: Engine,
        quarantine: Quarantine,
        metrics: ScoringMetrics,
        allowances: TokenAllowances,
        adapter: str = "",
    ) -> None:
        self._engine = engine
        self._quarantine = quarantine
        self._metrics = metrics
        self._allowances = allowances
        self._adapter = adapter

    async def generate(
        self,
        admission: Admission,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        sampling: SamplingSettings,
        watched: tuple[str, ...] = (),
        group: str = "",
    ) -> Completion:
        """See `Engine.generate`. A text counts as soon as it is there, whatever becomes of its call.

        Raises QuarantinedError too, and what `Batcher.fail_waiting` was told.
        """
        key = prompt_key(prompt, images, self._adapter)
        async with self._quarantine.turn(key), admission.slot():
            if not self._engine.alive:
                raise engine_dead()  # it never was in there
            with self._quarantine.inside(key):
                completion = await self._engine.generate(
                    prompt, images, sampling, watched, group, self._adapter
                )
            usage = usage_of(completion)
            self._metrics.tokens_used(usage)
            self._allowances.charge(admission.owner, usage.completion_tokens)
            return completion
