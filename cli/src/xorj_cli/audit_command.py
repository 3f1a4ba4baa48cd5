"""The verbs of `xorj audit`: parses arguments, runs the verb and ends with its exit code.

Exit codes: 0 intact, 1 tampered with or differing, 2 usage, 3 cannot tell.
"""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from xorj_cli.audit import show_verify, verify_audit, verify_file
from xorj_cli.audit_files import export_log, restore_log, show_export, show_restore, show_tail, tail
from xorj_cli.audit_place import PlaceOptions, audit_place, refuse_empty_range
from xorj_cli.audit_proofs import consistency, evidence, prove, show_consistency, show_evidence, show_proof
from xorj_cli.audit_replay import replay_audit, replay_file, show_replay
from xorj_cli.output import STOPPED, Exit, Failure, fail, print_json

app = typer.Typer(no_args_is_help=True, help="The audit log: verify, prove, replay, export. See docs/audit.md.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
From = Annotated[int, typer.Option("--from", min=0, help="First entry.")]
To = Annotated[int | None, typer.Option("--to", min=0, help="The entry after the last; all without it.")]
InFile = Annotated[Path | None, typer.Option("--file", exists=True, dir_okay=False, help="An exported log instead.")]
Readable = Annotated[Path | None, typer.Option(exists=True, dir_okay=False)]
Body = dict[str, Any]


@app.callback()
def place_options(
    context: typer.Context,
    dsn_file: Readable = None,
    keys_file: Readable = None,
    origin: Annotated[str, typer.Option(help="The log's name in its checkpoints.")] = "xorj/audit",
    witnesses_file: Readable = None,
) -> None:
    """Without options: the local world's log. With --dsn-file and --keys-file: any other."""
    context.obj = PlaceOptions(dsn_file, keys_file, origin, witnesses_file)


@app.command("verify")
def verify_command(
    context: typer.Context,
    start: From = 0,
    end: To = None,
    against: Annotated[Path | None, typer.Option(help="A signed checkpoint that somebody kept.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 1,
    file: InFile = None,
    as_json: Json = False,
) -> None:
    """Recompute the audit log. Ends with 0 when intact, 1 when tampered with, 3 when it cannot tell."""

    async def verb() -> tuple[Body, Exit]:
        if file is not None:
            return await verify_file(context.obj, file)
        refuse_empty_range(start, end)
        place = audit_place(context.obj)
        return await verify_audit(place, show_progress=not as_json, start=start, end=end, against=against, jobs=jobs)

    _run(verb, show_verify, as_json=as_json)


@app.command("replay")
def replay_command(
    context: typer.Context, start: From = 0, end: To = None, file: InFile = None, as_json: Json = False
) -> None:
    """Decide again every decision in the log. Ends with 1 when one differs, 3 when one cannot be decided again."""

    async def verb() -> tuple[Body, Exit]:
        if file is not None:
            return await replay_file(context.obj, file)
        refuse_empty_range(start, end)
        return await replay_audit(audit_place(context.obj), start, end, show_progress=not as_json)

    _run(verb, show_replay, as_json=as_json)


@app.command("prove")
def prove_command(context: typer.Context, entry: Annotated[int, typer.Argument(min=0)], as_json: Json = False) -> None:
    """Print the proof that an entry is in the log, under its latest checkpoint (C2SP tlog-proof)."""
    _run(lambda: prove(audit_place(context.obj), entry), show_proof, as_json=as_json)


@app.command("consistency")
def consistency_command(context: typer.Context, old: str, new: str, as_json: Json = False) -> None:
    """Prove that the log of NEW continues that of OLD; each a number of entries or a file with a checkpoint."""
    _run(lambda: consistency(audit_place(context.obj), old, new), show_consistency, as_json=as_json)


@app.command("evidence")
def evidence_command(
    context: typer.Context,
    trade: str,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the file.")],
    as_json: Json = False,
) -> None:
    """Write one file from which a third party can judge a trade offline, with `xorj-verify-evidence`."""
    _run(lambda: evidence(audit_place(context.obj), trade, output), show_evidence, as_json=as_json)


@app.command("export")
def export_command(context: typer.Context, output: Path, end: To = None, as_json: Json = False) -> None:
    """Write the entries under the latest checkpoint (of at most --to entries), and it, as JSON Lines."""
    _run(lambda: export_log(audit_place(context.obj), output, whole=False, end=end), show_export, as_json=as_json)


@app.command("backup")
def backup_command(context: typer.Context, output: Path, as_json: Json = False) -> None:
    """Write every entry and every checkpoint, to be restored."""
    _run(lambda: export_log(audit_place(context.obj), output, whole=True), show_export, as_json=as_json)


@app.command("restore")
def restore_command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    owner_dsn_file: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The owner's connection string.")],
    as_json: Json = False,
) -> None:
    """Restore a backup into an empty database, unless the witness has seen more or another history."""
    _run(lambda: restore_log(context.obj, file, owner_dsn_file), show_restore, as_json=as_json)


@app.command("tail")
def tail_command(
    context: typer.Context,
    count: Annotated[int, typer.Option("-n", min=1, max=10_000, help="How many entries.")] = 20,
    as_json: Json = False,
) -> None:
    """Show the last entries."""
    _run(lambda: tail(audit_place(context.obj), count), show_tail, as_json=as_json)


def _run(
    verb: Callable[[], Coroutine[Any, Any, tuple[Body, Exit]]], show: Callable[[Body], None], *, as_json: bool
) -> None:
    """Run a verb, say what came of it and end with its exit code."""

    async def run() -> tuple[Body, Exit]:
        return await verb()

    try:
        body, exit_code = asyncio.run(run())
    except Failure as failure:
        fail(failure, as_json=as_json)
    except KeyboardInterrupt:
        fail(STOPPED, as_json=as_json)
    if as_json:
        print_json(body)
    else:
        show(body)
    raise typer.Exit(exit_code)
