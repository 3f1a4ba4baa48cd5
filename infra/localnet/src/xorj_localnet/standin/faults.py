"""How a test makes a stand-in misbehave: one planned fault per path, used up or lasting.

1. A fault is planned for one path and does nothing elsewhere.
2. A fault with a count ends after that many answers; without one it lasts until it is cleared.
"""

import asyncio
from dataclasses import dataclass, replace
from enum import Enum
from typing import assert_never

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

GARBAGE = b'{"data": [[[\x00\xff'
DELAY_MS_MAX = 60_000


class FaultKind(Enum):
    """What goes wrong."""

    STATUS = "status"
    """Answers with the status given."""
    GARBAGE = "garbage"
    """Answers 200 with a body that is not JSON."""
    BODY = "body"
    """Answers 200 with the body given."""
    SLOW = "slow"
    """Answers rightly, after the delay given."""
    WRONG_MINT = "wrong_mint"
    """The handler answers for another mint than was asked."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One planned fault; `answers_left` None: until cleared."""

    kind: FaultKind
    status: int = 500
    delay_ms: int = 0
    body: str = ""
    answers_left: int | None = None


class FaultBoard:
    """The faults planned in one stand-in."""

    def __init__(self) -> None:
        self._planned: dict[str, Fault] = {}

    def plan(self, path: str, fault: Fault | None) -> None:
        """Plans a fault for a path, or clears it with None."""
        if fault is None:
            self._planned.pop(path, None)
        else:
            self._planned[path] = fault

    def take(self, path: str) -> Fault | None:
        """The fault for this answer, counted down."""
        fault = self._planned.get(path)
        if fault is not None and fault.answers_left is not None:
            left = replace(fault, answers_left=fault.answers_left - 1)
            self.plan(path, left if left.answers_left else None)
        return fault

    async def interfere(self, path: str) -> Response | FaultKind | None:
        """The answer to give instead of the right one, a fault that the handler makes itself, or None."""
        fault = self.take(path)
        if fault is None:
            return None
        match fault.kind:
            case FaultKind.STATUS:
                return JSONResponse({"error": "Something unexpected occurred"}, status_code=fault.status)
            case FaultKind.GARBAGE:
                return Response(GARBAGE, media_type="application/json")
            case FaultKind.BODY:
                return Response(fault.body, media_type="application/json")
            case FaultKind.SLOW:
                await asyncio.sleep(fault.delay_ms / 1000)
                return None
            case FaultKind.WRONG_MINT:
                return FaultKind.WRONG_MINT
            case _:
                assert_never(fault.kind)

    async def plan_by_request(self, request: Request) -> Response:
        """Handles `POST /local/fault`: `{"path", "kind": … | null, "status"?, "delay_ms"?, "body"?, "count"?}`."""
        try:
            wish = await request.json()
            path, kind = str(wish["path"]), wish["kind"]
            fault = None if kind is None else _fault(wish, FaultKind(kind))
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": f"not a fault: {error!r}"}, status_code=400)
        self.plan(path, fault)
        return JSONResponse({"path": path, "kind": kind})


def _fault(wish: dict[str, object], kind: FaultKind) -> Fault:
    count = wish.get("count")
    delay_ms = int(str(wish.get("delay_ms", 0)))
    if not 0 <= delay_ms <= DELAY_MS_MAX:
        raise ValueError(f"delay_ms is at most {DELAY_MS_MAX}")
    return Fault(
        kind,
        status=int(str(wish.get("status", 500))),
        delay_ms=delay_ms,
        body=str(wish.get("body", "")),
        answers_left=None if count is None else int(str(count)),
    )
