"""Which replica a call goes to: calls of one session to the same replica, others to the less busy of two.

A session is whatever the caller names in the header `X-Session-Id`: the calls of one session find the
prompt prefixes and images of the earlier ones in their replica's caches. A GRPO group of up to 64
candidates is one call and needs no session; a larger one, or a source scored again and again, does.
"""

import random

from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter
from ray.serve.request_router import PendingRequest, RunningReplica


class GroupRouter(ConsistentHashRouter):
    """Ray's router by consistent hash, which scatters calls without a session blindly, but for those."""

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """Ranks of replicas to try; within a rank Ray takes the one with the fewest calls."""
        if pending_request is None or pending_request.metadata.session_id:
            ranks: list[list[RunningReplica]] = await super().choose_replicas(
                candidate_replicas, pending_request
            )
            return ranks
        pending_request.routing_context.should_backoff = True
        return [random.sample(candidate_replicas, min(2, len(candidate_replicas)))]
