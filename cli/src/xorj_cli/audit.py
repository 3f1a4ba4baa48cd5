"""`xorj audit verify`: recompute the whole log and compare it with everything that was ever signed about it.

1. What it is held against: the signed checkpoints in the database, the last heartbeat on the log, what the witness has
   seen, and a checkpoint that is handed in.
2. A log of which nothing signed speaks is neither intact nor tampered with: it cannot tell.
"""

from pathlib import Path
from typing import Any

import asyncpg
import httpx
from aiokafka.errors import KafkaError
from rich.progress import Progress
from xorj_auditor.checkpoints import log_keys, stored_checkpoint
from xorj_auditor.export import ExportRefused, open_export, read_export, verify_export
from xorj_auditor.tree import TreeDamaged, TreeReader
from xorj_auditor.verify import LogUnreadable, VerifyResult, verify
from xorj_auditor.verify_range import Statement, signed_by_log
from xorj_auditor.witnesses import Behind, Beside, Cosigned, Unreachable, show
from xorj_core.checkpoint import CheckpointRefused, SignedCheckpoint, parse_checkpoint
from xorj_core.merkle import ProofRefused
from xorj_log.reader import ReadRefused

from xorj_cli.audit_place import AuditPlace, PlaceOptions, reading, registry_of, unreachable
from xorj_cli.heartbeats import read_pulse
from xorj_cli.output import Exit, Failure, stderr, stdout
from xorj_cli.running import RunningWorld


async def verify_audit(
    place: AuditPlace,
    *,
    show_progress: bool,
    start: int = 0,
    end: int | None = None,
    against: Path | None = None,
    jobs: int = 1,
) -> tuple[dict[str, Any], Exit]:
    """The result as JSON, and how the command should end. Raises `Failure` when it cannot tell."""
    statements = [*await _heartbeat(place), *_handed_in(place, against)]
    with Progress(console=stderr, disable=not show_progress, transient=True) as bar:
        task = bar.add_task("verifying")

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        try:
            keys = place.log_keys
            result = await verify(
                place.dsn, tell, log_keys=keys, statements=statements, start=start, end=end, jobs=jobs
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, LogUnreadable) as error:
            raise unreachable(error) from error
    seen = await witnessed(place) if result.verified else []
    contradiction = next((one["says"] for one in seen if one["agrees"] is False), None)
    if result.verified and result.entries > 0 and not result.statements:
        hint = "hold it against a checkpoint that somebody kept: --against FILE"
        raise Failure("nothing_signed", "nothing that was signed speaks of these entries", hint)
    body = _body(result, statements, seen, contradiction)
    return body, Exit.OK if body["verified"] else Exit.CHECK_FAILED


async def verify_file(options: PlaceOptions, file: Path) -> tuple[dict[str, Any], Exit]:
    """The same for an exported log, from the file and the log's key alone."""
    try:
        with open_export(file) as opened:
            header, items = read_export(opened)
            registry = registry_of(options, header.registry)
            verdict = verify_export(items, log_keys(header.origin, registry))
    except (OSError, EOFError, ExportRefused, UnicodeDecodeError) as error:
        raise Failure("bad_export", f"{file}: {error}", "write one with `xorj audit export`") from error
    body = {
        "entries": verdict.entries,
        "head": verdict.head.hex(),
        "verified": verdict.fault is None,
        "covered": verdict.covered,
        "keys_from_the_file": options.keys_file is None,
        "fault": _fault(verdict.fault),
        "first_bad_entry": _bad_entry(verdict.fault),
        "reason": verdict.fault.reason if verdict.fault else None,
    }
    return body, Exit.OK if verdict.fault is None else Exit.CHECK_FAILED


def show_verify(body: dict[str, Any]) -> None:
    """The result for a person."""
    if body["verified"]:
        stdout.print(f"[green]intact[/]: {body['entries']} entries, {body['covered']} signed, head {body['head']}")
    else:
        fault = body["fault"]
        where = f"at {fault['what']} {fault['where']}" if fault else "against the witness"
        stdout.print(f"[red]tampered[/] {where}: {body['reason']}")
    if body.get("keys_from_the_file"):
        stdout.print("by the keys that the file names: compare them, or give --keys-file")
    for witness in body.get("witnesses", []):
        stdout.print(f"witness {witness['name']}: {witness['says']}")


