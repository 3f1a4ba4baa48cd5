"""Reads the instructions that a signable message may hold, and nothing else.

Layout of `bot_trade`: docs/vault-program.md. Compute budget: instructions 2 (limit, u32) and 3 (price, u64).

1. A message holds exactly one compute limit, one compute price and one `bot_trade`; any other instruction is refused.
2. Instruction data is read to its last byte, and beside the fee payer every account is one that an instruction names.
3. The accounts hash covers every account of `bot_trade`, in order, with the flags that the runtime shows.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from xorj_core.solana_message import Account, Instruction, Message

COMPUTE_BUDGET_PROGRAM = bytes.fromhex("0306466fe5211732ffecadba72c39be7bc8ce5bbc5f7126b2c439b3a40000000")
BOT_TRADE_DISCRIMINATOR = hashlib.sha256(b"global:bot_trade").digest()[:8]
ACCOUNTS_HASH_DOMAIN = b"xorj.accounts.v1"
TRADE_ACCOUNTS_MAX = 64

_SET_LIMIT, _SET_PRICE = 2, 3
_HEAD = 8 + 8 + 32 + 8 + 8 + 8 + 32 + 4
_VAULT, _BOT_AUTHORITY, _MINT_IN, _MINT_OUT, _SWAP_PROGRAM = 1, 2, 8, 9, 12


class NotOurs(ValueError):
    """An instruction that is never signed; the text says which."""


class BadTradeData(ValueError):
    """A `bot_trade` whose data or accounts do not follow the layout."""


@dataclass(frozen=True, slots=True)
class BotTrade:
    """The arguments and named accounts of one `bot_trade`."""

    seq: int
    intent_id: bytes
    amount_in_max: int
    amount_out_min: int
    expiry_slot: int
    accounts_hash: bytes
    accounts: tuple[Account, ...]

    @property
    def vault(self) -> bytes:
        return self.accounts[_VAULT].key

    @property
    def bot_authority(self) -> Account:
        return self.accounts[_BOT_AUTHORITY]

    @property
    def mint_in(self) -> bytes:
        return self.accounts[_MINT_IN].key

    @property
    def mint_out(self) -> bytes:
        return self.accounts[_MINT_OUT].key

    @property
    def swap_program(self) -> bytes:
        return self.accounts[_SWAP_PROGRAM].key


@dataclass(frozen=True, slots=True)
class TradeInstructions:
    """Everything that a signable message asks for."""

    compute_unit_limit: int
    compute_unit_price_micro_lamports: int
    trade: BotTrade


def read_instructions(message: Message, accounts: Sequence[Account], vault_program: bytes) -> TradeInstructions:
    """The three instructions of a message; raises `NotOurs`, `BadTradeData`."""
    limits: list[int] = []
    prices: list[int] = []
    trades: list[BotTrade] = []
    for instruction in message.instructions:
        program = accounts[instruction.program_index].key
        if program == COMPUTE_BUDGET_PROGRAM:
            kind, value = _compute_budget(instruction)
            (limits if kind == _SET_LIMIT else prices).append(value)
        elif program == vault_program:
            trades.append(_bot_trade(instruction, accounts))
        else:
            raise NotOurs(f"program {program.hex()}")
    named = {index for item in message.instructions for index in (item.program_index, *item.account_indexes)}
    if len(named | {0}) != len(accounts):
        raise NotOurs("an account that no instruction names")
    counts = (len(limits), len(prices), len(trades))
    if counts != (1, 1, 1):
        raise NotOurs(f"compute limit, compute price, bot_trade occur {counts} times, not once each")
    return TradeInstructions(limits[0], prices[0], trades[0])


def accounts_hash(accounts: Sequence[Account]) -> bytes:
    """sha256(domain | count u16 | count x (key [32] | flags u8: 1 signer, 2 writable)), little-endian; 32 bytes."""
    hasher = hashlib.sha256(ACCOUNTS_HASH_DOMAIN + len(accounts).to_bytes(2, "little"))
    for account in accounts:
        hasher.update(account.key + bytes([account.signer | account.writable << 1]))
    return hasher.digest()


def _compute_budget(instruction: Instruction) -> tuple[int, int]:
    data = instruction.data
    if not instruction.account_indexes and data:
        if data[0] == _SET_LIMIT and len(data) == 5:
            return _SET_LIMIT, int.from_bytes(data[1:], "little")
        if data[0] == _SET_PRICE and len(data) == 9:
            return _SET_PRICE, int.from_bytes(data[1:], "little")
    raise NotOurs("a compute budget instruction other than set limit and set price")


def _bot_trade(instruction: Instruction, accounts: Sequence[Account]) -> BotTrade:
    data = instruction.data
    if data[:8] != BOT_TRADE_DISCRIMINATOR:
        raise NotOurs("an instruction of the vault program other than bot_trade")
    if len(data) < _HEAD or int.from_bytes(data[_HEAD - 4 : _HEAD], "little") != len(data) - _HEAD:
        raise BadTradeData("the data of bot_trade does not have its stated length")
    if not _SWAP_PROGRAM < len(instruction.account_indexes) <= TRADE_ACCOUNTS_MAX:
        raise BadTradeData(f"bot_trade names {len(instruction.account_indexes)} accounts")
    return BotTrade(
        seq=int.from_bytes(data[8:16], "little"),
        intent_id=data[16:48],
        amount_in_max=int.from_bytes(data[48:56], "little"),
        amount_out_min=int.from_bytes(data[56:64], "little"),
        expiry_slot=int.from_bytes(data[64:72], "little"),
        accounts_hash=data[72:104],
        accounts=tuple(accounts[index] for index in instruction.account_indexes),
    )
