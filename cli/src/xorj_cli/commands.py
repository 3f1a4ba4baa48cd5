"""The verbs of `xorj`: one a module; this one parses arguments, runs the verb and ends with its exit code."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from aiokafka.errors import KafkaError
from xorj_halt.keys import KeysUnusable
from xorj_log.reader import ReadRefused
from xorj_log.writer import PublishUnknown

from xorj_cli.audit_command import app as audit_app
from xorj_cli.bench.command import app as bench_app
from xorj_cli.demo import DemoWish, Screen, run_demo
from xorj_cli.doctor import doctor, show_doctor
from xorj_cli.kill import kill, show_kill
from xorj_cli.output import STOPPED, Exit, Failure, fail, print_json
from xorj_cli.program.command import app as program_app
from xorj_cli.running import RunningWorld, open_world, world_file
from xorj_cli.session import START_FAILURES, ended_by_signals, plain, wait_for_ctrl_c
from xorj_cli.signer_explain import Wish, show_explain, signer_explain
from xorj_cli.signer_selftest import show_selftest, signer_selftest
from xorj_cli.status import show_status, status_of
from xorj_cli.view import JsonScreen, LiveScreen

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="XORJ mirrors trusted traders in Solana vaults. This command runs and watches it.",
)
app.add_typer(audit_app, name="audit")
app.add_typer(bench_app, name="bench")
signer_app = typer.Typer(no_args_is_help=True, help="The signer and its key.")
app.add_typer(signer_app, name="signer")
app.add_typer(program_app, name="program")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Result = tuple[dict[str, Any], Exit]


@app.command("demo")
def demo_command(
    headless: Annotated[bool, typer.Option("--headless", help="No live view; end when the trades are done.")] = False,
    as_json: Json = False,
    trades: Annotated[int, typer.Option(min=1, max=1000, help="How many trades must be confirmed.")] = 3,
    recorded: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Directory of recorded data to trade on.")
    ] = None,
    rows_per_tick: Annotated[int, typer.Option(min=1, help="Speed of recorded prices: rows a second.")] = 1,
) -> None:
    """Start the whole system on this machine and show vaults trade. Without --headless it runs until Ctrl-C."""
    wish = DemoWish(trades, recorded, rows_per_tick)
    quiet = headless or as_json
    screen: Screen = JsonScreen(as_json=as_json) if quiet else LiveScreen()
    raise typer.Exit(_demo(wish, screen, linger=not quiet, as_json=as_json))


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


@signer_app.command("explain")
def signer_explain_command(
    transaction: Annotated[
        str | None, typer.Argument(metavar="TX", help="Transaction or message: base64, a file, or - (standard input).")
    ] = None,
    trade: Annotated[str | None, typer.Option(help="Trade id: take records (and TX) from the running world.")] = None,
    attempt: Annotated[int | None, typer.Option(min=1, help="Which attempt of the trade; the last by default.")] = None,
    intent_file: Annotated[Path | None, typer.Option(help="JSON of the records to judge by.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Policy file; by default the running world's.")] = None,
    bot_authority: Annotated[str | None, typer.Option(help="Address of the key that would sign.")] = None,
    as_json: Json = False,
) -> None:
    """Show a transaction and each rule's verdict. Ends with 0: would sign, 1: would refuse, 3: records are lacking."""
    wish = Wish(transaction, trade, attempt, intent_file, policy, bot_authority)
    _run(lambda: signer_explain(wish), show_explain, as_json=as_json)


@signer_app.command("selftest")
def signer_selftest_command(
    signatures: Annotated[int, typer.Option(min=2, max=100_000, help="How many challenges are signed.")] = 100,
    callers: Annotated[int, typer.Option(min=1, max=256, help="At once, for the second half.")] = 8,
    as_json: Json = False,
) -> None:
    """Try the key that the environment names, as the signer would use it, over what can be no transaction."""
    try:
        body, exit_code = asyncio.run(signer_selftest(signatures, callers))
    except Failure as failure:
        fail(failure, as_json=as_json)
    _end(body, exit_code, show_selftest, as_json=as_json)


def _demo(wish: DemoWish, screen: Screen, *, linger: bool, as_json: bool) -> Exit:
    async def run() -> Exit:
        async with ended_by_signals():
            return await run_demo(wish, screen, wait_for_ctrl_c if linger else None)

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        fail(STOPPED, as_json=as_json)
    except Failure as failure:
        fail(failure, as_json=as_json)
    except START_FAILURES as error:
        hint = f"`xorj doctor` tells what is missing; logs, if a part had started: {world_file().parent / 'logs'}"
        fail(Failure("start_failed", plain(error), hint), as_json=as_json)


def _on_world(
    verb: Callable[[RunningWorld], Awaitable[Result]], show: Callable[[dict[str, Any]], None], *, as_json: bool
) -> None:
    """Run a verb against the running world."""

    async def run() -> Result:
        return await verb(open_world())

    _run(run, show, as_json=as_json)


def _run(
    verb: Callable[[], Coroutine[Any, Any, Result]], show: Callable[[dict[str, Any]], None], *, as_json: bool
) -> None:
    """Run a verb that may need the running world."""
    try:
        body, exit_code = asyncio.run(verb())
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
