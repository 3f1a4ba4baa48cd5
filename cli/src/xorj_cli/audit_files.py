"""`xorj audit export`, `backup`, `restore`, `tail`: the log as a file, back into an empty database, and its end.

1. A file is written beside its place and moved there when it is whole.
2. Nothing is restored that does not verify, or that a witness says is behind or beside what it has seen.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from xorj_auditor.checkpoints import stored_checkpoint
from xorj_auditor.export import (
    ExportRefused,
    Header,
    StoredNote,
    entry_line,
    header_line,
    note_line,
    open_export,
    read_export,
    verify_export,
)
from xorj_auditor.restoring import RestoreRefused, restore
from xorj_auditor.rows import SELECT, entry_of
from xorj_auditor.witnesses import Behind, Beside, Cosigned, Unreachable, show
from xorj_contracts.codec import fact_type
from xorj_core.audit_chain import AuditEntry, EntryKind
from xorj_core.checkpoint import SignedCheckpoint, parse_checkpoint, parse_signatures
from xorj_core.merkle import Frontier, consistency_spans, fold, nodes_of

from xorj_cli.audit_place import AuditPlace, PlaceOptions, audit_place, reading, unreachable
from xorj_cli.output import Exit, Failure, stdout

CHUNK = 5_000
HOW_TO_GO_ON = (
    "take a newer backup; if there is none, keep this one as evidence and begin a new log under a new origin "
    "(docs/runbooks/audit-restore.md)"
)


async def export_log(
    place: AuditPlace, target: Path, *, whole: bool, end: int | None = None
) -> tuple[dict[str, Any], Exit]:
    """Writes the entries under the latest checkpoint (of at most `end`) and it; `whole`: everything."""
    part = target.with_name(target.name + ".part")
    async with reading(place) as connection:
        size = await connection.fetchval("SELECT max(size) FROM audit_checkpoints WHERE size <= $1", end or 2**62)
        signed = None if size is None else await stored_checkpoint(connection, size_min=size, newest=False)
        if signed is None:
            raise Failure("no_checkpoint", "the log has no checkpoint yet", "wait a second and ask again")
        total = await connection.fetchval("SELECT coalesce(max(entry_index) + 1, 0) FROM audit_entries")
        entries = total if whole else signed.checkpoint.size
        try:
            with part.open("w", encoding="utf-8") as file:
                file.write(header_line(Header(place.origin, entries, place.registry)))
                for begin in range(0, entries, CHUNK):
                    query = f"{SELECT} WHERE entry_index >= $1 AND entry_index < $2 ORDER BY entry_index"
                    rows = await connection.fetch(query, begin, min(begin + CHUNK, entries))
                    file.writelines(entry_line(entry_of(row)) for row in rows)
                async for note in _notes(connection, None if whole else size):
                    file.write(note_line(note))
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except OSError as error:
            raise Failure("not_written", str(error), "choose another file", Exit.USAGE) from error
    return {
        "written": str(target),
        "entries": entries,
        "checkpoint": signed.note().decode(),
        "bytes": target.stat().st_size,  # noqa: ASYNC240 - nothing else runs here
    }, Exit.OK


async def restore_log(options: PlaceOptions, file: Path, owner_dsn_file: Path) -> tuple[dict[str, Any], Exit]:
    """Restores a backup into an empty database, unless it does not verify or a witness has seen more or another."""
    place = audit_place(options)
    latest = _verified(place, file)
    for witness in place.witnesses:
        answer = await _asked(place, file, witness, latest)
        if isinstance(answer, Behind | Beside):
            what = f"it has seen {answer.seen} entries" if isinstance(answer, Behind) else answer.detail
            body = {"restored": False, "reason": f"witness {witness.key.name}: {what}", "hint": HOW_TO_GO_ON}
            return {**body, "entries": latest.checkpoint.size}, Exit.CHECK_FAILED
        if isinstance(answer, Unreachable):
            hint = "a log is continued only if the witness has seen no other: bring it back first"
            raise Failure("witness_unreachable", f"witness {witness.key.name}: {answer.detail}", hint)
    try:
        dsn = owner_dsn_file.read_text().strip()  # noqa: ASYNC240 - nothing else runs here
        with open_export(file) as opened:
            entries = await restore(dsn, read_export(opened)[1])
    except RestoreRefused as refused:
        raise Failure("not_empty", str(refused), "make a new database and migrate it first", Exit.USAGE) from refused
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise unreachable(error) from error
    return {"restored": True, "entries": entries, "reason": None, "hint": "start the auditor"}, Exit.OK


async def tail(place: AuditPlace, count: int) -> tuple[dict[str, Any], Exit]:
    """The last entries."""
    async with reading(place) as connection:
        rows = await connection.fetch(f"{SELECT} ORDER BY entry_index DESC LIMIT $1", count)
    return {"entries": [_shown(entry_of(row)) for row in reversed(rows)]}, Exit.OK


def show_export(body: dict[str, Any]) -> None:
    """Where the file is."""
    stdout.print(f"{body['entries']} entries, {body['bytes']} bytes in {body['written']}")


def show_restore(body: dict[str, Any]) -> None:
    """The result for a person."""
    if body["restored"]:
        stdout.print(f"[green]restored[/]: {body['entries']} entries; {body['hint']}")
    else:
        stdout.print(f"[red]refused[/]: {body['reason']}; {body['hint']}")


def show_tail(body: dict[str, Any]) -> None:
    """One line an entry."""
    for entry in body["entries"]:
        stdout.print(f"{entry['entry']:>10} {entry['at']:<32} {entry['kind']:<7} {entry['what']}", markup=False)


def _verified(place: AuditPlace, file: Path) -> SignedCheckpoint:
    """The latest checkpoint of a backup that verifies; raises `Failure`."""
    notes: list[StoredNote] = []
    try:
        with open_export(file) as opened:
            _, items = read_export(opened)

            def kept() -> Any:
                for item in items:
                    if isinstance(item, StoredNote):
                        notes.append(item)
                    yield item

            verdict = verify_export(kept(), place.log_keys)
    except (OSError, EOFError, ExportRefused, UnicodeDecodeError) as error:
        raise Failure("bad_backup", f"{file}: {error}", "write one with `xorj audit backup`") from error
    if verdict.fault is not None or not notes:
        reason = verdict.fault.reason if verdict.fault else "it holds no signed checkpoint"
        raise Failure("bad_backup", f"{file}: {reason}", "nothing was restored", Exit.CHECK_FAILED)
    return parse_checkpoint(max(notes, key=lambda note: note.size).note.encode())


async def _asked(
    place: AuditPlace, file: Path, witness: Any, latest: SignedCheckpoint
) -> Cosigned | Behind | Beside | Unreachable:
    """What the witness says of the backup's latest checkpoint; proofs are made from the file's leaves."""

    with open_export(file) as opened:
        leaves = [item.leaf for item in read_export(opened)[1] if isinstance(item, AuditEntry)]

    async def proof(old: int, new: int) -> list[bytes]:
        return [
            fold([_root(leaves[node.span.start : node.span.end]) for node in nodes_of(span)])
            for span in consistency_spans(old, new)
        ]

    async with httpx.AsyncClient() as client:
        answer, _ = await show(client, witness, latest, latest.checkpoint.size, proof)
    return answer


def _root(leaves: list[bytes]) -> bytes:
    tree = Frontier()
    tree.extend(leaves)
    return tree.root()


async def _notes(connection: Any, only: int | None) -> AsyncIterator[StoredNote]:
    query = "SELECT size, note, signed_at_us FROM audit_checkpoints WHERE $1::bigint IS NULL OR size = $1 ORDER BY size"
    for row in await connection.fetch(query, only):
        lines = await connection.fetch("SELECT line FROM audit_cosignatures WHERE size = $1 ORDER BY witness", row[0])
        signed = parse_checkpoint(row[1].encode())
        more = [one for line in lines for one in parse_signatures(line[0] + "\n")]
        yield StoredNote(row[0], signed.with_signatures(more).note().decode(), row[2])


def _shown(entry: AuditEntry) -> dict[str, Any]:
    record = entry.kind is EntryKind.RECORD
    what = fact_type(entry.value) if record else (entry.value or b"").decode("ascii", "replace")
    if entry.kind is EntryKind.DIGEST:
        what = f"{entry.next_offset - entry.offset} heartbeats"
    return {
        "entry": entry.index,
        "kind": entry.kind.name.lower(),
        "at": f"{entry.topic}/{entry.partition}@{entry.offset}",
        "what": what,
        "timestamp_ms": entry.timestamp_ms,
        "appended_at_us": entry.appended_at_us,
        "leaf": entry.leaf.hex(),
    }
