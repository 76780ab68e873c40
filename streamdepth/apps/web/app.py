"""The web application: the page, its API, and who may use them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from streamdepth.apps.web import routes, sockets
from streamdepth.apps.web.hub import Hub
from streamdepth.apps.web.security import Access, Guard
from streamdepth.apps.web.served import Served
from streamdepth.apps.web.state import State
from streamdepth.core.version import __version__

STATIC = Path(__file__).with_name("static")


def make_app(served: Served, access: Access, *, most_viewers: int) -> FastAPI:
    """The application for one server. `app.state.own` is its State, once it has started."""
    sinks = {name: stream.live for name, stream in served.streams.items()}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.own = State(served, Hub(sinks, most_viewers))
        yield

    app = FastAPI(
        title="streamdepth",
        version=__version__,
        summary="Streams with depth: what they are doing, and what may be changed while they run.",
        docs_url=None,  # the usual page loads its scripts from the internet; ours is /api
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_exception_handler(RequestValidationError, _explain)
    app.include_router(routes.router)
    app.include_router(sockets.router)
    _add_pages(app)
    if access.token is not None:
        _document_token(app)
    app.add_middleware(Guard, access=access)
    return app


async def _explain(_request: Request, error: Exception) -> JSONResponse:
    """A request that is not as described, in the words of all other errors."""
    assert isinstance(error, RequestValidationError)
    words = "; ".join(f"{'.'.join(map(str, e['loc'][1:])) or e['loc'][0]}: {e['msg']}" for e in error.errors())
    return JSONResponse({"detail": words}, 422)


def _add_pages(app: FastAPI) -> None:
    def page(path: str, file: str) -> None:
        @app.get(path, include_in_schema=False)
        async def show() -> FileResponse:
            return FileResponse(STATIC / file)

    page("/", "index.html")
    page("/api", "api.html")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")


def _document_token(app: FastAPI) -> None:
    """Says in the OpenAPI description that everything but /healthz needs the token."""
    make = app.openapi

    def with_token() -> dict[str, Any]:
        described = make()
        described.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        described["security"] = [{"token": []}]
        described["paths"]["/healthz"]["get"]["security"] = []
        return described

    app.openapi = with_token  # type: ignore[method-assign]  # as FastAPI's documentation does it
