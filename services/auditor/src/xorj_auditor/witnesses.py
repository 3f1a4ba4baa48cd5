"""Shows checkpoints to witnesses (C2SP tlog-witness) and keeps what they say, outside the heartbeat's path.

1. A witness is known by its address and its key; a cosignature by another key is none.
2. What a witness says about sizes is believed only against us: a claim that it has seen more stops a start, and never
   makes anything true.
3. A witness that does not answer is late, and its lag is told; one that contradicts is an alarm until it agrees again.
4. A witness that has forgotten what it cosigned is an alarm for good: it protects nobody against what it forgot.
"""

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import httpx
import structlog
from prometheus_client import Counter, Gauge
from xorj_core.checkpoint import (
    Checkpoint,
    CheckpointRefused,
    KeyType,
    NoteKey,
    NoteSignature,
    SignedCheckpoint,
    cosigned_at_s,
    parse_key,
    parse_signatures,
)
from xorj_halt.keys import verifies

EVERY_S = 1.0
ANSWER_S_MAX = 5.0
LAG_S_MAX = 10.0
ANSWER_BYTES_MAX = 64 * 1024

_LAG_S = Gauge("xorj_audit_witness_lag_seconds", "Since when a signed entry waits for a cosignature", ["witness"])
_CONTRADICTED = Gauge("xorj_audit_witness_contradicts", "1 while a witness contradicts, or has forgotten", ["witness"])
_COSIGNED = Counter("xorj_audit_cosignatures", "Cosignatures received", ["witness"])
_log = structlog.get_logger()

Proof = Callable[[int, int], Awaitable[Sequence[bytes]]]
"""The consistency proof from one size to another."""


class WitnessesUnusable(Exception):
    """The file that names the witnesses is not as it must be."""


@dataclass(frozen=True, slots=True)
class Witness:
    """Where a witness is (its submission prefix) and what it signs with."""

    url: str
    key: NoteKey


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The witness has seen this checkpoint and nothing that contradicts it."""

    line: NoteSignature


@dataclass(frozen=True, slots=True)
class Behind:
    """The witness says that it has seen more entries than there are."""

    seen: int


@dataclass(frozen=True, slots=True)
class Beside:
    """What the witness has seen does not continue to this checkpoint: another history."""

    detail: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No answer, or one that says nothing."""

    detail: str


Answer: TypeAlias = Cosigned | Behind | Beside | Unreachable


def load_witnesses(path: Path | None) -> tuple[Witness, ...]:
    """The witnesses in a JSON file, `{"witnesses": [{"url", "key"}]}`; none without a file.

    Raises WitnessesUnusable.
    """
    if path is None:
        return ()
    try:
        entries = json.loads(path.read_bytes())["witnesses"]
        found = tuple(Witness(entry["url"].rstrip("/"), parse_key(entry["key"])) for entry in entries)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WitnessesUnusable(f"{path}: {type(error).__name__}: {error}") from error
    if any(witness.key.type is not KeyType.COSIGNATURE_V1 for witness in found):
        raise WitnessesUnusable(f"{path}: a witness's key is of type {int(KeyType.COSIGNATURE_V1)}")
    return found


async def show(
    client: httpx.AsyncClient, witness: Witness, signed: SignedCheckpoint, seen: int, proof: Proof
) -> tuple[Answer, int]:
    """Shows a checkpoint to a witness thought to have seen `seen` entries; its answer, and what it claims.

    When it has seen another size, the checkpoint is shown once more from there.
    """
    for _ in range(2):
        seen = min(seen, signed.checkpoint.size)
        try:
            body = add_checkpoint_body(seen, await proof(seen, signed.checkpoint.size), signed)
            response = await client.post(f"{witness.url}/add-checkpoint", content=body, timeout=ANSWER_S_MAX)
        except httpx.HTTPError as error:
            return Unreachable(f"{type(error).__name__}: {error}"), seen
        match response.status_code:
            case 200:
                return _cosignature(witness, signed.checkpoint, response.content), seen
            case 409:
                claimed = _size_in(response)
                if claimed is None:
                    return Unreachable("409 without a size"), seen
                if claimed > signed.checkpoint.size:
                    return Behind(claimed), seen
                if claimed == seen:
                    return Beside(f"another root of {claimed} entries"), seen
                seen = claimed
            case 422:
                return Beside(f"what it saw after {seen} entries does not lead here"), seen
            case status:
                return Unreachable(f"status {status}"), seen
    return Unreachable("it names another size each time"), seen


