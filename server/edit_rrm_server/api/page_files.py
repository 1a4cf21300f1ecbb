"""The page for people at `GET /` and its files: package data, read once, the same for every caller.

Only what was read at the start can be asked for, by its exact name: no request reaches the file system.
The policy lets a page load nothing but these files, talk to nobody but this service, and turn no text
into markup. It knows nothing of scores: the page is a caller of the API like any other.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from edit_rrm import web

DIRECTORY = Path(__file__).parent / "page"
INDEX = "index.html"
SHARED = ("compare.js",)
PREFIX = "/page/"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
SECURITY_HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob:",  # blob: the pictures a person chose, and what changed in them
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Asked again every time, answered 304 while it is the same: page and service are always of one version.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True)
class PageFile:
    """A file's bytes, its media type, and a strong ETag of its content."""

    content: bytes
    media_type: str
    etag: str


def read_page(directory: Path = DIRECTORY, shared: Collection[str] = SHARED) -> dict[str, PageFile]:
    """The files by URL path, the index at `/`, with modules that are `shared` with the report.

    Files of other types, such as an editor's, are not served.
    """
    contents = {name: web.script(name).encode() for name in shared}
    for file in sorted(directory.rglob("*")):
        if file.suffix in MEDIA_TYPES and file.is_file():
            contents[file.relative_to(directory).as_posix()] = file.read_bytes()
    return {"/" if name == INDEX else PREFIX + name: _page_file(name, contents[name]) for name in contents}


def _page_file(name: str, content: bytes) -> PageFile:
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return PageFile(content, MEDIA_TYPES[PurePosixPath(name).suffix], etag)


def page_router(files: Mapping[str, PageFile]) -> APIRouter:
    """Routes that answer GET and HEAD for `files`."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request) -> Response:
        return _answer(request, files["/"])

    @router.api_route(PREFIX + "{name:path}", methods=["GET", "HEAD"])
    async def page_file(request: Request, name: str) -> Response:
        if PREFIX + name not in files:
            raise HTTPException(404)
        return _answer(request, files[PREFIX + name])

    return router


def _answer(request: Request, file: PageFile) -> Response:
    headers = {**SECURITY_HEADERS, "ETag": file.etag}
    if _is_known(request.headers.get("if-none-match", ""), file.etag):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        headers["Content-Length"] = str(len(file.content))
        return Response(headers=headers, media_type=file.media_type)
    return Response(file.content, headers=headers, media_type=file.media_type)


def _is_known(if_none_match: str, etag: str) -> bool:
    """Whether the caller holds this content: compared weakly, as RFC 9110 (13.1.2) has it."""
    held = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag in held or "*" in held
