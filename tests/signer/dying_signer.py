"""The signer with a fault planted between two steps of its path; for tests only, and never imported by the service.

The file named by XORJ_TEST_FAULT says {"step": ..., "vault": hex, "how": "die" | "hold"}; no file, no fault. `die` is
SIGKILL of the process itself. `hold` writes `<file>.reached` and goes on once `<file>.go` is there.

1. Steps are wrapped around the real parts: what runs up to the fault is the code that runs in production.
2. Only the attempts of one vault meet the fault.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from xorj_core.facts import TradeSigned
from xorj_log.writer import LogWriter
from xorj_signer import ledger_rows, request
from xorj_signer.__main__ import main
from xorj_signer.ledger import Ledger
from xorj_signer.outbox import Publisher

STEPS = (
    "before-reserve",
    "within-reserve",
    "after-reserve",
    "after-key-use",
    "within-complete",
    "after-complete",
    "after-publish",
    "before-note",
    "after-note",
    "before-answer",
)
HOLD_S_MAX = 60.0

_FILE = Path(os.environ.get("XORJ_TEST_FAULT", "/nonexistent"))
_holding: set[str] = set()


def _told(step: str, vaults: Sequence[bytes]) -> str:
    """How to fail here, or ""."""
    try:
        fault = json.loads(_FILE.read_text())
    except FileNotFoundError:
        return ""
    met = fault["step"] == step and bytes.fromhex(fault["vault"]) in vaults
    return str(fault["how"]) if met and step not in _holding else ""


async def _meet(step: str, *vaults: bytes) -> None:
    how = _told(step, vaults)
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "hold":
        _holding.add(step)
        _FILE.with_suffix(".reached").touch()
        give_up = time.monotonic() + HOLD_S_MAX
        while not _FILE.with_suffix(".go").exists() and time.monotonic() < give_up:
            await asyncio.sleep(0.01)


def _around(
    owner: Any, name: str, vaults: Callable[..., Sequence[bytes]], *, before: str = "", after: str = ""
) -> None:
    """Put the steps `before` and `after` around a coroutine function."""
    real: Callable[..., Awaitable[Any]] = getattr(owner, name)

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        about = vaults(*args, **kwargs)
        if before:
            await _meet(before, *about)
        result = await real(*args, **kwargs)
        if after:
            await _meet(after, *about)
        return result

    setattr(owner, name, wrapped)


def _of_publish(writer: LogWriter, fact: Any, **_: Any) -> Sequence[bytes]:
    return [fact.vault] if isinstance(fact, TradeSigned) else []


def _of_key_use(key: Any, message: bytes, *_: Any) -> Sequence[bytes]:
    """The vault stands among the static keys of the message."""
    vault = bytes.fromhex(json.loads(_FILE.read_text())["vault"]) if _FILE.exists() else b""
    return [vault] if vault and vault in message else []


def plant() -> None:
    """Put every step in its place; a part that is no longer there fails at once."""
    _around(Ledger, "reserve", lambda _, wanted, *__: [wanted.vault], before="before-reserve", after="after-reserve")
    _around(
        ledger_rows,
        "write_book",
        lambda _, book, *__: [intent.vault for intent in book.new_intents],
        after="within-reserve",
    )
    _around(request, "sign_checked", _of_key_use, after="after-key-use")
    _around(ledger_rows, "complete", lambda _, facts: [fact.vault for fact in facts], after="within-complete")
    _around(Ledger, "complete", lambda _, fact: [fact.vault], after="after-complete")
    _around(LogWriter, "publish", _of_publish, after="after-publish")
    _around(
        Ledger, "mark_published", lambda _, marks: [f.vault for f, _ in marks], before="before-note", after="after-note"
    )
    _around(Publisher, "publish", lambda _, stored, *__: [stored.fact.vault], after="before-answer")


if __name__ == "__main__":
    if "XORJ_TEST_FAULT" not in os.environ:
        raise SystemExit("XORJ_TEST_FAULT names the file that says which fault is planted")
    plant()
    raise SystemExit(main())
