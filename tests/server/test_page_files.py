"""The page's files over HTTP: what is served to whom, with which headers, and that nothing else is."""

import json
import re
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
from live_service import LiveService
from running_service import Running, Start
from scripted_engine import ScriptedEngine

from edit_rrm_client.report.page import assemble
from edit_rrm_server.api.page_files import DIRECTORY, MEDIA_TYPES, PREFIX, read_page

FILES = read_page()
SCRIPTS = sorted(path for path in FILES if path.endswith(".js"))
ALWAYS_ASKED_AGAIN = "no-cache"


def policy(response: httpx.Response) -> dict[str, str]:
    """The Content-Security-Policy by directive."""
    directives = (
        part.strip().partition(" ") for part in response.headers["Content-Security-Policy"].split(";")
    )
    return {name: values for name, _, values in directives}


class TestAnswers:
    async def test_the_root_is_the_page_and_all_it_names_is_there(self, running: Running) -> None:
        response = await running.http.get("/")
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        named = re.findall(r'(?:src|href)="(page/[^"]*)"', response.text)
        assert {Path(name).suffix for name in named} == {".js", ".css", ".svg"}
        for name in named:
            assert (await running.http.get(f"/{name}")).status_code == 200, name

    @pytest.mark.parametrize("path", sorted(FILES))
    async def test_every_file_has_its_type_and_the_safe_headers(self, running: Running, path: str) -> None:
        response = await running.http.get(path)
        assert response.content == FILES[path].content
        assert response.headers["Content-Type"] == FILES[path].media_type
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert response.headers["Cache-Control"] == ALWAYS_ASKED_AGAIN
        assert "X-Request-ID" in response.headers

    async def test_the_policy_allows_this_service_and_nothing_else(self, running: Running) -> None:
        assert policy(await running.http.get("/")) == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' blob:",
            "connect-src": "'self'",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
            "require-trusted-types-for": "'script'",
            "trusted-types": "'none'",
        }

    @pytest.mark.parametrize("path", ["/", PREFIX + "page.css"])
    async def test_head_has_the_headers_of_get_and_no_body(self, running: Running, path: str) -> None:
        get, head = await running.http.get(path), await running.http.head(path)
        assert (head.status_code, head.content) == (200, b"")
        ignored = {"x-request-id"}
        assert {k: v for k, v in head.headers.items() if k not in ignored} == {
            k: v for k, v in get.headers.items() if k not in ignored
        }

    async def test_other_methods_are_refused(self, running: Running) -> None:
        for path in ("/", PREFIX + "page.js"):
            response = await running.http.post(path, content=b"{}")
            assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")

    async def test_the_page_is_no_part_of_the_api_schema(self, running: Running) -> None:
        paths = (await running.http.get("/openapi.json")).json()["paths"]
        assert [path for path in paths if path == "/" or path.startswith(PREFIX)] == []


class TestCaching:
    async def test_a_known_etag_is_answered_304_without_the_body(self, running: Running) -> None:
        etag = (await running.http.get("/")).headers["ETag"]
        for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            response = await running.http.get("/", headers={"If-None-Match": known})
            assert (response.status_code, response.content) == (304, b""), known
            assert response.headers["ETag"] == etag
            assert response.headers["Cache-Control"] == ALWAYS_ASKED_AGAIN

    async def test_another_etag_is_answered_with_the_file(self, running: Running) -> None:
        css = (await running.http.get(PREFIX + "page.css")).headers["ETag"]
        for unknown in (css, css.strip('"'), ""):
            response = await running.http.get("/", headers={"If-None-Match": unknown})
            assert response.status_code == 200, unknown

    def test_an_etag_is_of_the_content_not_of_the_name(self, tmp_path: Path) -> None:
        for name, content in (("a.css", "same"), ("b.css", "same"), ("c.css", "else")):
            (tmp_path / name).write_text(content)
        tags = [read_page(tmp_path)[f"{PREFIX}{name}.css"].etag for name in "abc"]
        assert tags[0] == tags[1] != tags[2]


