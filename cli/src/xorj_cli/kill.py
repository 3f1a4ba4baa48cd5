"""`xorj kill`: a signed command on the control topic, and who obeys it since when."""

import secrets
import time
from typing import Any

from rich.table import Table
from solders.pubkey import Pubkey
from xorj_halt.commands import kill_command
from xorj_halt.keys import load_seed
from xorj_log.writer import LogWriter

from xorj_cli.heartbeats import Pulse, read_pulse
from xorj_cli.output import Exit, Failure, stdout
from xorj_cli.running import OPERATOR, RunningWorld

ACKNOWLEDGE_S = 5.0


async def kill(world: RunningWorld, reason: str, vault: str | None) -> tuple[dict[str, Any], Exit]:
    """Publish the command and wait for every living instance to acknowledge it.

    Raises `Failure` for a vault that is no address, PublishUnknown and KafkaError when the broker cannot be reached.
    """
    key = load_seed(world.operator_key_file)
    now_us = time.time_ns() // 1000
    command = kill_command(
        key, reason, command_id=secrets.token_bytes(16), issued_at_us=now_us, vault=_vault_bytes(vault)
    )
    async with read_pulse(world) as reader, LogWriter(world.kafka, OPERATOR, "xorj-cli") as writer:
        await reader.to_the_end()
        await reader.until(lambda pulse: len(pulse.alive()) >= len(world.services), 1.0)
        expected = {beat.instance: beat.service for beat in reader.pulse.alive()}
        sent_us = time.time_ns() // 1000
        position = await writer.publish(command)

        def all_obey(pulse: Pulse) -> bool:
            return expected.keys() <= pulse.acknowledged_by(command.command_id).keys()

        complete = await reader.until(all_obey, ACKNOWLEDGE_S)
        obeyed = reader.pulse.acknowledged_by(command.command_id)
    silent = [service.name for service in world.services if service.name not in expected.values()]
    body = {
        "ok": complete and not silent,
        "command_id": command.command_id.hex(),
        "control_offset": position.offset,
        "acknowledgements": [
            {"service": service, "instance": name, "ms": _ms(sent_us, obeyed.get(name))}
            for name, service in sorted(expected.items(), key=lambda item: item[1])
        ],
        "silent": silent,
    }
    return body, Exit.OK if body["ok"] else Exit.CHECK_FAILED


def show_kill(body: dict[str, Any]) -> None:
    """The acknowledgements for a person."""
    table = Table("service", "instance", "obeyed after")
    for ack in body["acknowledgements"]:
        after = f"{ack['ms']} ms" if ack["ms"] is not None else "[red]no acknowledgement[/]"
        table.add_row(ack["service"], ack["instance"], after)
    stdout.print(table)
    for name in body["silent"]:
        stdout.print(f"[red]{name} has no heartbeat: check that its process has ended[/]")


def _ms(sent_us: int, obeyed_us: int | None) -> float | None:
    return None if obeyed_us is None else max(0, obeyed_us - sent_us) / 1000


def _vault_bytes(vault: str | None) -> bytes | None:
    if vault is None:
        return None
    try:
        return bytes(Pubkey.from_string(vault))
    except ValueError as error:
        raise Failure("bad_vault", f"{vault}: {error}", "give the vault's address in base58", Exit.USAGE) from error
