"""The web application: the page, its API, and the check of every request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from streamdepth.apps.web import routes, sockets, uploads, zone_routes
from streamdepth.apps.web.access import Access
from streamdepth.apps.web.app_state import AppState
from streamdepth.apps.web.broadcast import Broadcaster
from streamdepth.apps.web.security import AccessMiddleware
from streamdepth.apps.web.session import WebSession
from streamdepth.core.version import __version__

STATIC = Path(__file__).with_name("static")


def make_app(session: WebSession, access: Access, *, max_viewers: int) -> FastAPI:
    """Makes the application of a server. Once it has started, `app.state.shared` is its AppState."""
    sinks = {name: stream.live for name, stream in session.streams.items()}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.shared = AppState(session, Broadcaster(sinks, max_viewers))
        yield

    app = FastAPI(
        title="streamdepth",
        version=__version__,
        summary="Streams with depth: what they are doing, and what may be changed while they run.",
        docs_url=None,  # FastAPI's page would load scripts from the internet; ours is /api
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.access = access
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.include_router(routes.router)
    app.include_router(uploads.router)
    app.include_router(zone_routes.router)
    app.include_router(sockets.router)
    _add_pages(app)
    if access.token is not None:
        _document_token(app)
    limits = {uploads.PATH: session.conversions.max_bytes}
    app.add_middleware(AccessMiddleware, access=access, streamed_bodies=limits)
    return app


async def _validation_error(_request: Request, error: Exception) -> JSONResponse:
    """Answers a request that does not match the API's schema, in the form of all other errors."""
    assert isinstance(error, RequestValidationError)
    text = "; ".join(f"{'.'.join(map(str, e['loc'][1:])) or e['loc'][0]}: {e['msg']}" for e in error.errors())
    return JSONResponse({"detail": text}, 422)


def _add_pages(app: FastAPI) -> None:
    def add_page(path: str, file: str) -> None:
        @app.get(path, include_in_schema=False)
        async def send_page() -> FileResponse:
            return FileResponse(STATIC / file)

    add_page("/", "index.html")
    add_page("/api", "api.html")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")


def _document_token(app: FastAPI) -> None:
    """Adds to the OpenAPI description that everything but /healthz needs the token."""
    make_description = app.openapi

    def describe_with_token() -> dict[str, Any]:
        description = make_description()
        description.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        description["security"] = [{"token": []}]
        description["paths"]["/healthz"]["get"]["security"] = []
        return description

    app.openapi = describe_with_token  # type: ignore[method-assign]  # as FastAPI's documentation does it
