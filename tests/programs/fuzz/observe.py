"""Reads the whole world back from the virtual machine and says where it differs from the model.

1. Every balance, every account that exists or does not, every withheld fee.
2. Every token account of a vault and its hand: owner, state, no delegate, no close authority, not fewer lamports.
3. The configuration and every vault, field by field.
"""

import struct
from collections.abc import Iterator
from typing import Final

from solders.pubkey import Pubkey
from xorj_solana import vault

from tests.programs.fuzz.generate import OWNERS
from tests.programs.fuzz.world import (
    CONFIG,
    HANDS,
    NUMBERS,
    PLACES,
    PROGRAM,
    PROGRAMS,
    TOKEN_ACCOUNTS,
    VAULTS,
    FuzzWorld,
    wallet_of,
)
from tests.programs.model import Holder, LimitsModel, Model, Place, VaultModel
from tests.programs.model_config import Change, Kind

_SYSTEM: Final = Pubkey.default()
_FEE_AMOUNT: Final = 2
_MINT_NUMBERS: Final = {place.mint: index for index, place in enumerate(PLACES)}
_PROGRAM_NUMBERS: Final = {program: index for index, program in enumerate(PROGRAMS)}


def differences(world: FuzzWorld, model: Model) -> list[str]:
    """Empty when the chain is as the model says."""
    return [*_money(world, model), *_config(world, model), *_vaults(world, model)]


def withheld(data: bytes) -> int:
    """Fees withheld in a Token-2022 account; 0 without the extension."""
    at = 166
    while at + 4 <= len(data):
        kind, length = struct.unpack_from("<HH", data, at)
        if kind == _FEE_AMOUNT:
            return int.from_bytes(data[at + 4 : at + 12], "little")
        at += 4 + length
    return 0


def _money(world: FuzzWorld, model: Model) -> Iterator[str]:
    for place, address in TOKEN_ACCOUNTS.items():
        account = world.svm.get_account(address)
        wanted = model.money.balances.get(place)
        if account is None or account.lamports == 0:
            if wanted is not None:
                yield f"{place} is gone, the model has {wanted}"
            continue
        if wanted is None:
            yield f"{place} exists, not in the model"
            continue
        data = account.data
        amount = int.from_bytes(data[64:72], "little")
        if amount != wanted:
            yield f"{place} holds {amount}, the model has {wanted}"
        if len(data) > 165 and withheld(data) != model.money.withheld.get(place, 0):
            yield f"{place} withholds {withheld(data)}, the model has {model.money.withheld.get(place, 0)}"
        plain = data[:32] == bytes(PLACES[place.mint].mint) and data[32:64] == bytes(wallet_of(place))
        if not plain or data[72:76] != bytes(4) or data[108] != 1 or data[129:133] != bytes(4):
            yield f"{place} is under somebody else's control: {data[:165].hex()}"
    for owner, hand in HANDS.items():
        account = world.svm.get_account(hand)
        if account is not None and (account.owner != _SYSTEM or account.data):
            yield f"trade authority of {owner} belongs to {account.owner} and has {len(account.data)} bytes"


def _config(world: FuzzWorld, model: Model) -> Iterator[str]:
    account = world.svm.get_account(CONFIG)
    if account is None or account.owner != PROGRAM:
        yield "the configuration is gone"
        return
    seen, wanted = vault.parse_config(account.data), model.config
    proposals = {
        _change(p.change): (p.due_unix_s, p.due_slot, p.state is vault.ProposalState.VETOED, p.veto_spent)
        for p in seen.proposals
    }
    pairs: list[tuple[str, object, object]] = [
        ("admin", NUMBERS.get(seen.admin), wanted.admin),
        ("guardian", NUMBERS.get(seen.guardian), wanted.guardian),
        ("paused", seen.paused, wanted.paused),
        ("swap programs", {_PROGRAM_NUMBERS.get(key) for key in seen.swap_programs}, wanted.programs),
        ("authorities", {NUMBERS.get(entry.key) for entry in seen.bot_authorities}, wanted.authorities),
        ("delay_s", seen.delay_s, wanted.delay_s),
        ("changes", seen.changes, wanted.changes),
        ("changes_at_pause", seen.changes_at_pause, wanted.changes_at_pause),
        ("proposals", proposals, {
            change: (p.due_unix_s, p.due_slot, p.vetoed, p.veto_spent) for change, p in wanted.proposals.items()
        }),
    ]  # fmt: skip
    yield from (f"config {name}: {left}, the model has {right}" for name, left, right in pairs if left != right)


def _change(change: vault.Change) -> Change:
    match change:
        case vault.AddBotAuthority(key):
            return Change(Kind.ADD_BOT_AUTHORITY, NUMBERS[key])
        case vault.AllowProgram(program):
            return Change(Kind.ALLOW_PROGRAM, _PROGRAM_NUMBERS[program])
        case vault.SetGuardian(key):
            return Change(Kind.SET_GUARDIAN, NUMBERS[key])
        case vault.SetAdmin(key):
            return Change(Kind.SET_ADMIN, NUMBERS[key])
        case vault.LowerDelay(delay_s):
            return Change(Kind.LOWER_DELAY, delay_s)
        case vault.Unpause(changes):
            return Change(Kind.UNPAUSE, changes)


def _vaults(world: FuzzWorld, model: Model) -> Iterator[str]:
    for owner in OWNERS:
        account = world.svm.get_account(VAULTS[owner])
        wanted = model.vaults.get(owner)
        if account is None or not account.data:
            if wanted is not None:
                yield f"the vault of {owner} is gone"
        elif wanted is None:
            yield f"the vault of {owner} exists, not in the model"
        elif account.owner != PROGRAM:
            yield f"the vault of {owner} belongs to {account.owner}"
        else:
            yield from _vault(owner, vault.parse_vault(account.data), wanted)


def _vault(owner: int, seen: vault.Vault, wanted: VaultModel) -> Iterator[str]:
    limits = LimitsModel(
        seen.limits.trade_share_bps_max,
        seen.limits.turnover_bps_max,
        seen.limits.slots_between_min,
        seen.limits.window_slots,
        tuple(_MINT_NUMBERS[mint] for mint in seen.limits.mints),
    )
    used = {
        _MINT_NUMBERS[entry.mint]: (entry.used_before_bps, entry.used_bps)
        for entry in seen.turnover
        if entry.used_before_bps or entry.used_bps
    }
    last = seen.last_trade
    pairs: list[tuple[str, object, object]] = [
        ("owner", NUMBERS.get(seen.owner), owner),
        ("enabled", seen.enabled, wanted.enabled),
        ("seq", seen.trade_seq, wanted.seq),
        ("last trade", None if last is None else (last.amount_in, last.amount_out, last.slot), wanted.last),
        ("limits", limits, wanted.limits),
        ("turnover", used, {mint: counts for mint, counts in wanted.used.items() if any(counts)}),
        ("window", seen.window, wanted.window),
    ]
    yield from (
        f"vault of {owner}, {name}: {left}, the model has {right}" for name, left, right in pairs if left != right
    )


def vault_money(world: FuzzWorld) -> dict[Place, int]:
    """What every token account of vaults and hands holds, read from the chain alone; 0 where there is none."""
    money = {}
    for place, address in TOKEN_ACCOUNTS.items():
        if place.holder in (Holder.VAULT, Holder.HAND):
            account = world.svm.get_account(address)
            there = account is not None and len(account.data) > 0
            money[place] = int.from_bytes(account.data[64:72], "little") if account is not None and there else 0
    return money
