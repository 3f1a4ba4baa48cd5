"""Strict reading of JSON-RPC bodies into results. Pure; every deviation is ``Malformed`` with the place named.

1. Numbers are unsigned 64-bit integers; a float, a bool or a string is not a number.
2. Lists answer in the order asked, and their length has to match.
3. Account data has to be base64: what we asked for.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass

from solders.hash import Hash, ParseHashError
from solders.pubkey import Pubkey
from solders.signature import Signature

from xorj_solana.rpc.results import (
    Account,
    AccountsAt,
    Commitment,
    KeyedAccountsAt,
    LatestBlockhash,
    PerformanceSample,
    PrioritizationFee,
    Simulation,
    Status,
    StatusesAt,
    TokenBalance,
    TransactionAt,
)
from xorj_solana.rpc.transaction_error import TransactionError, parse_transaction_error

_U64_END = 1 << 64


class Malformed(ValueError):
    """A body that breaks the interface; the text says where."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The ``error`` member of a response."""

    code: int
    message: str
    err: TransactionError | None
    logs: tuple[str, ...]


def decode(body: bytes | str) -> object:
    """JSON from bytes, without NaN; raises ``Malformed``."""
    try:
        return json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed("not JSON") from error


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def response(document: object, request_id: int | None) -> object | Fault:
    """The result of a response, or its fault. ``request_id`` ``None`` accepts any id. Raises ``Malformed``."""
    body = mapping(document, "response")
    if body.get("jsonrpc") != "2.0":
        raise Malformed("response: not JSON-RPC 2.0")
    if "error" in body:
        if request_id is not None and body.get("id") not in (request_id, None):
            raise Malformed("response: answers another request")
        return fault(body["error"])
    if "result" not in body:
        raise Malformed("response: neither result nor error")
    if request_id is not None and body.get("id") != request_id:
        raise Malformed("response: answers another request")
    return body["result"]


def fault(value: object) -> Fault:
    """A JSON-RPC error object."""
    body = mapping(value, "error")
    code, message, data = body.get("code"), body.get("message"), body.get("data")
    if not isinstance(code, int) or isinstance(code, bool) or not isinstance(message, str):
        raise Malformed("error: code or message missing")
    if not isinstance(data, dict):
        return Fault(code, message, None, ())
    err = None if data.get("err") is None else parse_transaction_error(data["err"])
    return Fault(code, message, err, _logs(data.get("logs")))


def mapping(value: object, where: str) -> dict[str, object]:
    """An object."""
    if not isinstance(value, dict):
        raise Malformed(f"{where}: expected an object")
    return value


def listing(value: object, where: str) -> list[object]:
    """A list."""
    if not isinstance(value, list):
        raise Malformed(f"{where}: expected a list")
    return value


