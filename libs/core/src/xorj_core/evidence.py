"""The evidence file of one trade: records of the audit log with their places in its tree, and a signed checkpoint.

A file is JSON; bytes are base64 in its usual alphabet. What it proves is judged by `xorj_core.evidence_check`.

1. Every record stands whole in the file, so that its leaf is recomputed and never believed.
2. A file with anything missing, of another type, unknown or larger than it may be is refused whole.
3. Reading what was written gives the same evidence.
"""

import base64
import binascii
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

FORMAT: Final = "xorj-evidence-v1"
FILE_BYTES_MAX: Final = 64 * 1024 * 1024
RECORDS_MAX: Final = 10_000
_INT_MAX: Final = 2**63 - 1


class EvidenceRefused(ValueError):
    """Not an evidence file; the message says where."""


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """One record as the broker returned it, its place in the log's tree, and the proof of that."""

    index: int
    cluster_id: str
    topic: str
    partition: int
    offset: int
    timestamp_ms: int  # the broker's append time
    appended_at_us: int  # the audit log's
    key: bytes | None
    headers: bytes  # as the audit log frames them
    value: bytes | None
    proof: tuple[bytes, ...]  # from the leaf upwards


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a stranger needs for one trade, but for his own trust in the keys."""

    trade_id: bytes
    checkpoint: str  # signed note
    log_key: str  # name+id+base64, as the log states it
    witness_keys: tuple[str, ...]
    records: tuple[EvidenceRecord, ...]  # ordered by index


def write_evidence(evidence: Evidence) -> str:
    """The file's text."""
    body = {
        "format": FORMAT,
        "trade_id": evidence.trade_id.hex(),
        "checkpoint": evidence.checkpoint,
        "log_key": evidence.log_key,
        "witness_keys": list(evidence.witness_keys),
        "records": [_record_body(record) for record in evidence.records],
    }
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def read_evidence(text: str | bytes) -> Evidence:
    """The evidence in a file's text; raises EvidenceRefused."""
    if len(text) > FILE_BYTES_MAX:
        raise EvidenceRefused(f"{len(text)} bytes, at most {FILE_BYTES_MAX}")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EvidenceRefused(f"not JSON: {error}") from error
    fields = _Fields(body, "the file")
    if fields.text("format") != FORMAT:
        raise EvidenceRefused(f"another format than {FORMAT}")
    evidence = Evidence(
        trade_id=fields.hex32("trade_id"),
        checkpoint=fields.text("checkpoint"),
        log_key=fields.text("log_key"),
        witness_keys=tuple(_text(key, "witness_keys") for key in fields.items("witness_keys")),
        records=tuple(_record(item, f"records[{n}]") for n, item in enumerate(fields.items("records"))),
    )
    fields.finish()
    indexes = [record.index for record in evidence.records]
    if any(later <= earlier for earlier, later in itertools.pairwise(indexes)):
        raise EvidenceRefused("records that are not in the order of the log, each once")
    return evidence


def _record_body(record: EvidenceRecord) -> dict[str, Any]:
    return {
        "index": record.index,
        "cluster_id": record.cluster_id,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "appended_at_us": record.appended_at_us,
        "key": _encoded(record.key),
        "headers": _encoded(record.headers),
        "value": _encoded(record.value),
        "proof": [_encoded(part) for part in record.proof],
    }


def _record(body: object, path: str) -> EvidenceRecord:
    fields = _Fields(body, path)
    record = EvidenceRecord(
        index=fields.number("index"),
        cluster_id=fields.text("cluster_id"),
        topic=fields.text("topic"),
        partition=fields.number("partition", 2**31 - 1),
        offset=fields.number("offset"),
        timestamp_ms=fields.number("timestamp_ms", least=-1),
        appended_at_us=fields.number("appended_at_us"),
        key=fields.data("key"),
        headers=fields.data("headers") or b"",
        value=fields.data("value"),
        proof=tuple(_decoded(part, f"{path}.proof") for part in fields.items("proof", 64)),
    )
    fields.finish()
    return record


class _Fields:
    """The fields of one JSON object; each is asked for once, and none may be left over."""

    def __init__(self, body: object, path: str) -> None:
        if not isinstance(body, dict):
            raise EvidenceRefused(f"{path} is no object")
        self._body: Mapping[str, object] = body
        self._path = path
        self._asked: set[str] = set()

    def text(self, name: str) -> str:
        return _text(self._of(name), f"{self._path}.{name}")

    def number(self, name: str, most: int = _INT_MAX, least: int = 0) -> int:
        value = self._of(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise EvidenceRefused(f"{self._path}.{name} is no number from {least} to {most}")
        return value

    def hex32(self, name: str) -> bytes:
        text = self.text(name)
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            raw = b""
        if len(raw) != 32 or raw.hex() != text:
            raise EvidenceRefused(f"{self._path}.{name} is not 32 bytes in hexadecimal")
        return raw

    def data(self, name: str) -> bytes | None:
        value = self._of(name)
        return None if value is None else _decoded(value, f"{self._path}.{name}")

    def items(self, name: str, most: int = RECORDS_MAX) -> list[object]:
        value = self._of(name)
        if not isinstance(value, list) or len(value) > most:
            raise EvidenceRefused(f"{self._path}.{name} is no list of at most {most}")
        return value

    def finish(self) -> None:
        """Raises EvidenceRefused for a field that nobody asked for."""
        unknown = sorted(set(self._body) - self._asked)
        if unknown:
            raise EvidenceRefused(f"{self._path} has fields that are not known: {', '.join(map(repr, unknown))[:200]}")

    def _of(self, name: str) -> object:
        self._asked.add(name)
        if name not in self._body:
            raise EvidenceRefused(f"{self._path}.{name} is missing")
        return self._body[name]


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise EvidenceRefused(f"{path} is no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise EvidenceRefused(f"{path} is not Unicode text") from None
    return value


def _encoded(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def _decoded(value: object, path: str) -> bytes:
    text = _text(value, path)
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise EvidenceRefused(f"{path} is not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise EvidenceRefused(f"{path} is not canonical base64")
    return raw
