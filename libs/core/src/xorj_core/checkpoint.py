"""Signed statements about the log's tree: C2SP tlog-checkpoint in a signed note, with a witness's cosignatures.

Pure: signing and verifying with a key is the shell's work; this module says which bytes are signed.

1. A checkpoint is origin, size and root, and no extension lines: two checkpoints of one content have the same bytes.
2. A note is refused whole if any line of it is not as the format says; nothing is normalised.
3. A key is found by its name together with its key id, and an unknown key's signature means nothing.
4. A signature by a known key that does not verify refuses the whole note.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

KEY_ID_BYTES = 4
PUBLIC_KEY_BYTES = 32
ED25519_BYTES = 64
TIME_BYTES = 8
NOTE_BYTES_MAX = 64 * 1024
SIGNATURES_MAX = 64
SIZE_MAX = 2**63 - 1

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_SIGNATURE_LINE = re.compile(r"— ([^ ]+) ([A-Za-z0-9+/=]+)")

Verify = Callable[[bytes, bytes, bytes], bool]
"""`verify(public_key, message, signature)`: whether it is the Ed25519 signature of the message by that key."""


class CheckpointRefused(ValueError):
    """Not a checkpoint, or not one that the key asked for has signed; the message says why."""


class KeyType(IntEnum):
    """What a key's signature means, by the format's type byte."""

    ED25519 = 0x01  # over the note's text
    COSIGNATURE_V1 = 0x04  # over a time and the checkpoint, by a witness


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key under the name in its signature lines."""

    name: str
    type: KeyType
    public_key: bytes

    def __post_init__(self) -> None:
        _require_name(self.name)
        if len(self.public_key) != PUBLIC_KEY_BYTES:
            raise CheckpointRefused(f"the public key of {self.name} has {len(self.public_key)} bytes")

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name, newline, type, public key)."""
        return hashlib.sha256(b"%s\n%c%s" % (self.name.encode(), self.type, self.public_key)).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        """The key as text, `name+id+base64(type || key)`, as other tools for such notes print it."""
        return f"{self.name}+{self.key_id.hex()}+{_encode(bytes([self.type]) + self.public_key)}"


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line; `signature` is what follows the key id."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """The line without its newline."""
        return f"— {self.name} {_encode(self.key_id + self.signature)}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log's tree: how many leaves, and the root."""

    origin: str
    size: int
    root: bytes

    def body(self) -> bytes:
        """The text that is signed. Raises CheckpointRefused for what no checkpoint can hold."""
        _require_line(self.origin)
        if not 0 <= self.size <= SIZE_MAX or len(self.root) != 32:
            raise CheckpointRefused(f"no checkpoint has size {self.size} and a root of {len(self.root)} bytes")
        return f"{self.origin}\n{self.size}\n{_encode(self.root)}\n".encode()


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint with the signatures under it, known or not."""

    checkpoint: Checkpoint
    signatures: tuple[NoteSignature, ...]

    def note(self) -> bytes:
        """The signed note."""
        lines = "".join(f"{signature.line()}\n" for signature in self.signatures)
        return self.checkpoint.body() + b"\n" + lines.encode()

    def signed_by(self, key: NoteKey, verify: Verify) -> "NoteSignature":
        """The signature of `key`. Raises CheckpointRefused when there is none, or one that does not verify."""
        own = [one for one in self.signatures if (one.name, one.key_id) == (key.name, key.key_id)]
        for one in own:
            if not _verifies(self.checkpoint, key, one, verify):
                raise CheckpointRefused(f"the signature of {key.name} is not its own")
        if not own:
            raise CheckpointRefused(f"not signed by {key.name} ({key.key_id.hex()})")
        return own[0]

    def with_signatures(self, signatures: Sequence[NoteSignature]) -> "SignedCheckpoint":
        """The same checkpoint with further signatures; those it has already are not repeated."""
        new = (one for one in dict.fromkeys(signatures) if one not in self.signatures)
        return replace(self, signatures=(*self.signatures, *new))


def parse_checkpoint(note: bytes) -> SignedCheckpoint:
    """A signed note that holds a checkpoint; its signatures are not verified. Raises CheckpointRefused."""
    if len(note) > NOTE_BYTES_MAX:
        raise CheckpointRefused(f"{len(note)} bytes are no checkpoint")
    try:
        text = note.decode()
    except UnicodeDecodeError:
        raise CheckpointRefused("not UTF-8") from None
    body, separator, signed = text.rpartition("\n\n")
    if not separator:
        raise CheckpointRefused("no empty line before the signatures")
    return SignedCheckpoint(_parse_body(body + "\n"), parse_signatures(signed))


def parse_signatures(text: str) -> tuple[NoteSignature, ...]:
    """Signature lines, each with its newline: at least one. Raises CheckpointRefused."""
    if not text.endswith("\n"):
        raise CheckpointRefused("the last signature line does not end")
    lines = text[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise CheckpointRefused(f"{len(lines)} signatures")
    return tuple(_parse_signature(line) for line in lines)


def parse_key(text: str) -> NoteKey:
    """The key in `name+id+base64(type || key)`. Raises CheckpointRefused."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = _decode(encoded)
    if len(raw) != 1 + PUBLIC_KEY_BYTES or raw[0] not in list(KeyType):
        raise CheckpointRefused(f"not a key of a kind that is known: {text[:100]!r}")
    key = NoteKey(name, KeyType(raw[0]), raw[1:])
    if key.key_id.hex() != key_id:
        raise CheckpointRefused(f"{key_id[:20]!r} is not the id of this key of {name}")
    return key


