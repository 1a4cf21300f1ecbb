"""The ASGI application: routes, error handlers and the service's life, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from edit_rrm.errors import EditRRMError
from edit_rrm_server import __version__
from edit_rrm_server.api import admin, dialects, probes, routes
from edit_rrm_server.api.idempotent_calls import IdempotentCalls
from edit_rrm_server.api.page_files import page_router, read_page
from edit_rrm_server.errors import ServiceError
from edit_rrm_server.http import openapi
from edit_rrm_server.http.access import AccessMiddleware
from edit_rrm_server.http.problems import CALLER_GONE_STATUS, problem_for, problem_response
from edit_rrm_server.life.service import Service

_DESCRIPTION = """A reasoning reward model for image editing.

Every error is `application/problem+json` with a `code` (`x-error-codes` lists them all). Besides those of its
route, any address may answer 404 `not_found` and 405 `method_not_allowed`, and 307 to itself without a slash
too many at its end. The rules that a schema cannot say are in docs/api.md."""
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


def create_app(service: Service) -> FastAPI:
    """The application around `service`, which it starts and stops with its own life."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            await service.stop()

    app = FastAPI(
        title="edit-rrm",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=life,
        redoc_url=None,
    )
    app.state.service = service
    app.state.idempotent = IdempotentCalls(service)
    app.include_router(routes.router)
    for dialect in dialects.routers(service):  # before the probes: one of them says more in /health
        app.include_router(dialect)
    app.include_router(probes.router)
    if service.settings.reload_root is not None:
        app.include_router(admin.router)
    app.add_exception_handler(ServiceError, _typed_error)
    app.add_exception_handler(EditRRMError, _typed_error)
    app.add_exception_handler(HTTPException, _http_error)
    page = read_page() if service.settings.page else {}
    if page:
        app.include_router(page_router(page))
    app.add_middleware(
        AccessMiddleware,
        metrics=service.metrics.http,
        settings=service.settings,
        allowances=service.allowances,
        static_paths=page.keys(),
    )
    rooms = (routes, dialects, admin)
    accepted = [model for room in rooms for model in room.ACCEPTED]
    answered = [model for room in (*rooms, probes) for model in room.ANSWERED]
    openapi.describe(app, accepted, answered)
    return app


async def _typed_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError | EditRRMError)
    request.state.code = error.code
    if error.code == "caller_gone":
        return Response(status_code=CALLER_GONE_STATUS)
    return problem_for(error, request.state.request_id)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _HTTP_CODES.get(error.status_code, "internal")
    request.state.code = code
    response = problem_response(code, f"{request.method} {request.url.path}", request.state.request_id)
    response.headers.update(error.headers or {})
    return response
