"""The `xorj` command: one verb a module; this one parses arguments, runs the verb and ends with its exit code."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer
from aiokafka.errors import KafkaError
from xorj_halt.keys import KeysUnusable
from xorj_log.reader import ReadRefused
from xorj_log.writer import PublishUnknown

from xorj_cli.audit import show_verify, verify_audit
from xorj_cli.doctor import doctor, show_doctor
from xorj_cli.kill import kill, show_kill
from xorj_cli.output import Exit, Failure, fail, print_json
from xorj_cli.running import RunningWorld, open_world
from xorj_cli.status import show_status, status_of

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="XORJ mirrors trusted traders in Solana vaults. This command runs and watches it.",
)
audit_app = typer.Typer(no_args_is_help=True, help="The audit log.")
app.add_typer(audit_app, name="audit")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Result = tuple[dict[str, Any], Exit]


@app.command("doctor")
def doctor_command(as_json: Json = False) -> None:
    """What is installed, what is missing, and how to get it."""
    body, exit_code = doctor()
    _end(body, exit_code, show_doctor, as_json=as_json)


@app.command("status")
def status_command(as_json: Json = False) -> None:
    """Is every service alive, does trading run, how far is the audit log. Ends with 4 when trading is stopped."""
    _on_world(status_of, show_status, as_json=as_json)


@app.command("kill")
def kill_command(
    reason: Annotated[str, typer.Option(help="Why; it stands on the log for ever.")],
    vault: Annotated[str | None, typer.Option(help="Only this vault (its address).")] = None,
    as_json: Json = False,
) -> None:
    """Stop trading now. Shows which service obeys since when; ends with 0 only if all of them do."""
    _on_world(lambda world: kill(world, reason, vault), show_kill, as_json=as_json)


@audit_app.command("verify")
def audit_verify_command(as_json: Json = False) -> None:
    """Recompute the audit log. Ends with 0 when intact, 1 when tampered with, 3 when it cannot tell."""
    _on_world(lambda world: verify_audit(world, show_progress=not as_json), show_verify, as_json=as_json)


def main() -> None:
    """Entry point of the command."""
    app()


def _on_world(
    verb: Callable[[RunningWorld], Awaitable[Result]], show: Callable[[dict[str, Any]], None], *, as_json: bool
) -> None:
    """Run a verb against the running world."""

    async def run() -> Result:
        return await verb(open_world())

    try:
        body, exit_code = asyncio.run(run())
    except Failure as failure:
        fail(failure, as_json=as_json)
    except (KafkaError, PublishUnknown, ReadRefused, KeysUnusable, TimeoutError, OSError) as error:
        message = str(error) or type(error).__name__
        fail(Failure("unreachable", message, "is the world running? `xorj status` tells"), as_json=as_json)
    _end(body, exit_code, show, as_json=as_json)


def _end(body: dict[str, Any], exit_code: Exit, show: Callable[[dict[str, Any]], None], *, as_json: bool) -> None:
    if as_json:
        print_json(body)
    else:
        show(body)
    raise typer.Exit(exit_code)
