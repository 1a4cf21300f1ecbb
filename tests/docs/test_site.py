"""The documentation builds without a warning, describes the API, and loads nothing from elsewhere."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browsing import out_of_sight

ROOT = Path(__file__).parents[2]
_LOADED = re.compile(
    r"""<(?:script|img)[^>]*\bsrc=["']?(https?:[^"'\s>]+)|<link[^>]*rel=["']?stylesheet[^>]*href=["']?(https?:[^"'\s>]+)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it; a dead link or a page outside the navigation fails it."""
    built = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(built)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return built


@pytest.mark.slow
def test_the_api_reference_is_the_application_s_own(site: Path) -> None:
    paths = json.loads((site / "reference" / "openapi.json").read_text())["paths"]
    assert {"/v1/score", "/v1/score/stream", "/v1/decompose", "/v1/models"} <= paths.keys()
    assert "swagger" in (site / "api-reference" / "index.html").read_text().lower()


def test_every_page_of_docs_is_in_the_site(site: Path) -> None:
    docs = ROOT / "docs"
    for page in (page for folder in ("", "notes", "reference") for page in (docs / folder).glob("*.md")):
        folder = site if page == docs / "index.md" else site / page.relative_to(docs).with_suffix("")
        assert (folder / "index.html").is_file(), page


def test_the_link_of_every_alert_leads_to_its_section(site: Path) -> None:
    alerts = (ROOT / "deploy/prometheus/rules/alerts.yml").read_text(encoding="utf-8")
    links = re.findall(r"edit_rrm_docs \}\}/([\w-]+)/#(\w+)", alerts)
    assert len(links) == alerts.count("- alert: ") > 10
    for page, anchor in links:
        assert f'id="{anchor}"' in (site / page / "index.html").read_text(encoding="utf-8"), anchor


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert _LOADED.findall(page.read_text(encoding="utf-8")) == [], page


def test_the_task_index_is_the_first_screen(site: Path, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto((site / "index.html").as_uri())
    rows = page.locator(".md-content table").first.locator("tr")
    assert out_of_sight(page, first=rows.first, last=rows.last) == []
    page.close()