async def witnessed(place: AuditPlace) -> list[dict[str, Any]]:
    """What each witness says of the latest checkpoint; agreement None where it does not answer."""
    found = []
    async with reading(place) as connection, httpx.AsyncClient() as client:
        signed = await stored_checkpoint(connection)
        if signed is None:
            return []
        tree = TreeReader(connection)
        for witness in place.witnesses:
            try:
                answer, _ = await show(client, witness, signed, signed.checkpoint.size, tree.consistency)
            except (TreeDamaged, ProofRefused) as error:
                answer = Beside(str(error))
            found.append({"name": witness.key.name, **_said(answer, signed)})
    return found


def _said(answer: Cosigned | Behind | Beside | Unreachable, signed: SignedCheckpoint) -> dict[str, Any]:
    match answer:
        case Cosigned():
            return {"agrees": True, "says": f"has seen these {signed.checkpoint.size} entries"}
        case Behind(seen):
            return {"agrees": False, "says": f"cut: it has seen {seen} entries, here are {signed.checkpoint.size}"}
        case Beside(detail):
            return {"agrees": False, "says": f"another history: {detail}"}
        case Unreachable(detail):
            return {"agrees": None, "says": f"does not answer: {detail}"}


def _body(
    result: VerifyResult, statements: list[Statement], seen: list[dict[str, Any]], contradiction: str | None
) -> dict[str, Any]:
    heartbeat = next((s for s in statements if s.chain is not None), None)
    return {
        "entries": result.entries,
        "head": result.head.hex(),
        "verified": result.verified and contradiction is None,
        "covered": result.covered,
        "statements": result.statements,
        "fault": _fault(result.fault),
        "first_bad_entry": _bad_entry(result.fault),
        "reason": result.fault.reason if result.fault else contradiction,
        "against": {"entries": heartbeat.size, "head": (heartbeat.chain or b"").hex()} if heartbeat else None,
        "witnesses": seen,
    }


def _fault(fault: Any) -> dict[str, Any] | None:
    return None if fault is None else {"what": fault.what.value, "where": fault.where, "reason": fault.reason}


def _bad_entry(fault: Any) -> int | None:
    return fault.where if fault is not None and fault.what.value == "entry" else None


def _handed_in(place: AuditPlace, file: Path | None) -> list[Statement]:
    """The checkpoint in a file; raises `Failure` unless the log signed it."""
    if file is None:
        return []
    try:
        signed = parse_checkpoint(file.read_bytes())
        signed_by_log(signed, place.log_keys)
    except (OSError, CheckpointRefused) as error:
        raise Failure(
            "bad_checkpoint", f"{file}: {error}", "a signed note of this log is wanted", Exit.USAGE
        ) from error
    return [Statement(signed.checkpoint.size, signed.checkpoint.root, None, f"the checkpoint in {file.name}")]


async def _heartbeat(place: AuditPlace) -> list[Statement]:
    """The last audit heartbeat, which only the local world's broker can be asked for."""
    return [] if place.world is None else [await _signed_head(place.world)]


async def _signed_head(world: RunningWorld) -> Statement:
    try:
        async with read_pulse(world) as reader:
            await reader.to_the_end()
            await reader.until(lambda pulse: pulse.audit is not None, 2.0)
            audit = reader.pulse.audit
    except (KafkaError, ReadRefused, TimeoutError) as error:
        hint = "is the world running? `xorj status` tells"
        raise Failure("broker_unreachable", f"broker: {error}", hint) from error
    if audit is None:
        raise Failure("no_heartbeat", "no signed audit heartbeat on the log", "is the auditor running? `xorj status`")
    return Statement(audit.entries, None, audit.head, "a signed heartbeat")
