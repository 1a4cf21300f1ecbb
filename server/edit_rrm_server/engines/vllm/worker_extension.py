"""What vLLM imports in every process that holds weights (`worker_extension_cls`), so that it ends with the
service. Its engine core would live on otherwise, with a GPU's whole memory."""

from edit_rrm_server.engines.ending_with_service import end_with_service

end_with_service()


class WorkerExtension:
    """Adds nothing to vLLM's worker: that it is looked up is what counts."""
