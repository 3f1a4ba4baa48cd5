"""`xorj program show`: the program, its configuration, and what is scheduled to change and when.

1. What is due is told by the chain's own clock, read in the same answer as the configuration.
"""

import hashlib
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import assert_never

from rich.table import Table
from solders.pubkey import Pubkey
from xorj_solana.rollout import NotDeployable, Seen, program_data
from xorj_solana.rpc.errors import RpcError
from xorj_solana.rpc.results import Account, Commitment
from xorj_solana.tokens import MalformedAccount
from xorj_solana.vault import (
    GRACE_S,
    AddBotAuthority,
    AllowProgram,
    Change,
    Config,
    LowerDelay,
    Proposal,
    ProposalState,
    SetAdmin,
    SetGuardian,
    Unpause,
    config_address,
    parse_config,
    program_data_address,
)
from xorj_solana.vault.accounts import VAULT_DISCRIMINATOR

from xorj_cli.output import Exit, stdout
from xorj_cli.program.cluster import Cluster, Where, on_cluster
from xorj_cli.program.running import Body, Result

CLOCK = Pubkey.from_string("SysvarC1ock11111111111111111111111111111111")
_CLOCK = struct.Struct("<QqQQq")


@dataclass(frozen=True, slots=True)
class _Now:
    """The chain's clock."""

    slot: int
    unix_s: int


async def show(where: Where) -> Result:
    """Everything at finalized. Raises `Failure`, `RpcError`, `MalformedAccount`; ends with 1 without configuration."""
    async with on_cluster(where, sends=False) as cluster:
        program = cluster.program
        keys = (program, program_data_address(program), config_address(program), CLOCK)
        found = await cluster.client.get_multiple_accounts(keys, Commitment.FINALIZED)
        head, data, config, clock = found.accounts
        now = _now(clock)
        body = {
            **cluster.told(),
            "program": str(program),
            "context_slot": found.slot,
            "chain_time": _iso(now.unix_s),
            "code": _code(head, data),
            "config": None,
            "vaults": await _count_vaults(cluster),
        }
        if config is not None and config.owner == program and config.data:
            body["config"] = {"address": str(keys[2]), **_config_json(parse_config(config.data), now)}
    made = body["config"] is not None
    return {"ok": made, **body}, Exit.OK if made else Exit.CHECK_FAILED


def _now(clock: Account | None) -> _Now:
    if clock is None or len(clock.data) != _CLOCK.size:
        raise MalformedAccount("the cluster does not show its clock")
    slot, _, _, _, unix_s = _CLOCK.unpack(clock.data)
    return _Now(slot, unix_s)


def _code(head: Account | None, data: Account | None) -> Body | None:
    try:
        stored = program_data(Seen(head, data, None))
    except NotDeployable as error:
        return {"problem": str(error)}
    authority = None if stored.upgrade_authority is None else str(stored.upgrade_authority)
    elf = stored.elf.rstrip(b"\0")
    return {
        "deployed_slot": stored.slot,
        "upgrade_authority": authority,
        "room_bytes": len(stored.elf),
        "sha256_without_end_zeroes": hashlib.sha256(elf).hexdigest(),
    }


async def _count_vaults(cluster: Cluster) -> int | None:
    """How many vaults there are; None from an endpoint that does not list accounts."""
    try:
        found = await cluster.client.get_program_accounts(
            cluster.program, VAULT_DISCRIMINATOR, Commitment.CONFIRMED, data_bytes=0
        )
    except RpcError:  # many providers refuse this method; the rest is worth showing
        return None
    return len(found.accounts)


def _config_json(config: Config, now: _Now) -> Body:
    return {
        "admin": str(config.admin),
        "guardian": str(config.guardian),
        "paused": config.paused,
        "delay_s": config.delay_s,
        "changes": config.changes,
        "unpause_waits": config.unpause_is_locked,
        "swap_programs": [str(one) for one in config.swap_programs],
        "bot_authorities": [{"key": str(one.key), "state": one.state.name.lower()} for one in config.bot_authorities],
        "scheduled": [_proposal_json(one, now) for one in config.proposals],
    }


def _proposal_json(proposal: Proposal, now: _Now) -> Body:
    what, value = said(proposal.change)
    return {
        "change": what,
        "value": value,
        "state": _state(proposal, now),
        "due_time": _iso(proposal.due_unix_s),
        "due_slot": proposal.due_slot,
        "lapses_time": _iso(proposal.due_unix_s + GRACE_S),
        "guardian_may_cancel": proposal.state is ProposalState.WAITING and not proposal.veto_spent,
    }


def _state(proposal: Proposal, now: _Now) -> str:
    match proposal.state:
        case ProposalState.VETOED:
            return "cancelled by the guardian"
        case ProposalState.WAITING:
            if now.unix_s > proposal.due_unix_s + GRACE_S:
                return "lapsed"
            due = now.unix_s >= proposal.due_unix_s and now.slot >= proposal.due_slot
            return "due" if due else "waiting"
        case state:
            assert_never(state)


def said(change: Change) -> tuple[str, str]:
    """A change as the verbs of this command name it: its kind and its value."""
    match change:
        case AddBotAuthority(key):
            return "add-bot", str(key)
        case AllowProgram(program):
            return "allow-program", str(program)
        case SetGuardian(guardian):
            return "set-guardian", str(guardian)
        case SetAdmin(admin):
            return "set-admin", str(admin)
        case LowerDelay(delay_s):
            return "lower-delay", str(delay_s)
        case Unpause(changes):
            return "unpause", str(changes)
        case _:
            assert_never(change)


def _iso(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat()


def show_program(body: Body) -> None:
    """All of it for a person."""
    stdout.print(
        f"{body['endpoint']}, cluster {body['genesis_hash']}, slot {body['context_slot']}, {body['chain_time']}"
    )
    code, config = body["code"], body["config"]
    stdout.print(f"program {body['program']}")
    if "problem" in code:
        stdout.print(f"  [red]{code['problem']}[/]")
    else:
        owner = code["upgrade_authority"] or "nobody, for ever"
        stdout.print(f"  deployed in slot {code['deployed_slot']}, upgrade authority {owner}")
    if config is None:
        stdout.print("[red]not configured[/]: `xorj program init`")
        return
    table = Table(title="[red]paused[/]" if config["paused"] else "trading allowed", show_header=False)
    table.add_row("admin", config["admin"])
    table.add_row("guardian", config["guardian"])
    table.add_row("additions wait", f"{config['delay_s']} s")
    for one in config["bot_authorities"]:
        table.add_row("bot authority", f"{one['key']} {one['state']}")
    for one in config["swap_programs"]:
        table.add_row("swap program", one)
    for one in config["scheduled"]:
        when = f"{one['state']}, due {one['due_time']} and slot {one['due_slot']}, lapses {one['lapses_time']}"
        table.add_row(f"{one['change']}", f"{one['value']}: {when}")
    table.add_row("vaults", "this endpoint does not tell" if body["vaults"] is None else str(body["vaults"]))
    stdout.print(table)
