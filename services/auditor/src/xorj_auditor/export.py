"""An audit log as a file of JSON Lines: a header, then every entry in order, then every signed checkpoint.

1. Reading what was written gives the same entries; bytes are base64.
2. A file is verified from itself and the log's key: chain and tree of every entry, every checkpoint in it.
3. A line that is no line of the format is refused with its number.
"""

import base64
import binascii
import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from xorj_core.audit_chain import AuditEntry, EntryKind
from xorj_core.checkpoint import CheckpointRefused, NoteKey, parse_checkpoint
from xorj_core.keys import KeyRegistry, RegistryRefused, parse_registry
from xorj_core.merkle import Frontier

from xorj_auditor.checking import BadEntry, Checker
from xorj_auditor.verify_range import Fault, What, signed_root

FORMAT = "xorj-audit-export-v1"
LINE_BYTES_MAX = 4 * 1024 * 1024


class ExportRefused(ValueError):
    """Not an export; the message says in which line."""


@dataclass(frozen=True, slots=True)
class StoredNote:
    """A checkpoint as the log stored it: its note with the witnesses' lines."""

    size: int
    note: str
    signed_at_us: int


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """What a file's verification found."""

    entries: int
    head: bytes
    covered: int
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Header:
    """What the file says of itself; its keys are those it was written with, to be compared, not trusted."""

    origin: str
    entries: int
    registry: KeyRegistry


def header_line(header: Header) -> str:
    """The first line."""
    keys = [
        {
            "key_id": key.key_id.hex(),
            "public_key": base64.b64encode(key.public_key).decode(),
            "principal": key.principal,
            "roles": sorted(key.roles),
        }
        for key in header.registry
    ]
    body = {"format": FORMAT, "origin": header.origin, "entries": header.entries, "keys": keys}
    return json.dumps(body) + "\n"


def entry_line(entry: AuditEntry) -> str:
    """The line of an entry, its fields in the order of `AuditEntry`."""
    fields = [_plain(field) for field in entry]
    return json.dumps({"entry": fields}, separators=(",", ":")) + "\n"


def note_line(note: StoredNote) -> str:
    """The line of a checkpoint."""
    body = {"checkpoint": {"size": note.size, "note": note.note, "signed_at_us": note.signed_at_us}}
    return json.dumps(body, ensure_ascii=False) + "\n"


def open_export(path: Path) -> IO[str]:
    """An export to read, compressed if its name ends in `.gz`. Raises OSError."""
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


def read_export(file: IO[str]) -> tuple[Header, Iterator[AuditEntry | StoredNote]]:
    """The header, and what follows line by line. Raises ExportRefused, also while it is read."""
    body = _parsed(file.readline(LINE_BYTES_MAX), 1)
    origin, entries = body.get("origin"), body.get("entries")
    if body.get("format") != FORMAT or not isinstance(origin, str) or not isinstance(entries, int):
        raise ExportRefused(f"line 1: no header of {FORMAT}")
    try:
        registry = parse_registry(json.dumps({"keys": body["keys"]}))
    except (KeyError, RegistryRefused) as error:
        raise ExportRefused(f"line 1: {type(error).__name__}: {error}") from error
    return Header(origin, entries, registry), _items(file)


def verify_export(items: Iterable[AuditEntry | StoredNote], log_keys: Sequence[NoteKey]) -> FileVerdict:
    """Verifies what `read_export` yields. Checkpoints stand after the entries, so roots are kept at their sizes."""
    checker = Checker(tree=Frontier())
    notes: list[StoredNote] = []
    leaves: list[bytes] = []
    try:
        for item in items:
            if isinstance(item, StoredNote):
                notes.append(item)
                continue
            checker.check((item,))
            leaves.append(item.leaf)
    except BadEntry as bad:
        return FileVerdict(checker.head.entries, checker.head.chain, 0, Fault(What.ENTRY, bad.index, bad.reason))
    tree, covered, fault = Frontier(), 0, None
    for note in sorted(notes, key=lambda one: one.size):
        if note.size > len(leaves):
            fault = Fault(What.ENTRY, len(leaves), f"cut: a signed checkpoint has {note.size} entries")
            break
        tree.extend(leaves[tree.size : note.size])
        try:
            if signed_root(note.size, note.note, log_keys) != tree.root():
                reason = f"rewritten: entries {covered} to {note.size - 1} are not those that were signed"
                fault = Fault(What.ENTRY, covered, reason)
                break
        except CheckpointRefused as refused:
            fault = Fault(What.CHECKPOINT, note.size, str(refused))
            break
        covered = note.size
    return FileVerdict(checker.head.entries, checker.head.chain, covered, fault)


def _items(file: IO[str]) -> Iterator[AuditEntry | StoredNote]:
    number = 1
    while line := file.readline(LINE_BYTES_MAX):
        number += 1
        body = _parsed(line, number)
        try:
            if "entry" in body:
                yield _entry(body["entry"])
            else:
                found = body["checkpoint"]
                parse_checkpoint(found["note"].encode())
                yield StoredNote(int(found["size"]), found["note"], int(found["signed_at_us"]))
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
            raise ExportRefused(f"line {number}: {type(error).__name__}: {error}") from error


def _parsed(line: str, number: int) -> dict[str, Any]:
    try:
        body = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ExportRefused(f"line {number}: not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ExportRefused(f"line {number}: no object")
    return body


def _entry(fields: list[Any]) -> AuditEntry:
    index, kind, cluster, topic, partition, first, following, time_ms, key, headers, value, at_us, leaf, chain = fields
    numbers = (index, kind, partition, first, following, time_ms, at_us)
    if not all(type(number) is int and -1 <= number < 2**63 for number in numbers):
        raise ValueError("a number that is none")
    if not isinstance(cluster, str) or not isinstance(topic, str):
        raise TypeError("a text that is none")
    return AuditEntry(
        index,
        EntryKind(kind),
        cluster,
        topic,
        partition,
        first,
        following,
        time_ms,
        None if key is None else _raw(key),
        _raw(headers),
        None if value is None else _raw(value),
        at_us,
        _raw(leaf),
        _raw(chain),
    )


def _plain(value: object) -> object:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
