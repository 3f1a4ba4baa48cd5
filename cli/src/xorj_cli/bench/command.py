"""The verbs of `xorj bench`: arguments in, one report out."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import asyncpg
import typer
from aiokafka.errors import KafkaError
from rich.table import Table
from xorj_log.reader import ReadRefused

from xorj_cli.bench.audit import AuditWish, run_audit_bench
from xorj_cli.bench.signer import SignerWish, run_signer_bench
from xorj_cli.bench.trade import TradeWish, run_trade_bench
from xorj_cli.output import STOPPED, Failure, fail, print_json, stderr, stdout
from xorj_cli.session import START_FAILURES, ended_by_signals, plain

app = typer.Typer(no_args_is_help=True, help="Measure this machine; every bench starts and stops the world it needs.")
FAILURES: tuple[type[Exception], ...] = (*START_FAILURES, KafkaError, ReadRefused, TimeoutError, asyncpg.PostgresError)


@app.command("trade")
def trade_command(
    vaults: Annotated[int, typer.Option(min=2, max=2_000, help="How many vaults trade.")] = 120,
    seconds: Annotated[int, typer.Option(min=1, max=600, help="How long each paced measurement takes.")] = 10,
    rate: Annotated[int, typer.Option(min=1, max=50, help="Paced trades a second.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Milliseconds from delta to confirmed, and trades a second, beside bare Kafka over as many hops."""

    _measure(lambda: run_trade_bench(TradeWish(vaults, seconds, rate), stderr.print), as_json=as_json)


@app.command("signer")
def signer_command(
    signatures: Annotated[
        int, typer.Option(min=100, max=4_000, help="Signatures in each round of 64 callers.")
    ] = 2_000,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Rounds of 64 callers; the median counts.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Signatures a second with full policy and durable ledger, beside the bare parts that they are made of."""
    _measure(lambda: run_signer_bench(SignerWish(signatures, rounds), stderr.print), as_json=as_json)


@app.command("audit")
def audit_command(
    entries: Annotated[int, typer.Option(min=10_000, max=10_000_000, help="Entries from memory.")] = 1_000_000,
    records: Annotated[int, typer.Option(min=10_000, max=5_000_000, help="Records through Kafka.")] = 200_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Entries a second into the audit log and out of it again, and how soon a record is covered."""
    _measure(lambda: run_audit_bench(AuditWish(entries, records), stderr.print), as_json=as_json)


def _measure(bench: Callable[[], Awaitable[dict[str, Any]]], *, as_json: bool) -> None:
    """Run a bench and print its report, or why there is none."""

    async def run() -> dict[str, Any]:
        async with ended_by_signals():
            return await bench()

    try:
        body = asyncio.run(run())
    except asyncio.CancelledError:
        fail(STOPPED, as_json=as_json)
    except Failure as failure:
        fail(failure, as_json=as_json)
    except FAILURES as error:
        hint = "`xorj doctor` tells what is missing; the logs are in the bench's directory"
        fail(Failure("bench_failed", plain(error), hint), as_json=as_json)
    if as_json:
        print_json(body)
    else:
        stdout.print(report_table(body))


def report_table(body: dict[str, Any]) -> Table:
    """The figures as a person reads them."""
    host = body["machine"]
    table = Table(title=f"bench {body['bench']}: {host['cpus']} CPUs, Python {host['python']}, load {host['load_1m']}")
    for heading in ("figure", "value", "unit", "limit", "ratio", "must", "aim"):
        table.add_column(heading, justify="left" if heading in {"figure", "unit", "limit"} else "right")
    for figure in body["figures"]:
        limit = figure["limit"]
        table.add_row(
            figure["name"],
            f"{figure['value']:g}",
            figure["unit"],
            "" if limit is None else f"{limit['name']}: {limit['value']:g}",
            *("" if figure[key] is None else f"{figure[key]:g}" for key in ("ratio", "must", "aim")),
        )
    return table
