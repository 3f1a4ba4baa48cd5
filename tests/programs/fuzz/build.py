"""An action as the instruction that is sent, and as what the model is asked."""

import struct
from dataclasses import replace
from typing import Final, assert_never

from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import AllocateParams, allocate
from xorj_solana import vault

from tests.programs.fuzz import actions as a
from tests.programs.fuzz.world import (
    ADDRESSES,
    CONFIG,
    DECIMALS,
    HANDS,
    PLACES,
    POOL,
    PROGRAM,
    PROGRAMS,
    RESERVES,
    TOKEN_ACCOUNTS,
    VAULTS,
    FuzzWorld,
    limits_of,
)
from tests.programs.model import Evil, Holder, Model, Place, TradeModel
from tests.programs.model_config import Change, Kind, Now
from tests.programs.rogue import THIEF, Script, transfer_checked
from tests.programs.svm_world import labelled

STRANGER: Final = 5
_HASH: Final = labelled("another hash")


def change_of(change: Change) -> vault.Change:
    match change.kind:
        case Kind.ADD_BOT_AUTHORITY:
            return vault.AddBotAuthority(ADDRESSES[change.value])
        case Kind.ALLOW_PROGRAM:
            return vault.AllowProgram(PROGRAMS[change.value])
        case Kind.SET_GUARDIAN:
            return vault.SetGuardian(ADDRESSES[change.value])
        case Kind.SET_ADMIN:
            return vault.SetAdmin(ADDRESSES[change.value])
        case Kind.LOWER_DELAY:
            return vault.LowerDelay(change.value)
        case Kind.UNPAUSE:
            return vault.Unpause(change.value)
        case _:
            assert_never(change.kind)


def ask(model: Model, action: a.Action, now: Now) -> None:
    """Does it in the model; raises `ModelRefusal`."""
    config = model.config
    match action:
        case a.Warp():
            pass
        case a.SetPaused(signer, paused):
            config.set_paused(signer, paused=paused)
        case a.Schedule(signer, change):
            config.schedule(signer, change, now)
        case a.Cancel(signer, change):
            config.cancel(signer, change)
        case a.Apply(change):
            config.apply(change, now)
        case a.AcceptAdmin(signer):
            config.accept_admin(signer, now)
        case a.RetireAuthority(signer, key):
            config.retire_authority(signer, key)
        case a.RemoveProgram(signer, program):
            config.remove_program(signer, program)
        case a.RaiseDelay(signer, delay_s):
            config.raise_delay(signer, delay_s)
        case a.OpenVault(owner):
            model.open_vault(owner)
        case a.OpenMint(signer, owner, mint):
            model.open_mint(signer, owner, mint)
        case a.CloseMint(signer, owner, mint):
            model.close_mint(signer, owner, mint)
        case a.Deposit(signer, owner, mint, amount):
            model.deposit(signer, owner, mint, amount)
        case a.Withdraw(signer, owner, mint, amount, target):
            model.withdraw(signer, owner, mint, amount, target)
        case a.EnableBot(signer, owner):
            model.enable(signer, owner)
        case a.DisableBot(signer, owner):
            model.disable(signer, owner)
        case a.SetLimits(signer, owner, limits):
            model.set_limits(signer, owner, limits)
        case a.Dust(to_hand, owner, mint, amount):
            place = Place(Holder.HAND if to_hand else Holder.VAULT, owner, mint)
            model.money.transfer(Place(Holder.WALLET, STRANGER, mint), place, amount)
        case a.Trade():
            model.trade(trade_of(model, action, now), now)
        case _:
            assert_never(action)


