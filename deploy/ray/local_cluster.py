"""The application on a Ray cluster of this machine alone: for tests, benchmarks and a first look."""

import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_HERE = str(Path(__file__).parent)
_OBJECT_STORE_BYTES = 200 * 2**20  # answers are small and no data set is loaded
_PROXY_LIMIT_S = 120.0


@contextmanager
def local_cluster(cpus: float) -> Iterator[str]:
    """The URL of the proxy of a cluster that has `cpus` to give away; everything is ended afterwards."""
    # Workers inherit the environment of whoever starts the cluster.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
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
        # On a busy machine the first proxy is not up in the five seconds it is given: Ray kills it, which is
        # told here as an error, and starts another.
        with suppress(ray.exceptions.RayActorError, TimeoutError):
            serve.start(http_options={"host": "127.0.0.1", "port": port})
        _wait_for_proxy(port)
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


def _wait_for_proxy(port: int) -> None:
    started = time.monotonic()
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return
        if time.monotonic() - started > _PROXY_LIMIT_S:
            raise TimeoutError(f"Ray's proxy does not listen after {_PROXY_LIMIT_S:.0f} s")
        time.sleep(0.2)


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
