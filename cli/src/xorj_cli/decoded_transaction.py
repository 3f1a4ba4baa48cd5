"""What stands in a transaction, for people: accounts with their roles, instructions by name, the trade's arguments.

Pure: it reads with the very decoder by which the signer judges, so that what is shown is what would be signed.

1. Bytes of a whole transaction and of its message alone are both understood; nothing else is guessed.
2. What cannot be read is left out and said, never made up.
"""

import base64
import binascii
from typing import Any

from xorj_core.base58 import address_text
from xorj_core.policy.case import Reading
from xorj_core.policy.trade_instruction import COMPUTE_BUDGET_PROGRAM, BotTrade
from xorj_core.solana_message import Account, Instruction, Message

SIGNATURE_BYTES = 64
VERSIONED = 0x80
TRADE_ACCOUNTS = (
    "config",
    "vault",
    "bot authority",
    "trade authority",
    "vault in",
    "vault out",
    "trade in",
    "trade out",
    "mint in",
    "mint out",
    "token program in",
    "token program out",
    "swap program",
)
"""Roles of the first accounts of `bot_trade` (docs/vault-program.md); the others are the swap's."""
PROGRAMS = {
    COMPUTE_BUDGET_PROGRAM: "compute budget",
    bytes(32): "system",
    bytes.fromhex("06ddf6e1d765a193d9cbe146ceeb79ac1cb485ed5f5b37913a8cf5857eff00a9"): "SPL token",
    bytes.fromhex("06ddf6e1ee758fde18425dbce46ccddab61afc4d83b90d27febdf928d8a18bfc"): "Token-2022",
    bytes.fromhex("8c97258f4e2489f1bb3d1029148e0d830b5a1399daff1084048e7bd8dbe9f859"): "associated token account",
}
_BUDGET = {0: "request units", 1: "request heap frame", 2: "set compute unit limit", 3: "set compute unit price"}


class NotATransaction(ValueError):
    """The text or the bytes cannot be a transaction; the message says why."""


def transaction_bytes(given: bytes) -> bytes:
    """Raw bytes, or those that base64 text stands for; raises `NotATransaction`."""
    if not given.strip():
        raise NotATransaction("nothing was given")
    try:
        text = given.decode("ascii").strip()
    except UnicodeDecodeError:
        return given
    if not text.isprintable():
        return given
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise NotATransaction(f"neither bytes nor base64: {error}") from error


def message_of(data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """The message in a transaction, and its signatures; bytes that begin as a message are one."""
    if not data:
        raise NotATransaction("nothing was given")
    count = data[0]
    if count >= VERSIONED or count == 0:
        return data[1:] if count == 0 else data, ()
    end = 1 + count * SIGNATURE_BYTES
    if len(data) <= end:
        raise NotATransaction(f"{len(data)} bytes are too few for {count} signatures and a message")
    return data[end:], tuple(data[at : at + SIGNATURE_BYTES] for at in range(1, end, SIGNATURE_BYTES))


def described(reading: Reading, vault_program: bytes) -> dict[str, Any]:
    """What could be read, as JSON; empty when nothing could."""
    message = reading.message
    if message is None:
        return {}
    accounts = _accounts(message, reading.accounts, vault_program)
    body: dict[str, Any] = {
        "version": 0,
        "blockhash": address_text(message.blockhash),
        "required_signatures": message.required_signatures,
        "accounts": accounts,
        "instructions": [_instruction(item, accounts, vault_program) for item in message.instructions],
    }
    if reading.instructions is not None:
        found = reading.instructions
        body["compute_unit_limit"] = found.compute_unit_limit
        body["compute_unit_price_micro_lamports"] = found.compute_unit_price_micro_lamports
        body["bot_trade"] = _bot_trade(found.trade)
    return body


def _accounts(message: Message, resolved: tuple[Account, ...] | None, vault_program: bytes) -> list[dict[str, Any]]:
    called = {instruction.program_index for instruction in message.instructions}
    shown = []
    for index, key in enumerate(message.static_keys):
        roles = ["fee payer"] if index == 0 else []
        if index < message.required_signatures:
            roles.append("signer")
        if resolved is not None and resolved[index].writable:
            roles.append("writable")
        if index in called:
            roles.append("program")
        shown.append({"index": index, "address": address_text(key), "name": _name(key, vault_program), "roles": roles})
    index = len(message.static_keys)
    for writable in (True, False):  # as the runtime loads them: all writable ones first
        for lookup in message.lookups:
            for entry in lookup.writable_indexes if writable else lookup.readonly_indexes:
                found = None if resolved is None else resolved[index].key
                shown.append(
                    {
                        "index": index,
                        "address": None if found is None else address_text(found),
                        "name": None if found is None else _name(found, vault_program),
                        "roles": ["writable"] if writable else [],
                        "table": address_text(lookup.table),
                        "entry": entry,
                    }
                )
                index += 1
    return shown


def _name(key: bytes, vault_program: bytes) -> str | None:
    return "vault program" if key == vault_program else PROGRAMS.get(key)


def _instruction(instruction: Instruction, accounts: list[dict[str, Any]], vault_program: bytes) -> dict[str, Any]:
    program = accounts[instruction.program_index]
    body = {
        "program": program["address"],
        "program_name": program["name"],
        "accounts": list(instruction.account_indexes),
        "data": instruction.data.hex(),
    }
    if program["name"] == "compute budget" and instruction.data:
        body["name"] = _BUDGET.get(instruction.data[0], f"instruction {instruction.data[0]}")
    return body


def _bot_trade(trade: BotTrade) -> dict[str, Any]:
    return {
        "seq": trade.seq,
        "intent_id": trade.intent_id.hex(),
        "amount_in_max": str(trade.amount_in_max),
        "amount_out_min": str(trade.amount_out_min),
        "expiry_slot": trade.expiry_slot,
        "accounts_hash": trade.accounts_hash.hex(),
        "accounts": {
            name: address_text(account.key) for name, account in zip(TRADE_ACCOUNTS, trade.accounts, strict=False)
        },
        "swap_accounts": [address_text(account.key) for account in trade.accounts[len(TRADE_ACCOUNTS) :]],
    }
