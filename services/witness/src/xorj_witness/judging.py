"""What a witness answers to a checkpoint: pure, from the request and from what it has seen before.

The rules are those of C2SP tlog-witness's add-checkpoint, in its order.

1. Only a checkpoint that a known log has signed is looked at.
2. It is cosigned only when a proof leads to it from exactly what was seen last, or when it is that.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from xorj_core.checkpoint import CheckpointRefused, NoteKey, SignedCheckpoint, Verify, parse_checkpoint
from xorj_core.merkle import EMPTY_ROOT, ProofRefused, check_consistency

REQUEST_BYTES_MAX = 72 * 1024
PROOF_LINES_MAX = 63

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


class Status(IntEnum):
    """The HTTP statuses of the protocol."""

    OK = 200
    MALFORMED = 400
    NOT_SIGNED = 403
    UNKNOWN_LOG = 404
    CONFLICT = 409
    NOT_CONSISTENT = 422


@dataclass(frozen=True, slots=True)
class Request:
    """A submitted checkpoint, with the proof that it continues the one of `old_size`."""

    old_size: int
    proof: tuple[bytes, ...]
    signed: SignedCheckpoint


@dataclass(frozen=True, slots=True)
class Seen:
    """The latest checkpoint of a log that was cosigned."""

    size: int = 0
    root: bytes = EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is cosigned."""

    status: Status
    detail: str


def parse_request(body: bytes) -> Request:
    """The request in a body. Raises CheckpointRefused."""
    head, separator, note = body.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise CheckpointRefused("the proof is not ASCII") from None
    old = _OLD.fullmatch(lines[0])
    if old is None or not separator:
        raise CheckpointRefused("a request begins with its old size and goes on with the proof and an empty line")
    if len(lines) - 1 > PROOF_LINES_MAX:
        raise CheckpointRefused(f"{len(lines) - 1} hashes in the proof")
    return Request(int(old[1]), tuple(_hash(line) for line in lines[1:]), parse_checkpoint(note))


def refuse_unsigned(request: Request, logs: Mapping[str, Sequence[NoteKey]], verify: Verify) -> Refusal | None:
    """Why the checkpoint is of no known log, or not signed by it; None when it is. Needs nothing that was seen."""
    keys = logs.get(request.signed.checkpoint.origin)
    if keys is None:
        return Refusal(Status.UNKNOWN_LOG, "unknown log")
    if not any(_is_signed(request.signed, key, verify) for key in keys):
        return Refusal(Status.NOT_SIGNED, "no signature of the log")
    if request.old_size > request.signed.checkpoint.size:
        return Refusal(Status.MALFORMED, "the old size is larger than the checkpoint's")
    return None


def refuse_inconsistent(request: Request, seen: Seen) -> Refusal | None:
    """Why the checkpoint does not continue what was seen; None when it does."""
    checkpoint = request.signed.checkpoint
    if request.old_size != seen.size:
        return Refusal(Status.CONFLICT, f"{seen.size} entries were seen, not {request.old_size}")
    if seen.size == checkpoint.size and seen.root != checkpoint.root:
        return Refusal(Status.CONFLICT, f"another root of {seen.size} entries was seen")
    try:
        check_consistency(seen.size, checkpoint.size, seen.root, checkpoint.root, request.proof)
    except ProofRefused as refused:
        return Refusal(Status.NOT_CONSISTENT, str(refused))
    return None


def _is_signed(signed: SignedCheckpoint, key: NoteKey, verify: Verify) -> bool:
    try:
        signed.signed_by(key, verify)
    except CheckpointRefused:
        return False
    return True


def _hash(line: str) -> bytes:
    try:
        found = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise CheckpointRefused("a hash of the proof is not base64") from None
    if len(found) != 32 or base64.b64encode(found).decode() != line:
        raise CheckpointRefused("a line of the proof is not a hash")
    return found
