"""`xorj audit replay`: decide again every decision that the log holds, and list where the log says otherwise."""

import time
from pathlib import Path
from typing import Any

from rich.progress import Progress
from xorj_auditor.export import ExportRefused, StoredNote, open_export, read_export
from xorj_auditor.replay import Finding, ReplayReport
from xorj_auditor.replay_source import replay_database, replay_entries

from xorj_cli.audit_place import AuditPlace, PlaceOptions, reading, registry_of
from xorj_cli.output import Exit, Failure, stderr, stdout


async def replay_audit(
    place: AuditPlace, start: int, end: int | None, *, show_progress: bool
) -> tuple[dict[str, Any], Exit]:
    """Replays the log in the database: 0 when everything agrees, 1 when something differs, 3 when it is undecided."""
    began = time.monotonic()
    async with reading(place) as connection:
        total = await connection.fetchval("SELECT coalesce(max(entry_index) + 1, 0) FROM audit_entries")
        with Progress(console=stderr, disable=not show_progress, transient=True) as bar:
            task = bar.add_task("replaying")

            def tell(done: int, of: int) -> None:
                bar.update(task, completed=done, total=of)

            end = total if end is None else min(end, total)
            report = await replay_database(connection, place.registry, min(start, end), end, tell)
    return _ended(report, end - min(start, end), time.monotonic() - began)


async def replay_file(options: PlaceOptions, file: Path) -> tuple[dict[str, Any], Exit]:
    """The same for an exported log."""
    began = time.monotonic()
    try:
        with open_export(file) as opened:
            header, items = read_export(opened)
            entries = [item for item in items if not isinstance(item, StoredNote)]
    except (OSError, EOFError, ExportRefused, UnicodeDecodeError) as error:
        raise Failure("bad_export", f"{file}: {error}", "write one with `xorj audit export`") from error
    report = await replay_entries(entries, registry_of(options, header.registry))
    return _ended(report, len(entries), time.monotonic() - began)


def show_replay(body: dict[str, Any]) -> None:
    """The result for a person."""
    colour = "green" if body["agrees"] else "red"
    stdout.print(f"[{colour}]{body['agreed']} of {body['decisions']} decisions[/] decided again the same way")
    if body["kill_states"]:
        stdout.print(f"{body['kill_states']} kill states compared with control")
    for finding in body["differences"]:
        stdout.print(
            f"[red]differs[/] entry {finding['entry']}, {finding['kind']} at {finding['at']} {finding['reason']}"
        )
        for one in finding["differences"]:
            stdout.print(f"  {one['field']}: recorded {one['recorded']}, decided {one['decided']}", markup=False)
    for finding in body["undecided"]:
        stdout.print(f"[yellow]undecided[/] entry {finding['entry']}, {finding['kind']}: {finding['reason']}")


def _ended(report: ReplayReport, entries: int, seconds: float) -> tuple[dict[str, Any], Exit]:
    body = {
        "agrees": report.agrees,
        "entries": entries,
        "decisions": report.decisions,
        "agreed": report.agreed,
        "kill_states": report.kill_states,
        "differing": report.differing,
        "undecided_count": report.undecided,
        "differences": [_finding(one) for one in report.differences],
        "undecided": [_finding(one) for one in report.open_questions],
        "elapsed_ms": round(seconds * 1000),
    }
    if report.differing:
        return body, Exit.CHECK_FAILED
    return body, Exit.OK if report.agrees else Exit.CANNOT_TELL


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "entry": finding.index,
        "kind": finding.kind,
        "at": finding.at,
        "reason": finding.reason,
        "differences": [
            {"field": one.field, "recorded": one.recorded, "decided": one.decided} for one in finding.differences
        ],
    }
