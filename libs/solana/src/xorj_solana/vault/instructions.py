"""Builders of the vault program's instructions. Accounts and data as idl/vault.json lists them.

`bot_trade` is built in two steps, because its accounts hash depends on the whole message: compile the message with the
hash left zero, then `with_accounts_hash`.
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from solders.instruction import AccountMeta, CompiledInstruction, Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey

from xorj_solana.programs import ASSOCIATED_TOKEN, SPL_TOKEN, SYSTEM
from xorj_solana.tokens import associated_token_address
from xorj_solana.vault.addresses import (
    config_address,
    program_data_address,
    trade_authority_address,
    vault_address,
)
from xorj_solana.vault.hashing import accounts_hash_of_message

MAX_SWAP_ACCOUNTS: Final = 44
MAX_EXPIRY_SLOTS: Final = 300
_PLACES: Final = 4
_HASH_AT: Final = 72


class InvalidInstruction(ValueError):
    """Arguments that the program could only refuse."""


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


def discriminator(name: str) -> bytes:
    return hashlib.sha256(f"global:{name}".encode()).digest()[:8]


def initialize(
    program: Pubkey,
    *,
    payer: Pubkey,
    upgrade_authority: Pubkey,
    admin: Pubkey,
    guardian: Pubkey,
    swap_programs: Sequence[Pubkey],
    bot_authorities: Sequence[Pubkey],
) -> Instruction:
    """Up to four swap programs and four Ed25519 bot authorities; payer and upgrade authority sign."""
    if len(swap_programs) > _PLACES or len(bot_authorities) > _PLACES:
        raise InvalidInstruction(f"at most {_PLACES} swap programs and {_PLACES} bot authorities")
    programs = b"".join(bytes(key) for key in swap_programs).ljust(32 * _PLACES, b"\0")
    authorities = b"".join(b"\x01" + bytes(key) + b"\0" for key in bot_authorities).ljust(34 * _PLACES, b"\0")
    accounts = [
        _signer(payer, writable=True),
        _signer(upgrade_authority),
        _writable(config_address(program)),
        _readonly(program),
        _readonly(program_data_address(program)),
        _readonly(SYSTEM),
    ]
    return _instruction(program, "initialize", bytes(admin) + bytes(guardian) + programs + authorities, accounts)


def set_paused(program: Pubkey, *, authority: Pubkey, paused: bool) -> Instruction:
    """The admin signs, or the guardian when pausing."""
    return _instruction(
        program, "set_paused", bytes([paused]), [_signer(authority), _writable(config_address(program))]
    )


def open_vault(program: Pubkey, *, owner: Pubkey) -> Instruction:
    """The owner signs and pays the vault's rent."""
    accounts = [_signer(owner, writable=True), _writable(vault_address(program, owner)), _readonly(SYSTEM)]
    return _instruction(program, "open_vault", b"", accounts)


def open_mint(program: Pubkey, *, owner: Pubkey, place: MintPlaces) -> Instruction:
    """Creates the token accounts of the vault and of its trade authority; the owner signs and pays both rents."""
    vault = vault_address(program, owner)
    trade_authority = trade_authority_address(program, vault)
    accounts = [
        _signer(owner, writable=True),
        _readonly(vault),
        _readonly(trade_authority),
        _readonly(place.mint),
        _writable(associated_token_address(vault, place.mint, place.token_program)),
        _writable(associated_token_address(trade_authority, place.mint, place.token_program)),
        _readonly(place.token_program),
        _readonly(SYSTEM),
        _readonly(ASSOCIATED_TOKEN),
    ]
    return _instruction(program, "open_mint", b"", accounts)


def deposit(program: Pubkey, *, owner: Pubkey, source: Pubkey, place: MintPlaces, amount: int) -> Instruction:
    """Moves base units from `source` into the vault; the owner signs and must be `source`'s owner or delegate."""
    vault = vault_address(program, owner)
    accounts = [
        _signer(owner),
        _readonly(vault),
        _writable(source),
        _writable(associated_token_address(vault, place.mint, place.token_program)),
        _readonly(place.mint),
        _readonly(place.token_program),
    ]
    return _instruction(program, "deposit", struct.pack("<Q", amount), accounts)


def withdraw(program: Pubkey, *, owner: Pubkey, destination: Pubkey, place: MintPlaces, amount: int) -> Instruction:
    """Moves base units from the vault to `destination`; the owner signs. Works while paused."""
    vault = vault_address(program, owner)
    accounts = [
        _signer(owner),
        _readonly(vault),
        _writable(associated_token_address(vault, place.mint, place.token_program)),
        _writable(destination),
        _readonly(place.mint),
        _readonly(place.token_program),
    ]
    return _instruction(program, "withdraw", struct.pack("<Q", amount), accounts)


def enable_bot(program: Pubkey, *, owner: Pubkey) -> Instruction:
    """The owner signs."""
    return _instruction(program, "enable_bot", b"", [_signer(owner), _writable(vault_address(program, owner))])


def disable_bot(program: Pubkey, *, authority: Pubkey, vault: Pubkey) -> Instruction:
    """Signed by the vault's owner, the guardian or the admin."""
    accounts = [_signer(authority), _readonly(config_address(program)), _writable(vault)]
    return _instruction(program, "disable_bot", b"", accounts)


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
        return _writable(associated_token_address(wallet, place.mint, place.token_program))

    accounts = [
        _readonly(config_address(program)),
        _writable(vault),
        _signer(bot_authority),
        _readonly(trade_authority),
        token_account(vault, place_in),
        token_account(vault, place_out),
        token_account(trade_authority, place_in),
        token_account(trade_authority, place_out),
        _readonly(place_in.mint),
        _readonly(place_out.mint),
        _readonly(place_in.token_program),
        _readonly(place_out.token_program),
        _readonly(swap.program_id),
        # The trade authority signs inside the program only, so nobody signs here.
        *(AccountMeta(meta.pubkey, is_signer=False, is_writable=meta.is_writable) for meta in swap.accounts),
    ]
    return _instruction(program, "bot_trade", data, accounts)


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


def _instruction(program: Pubkey, name: str, arguments: bytes, accounts: list[AccountMeta]) -> Instruction:
    return Instruction(program, discriminator(name) + arguments, accounts)


def _signer(key: Pubkey, *, writable: bool = False) -> AccountMeta:
    return AccountMeta(key, is_signer=True, is_writable=writable)


def _writable(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=True)


def _readonly(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=False)
