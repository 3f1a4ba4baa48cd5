"""`xorj audit verify`: recompute the whole log and compare it with the head that the auditor last signed."""

from typing import Any

import asyncpg
from aiokafka.errors import KafkaError
from rich.progress import Progress
from xorj_auditor.verify import VerifyResult, verify
from xorj_log.reader import ReadRefused

from xorj_cli.heartbeats import read_pulse
from xorj_cli.output import Exit, Failure, stderr, stdout
from xorj_cli.running import RunningWorld


async def verify_audit(world: RunningWorld, *, show_progress: bool) -> tuple[dict[str, Any], Exit]:
    """The result as JSON, and how the command should end. Raises `Failure` when it cannot tell."""
    against = await _signed_head(world)
    with Progress(console=stderr, disable=not show_progress, transient=True) as bar:
        task = bar.add_task("verifying")

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        try:
            result = await verify(world.audit_dsn, tell, against=against)
        except (OSError, asyncpg.PostgresError) as error:
            hint = "is the world running? `xorj status` tells"
            raise Failure("database_unreachable", f"audit database: {error}", hint) from error
    return _body(result, against), Exit.OK if result.verified else Exit.CHECK_FAILED


def show_verify(body: dict[str, Any]) -> None:
    """The result for a person."""
    if body["verified"]:
        stdout.print(f"[green]intact[/]: {body['entries']} entries, head {body['head']}")
    else:
        stdout.print(f"[red]tampered[/] at entry {body['first_bad_entry']}: {body['reason']}")


def _body(result: VerifyResult, against: tuple[int, bytes]) -> dict[str, Any]:
    return {
        "entries": result.entries,
        "head": result.head.hex(),
        "verified": result.verified,
        "first_bad_entry": result.first_bad_entry,
        "reason": result.reason,
        "against": {"entries": against[0], "head": against[1].hex()},
    }


async def _signed_head(world: RunningWorld) -> tuple[int, bytes]:
    """Entries and head of the last audit heartbeat: without it a cut tail could not be seen."""
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
    return audit.entries, audit.head