def message_of(checkpoint: Checkpoint, type_: KeyType, time_s: int = 0) -> bytes:
    """What a key of this kind signs; `time_s` is Unix time, for cosignatures."""
    body = checkpoint.body()
    return body if type_ is KeyType.ED25519 else b"cosignature/v1\ntime %d\n" % time_s + body


def signature_of(key: NoteKey, signature: bytes, time_s: int = 0) -> NoteSignature:
    """The line for a 64-byte Ed25519 signature over `message_of`."""
    stamp = time_s.to_bytes(TIME_BYTES, "big") if key.type is KeyType.COSIGNATURE_V1 else b""
    return NoteSignature(key.name, key.key_id, stamp + signature)


def cosigned_at_s(signature: NoteSignature) -> int:
    """When a witness cosigned, in Unix seconds, from a signature that `signed_by` returned."""
    return int.from_bytes(signature.signature[:TIME_BYTES], "big")


def _verifies(checkpoint: Checkpoint, key: NoteKey, line: NoteSignature, verify: Verify) -> bool:
    stamp_bytes = TIME_BYTES if key.type is KeyType.COSIGNATURE_V1 else 0
    stamp, signature = line.signature[:stamp_bytes], line.signature[stamp_bytes:]
    if len(signature) != ED25519_BYTES:
        return False
    return verify(key.public_key, message_of(checkpoint, key.type, int.from_bytes(stamp, "big")), signature)


def _parse_body(text: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise CheckpointRefused("a checkpoint is three lines: origin, size, root")
    origin, size, root = lines[:3]
    _require_line(origin)
    if not _DECIMAL.fullmatch(size) or int(size) > SIZE_MAX:
        raise CheckpointRefused(f"{size[:30]!r} is no size")
    decoded = _decode(root)
    if len(decoded) != 32:
        raise CheckpointRefused(f"a root of {len(decoded)} bytes")
    return Checkpoint(origin, int(size), decoded)


def _parse_signature(line: str) -> NoteSignature:
    found = _SIGNATURE_LINE.fullmatch(line)
    if found is None:
        raise CheckpointRefused(f"not a signature line: {line[:60]!r}")
    _require_name(found[1])
    raw = _decode(found[2])
    if len(raw) <= KEY_ID_BYTES:
        raise CheckpointRefused("a signature line without a signature")
    return NoteSignature(found[1], raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:])


def _require_line(text: str) -> None:
    if not text or any(ord(character) < 0x20 for character in text):
        raise CheckpointRefused(f"not an origin: {text[:60]!r}")


def _require_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() or ord(character) < 0x20 for character in name):
        raise CheckpointRefused(f"not a key's name: {name[:60]!r}")


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decode(text: str) -> bytes:
    """Canonical base64 only. Raises CheckpointRefused."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CheckpointRefused(f"not base64: {text[:60]!r}") from None
    if _encode(raw) != text:
        raise CheckpointRefused(f"not canonical base64: {text[:60]!r}")
    return raw
