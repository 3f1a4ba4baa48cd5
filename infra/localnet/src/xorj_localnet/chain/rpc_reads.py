"""Methods that read slots, blockhashes and accounts. Each takes the bank and the parameters and returns the result.

1. A result with a context names the slot whose state it shows; ``minContextSlot`` is checked against that slot.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import cast

import base58
from solders.account import Account
from solders.hash import Hash, ParseHashError
from solders.message import Message, MessageV0, from_bytes_versioned
from solders.pubkey import Pubkey

from xorj_localnet.chain.bank import Bank
from xorj_localnet.chain.encodings import Encoding, account_json, keyed_account_json
from xorj_localnet.chain.faults import Json, invalid_params, min_context_slot_not_reached
from xorj_localnet.chain.machine import SLOTS_PER_EPOCH
from xorj_localnet.chain.params import Config, Params, pubkey, unsigned
from xorj_localnet.chain.slots import BLOCKHASH_WINDOW_BLOCKS, Commitment, height_of
from xorj_localnet.chain.tokens import TOKEN_PROGRAMS, TokenReader, parse_token_account, ui_amount_json
from xorj_localnet.chain.wire import AnyMessage, fee_lamports

API_VERSION = "4.0.0"
MAX_MULTIPLE_ACCOUNTS = 100
_MAX_ACCOUNT_BYTES = 10 * 1024 * 1024
_MAX_FILTERS = 4
MAX_MEMCMP_BYTES = 128


def context_slot(bank: Bank, config: Config, default: Commitment = Commitment.FINALIZED) -> int:
    """The slot a read answers for; raises ``RpcFault`` -32016 below ``minContextSlot``."""
    slot = bank.clock.at(config.commitment(default))
    minimum = config.number("minContextSlot")
    if minimum is not None and slot < minimum:
        raise min_context_slot_not_reached(slot)
    return slot


def with_context(slot: int, value: Json) -> Json:
    """A result with the slot it was read at."""
    return {"context": {"apiVersion": API_VERSION, "slot": slot}, "value": value}


def get_health(_bank: Bank, _params: Params) -> Json:
    return "ok"


def get_version(_bank: Bank, _params: Params) -> Json:
    return {"feature-set": 0, "solana-core": API_VERSION}


def get_genesis_hash(bank: Bank, _params: Params) -> Json:
    return base58.b58encode(bank.genesis_hash).decode()


def get_slot(bank: Bank, params: Params) -> Json:
    return context_slot(bank, params.config(0))


def get_block_height(bank: Bank, params: Params) -> Json:
    return height_of(context_slot(bank, params.config(0)))


def get_latest_blockhash(bank: Bank, params: Params) -> Json:
    slot = context_slot(bank, params.config(0))
    return with_context(
        slot,
        {
            "blockhash": base58.b58encode(bank.clock.blockhash_of(slot)).decode(),
            "lastValidBlockHeight": height_of(slot) + BLOCKHASH_WINDOW_BLOCKS,
        },
    )


def is_blockhash_valid(bank: Bank, params: Params) -> Json:
    try:
        blockhash = bytes(Hash.from_string(params.text(0)))
    except ParseHashError as error:
        raise invalid_params("Invalid param: WrongSize") from error
    slot = context_slot(bank, params.config(1))
    return with_context(slot, bank.clock.blockhash_usable(blockhash, slot))


def get_epoch_info(bank: Bank, params: Params) -> Json:
    slot = context_slot(bank, params.config(0))
    return {
        "absoluteSlot": slot,
        "blockHeight": height_of(slot),
        "epoch": slot // SLOTS_PER_EPOCH,
        "slotIndex": slot % SLOTS_PER_EPOCH,
        "slotsInEpoch": SLOTS_PER_EPOCH,
        "transactionCount": bank.records.transaction_count,
    }


def get_balance(bank: Bank, params: Params) -> Json:
    key = params.pubkey(0)
    slot = context_slot(bank, params.config(1))
    account = bank.account_at(key, slot)
    return with_context(slot, 0 if account is None else account.lamports)


def get_account_info(bank: Bank, params: Params) -> Json:
    key, config = params.pubkey(0), params.config(1)
    encoding, data_slice = config.encoding(Encoding.BINARY), config.data_slice()
    slot = context_slot(bank, config)
    return with_context(slot, account_json(bank.account_at(key, slot), encoding, data_slice))


def get_multiple_accounts(bank: Bank, params: Params) -> Json:
    keys = [pubkey(text) for text in params.texts(0, MAX_MULTIPLE_ACCOUNTS)]
    config = params.config(1)
    encoding, data_slice = config.encoding(Encoding.BASE64), config.data_slice()
    slot = context_slot(bank, config)
    return with_context(slot, [account_json(bank.account_at(key, slot), encoding, data_slice) for key in keys])


def get_program_accounts(bank: Bank, params: Params) -> Json:
    program_id, config = params.pubkey(0), params.config(1)
    filters = config.raw("filters")
    if filters is not None and (not isinstance(filters, list) or len(filters) > _MAX_FILTERS):
        raise invalid_params(f"Too many filters provided; max {_MAX_FILTERS}")
    encoding, data_slice = config.encoding(Encoding.BINARY), config.data_slice()
    slot = context_slot(bank, config)
    found = bank.program_accounts_at(program_id, slot)
    tests = [_filter_test(entry) for entry in filters or []]
    rows: list[Json] = [
        keyed_account_json(key, account, encoding, data_slice)
        for key, account in found.items()
        if all(_passes(bytes(account.data), test) for test in tests)
    ]
    return with_context(slot, rows) if config.flag("withContext") else rows


Memcmp = tuple[int, bytes]


def _filter_test(entry: Json) -> int | Memcmp:
    match entry:
        case {"dataSize": size}:
            return unsigned(size, "dataSize")
        case {"memcmp": {"offset": offset, "bytes": str(text), "encoding": "base64"}}:
            return _memcmp(offset, text, "base64")
        case {"memcmp": {"offset": offset, "bytes": str(text)}}:
            return _memcmp(offset, text, "base58")
        case _:
            raise invalid_params("Invalid params: unknown filter")


def _memcmp(offset: Json, text: str, encoding: str) -> Memcmp:
    try:
        raw = base64.b64decode(text, validate=True) if encoding == "base64" else base58.b58decode(text)
    except ValueError as error:
        raise invalid_params(f"Invalid params: filter bytes: {error}") from error
    if len(raw) > MAX_MEMCMP_BYTES:
        raise invalid_params("encoded binary data should be less than 128 bytes")
    return unsigned(offset, "offset"), raw


def _passes(data: bytes, test: int | Memcmp) -> bool:
    if isinstance(test, int):
        return len(data) == test
    offset, expected = test
    return data[offset : offset + len(expected)] == expected


def get_token_accounts_by_owner(bank: Bank, params: Params) -> Json:
    owner, choice, config = params.pubkey(0), params.at(1), params.config(2)
    encoding, data_slice = config.encoding(Encoding.BINARY), config.data_slice()
    mint: Pubkey | None = None
    programs: Iterable[Pubkey] = TOKEN_PROGRAMS
    match choice:
        case {"mint": str(text)}:
            mint = pubkey(text)
        case {"programId": str(text)}:
            programs = (pubkey(text),)
            if programs[0] not in TOKEN_PROGRAMS:
                raise invalid_params("Invalid param: unrecognized Token program id")
        case _:
            raise invalid_params("Invalid params: expected mint or programId")
    slot = context_slot(bank, config)
    rows: list[Json] = []
    for program_id in programs:
        for key, account in bank.program_accounts_at(program_id, slot).items():
            token = parse_token_account(account)
            if token is not None and token.owner == owner and mint in (None, token.mint):
                rows.append(keyed_account_json(key, account, encoding, data_slice))
    return with_context(slot, rows)


def get_token_account_balance(bank: Bank, params: Params) -> Json:
    key = params.pubkey(0)
    slot = context_slot(bank, params.config(1))
    account: Account | None = bank.account_at(key, slot)
    if account is None:
        raise invalid_params("Invalid param: could not find account")
    token = parse_token_account(account)
    decimals = None if token is None else TokenReader(bank.machine.account).decimals(token.mint)
    if token is None or decimals is None:
        raise invalid_params("Invalid param: not a Token account")
    return with_context(slot, cast("Json", ui_amount_json(token.amount_base_units, decimals)))


def get_minimum_balance_for_rent_exemption(bank: Bank, params: Params) -> Json:
    size = params.number(0)
    if size > _MAX_ACCOUNT_BYTES:
        raise invalid_params("Invalid params: data length is larger than an account can be")
    return bank.machine.rent_exempt_lamports(size)


def get_fee_for_message(bank: Bank, params: Params) -> Json:
    message = _message(params.text(0))
    slot = context_slot(bank, params.config(1))
    usable = bank.clock.blockhash_usable(bytes(message.recent_blockhash), slot)
    return with_context(slot, fee_lamports(message) if usable else None)


def _message(text: str) -> AnyMessage:
    try:
        raw = base64.b64decode(text, validate=True)
        message = from_bytes_versioned(raw)
    except ValueError as error:
        raise invalid_params(f"failed to deserialize solana_message::versions::VersionedMessage: {error}") from error
    if isinstance(message, Message | MessageV0):
        return message
    raise invalid_params("invalid transaction: Transaction version is unsupported")
