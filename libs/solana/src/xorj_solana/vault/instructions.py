"""Builders of the owner's instructions and of `bot_trade`. Accounts and data as idl/vault.json lists them.

`bot_trade` is built in two steps, because its accounts hash depends on the whole message: compile the message with the
hash left zero, then `with_accounts_hash`.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from solders.instruction import AccountMeta, CompiledInstruction, Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey

from xorj_solana.programs import ASSOCIATED_TOKEN, SPL_TOKEN, SYSTEM
from xorj_solana.tokens import associated_token_address
from xorj_solana.vault.accounts import Limits
from xorj_solana.vault.addresses import config_address, trade_authority_address, vault_address
from xorj_solana.vault.building import InvalidInstruction, build, discriminator, readonly, signer, writable
from xorj_solana.vault.hashing import accounts_hash_of_message

MAX_SWAP_ACCOUNTS: Final = 44
MAX_EXPIRY_SLOTS: Final = 300
MINTS_MAX: Final = 16
EVERYTHING: Final = 2**64 - 1
"""Stands for the whole balance in `withdraw`."""

_HASH_AT: Final = 72


@dataclass(frozen=True, slots=True)
class MintPlaces:
    """One mint with the token program that owns it."""

    mint: Pubkey
    token_program: Pubkey = SPL_TOKEN


@dataclass(frozen=True, slots=True)
class TradeOrder:
    """What a trade may do. Amounts in base units; `seq` is the vault's `trade_seq` + 1; `intent_id` has 32 bytes."""

    seq: int
    intent_id: bytes
    amount_in_max: int
    amount_out_min: int
    expiry_slot: int


def open_vault(program: Pubkey, *, owner: Pubkey) -> Instruction:
    """The owner signs and pays the vault's rent."""
    accounts = [signer(owner, is_writable=True), writable(vault_address(program, owner)), readonly(SYSTEM)]
    return build(program, "open_vault", b"", accounts)


def open_mint(program: Pubkey, *, owner: Pubkey, place: MintPlaces) -> Instruction:
    """Creates the token accounts of the vault and of its trade authority; the owner signs and pays both rents.

    Trades need it after `set_limits` has listed the mint; where the accounts exist, it costs only the transaction.
    """
    vault = vault_address(program, owner)
    trade_authority = trade_authority_address(program, vault)
    accounts = [
        signer(owner, is_writable=True),
        writable(vault),
        readonly(trade_authority),
        readonly(place.mint),
        writable(associated_token_address(vault, place.mint, place.token_program)),
        writable(associated_token_address(trade_authority, place.mint, place.token_program)),
        readonly(place.token_program),
        readonly(SYSTEM),
        readonly(ASSOCIATED_TOKEN),
    ]
    return build(program, "open_mint", b"", accounts)


def deposit(program: Pubkey, *, owner: Pubkey, source: Pubkey, place: MintPlaces, amount: int) -> Instruction:
    """Moves base units from `source` into the vault; the owner signs and must be `source`'s owner or delegate."""
    vault = vault_address(program, owner)
    accounts = [
        signer(owner),
        readonly(vault),
        writable(source),
        writable(associated_token_address(vault, place.mint, place.token_program)),
        readonly(place.mint),
        readonly(place.token_program),
    ]
    return build(program, "deposit", struct.pack("<Q", amount), accounts)


def close_mint(program: Pubkey, *, owner: Pubkey, place: MintPlaces) -> Instruction:
    """Closes the trade authority's token account, its dust to the vault, and the vault's when empty then.

    The owner signs and gets the rent.
    """
    vault = vault_address(program, owner)
    trade_authority = trade_authority_address(program, vault)
    accounts = [
        signer(owner, is_writable=True),
        readonly(vault),
        readonly(trade_authority),
        readonly(place.mint),
        writable(associated_token_address(vault, place.mint, place.token_program)),
        writable(associated_token_address(trade_authority, place.mint, place.token_program)),
        readonly(place.token_program),
    ]
    return build(program, "close_mint", b"", accounts)


def withdraw(
    program: Pubkey,
    *,
    owner: Pubkey,
    destination: Pubkey,
    place: MintPlaces,
    amount: int,
    extra: Sequence[AccountMeta] = (),
) -> Instruction:
    """Moves base units, or EVERYTHING, from the vault to `destination`; the owner signs. Works while paused.

    `extra` are the accounts that the mint's transfer hook asks for; none of them signs.
    """
    vault = vault_address(program, owner)
    accounts = [
        signer(owner),
        readonly(vault),
        writable(associated_token_address(vault, place.mint, place.token_program)),
        writable(destination),
        readonly(place.mint),
        readonly(place.token_program),
        *extra,
    ]
    return build(program, "withdraw", struct.pack("<Q", amount), accounts)