def trade_of(model: Model, t: a.Trade, now: Now) -> TradeModel:
    """The order with its relative parts resolved against the state that it meets."""
    net = model.money.mints[t.mint_in].net(t.amount)
    taken = {a.Taken.ALL: net, a.Taken.HALF: net // 2, a.Taken.NOTHING: 0, a.Taken.MORE: net + 1}[t.taken]
    opened = model.vaults.get(t.owner)
    return TradeModel(
        signer=t.signer,
        owner=t.owner,
        mint_in=t.mint_in,
        mint_out=t.mint_out,
        program=t.program,
        seq=max((opened.seq if opened else 0) + 1 + t.seq_offset, 0),
        amount_in_max=t.amount,
        amount_out_min=t.minimum,
        expiry_slot=now.slot + t.expiry_ahead,
        taken=min(taken, 2**64 - 1),
        given=t.given,
        evil=t.evil,
        hash_is_right=t.hash_is_right,
    )


def message_of(world: FuzzWorld, model: Model, step: a.Step) -> MessageV0 | None:
    """What to send, by the model's state before it; None for the passing of time."""
    action = step.action if isinstance(step, a.Unsigned) else step
    if isinstance(action, a.Warp):
        return None
    instruction = _trade(model, action, world.now) if isinstance(action, a.Trade) else _plain(action)
    if isinstance(step, a.Unsigned):
        metas = [AccountMeta(m.pubkey, is_signer=False, is_writable=m.is_writable) for m in instruction.accounts]
        instruction = Instruction(instruction.program_id, instruction.data, metas)
    message = world.compile(instruction)
    if isinstance(action, a.Trade) and action.hash_is_right:
        message = vault.with_accounts_hash(message, PROGRAM, {})
    return message


def _signed_by(signer: int, honest: Instruction) -> Instruction:
    """The owner's instruction with another in the owner's place."""
    metas = list(honest.accounts)
    metas[0] = AccountMeta(ADDRESSES[signer], is_signer=True, is_writable=metas[0].is_writable)
    return Instruction(honest.program_id, honest.data, metas)


def _plain(action: a.Action) -> Instruction:
    match action:
        case a.SetPaused(signer, paused):
            return vault.set_paused(PROGRAM, authority=ADDRESSES[signer], paused=paused)
        case a.Schedule(signer, change):
            return vault.schedule(PROGRAM, admin=ADDRESSES[signer], change=change_of(change))
        case a.Cancel(signer, change):
            return vault.cancel(PROGRAM, authority=ADDRESSES[signer], change=change_of(change))
        case a.Apply(change):
            return vault.apply(PROGRAM, change=change_of(change))
        case a.AcceptAdmin(signer):
            return vault.accept_admin(PROGRAM, new_admin=ADDRESSES[signer])
        case a.RetireAuthority(signer, key):
            return vault.retire_authority(PROGRAM, authority=ADDRESSES[signer], key=ADDRESSES[key])
        case a.RemoveProgram(signer, program):
            return vault.remove_program(PROGRAM, authority=ADDRESSES[signer], removed=PROGRAMS[program])
        case a.RaiseDelay(signer, delay_s):
            return vault.raise_delay(PROGRAM, admin=ADDRESSES[signer], delay_s=delay_s)
        case a.DisableBot(signer, owner):
            return vault.disable_bot(PROGRAM, authority=ADDRESSES[signer], vault=VAULTS[owner])
        case a.Dust(to_hand, owner, mint, amount):
            target = TOKEN_ACCOUNTS[Place(Holder.HAND if to_hand else Holder.VAULT, owner, mint)]
            return _token_transfer(ADDRESSES[STRANGER], mint, target, amount)
        case a.Warp() | a.Trade():
            raise AssertionError("not a plain instruction")
        case _:
            return _owners(action)


def _owners(
    action: a.OpenVault | a.OpenMint | a.CloseMint | a.Deposit | a.Withdraw | a.EnableBot | a.SetLimits,
) -> Instruction:
    owner = ADDRESSES[action.owner]
    match action:
        case a.OpenVault():
            return vault.open_vault(PROGRAM, owner=owner)
        case a.OpenMint(signer, _, mint):
            return _signed_by(signer, vault.open_mint(PROGRAM, owner=owner, place=PLACES[mint]))
        case a.CloseMint(signer, _, mint):
            return _signed_by(signer, vault.close_mint(PROGRAM, owner=owner, place=PLACES[mint]))
        case a.Deposit(signer, _, mint, amount):
            place = Place(Holder.WALLET, signer, mint)
            # Who has no account of that mint offers the owner's.
            source = TOKEN_ACCOUNTS.get(place, TOKEN_ACCOUNTS[replace(place, who=action.owner)])
            honest = vault.deposit(PROGRAM, owner=owner, source=source, place=PLACES[mint], amount=amount)
            return _signed_by(signer, honest)
        case a.Withdraw(signer, _, mint, amount, target):
            destination = TOKEN_ACCOUNTS[Place(Holder.WALLET, target, mint)]
            honest = vault.withdraw(PROGRAM, owner=owner, destination=destination, place=PLACES[mint], amount=amount)
            return _signed_by(signer, honest)
        case a.EnableBot(signer, _):
            return _signed_by(signer, vault.enable_bot(PROGRAM, owner=owner))
        case a.SetLimits(signer, _, limits):
            return _signed_by(signer, vault.set_limits(PROGRAM, owner=owner, limits=limits_of(limits)))
        case _:
            assert_never(action)


def _token_transfer(wallet: Pubkey, mint: int, target: Pubkey, amount: int) -> Instruction:
    place = PLACES[mint]
    metas = [
        AccountMeta(TOKEN_ACCOUNTS[Place(Holder.WALLET, STRANGER, mint)], is_signer=False, is_writable=True),
        AccountMeta(place.mint, is_signer=False, is_writable=False),
        AccountMeta(target, is_signer=False, is_writable=True),
        AccountMeta(wallet, is_signer=True, is_writable=False),
    ]
    return Instruction(place.token_program, struct.pack("<BQB", 12, amount, DECIMALS[mint]), metas)


def _trade(model: Model, t: a.Trade, now: Now) -> Instruction:
    trade = _honest_trade(trade_of(model, t, now))
    if t.confusion is None:
        return trade
    metas = list(trade.accounts)
    meta = metas[t.confusion.account]
    metas[t.confusion.account] = AccountMeta(POOL[t.confusion.key], is_signer=False, is_writable=meta.is_writable)
    return Instruction(trade.program_id, trade.data, metas)


def is_confused(model: Model, t: a.Trade, now: Now) -> bool:
    """Whether another account really stands in the place of the right one."""
    if t.confusion is None:
        return False
    return _trade(model, t, now).accounts != _trade(model, replace(t, confusion=None), now).accounts


def _honest_trade(order: TradeModel) -> Instruction:
    return vault.bot_trade(
        PROGRAM,
        vault=VAULTS[order.owner],
        bot_authority=ADDRESSES[order.signer],
        order=vault.TradeOrder(order.seq, _HASH, order.amount_in_max, order.amount_out_min, max(order.expiry_slot, 0)),
        place_in=PLACES[order.mint_in],
        place_out=PLACES[order.mint_out],
        swap=_swap(order),
        accounts_hash=_HASH,
    )


def _swap(t: TradeModel) -> Instruction:
    program = t.program if t.program < len(RESERVES) else 0
    reserve, bump = RESERVES[program]
    script = Script(signers={HANDS[t.owner]})
    mint_in, mint_out = PLACES[t.mint_in], PLACES[t.mint_out]
    hand_in, hand_out = (TOKEN_ACCOUNTS[Place(Holder.HAND, t.owner, mint)] for mint in (t.mint_in, t.mint_out))
    if t.taken:
        target = TOKEN_ACCOUNTS[Place(Holder.RESERVE, program, t.mint_in)]
        transfer_checked(script, hand_in, target, mint_in, t.taken, DECIMALS[t.mint_in], HANDS[t.owner])
    if t.given:
        source = TOKEN_ACCOUNTS[Place(Holder.RESERVE, program, t.mint_out)]
        transfer_checked(script, source, hand_out, mint_out, t.given, DECIMALS[t.mint_out], reserve)
    _add_evil(script, t, hand_in, hand_out)
    return script.build(PROGRAMS[t.program], bump=bump)


def _add_evil(script: Script, t: TradeModel, hand_in: Pubkey, hand_out: Pubkey) -> None:
    authority = HANDS[t.owner]
    program_in, program_out = (PLACES[mint].token_program for mint in (t.mint_in, t.mint_out))
    closer = bytes([6, 3, 1]) + bytes(THIEF)
    delegate = struct.pack("<BQ", 4, 1)
    match t.evil:
        case Evil.NOTHING:
            pass
        case Evil.DELEGATE_IN:
            script.token(delegate, hand_in, THIEF, authority=authority, program=program_in)
        case Evil.DELEGATE_OUT:
            script.token(delegate, hand_out, THIEF, authority=authority, program=program_out)
        case Evil.CLOSER_IN:
            script.token(closer, hand_in, authority=authority, program=program_in)
        case Evil.CLOSER_OUT:
            script.token(closer, hand_out, authority=authority, program=program_out)
        case Evil.FROM_VAULT:
            held = TOKEN_ACCOUNTS[Place(Holder.VAULT, t.owner, t.mint_in)]
            loot = TOKEN_ACCOUNTS[Place(Holder.WALLET, STRANGER, t.mint_in)]
            place = PLACES[t.mint_in]
            transfer_checked(script, held, loot, place, 1, DECIMALS[t.mint_in], authority)
        case Evil.WRITE_CONFIG:
            script.write(CONFIG, 16, b"\xee" * 8)
        case Evil.WRITE_VAULT:
            script.write(VAULTS[t.owner], 48, b"\xee" * 8)
        case Evil.REENTER:
            script.call(vault.enable_bot(PROGRAM, owner=ADDRESSES[t.owner]), as_signers=False)
        case Evil.FAIL:
            script.fail(vault.VaultError.PAUSED)
        case Evil.GROW_AUTHORITY:
            script.call(allocate(AllocateParams(pubkey=authority, space=1)))
        case Evil.OTHER_HAND:
            other = TOKEN_ACCOUNTS[Place(Holder.HAND, t.owner, t.other_mint)]
            script.token(bytes([9]), other, THIEF, authority=authority, program=PLACES[t.other_mint].token_program)
        case _:
            assert_never(t.evil)
