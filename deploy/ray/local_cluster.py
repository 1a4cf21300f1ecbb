"""The application on a Ray cluster of this machine alone: for tests, benchmarks and a first look."""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_HERE = str(Path(__file__).parent)
_OBJECT_STORE_BYTES = 200 * 2**20  # answers are small and no data set is loaded

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A proxy that is not up after five seconds is killed, which on a busy machine is all of them.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
}


@contextmanager
def local_cluster(cpus: float) -> Iterator[str]:
    """The URL of the proxy of a cluster that has `cpus` to give away; everything is ended afterwards."""
    # Workers inherit the environment of whoever starts the cluster.
    os.environ.update(_ENVIRONMENT)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_HERE, os.environ.get("PYTHONPATH"))))
    import ray
    from ray import serve

    directory = tempfile.mkdtemp(prefix="ray-")  # short: sockets lie in it
    port = _free_port()
    try:
        ray.init(
            address="local",
            num_cpus=cpus,
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            _temp_dir=directory,
        )
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        yield f"http://127.0.0.1:{port}"
    finally:
        serve.shutdown()
        ray.shutdown()
        shutil.rmtree(directory, ignore_errors=True)


def run_replicas(count: int, **settings: Any) -> None:
    """Runs the application with a fixed number of replicas of one CPU each; returns when all are ready."""
    from deployment_options import DeploymentOptions
    from ray import serve
    from reward_app import build

    options = DeploymentOptions(
        settings={"allow_open": True, **settings}, min_replicas=count, max_replicas=count
    )
    serve.run(build(options), name="edit-rrm")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    with local_cluster(cpus=os.cpu_count() or 1) as url:
        run_replicas(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
        print(f"ready on {url}; Enter ends it")
        input()