def set_limits(program: Pubkey, *, owner: Pubkey, limits: Limits) -> Instruction:
    """Replaces the vault's limits and forgets the turnover counted so far; the owner signs.

    Raises `InvalidInstruction` on more mints than there are places.
    """
    if len(limits.mints) > MINTS_MAX:
        raise InvalidInstruction(f"{len(limits.mints)} mints, at most {MINTS_MAX} fit")
    numbers = struct.pack(
        "<HHIQI",
        limits.trade_share_bps_max,
        limits.turnover_bps_max,
        limits.slots_between_min,
        limits.window_slots,
        len(limits.mints),
    )
    data = numbers + b"".join(bytes(mint) for mint in limits.mints)
    return build(program, "set_limits", data, [signer(owner), writable(vault_address(program, owner))])


def enable_bot(program: Pubkey, *, owner: Pubkey) -> Instruction:
    """The owner signs."""
    return build(program, "enable_bot", b"", [signer(owner), writable(vault_address(program, owner))])


def disable_bot(program: Pubkey, *, authority: Pubkey, vault: Pubkey) -> Instruction:
    """Signed by the vault's owner, the guardian or the admin."""
    accounts = [signer(authority), readonly(config_address(program)), writable(vault)]
    return build(program, "disable_bot", b"", accounts)


def bot_trade(
    program: Pubkey,
    *,
    vault: Pubkey,
    bot_authority: Pubkey,
    order: TradeOrder,
    place_in: MintPlaces,
    place_out: MintPlaces,
    swap: Instruction,
    accounts_hash: bytes = bytes(32),
) -> Instruction:
    """One trade through `swap`, whose only signer must be the vault's trade authority; the bot authority signs.

    Raises `InvalidInstruction` when the swap wants another signer or too many accounts.
    """
    trade_authority = trade_authority_address(program, vault)
    foreign = [meta.pubkey for meta in swap.accounts if meta.is_signer and meta.pubkey != trade_authority]
    if foreign:
        raise InvalidInstruction(f"the swap wants the signature of {foreign[0]}")
    if len(swap.accounts) > MAX_SWAP_ACCOUNTS:
        raise InvalidInstruction(f"the swap has {len(swap.accounts)} accounts, at most {MAX_SWAP_ACCOUNTS} fit")
    if len(order.intent_id) != 32 or len(accounts_hash) != 32:
        raise InvalidInstruction("an intent id and an accounts hash have 32 bytes")
    data = (
        struct.pack("<Q", order.seq)
        + order.intent_id
        + struct.pack("<QQQ", order.amount_in_max, order.amount_out_min, order.expiry_slot)
        + accounts_hash
        + struct.pack("<I", len(swap.data))
        + swap.data
    )

    def token_account(wallet: Pubkey, place: MintPlaces) -> AccountMeta:
        return writable(associated_token_address(wallet, place.mint, place.token_program))

    accounts = [
        readonly(config_address(program)),
        writable(vault),
        signer(bot_authority),
        readonly(trade_authority),
        token_account(vault, place_in),
        token_account(vault, place_out),
        token_account(trade_authority, place_in),
        token_account(trade_authority, place_out),
        readonly(place_in.mint),
        readonly(place_out.mint),
        readonly(place_in.token_program),
        readonly(place_out.token_program),
        readonly(swap.program_id),
        # The trade authority signs inside the program only, so nobody signs here.
        *(AccountMeta(meta.pubkey, is_signer=False, is_writable=meta.is_writable) for meta in swap.accounts),
    ]
    return build(program, "bot_trade", data, accounts)


def with_accounts_hash(message: MessageV0, program: Pubkey, tables: Mapping[Pubkey, Sequence[Pubkey]]) -> MessageV0:
    """The message with the accounts hash of its one `bot_trade` filled in.

    `tables` holds the addresses of every lookup table that the message names. Raises `InvalidInstruction` when there is
    not exactly one `bot_trade`, `UnresolvedLookup` when a table lacks an entry.
    """
    wanted = discriminator("bot_trade")
    found = [
        index
        for index, instruction in enumerate(message.instructions)
        if message.account_keys[instruction.program_id_index] == program and instruction.data[:8] == wanted
    ]
    if len(found) != 1:
        raise InvalidInstruction(f"the message holds {len(found)} trades, not one")
    instructions = list(message.instructions)
    trade = instructions[found[0]]
    digest = accounts_hash_of_message(message, found[0], tables)
    data = trade.data[:_HASH_AT] + digest + trade.data[_HASH_AT + 32 :]
    instructions[found[0]] = CompiledInstruction(trade.program_id_index, data, trade.accounts)
    return MessageV0(
        message.header,
        message.account_keys,
        message.recent_blockhash,
        instructions,
        message.address_table_lookups,
    )