def add_checkpoint_body(old_size: int, proof: Sequence[bytes], signed: SignedCheckpoint) -> bytes:
    """The request of tlog-witness's add-checkpoint."""
    lines = [f"old {old_size}", *(base64.b64encode(one).decode() for one in proof), "", ""]
    return "\n".join(lines).encode() + signed.note()


class WitnessDesk:
    """Keeps one witness up to date."""

    def __init__(self, witness: Witness, client: httpx.AsyncClient, proof: Proof, seen: int = 0) -> None:
        """`seen`: the size of the largest checkpoint that it is known to have cosigned."""
        self.witness = witness
        self.contradiction: str | None = None
        self._forgot: str | None = None
        self._client = client
        self._proof = proof
        self._seen = seen
        self._waiting_since_s: float | None = None
        self._name = witness.key.name

    def problem(self) -> str | None:
        """What is wrong with it: it contradicts, or it lags."""
        lag_s = self.lag_s()
        late = f"has not cosigned for {lag_s:.0f} s" if lag_s > LAG_S_MAX else None
        found = self.contradiction or self._forgot or late
        return None if found is None else f"witness {self._name}: {found}"

    def lag_s(self) -> float:
        """For how long a signed checkpoint has been waiting for its cosignature."""
        return 0.0 if self._waiting_since_s is None else time.monotonic() - self._waiting_since_s

    async def show(self, signed: SignedCheckpoint) -> Answer:
        """Show a checkpoint and remember the answer."""
        if self._waiting_since_s is None and signed.checkpoint.size > self._seen:
            self._waiting_since_s = time.monotonic()
        answer, claimed = await show(self._client, self.witness, signed, self._seen, self._proof)
        if claimed < min(self._seen, signed.checkpoint.size):
            self._forgot = f"rolled back: it cosigned {self._seen} entries and has seen {claimed}"
            _log.error("auditor.witness_rolled_back", witness=self._name, cosigned=self._seen, seen=claimed)
        match answer:
            case Cosigned():
                self._seen = max(self._seen, signed.checkpoint.size)
                if self.contradiction is not None:
                    _log.info("auditor.witness_agrees", witness=self._name)
                self.contradiction, self._waiting_since_s = None, None
                _COSIGNED.labels(self._name).inc()
            case Behind(seen):
                self._contradicts(f"it has seen {seen} entries, there are {signed.checkpoint.size}")
            case Beside(detail):
                self._contradicts(f"it has seen another log: {detail}")
            case Unreachable(detail):
                _log.warning("auditor.witness_unreachable", witness=self._name, detail=detail, lag_s=self.lag_s())
        _LAG_S.labels(self._name).set(self.lag_s())
        _CONTRADICTED.labels(self._name).set(self.contradiction is not None or self._forgot is not None)
        return answer

    def _contradicts(self, what: str) -> None:
        if self.contradiction is None:
            _log.error("auditor.witness_contradicts", witness=self._name, what=what)
        self.contradiction = what


def _cosignature(witness: Witness, checkpoint: Checkpoint, body: bytes) -> Answer:
    try:
        lines = parse_signatures(body[:ANSWER_BYTES_MAX].decode())
        line = SignedCheckpoint(checkpoint, lines).signed_by(witness.key, verifies)
    except (CheckpointRefused, UnicodeDecodeError) as error:
        return Unreachable(f"it answered without its cosignature: {error}")
    if cosigned_at_s(line) > time.time() + 86_400:
        return Unreachable("its cosignature is of another day")
    return Cosigned(line)


def _size_in(response: httpx.Response) -> int | None:
    text = response.content[:32]
    return int(text) if text.endswith(b"\n") and text[:-1].isdigit() else None


async def keep_up(
    desk: WitnessDesk,
    latest: Callable[[], SignedCheckpoint],
    on_cosigned: Callable[[SignedCheckpoint, NoteSignature, int], Awaitable[None]],
    stopping: asyncio.Event,
) -> None:
    """Show the latest checkpoint whenever there is a new one, until `stopping`."""
    shown = -1
    while not stopping.is_set():
        signed = latest()
        if signed.checkpoint.size != shown or desk.contradiction is not None:
            answer = await desk.show(signed)
            if isinstance(answer, Cosigned):
                shown = signed.checkpoint.size
                await on_cosigned(signed, answer.line, cosigned_at_s(answer.line))
        try:
            async with asyncio.timeout(EVERY_S):
                await stopping.wait()
        except TimeoutError:
            continue