def unsigned(value: object, where: str) -> int:
    """An unsigned 64-bit number."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _U64_END:
        raise Malformed(f"{where}: expected an unsigned 64-bit number")
    return value


def text(value: object, where: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise Malformed(f"{where}: expected a string")
    return value


def pubkey(value: object, where: str) -> Pubkey:
    """A base58 address."""
    try:
        return Pubkey.from_string(text(value, where))
    except Malformed:
        raise
    except ValueError as error:
        raise Malformed(f"{where}: not an address") from error


def blockhash(value: object, where: str) -> Hash:
    """A base58 hash."""
    try:
        return Hash.from_string(text(value, where))
    except ParseHashError as error:
        raise Malformed(f"{where}: not a hash") from error


def signature(value: object, where: str) -> Signature:
    """A base58 signature."""
    try:
        return Signature.from_string(text(value, where))
    except Malformed:
        raise
    except ValueError as error:
        raise Malformed(f"{where}: not a signature") from error


def context(result: object) -> tuple[int, object]:
    """Slot and value of a result with a context."""
    body = mapping(result, "result")
    slot = unsigned(mapping(body.get("context"), "context").get("slot"), "context.slot")
    if "value" not in body:
        raise Malformed("result: no value")
    return slot, body["value"]


def latest_blockhash(result: object) -> LatestBlockhash:
    """``getLatestBlockhash``."""
    slot, value = context(result)
    body = mapping(value, "value")
    height = unsigned(body.get("lastValidBlockHeight"), "lastValidBlockHeight")
    return LatestBlockhash(blockhash(body.get("blockhash"), "blockhash"), height, slot)


def account(value: object) -> Account | None:
    """An account or null."""
    if value is None:
        return None
    body = mapping(value, "account")
    executable = body.get("executable")
    if not isinstance(executable, bool):
        raise Malformed("executable: expected true or false")
    lamports = unsigned(body.get("lamports"), "lamports")
    return Account(lamports, pubkey(body.get("owner"), "owner"), _data(body.get("data"), "data"), executable)


def _data(value: object, where: str) -> bytes:
    match value:
        case [str(encoded), "base64"]:
            try:
                return base64.b64decode(encoded, validate=True)
            except ValueError as error:
                raise Malformed(f"{where}: not base64") from error
        case _:
            raise Malformed(f"{where}: expected base64")


def fee(result: object) -> int | None:
    """``getFeeForMessage``."""
    _, value = context(result)
    return None if value is None else unsigned(value, "fee")


def accounts_at(result: object, asked: int) -> AccountsAt:
    """``getMultipleAccounts`` for ``asked`` keys."""
    slot, value = context(result)
    items = listing(value, "value")
    if len(items) != asked:
        raise Malformed(f"value: {len(items)} accounts for {asked} keys")
    return AccountsAt(slot, tuple(account(item) for item in items))


def keyed_accounts_at(result: object) -> KeyedAccountsAt:
    """``getTokenAccountsByOwner`` and its like."""
    slot, value = context(result)
    found: list[tuple[Pubkey, Account]] = []
    for item in listing(value, "value"):
        body = mapping(item, "keyed account")
        one = account(body.get("account"))
        if one is None:
            raise Malformed("keyed account: null")
        found.append((pubkey(body.get("pubkey"), "pubkey"), one))
    return KeyedAccountsAt(slot, tuple(found))


def statuses_at(result: object, asked: Sequence[Signature]) -> StatusesAt:
    """``getSignatureStatuses`` for ``asked``, matched by signature."""
    slot, value = context(result)
    items = listing(value, "value")
    if len(items) != len(asked):
        raise Malformed(f"value: {len(items)} statuses for {len(asked)} signatures")
    return StatusesAt(slot, dict(zip(asked, map(_status, items), strict=True)))


def _status(value: object) -> Status | None:
    if value is None:
        return None
    body = mapping(value, "status")
    slot = unsigned(body.get("slot"), "status.slot")
    confirmations, stated = body.get("confirmations"), body.get("confirmationStatus")
    if confirmations is not None:
        unsigned(confirmations, "confirmations")
    if "err" not in body:
        raise Malformed("status: no err")
    if stated is None:
        commitment = Commitment.FINALIZED if confirmations is None else Commitment.PROCESSED
    else:
        commitment = _commitment(stated)
    return Status(slot, transaction_error(body["err"]), commitment)


def _commitment(value: object) -> Commitment:
    try:
        return Commitment(value)
    except ValueError as error:
        raise Malformed("confirmationStatus: unknown") from error


def transaction_error(value: object) -> TransactionError | None:
    """An ``err`` member: null is success."""
    return None if value is None else parse_transaction_error(value)


def simulation(result: object, asked_accounts: int) -> Simulation:
    """``simulateTransaction`` that asked for ``asked_accounts`` accounts."""
    slot, value = context(result)
    body = mapping(value, "value")
    if "err" not in body:
        raise Malformed("value: no err")
    err = transaction_error(body["err"])
    accounts: tuple[Account | None, ...] = ()
    if asked_accounts and err is None:
        items = listing(body.get("accounts"), "accounts")
        if len(items) != asked_accounts:
            raise Malformed(f"accounts: {len(items)} for {asked_accounts} keys")
        accounts = tuple(account(item) for item in items)
    units = 0 if body.get("unitsConsumed") is None else unsigned(body["unitsConsumed"], "unitsConsumed")
    return Simulation(slot, err, _logs(body.get("logs")), units, accounts)


def _logs(value: object) -> tuple[str, ...]:
    return () if value is None else tuple(text(line, "logs") for line in listing(value, "logs"))


def transaction_at(result: object) -> TransactionAt | None:
    """``getTransaction`` in base64."""
    if result is None:
        return None
    body = mapping(result, "transaction")
    meta = mapping(body.get("meta"), "meta")
    if "err" not in meta:
        raise Malformed("meta: no err")
    time, units = body.get("blockTime"), meta.get("computeUnitsConsumed")
    return TransactionAt(
        slot=unsigned(body.get("slot"), "slot"),
        block_time_unix_s=None if time is None else unsigned(time, "blockTime"),
        raw=_data(body.get("transaction"), "transaction"),
        err=transaction_error(meta["err"]),
        fee_lamports=unsigned(meta.get("fee"), "fee"),
        logs=_logs(meta.get("logMessages")),
        units_consumed=None if units is None else unsigned(units, "computeUnitsConsumed"),
        pre_token_balances=_token_balances(meta.get("preTokenBalances")),
        post_token_balances=_token_balances(meta.get("postTokenBalances")),
    )


def _token_balances(value: object) -> tuple[TokenBalance, ...]:
    return () if value is None else tuple(_token_balance(item) for item in listing(value, "token balances"))


def _token_balance(value: object) -> TokenBalance:
    body = mapping(value, "token balance")
    amount = mapping(body.get("uiTokenAmount"), "uiTokenAmount")
    owner = body.get("owner")
    return TokenBalance(
        unsigned(body.get("accountIndex"), "accountIndex"),
        pubkey(body.get("mint"), "mint"),
        None if owner is None else pubkey(owner, "owner"),
        decimal_u64(amount.get("amount"), "amount"),
        unsigned(amount.get("decimals"), "decimals"),
    )


def decimal_u64(value: object, where: str) -> int:
    """An unsigned 64-bit number written as a string."""
    digits = text(value, where)
    if not digits.isascii() or not digits.isdigit() or len(digits) > 20:
        raise Malformed(f"{where}: expected digits")
    return unsigned(int(digits), where)


def prioritization_fees(result: object) -> tuple[PrioritizationFee, ...]:
    """``getRecentPrioritizationFees``."""
    rows = [mapping(item, "fee") for item in listing(result, "result")]
    return tuple(
        PrioritizationFee(
            unsigned(row.get("slot"), "slot"), unsigned(row.get("prioritizationFee"), "prioritizationFee")
        )
        for row in rows
    )


def performance_samples(result: object) -> tuple[PerformanceSample, ...]:
    """``getRecentPerformanceSamples``."""
    rows = [mapping(item, "sample") for item in listing(result, "result")]
    names = ("slot", "numSlots", "numTransactions", "samplePeriodSecs")
    return tuple(PerformanceSample(*(unsigned(row.get(name), name) for name in names)) for row in rows)
