"""A witness over HTTP: `POST /add-checkpoint` (C2SP tlog-witness), and what it has seen, for people and tools.

1. Nothing is signed before it is stored.
2. A request that is too long is refused before it is read to its end.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, Counter, generate_latest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from xorj_core.checkpoint import CheckpointRefused, NoteKey, NoteSignature, SignedCheckpoint, message_of, signature_of
from xorj_halt.keys import SigningKey, verifies

from xorj_witness.judging import (
    REQUEST_BYTES_MAX,
    Refusal,
    Seen,
    Status,
    parse_request,
    refuse_inconsistent,
    refuse_unsigned,
)
from xorj_witness.storage import Storage

SIZE_TYPE = "text/x.tlog.size"

_ANSWERED = Counter("xorj_witness_answers", "Answers to submitted checkpoints", ["status"])
_log = structlog.get_logger()


class Witness:
    """One witness: its key, the logs that it knows and what it has seen of them."""

    def __init__(
        self,
        note_key: NoteKey,
        key: SigningKey,
        logs: Sequence[NoteKey],
        storage: Storage,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._note_key = note_key
        self._key = key
        self._logs: dict[str, list[NoteKey]] = defaultdict(list)
        for log in logs:
            self._logs[log.name].append(log)
        self._storage = storage
        self._storing = asyncio.Lock()
        self._now_s = now_s

    def app(self) -> Starlette:
        """The HTTP application."""
        return Starlette(
            routes=[
                Route("/add-checkpoint", self._add_checkpoint, methods=["POST"]),
                Route("/checkpoint/{origin:path}", self._checkpoint),
                Route("/livez", _lives),
                Route("/readyz", _lives),
                Route("/metrics", _metrics),
            ]
        )

    async def _add_checkpoint(self, http: HttpRequest) -> Response:
        body = await _body(http)
        answer = _refused(Refusal(Status.MALFORMED, "too long")) if body is None else await self._judged(body)
        _ANSWERED.labels(answer.status_code).inc()
        return answer

    async def _judged(self, body: bytes) -> Response:
        try:
            request = parse_request(body)
        except CheckpointRefused as error:
            return _refused(Refusal(Status.MALFORMED, str(error)))
        refusal = refuse_unsigned(request, self._logs, verifies)
        if refusal is not None:
            return _refused(refusal)
        async with self._storing:
            seen, refusal = await asyncio.to_thread(
                self._storage.advance, request.signed, lambda known: refuse_inconsistent(request, known)
            )
        checkpoint = request.signed.checkpoint
        if refusal is not None:
            # Whoever asks for the first time learns so what has been seen; any other refusal is news, a fork above all.
            only_asked = refusal.status is Status.CONFLICT and seen is not None and seen.size != request.old_size
            level = logging.INFO if only_asked else logging.WARNING
            _log.log(level, "witness.refused", origin=checkpoint.origin, size=checkpoint.size, why=refusal.detail)
            return _refused(refusal, seen)
        return PlainTextResponse(self._cosign(request.signed).line() + "\n")

    async def _checkpoint(self, http: HttpRequest) -> Response:
        """The latest checkpoint of a log that this witness has cosigned, as the log signed it."""
        async with self._storing:
            note = await asyncio.to_thread(self._storage.note, http.path_params["origin"])
        return _refused(Refusal(Status.UNKNOWN_LOG, "nothing seen")) if note is None else PlainTextResponse(note)

    def _cosign(self, signed: SignedCheckpoint) -> NoteSignature:
        now_s = int(self._now_s())
        message = message_of(signed.checkpoint, self._note_key.type, now_s)
        return signature_of(self._note_key, self._key.sign(message), now_s)


def _refused(refusal: Refusal, seen: Seen | None = None) -> Response:
    if refusal.status is Status.CONFLICT and seen is not None:
        return Response(f"{seen.size}\n".encode(), refusal.status, media_type=SIZE_TYPE)
    return PlainTextResponse(refusal.detail + "\n", refusal.status)


async def _body(http: HttpRequest) -> bytes | None:
    """The body, or None for one that is too long or cut off."""
    body = b""
    try:
        async for chunk in http.stream():
            body += chunk
            if len(body) > REQUEST_BYTES_MAX:
                return None
    except ClientDisconnect:
        return None
    return body


async def _lives(_: HttpRequest) -> Response:
    return JSONResponse({"ok": True})


async def _metrics(_: HttpRequest) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