class TestNothingElse:
    def test_a_path_that_is_no_files_name_is_not_found(self) -> None:
        paths = [
            "/page/",
            "/page/absent.js",
            "/page/index.html",
            "/page/samples",
            "/page/samples/",
            "/page/../settings.py",
            "/page/..%2fsettings.py",
            "/page/%2e%2e/settings.py",
            "/page/../../../../../../../etc/passwd",
            "/page/%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
            "/page//etc/passwd",
            "/page/%2fetc%2fpasswd",
            "/page/..%5csettings.py",
            "/page/page.js%00.css",
            "/page/PAGE.JS",
            "/page/./page.js",
        ]
        with LiveService(ScriptedEngine()) as live:
            # httpx would resolve the dots; this sends the path as it is written.
            connection = HTTPConnection(live.url.removeprefix("http://"))
            for path in paths:
                connection.request("GET", path)
                response = connection.getresponse()
                assert (response.status, json.loads(response.read())["code"]) == (404, "not_found"), path
            connection.close()

    def test_only_files_of_known_types_are_read(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        for name in ("index.html", "page.js", "page.js~", "notes.txt", "page.py", ".hidden", "sub/a.png"):
            (tmp_path / name).write_text(name)
        assert set(read_page(tmp_path, shared=())) == {"/", "/page/page.js", "/page/sub/a.png"}

    def test_the_package_holds_no_file_that_would_not_be_served(self) -> None:
        suffixes = {file.suffix for file in DIRECTORY.rglob("*") if file.is_file()}
        assert suffixes <= set(MEDIA_TYPES)


def test_the_slider_is_the_same_in_the_page_and_in_the_report() -> None:
    report = "".join(assemble("a report", {}, ()))
    module = FILES["/page/compare.js"].content.decode()
    assert "class Compare" in module
    assert re.sub(r"^export ", "", module, flags=re.M) in report


class TestAccess:
    async def test_the_page_needs_no_key_and_what_it_asks_for_does(self, start: Start) -> None:
        running = await start(api_keys="right")
        for path in FILES:
            assert (await running.http.get(path)).status_code == 200, path
        for path in ("/page/absent.js", "/page/", "/page/..%2fv1/models", "/v1/models"):
            assert (await running.http.get(path)).json()["code"] == "missing_key", path

    async def test_a_page_that_is_off_is_like_any_address_with_nothing_there(self, start: Start) -> None:
        running = await start(page=False)
        for path in ("/", "/page/page.js"):
            assert (await running.http.get(path)).json()["code"] == "not_found"
        closed = await start(page=False, api_keys="right")
        for path in ("/", "/page/page.js"):
            assert (await closed.http.get(path)).json()["code"] == "missing_key"

    async def test_the_page_is_there_before_the_model_and_is_never_rate_limited(self, start: Start) -> None:
        running = await start(rate_limit_per_s=0.001, rate_limit_burst=1)
        running.engine.alive = False
        for _ in range(3):
            assert (await running.http.get("/")).status_code == 200
            assert (await running.http.get("/page/page.js")).status_code == 200


class TestSource:
    """What the policy would refuse in a browser, and what reviews must not have to look for."""

    def test_there_is_no_inline_script_or_style_and_no_handler(self) -> None:
        html = FILES["/"].content.decode()
        assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
        assert re.findall(r"<style|\bstyle=|\son\w+=", html) == []

    @pytest.mark.parametrize("path", SCRIPTS)
    def test_no_script_turns_text_into_markup_or_code(self, path: str) -> None:
        text = FILES[path].content.decode()
        forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function"
        assert re.findall(forbidden, text) == []

    @pytest.mark.parametrize("path", ["/", *SCRIPTS, "/page/page.css", "/page/icon.svg"])
    def test_no_file_names_another_origin(self, path: str) -> None:
        found = re.findall(r"https?://[^\s\"']+|//[a-z0-9.-]+\.[a-z]{2,}/", FILES[path].content.decode())
        assert [url for url in found if url != "http://www.w3.org/2000/svg"] == []

    @pytest.mark.parametrize("path", SCRIPTS)
    def test_scripts_are_modules_a_reader_takes_in_at_one_sitting(self, path: str) -> None:
        text = FILES[path].content.decode()
        assert text.startswith("// ")
        assert text.count("\n") <= 250
        for name in re.findall(r'from "\./([^"]+)"', text):
            assert PREFIX + name in FILES
