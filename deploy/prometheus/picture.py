"""Draws docs/images/prometheus.png: a real Prometheus on the real service while groups are scored.

    PYTHONPATH=benchmarks:tests/e2e .venv/bin/python deploy/prometheus/picture.py

Needs Debian's packages prometheus and chromium. What it shows is the bundled model on shapes.
"""

import asyncio
import tempfile
from pathlib import Path
from urllib.parse import urlencode

import httpx
from playwright.sync_api import sync_playwright
from prometheus_process import PrometheusProcess
from rig.calls import Supply
from rig.processes import reward_server

from edit_rrm_server.settings.server import BUNDLED_MODEL

TARGET = Path(__file__).resolve().parents[2] / "docs" / "images" / "prometheus.png"
CALLS, AT_ONCE, CANDIDATES = 40, 3, 8
GRAPHS = (
    "sum(edit_rrm_jobs_in_flight)",
    "sum by (kind) (rate(edit_rrm_tokens_total[15s]))",
    "sum by (category) (rate(edit_rrm_verdicts_total{met='true'}[30s]))"
    " / sum by (category) (rate(edit_rrm_verdicts_total[30s]))",
    "rate(edit_rrm_reward_sum[30s]) / rate(edit_rrm_reward_count[30s])",
)


async def score(url: str) -> None:
    """Groups that were never scored before, a few at once."""
    supply = Supply(CANDIDATES)
    room = asyncio.Semaphore(AT_ONCE)

    async def one(http: httpx.AsyncClient) -> None:
        async with room:
            (await supply.take().send(http)).raise_for_status()

    async with httpx.AsyncClient(base_url=url, timeout=600.0) as http:
        await asyncio.gather(*(one(http) for _ in range(CALLS)))


def photograph(url: str) -> None:
    """The graphs one below the other, in Prometheus's own page; Debian's package has the classic one only."""
    graphs = {
        f"g{number}.{name}": value
        for number, expression in enumerate(GRAPHS)
        for name, value in (("expr", expression), ("tab", "0"), ("range_input", "1m"), ("step_input", "1"))
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        page.goto(f"{url}/classic/graph?{urlencode(graphs)}")
        drawn = "[...document.querySelectorAll('.graph')].filter(graph => graph.querySelector('svg path'))"
        page.wait_for_function(f"{drawn}.length >= {len(GRAPHS)}")
        # The page's bar floats: in a picture of the whole page it would lie across a graph.
        page.evaluate("document.querySelector('nav').remove(); window.scrollTo(0, 0)")
        page.screenshot(path=TARGET, full_page=True)
        browser.close()


def main() -> None:
    """Starts both, scores, photographs, ends both."""
    with (
        reward_server(BUNDLED_MODEL, score_cache_mib=0) as server,
        tempfile.TemporaryDirectory() as directory,
    ):
        prometheus = PrometheusProcess(Path(directory), server.url.removeprefix("http://"))
        try:
            prometheus.wait_until('edit_rrm_state{state="ready"} == 1')
            asyncio.run(score(server.url))
            prometheus.wait_until("increase(edit_rrm_reward_count[1m]) > 0")
            photograph(prometheus.url)
        finally:
            prometheus.end()


if __name__ == "__main__":
    main()
