"""What a witness has seen, in a file of its own (SQLite).

1. Comparing with what was seen and storing the new checkpoint are one transaction: two submissions cannot both win,
   not even through two processes.
2. It is on disk before `advance` returns (synchronous=FULL).
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from xorj_core.checkpoint import SignedCheckpoint

from xorj_witness.judging import Refusal, Seen

BUSY_S_MAX = 5.0

_TABLE = """
CREATE TABLE IF NOT EXISTS seen (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL)
"""


class Storage:
    """The file; one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Raises sqlite3.Error for a file that is none of these."""
        self._database = sqlite3.connect(path, timeout=BUSY_S_MAX, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute(_TABLE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def advance(self, signed: SignedCheckpoint, judge: Callable[[Seen], Refusal | None]) -> tuple[Seen, Refusal | None]:
        """Stores the checkpoint if `judge` does not refuse it, given what was seen; returns that and the refusal."""
        checkpoint = signed.checkpoint
        self._database.execute("BEGIN IMMEDIATE")
        try:
            seen = self._seen(checkpoint.origin)
            refusal = judge(seen)
            if refusal is None:
                self._database.execute(
                    "INSERT INTO seen (origin, size, root, note) VALUES (?1, ?2, ?3, ?4)"
                    " ON CONFLICT (origin) DO UPDATE SET size = ?2, root = ?3, note = ?4",
                    (checkpoint.origin, checkpoint.size, checkpoint.root, signed.note()),
                )
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
        return seen, refusal

    def note(self, origin: str) -> bytes | None:
        """The latest checkpoint that was cosigned, as the log signed it."""
        row = self._database.execute("SELECT note FROM seen WHERE origin = ?", (origin,)).fetchone()
        return None if row is None else bytes(row[0])

    def _seen(self, origin: str) -> Seen:
        row = self._database.execute("SELECT size, root FROM seen WHERE origin = ?", (origin,)).fetchone()
        return Seen() if row is None else Seen(row[0], bytes(row[1]))
