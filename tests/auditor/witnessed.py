"""What tests of witnesses share: logs of any history, a witness over HTTP, and the requests that a log makes."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from xorj_auditor.checkpoints import CheckpointKey, checkpoint_key
from xorj_core.checkpoint import KeyType, NoteKey, SignedCheckpoint
from xorj_core.merkle import Node, Span, consistency_spans, fold, leaf_hash, node_hash, nodes_of, prove
from xorj_halt.keys import SigningKey, signing_key
from xorj_witness.app import Witness
from xorj_witness.storage import Storage

ORIGIN = "log.example/audit"


def new_key() -> SigningKey:
    return signing_key(Ed25519PrivateKey.generate().private_bytes_raw())


@dataclass(slots=True)
class SmallLog:
    """A log of a few entries, with a key; `history` tells two logs apart."""

    key: CheckpointKey
    leaves: list[bytes]

    def append(self, count: int, history: str = "a") -> None:
        first = len(self.leaves)
        self.leaves += [leaf_hash(f"{history} {number}".encode()) for number in range(first, first + count)]

    def hash_of(self, node: Node) -> bytes:
        if node.level == 0:
            return self.leaves[node.index]
        below = (Node(node.level - 1, 2 * node.index), Node(node.level - 1, 2 * node.index + 1))
        return node_hash(*(self.hash_of(one) for one in below))

    def root(self, size: int) -> bytes:
        return fold([self.hash_of(node) for node in nodes_of(Span(0, size))])

    def checkpoint(self, size: int | None = None) -> SignedCheckpoint:
        size = len(self.leaves) if size is None else size
        return self.key.sign(size, self.root(size))

    async def proof(self, old: int, new: int) -> tuple[bytes, ...]:
        return prove(consistency_spans(old, new), self.hash_of)


def small_log(count: int, key: SigningKey | None = None, history: str = "a") -> SmallLog:
    log = SmallLog(checkpoint_key(ORIGIN, key or new_key()), [])
    log.append(count, history)
    return log


def witness_app(
    file: Path, log: SmallLog, key: SigningKey, *, now_s: Callable[[], float] = time.time
) -> tuple[Starlette, NoteKey]:
    """A witness of one log that keeps what it has seen in `file`."""
    note_key = NoteKey("witness.example", KeyType.COSIGNATURE_V1, key.public_key)
    return Witness(note_key, key, [log.key.note_key], Storage(file), now_s).app(), note_key


@asynccontextmanager
async def talking_to(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        yield client
