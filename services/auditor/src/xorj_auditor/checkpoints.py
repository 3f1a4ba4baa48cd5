"""Signs what is stored as a C2SP checkpoint, keeps it in the database and shows the latest one.

1. Only committed trees are signed, at least every `EVERY_S` while the log grows; the key is the auditor's own and is in
   no database.
2. A smaller tree than the one signed last is never signed.
3. What is shown carries the cosignatures of the witnesses that have answered.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import asyncpg
import structlog
from prometheus_client import Gauge
from xorj_core.checkpoint import (
    Checkpoint,
    KeyType,
    NoteKey,
    NoteSignature,
    SignedCheckpoint,
    message_of,
    parse_checkpoint,
    parse_signatures,
    signature_of,
)
from xorj_core.keys import KeyRegistry, Role
from xorj_core.merkle import Frontier
from xorj_halt.keys import SigningKey

from xorj_auditor.store import AuditStore

EVERY_S = 0.5

_SIGNED = Gauge("xorj_audit_checkpoint_entries", "Entries in the latest signed checkpoint")
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CheckpointKey:
    """The auditor's key under the log's name."""

    key: SigningKey
    note_key: NoteKey

    def sign(self, size: int, root: bytes) -> SignedCheckpoint:
        """The signed checkpoint of a tree."""
        checkpoint = Checkpoint(self.note_key.name, size, root)
        line = signature_of(self.note_key, self.key.sign(message_of(checkpoint, self.note_key.type)))
        return SignedCheckpoint(checkpoint, (line,))


def checkpoint_key(origin: str, key: SigningKey) -> CheckpointKey:
    """The auditor's key as the key of the log `origin`. Raises CheckpointRefused for an origin that is no name."""
    return CheckpointKey(key, NoteKey(origin, KeyType.ED25519, key.public_key))


def log_keys(origin: str, registry: KeyRegistry) -> tuple[NoteKey, ...]:
    """The keys that may have signed the checkpoints of the log `origin`: every auditor's in the registry."""
    keys = (key for key in registry if Role.AUDIT_HEARTBEAT in key.roles)
    return tuple(NoteKey(origin, KeyType.ED25519, key.public_key) for key in keys)


class Checkpoints:
    """The checkpoints of one writer, from `latest` on."""

    def __init__(
        self, store: AuditStore, key: CheckpointKey, stored: Callable[[], Frontier], latest: SignedCheckpoint
    ) -> None:
        """`stored`: the committed tree, whenever it is asked for."""
        self._store = store
        self._key = key
        self._stored = stored
        self.latest = latest
        self._cosignatures: dict[int, tuple[NoteSignature, ...]] = {}
        self.cosigned = latest
        """The latest one that a witness has cosigned in this process; the first one before any has."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Sign and keep until `stopping`, and once more then. Raises the store's errors."""
        while not stopping.is_set():
            await self.sign_now()
            try:
                async with asyncio.timeout(EVERY_S):
                    await stopping.wait()
            except TimeoutError:
                continue
        await self.sign_now()

    async def sign_now(self) -> None:
        """Sign and keep the stored tree, unless that was done."""
        tree = self._stored()
        if tree.size <= self.latest.checkpoint.size:
            return
        signed = self._key.sign(tree.size, tree.root())
        await self._store.add_checkpoint(tree.size, signed.note().decode(), time.time_ns() // 1000)
        self.latest = signed
        _SIGNED.set(tree.size)

    async def add_cosignature(self, checkpoint: SignedCheckpoint, line: NoteSignature, cosigned_at_s: int) -> None:
        """Keep a verified cosignature of one of these checkpoints."""
        size = checkpoint.checkpoint.size
        await self._store.add_cosignature(size, line.name, line.line(), cosigned_at_s * 1_000_000)
        self._cosignatures[size] = (*self._cosignatures.get(size, ()), line)
        if size >= self.cosigned.checkpoint.size:
            self.cosigned = checkpoint.with_signatures(self._cosignatures[size])
            self._cosignatures = {kept: lines for kept, lines in self._cosignatures.items() if kept >= size}

    def note(self) -> bytes:
        """The latest checkpoint that a witness has cosigned, or the latest of all while none has."""
        shown = self.cosigned if len(self.cosigned.signatures) > 1 else self.latest
        return shown.note()


async def stored_checkpoint(
    connection: "asyncpg.Connection[asyncpg.Record]", *, size_min: int = 0, newest: bool = True
) -> SignedCheckpoint | None:
    """A stored checkpoint of at least `size_min` entries, the largest or the smallest of them, with its cosignatures.

    Its signatures are not verified. Raises CheckpointRefused for one that is damaged.
    """
    order = "DESC" if newest else "ASC"
    row = await connection.fetchrow(
        f"SELECT size, note FROM audit_checkpoints WHERE size >= $1 ORDER BY size {order} LIMIT 1",  # noqa: S608
        size_min,
    )
    if row is None:
        return None
    lines: Sequence[asyncpg.Record] = await connection.fetch(
        "SELECT line FROM audit_cosignatures WHERE size = $1 ORDER BY witness", row[0]
    )
    signed = parse_checkpoint(row[1].encode())
    return signed.with_signatures([one for line in lines for one in parse_signatures(line[0] + "\n")])
