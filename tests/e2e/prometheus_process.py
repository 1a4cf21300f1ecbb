"""A real Prometheus that scrapes one service with the deployed configuration, and what it answers."""

import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import yaml

from debian_packages import require

DEPLOYED = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
START_LIMIT_S = 30.0


def require_prometheus() -> None:
    """The server and promtool."""
    require("prometheus", "prometheus", "promtool")


class PrometheusProcess:
    """The deployed configuration and rules, but `target` scraped and everything evaluated every second."""

    def __init__(self, directory: Path, target: str) -> None:
        self._log = directory / "prometheus.log"
        config = directory / "prometheus.yml"
        config.write_text(yaml.safe_dump(_adapted(directory, target)), encoding="utf-8")
        self.url = f"http://127.0.0.1:{_free_port()}"
        command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory)
        self._http = httpx.Client(base_url=self.url, timeout=10.0)

    def wait_until(self, expression: str, within_s: float = START_LIMIT_S) -> None:
        """Waits until the expression has a value; a comparison has one when it holds."""
        started = time.monotonic()
        while not (self._is_ready() and self.query(expression)):
            assert self._process.poll() is None, self._log.read_text()[-3000:]
            assert time.monotonic() - started < within_s, f"{expression} has no value"
            time.sleep(0.2)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query. Fails if Prometheus cannot evaluate it."""
        answer = self._http.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its health and, of alerts, its state."""
        groups = self._http.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def _is_ready(self) -> bool:
        try:
            return self._http.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False  # it does not listen yet

    def end(self) -> None:
        """Ends the process."""
        self._http.close()
        self._process.terminate()
        self._process.wait(START_LIMIT_S)


def _adapted(directory: Path, target: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    (scrape,) = config["scrape_configs"]
    scrape["static_configs"] = [{"targets": [target]}]
    for file in (DEPLOYED / "rules").glob("*.yml"):
        rules = yaml.safe_load(file.read_text())
        for group in rules["groups"]:
            group.pop("interval", None)
        (directory / "rules").mkdir(exist_ok=True)
        (directory / "rules" / file.name).write_text(yaml.safe_dump(rules), encoding="utf-8")
    return config


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
