"""/livez, /readyz and /metrics on loopback, and the ready file that a supervisor waits for."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Check = Callable[[], str | None]
"""None when well, otherwise what is wrong."""


class Health:
    """The health endpoints of one process. Ready when every named check is well."""

    def __init__(self, port: int, ready_file: Path | None, *, host: str = "127.0.0.1") -> None:
        self._checks: dict[str, Check] = {}
        self._ready_file = ready_file
        routes = [Route("/livez", self._livez), Route("/readyz", self._readyz), Route("/metrics", self._metrics)]
        self._app = Starlette(routes=routes)
        config = uvicorn.Config(
            self._app, host=host, port=port, log_config=None, access_log=False, lifespan="off", ws="none"
        )
        self._server = _Quiet(config)

    def check(self, name: str, check: Check) -> None:
        """Ask `check` whenever readiness is asked for."""
        self._checks[name] = check

    def show(self, path: str, text: Callable[[], bytes | None]) -> None:
        """Answers GET of `path` with what `text` returns, 404 while that is None."""

        async def answer(_: Request) -> Response:
            body = text()
            return Response(body or b"", 404 if body is None else 200, media_type="text/plain; charset=utf-8")

        self.route(Route(path, answer))

    def route(self, route: Route) -> None:
        """Serves a further path."""
        self._app.router.routes.append(route)

    def problems(self) -> dict[str, str]:
        """Every check that is not well, with what is wrong."""
        found = {name: check() for name, check in self._checks.items()}
        return {name: problem for name, problem in found.items() if problem is not None}

    @property
    def port(self) -> int:
        """The port in use, once `serve` has started."""
        return int(self._server.servers[0].sockets[0].getsockname()[1])

    async def serve(self) -> None:
        """Serve until cancelled."""
        await self._server.serve()

    def is_serving(self) -> bool:
        """True once the port is open."""
        return self._server.started

    def announce(self, **details: Any) -> None:
        """Write the ready file: process id, health port and what the service adds."""
        if self._ready_file is None:
            return
        body = json.dumps({"pid": os.getpid(), "health_port": self.port, **details})
        partial = self._ready_file.with_suffix(".partial")
        partial.write_text(body)
        partial.replace(self._ready_file)

    async def _livez(self, _: Request) -> Response:
        return JSONResponse({"ok": True})

    async def _readyz(self, _: Request) -> Response:
        problems = self.problems()
        return JSONResponse({"ok": not problems, "problems": problems}, status_code=503 if problems else 200)

    async def _metrics(self, _: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


class _Quiet(uvicorn.Server):
    """Signals belong to the service, not to its health port."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave every signal handler as it is."""
        yield
