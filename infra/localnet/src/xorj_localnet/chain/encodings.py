"""Bytes and accounts as JSON-RPC shows them: base58, base64, base64+zstd, and the legacy bare base58 string.

1. base58 refuses more than 128 bytes, as a node does.
2. base64+zstd frames hold raw blocks: a valid frame without a compressor.
3. jsonParsed knows no program here and falls back to base64, as a node does for programs it cannot parse.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

import base58
from solders.account import Account
from solders.pubkey import Pubkey

from xorj_localnet.chain.faults import INVALID_REQUEST, Json, RpcFault, invalid_params

MAX_BASE58_BYTES = 128
MAX_TRANSACTION_BYTES = 1232
_MAX_BASE64_CHARS = 1644
_MAX_BASE58_CHARS = 1683
_ZSTD_BLOCK_BYTES = 128 * 1024


class Encoding(Enum):
    """Account data encodings of the JSON-RPC interface."""

    BINARY = "binary"
    BASE58 = "base58"
    BASE64 = "base64"
    BASE64_ZSTD = "base64+zstd"
    JSON_PARSED = "jsonParsed"


@dataclass(frozen=True, slots=True)
class DataSlice:
    """The part of the account data asked for, in bytes."""

    offset: int
    length: int


def account_json(account: Account | None, encoding: Encoding, data_slice: DataSlice | None) -> Json:
    """An account as ``getAccountInfo`` shows it; ``None`` stays null. Raises ``RpcFault`` for long base58."""
    if account is None:
        return None
    data = bytes(account.data)
    shown = data if data_slice is None else data[data_slice.offset : data_slice.offset + data_slice.length]
    return {
        "data": _data_json(shown, encoding),
        "executable": account.executable,
        "lamports": account.lamports,
        "owner": str(account.owner),
        "rentEpoch": account.rent_epoch,
        "space": len(data),
    }


def _data_json(data: bytes, encoding: Encoding) -> Json:
    match encoding:
        case Encoding.BINARY | Encoding.BASE58:
            if len(data) > MAX_BASE58_BYTES:
                raise RpcFault(
                    INVALID_REQUEST,
                    "Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.",
                )
            text = base58.b58encode(data).decode()
            return text if encoding is Encoding.BINARY else [text, "base58"]
        case Encoding.BASE64 | Encoding.JSON_PARSED:
            return [base64.b64encode(data).decode(), "base64"]
        case Encoding.BASE64_ZSTD:
            return [base64.b64encode(_zstd_frame(data)).decode(), "base64+zstd"]
        case _:
            assert_never(encoding)


def _zstd_frame(data: bytes) -> bytes:
    """A zstd frame of raw blocks (RFC 8878, 3.1.1), window 2 MiB."""
    frame = bytearray(b"\x28\xb5\x2f\xfd\x00\x58")
    starts = range(0, max(len(data), 1), _ZSTD_BLOCK_BYTES)
    for start in starts:
        block = data[start : start + _ZSTD_BLOCK_BYTES]
        last = 1 if start == starts[-1] else 0
        frame += ((len(block) << 3) | last).to_bytes(3, "little") + block
    return bytes(frame)


def decode_transaction_bytes(text: str, encoding: str) -> bytes:
    """Wire bytes of a transaction argument. Raises ``RpcFault`` for bad text or more than 1,232 bytes."""
    match encoding:
        case "base64":
            _require_short(text, _MAX_BASE64_CHARS, "base64")
            try:
                raw = base64.b64decode(text, validate=True)
            except binascii.Error as error:
                raise invalid_params(f"invalid base64 encoding: {error}") from error
        case "base58":
            _require_short(text, _MAX_BASE58_CHARS, "base58")
            try:
                raw = base58.b58decode(text)
            except ValueError as error:
                raise invalid_params(f"invalid base58 encoding: {error}") from error
        case _:
            raise invalid_params(f"unsupported encoding: {encoding}. Supported encodings: base58, base64")
    if len(raw) > MAX_TRANSACTION_BYTES:
        raise invalid_params(f"decoded transaction too large: {len(raw)} bytes (max: {MAX_TRANSACTION_BYTES} bytes)")
    return raw


def _require_short(text: str, limit_chars: int, encoding: str) -> None:
    if len(text) > limit_chars:
        raise invalid_params(
            f"{encoding} encoded transaction too large: {len(text)} bytes "
            f"(max: encoded/raw {limit_chars}/{MAX_TRANSACTION_BYTES})"
        )


def keyed_account_json(key: Pubkey, account: Account, encoding: Encoding, data_slice: DataSlice | None) -> Json:
    """An account with its address, as ``getProgramAccounts`` lists it."""
    return {"pubkey": str(key), "account": account_json(account, encoding, data_slice)}
