"""Changing the program's configuration: what waits out its delay, and what is immediate. Each one transaction."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import assert_never

from solders.instruction import Instruction
from solders.pubkey import Pubkey
from xorj_solana import vault
from xorj_solana.landing import Step
from xorj_solana.rpc.results import Commitment

from xorj_cli.output import Exit, Failure, stdout
from xorj_cli.program.cluster import Cluster, Where, address, on_cluster, send_one
from xorj_cli.program.configuring import read_config
from xorj_cli.program.keypairs import load_keypair
from xorj_cli.program.running import Body, Result


class ChangeKind(Enum):
    """What can be scheduled."""

    ADD_BOT = "add-bot"
    ALLOW_PROGRAM = "allow-program"
    SET_GUARDIAN = "set-guardian"
    SET_ADMIN = "set-admin"
    LOWER_DELAY = "lower-delay"
    UNPAUSE = "unpause"


class Act(Enum):
    """What is done to the configuration."""

    SCHEDULE = "schedule"
    CANCEL = "cancel"
    APPLY = "apply"
    ACCEPT_ADMIN = "accept-admin"
    RETIRE = "retire"
    REMOVE = "remove"
    RAISE_DELAY = "raise-delay"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    DISABLE = "disable"


@dataclass(frozen=True, slots=True)
class KeepWish:
    """One act. `value` is an address or a number of seconds, as the act wants it; `change` is for the first three."""

    act: Act
    key: Path
    value: str | None = None
    change: ChangeKind | None = None


async def keep(where: Where, wish: KeepWish) -> Result:
    """Does it and sees it finalized. Raises `Failure`, `LandingFailed`, `RpcError`, `MalformedAccount`."""
    signer = load_keypair(wish.key)
    async with on_cluster(where, sends=True) as cluster:
        change = None if wish.change is None else await _change(cluster, wish.change, wish.value)
        made = _instruction(cluster.program, signer.pubkey(), wish, change)
        slot = await send_one(cluster, signer, Step(wish.act.value, (made,)))
        body = {**cluster.told(), "ok": True, "program": str(cluster.program), "act": wish.act.value, "slot": slot}
    named = None if wish.change is None else wish.change.value
    return {**body, "change": named, "value": wish.value}, Exit.OK


def show_kept(body: Body) -> None:
    """What was done, for a person."""
    what = " ".join(word for word in (body["act"], body["change"], body["value"]) if word)
    stdout.print(f"[green]{what}[/]: finalized in slot {body['slot']}")


async def _change(cluster: Cluster, kind: ChangeKind, value: str | None) -> vault.Change:
    match kind:
        case ChangeKind.ADD_BOT:
            return vault.AddBotAuthority(_address(value))
        case ChangeKind.ALLOW_PROGRAM:
            return vault.AllowProgram(_address(value))
        case ChangeKind.SET_GUARDIAN:
            return vault.SetGuardian(_address(value))
        case ChangeKind.SET_ADMIN:
            return vault.SetAdmin(_address(value))
        case ChangeKind.LOWER_DELAY:
            return vault.LowerDelay(_seconds(value))
        case ChangeKind.UNPAUSE:
            return vault.Unpause(await _changes(cluster) if value is None else _seconds(value))
        case _:
            assert_never(kind)


async def _changes(cluster: Cluster) -> int:
    """How many additions the configuration has seen: unpausing is meant under exactly these."""
    config = await read_config(cluster, Commitment.CONFIRMED)
    if config is None:
        raise Failure("not_configured", "the program is not configured", "`xorj program init`", Exit.CHECK_FAILED)
    return config.changes


def _instruction(program: Pubkey, signer: Pubkey, wish: KeepWish, change: vault.Change | None) -> Instruction:
    match wish.act:
        case Act.SCHEDULE if change is not None:
            return vault.schedule(program, admin=signer, change=change)
        case Act.CANCEL if change is not None:
            return vault.cancel(program, authority=signer, change=change)
        case Act.APPLY if change is not None:
            return vault.apply(program, change=change)
        case Act.SCHEDULE | Act.CANCEL | Act.APPLY:
            raise Failure("no_change", "which change is not said", "see --help", Exit.USAGE)
        case Act.ACCEPT_ADMIN:
            return vault.accept_admin(program, new_admin=signer)
        case Act.RETIRE:
            return vault.retire_authority(program, authority=signer, key=_address(wish.value))
        case Act.REMOVE:
            return vault.remove_program(program, authority=signer, removed=_address(wish.value))
        case Act.RAISE_DELAY:
            return vault.raise_delay(program, admin=signer, delay_s=_seconds(wish.value))
        case Act.PAUSE | Act.UNPAUSE:
            return vault.set_paused(program, authority=signer, paused=wish.act is Act.PAUSE)
        case Act.DISABLE:
            return vault.disable_bot(program, authority=signer, vault=_address(wish.value))
        case _:
            assert_never(wish.act)


def _address(value: str | None) -> Pubkey:
    if value is None:
        raise Failure("no_value", "an address is missing", "give it after the change", Exit.USAGE)
    return address(value, "the value")


def _seconds(value: str | None) -> int:
    if value is None or not value.isascii() or not value.isdigit() or int(value) >= 1 << 64:
        raise Failure("bad_number", f"{value} is not a whole number", "give a whole number", Exit.USAGE)
    return int(value)
