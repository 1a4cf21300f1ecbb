"""Which of pytest-xdist's processes runs what, and that a test which ends its process fails once."""

from pathlib import Path

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

SERVED = Path(__file__).parent / "e2e" / "served"


class WholeFiles(LoadScopeScheduling):
    """A file runs in one process, and all that share the session's service in one together.

    xdist's own `--dist loadgroup` would say so with a mark, which 3.8 does not read under pytest 9.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        return SERVED.name if SERVED.name in file.parts else str(file)

    def remove_node(self, node: WorkerController) -> str | None:
        """The test that a process ended in; xdist would give it to the next process, and so on."""
        for scope in self.assigned_work[node].values():
            for nodeid, completed in scope.items():
                if not completed:
                    scope[nodeid] = True
                    super().remove_node(node)
                    return nodeid
        return super().remove_node(node)
