"""Landed transactions and simulations as JSON-RPC shows them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import cast

import base58
from solders.instruction import CompiledInstruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import TransactionMetadata

from xorj_localnet.chain.faults import Json, unsupported_version
from xorj_localnet.chain.records import Landed, Status, TokenBalance
from xorj_localnet.chain.tokens import ui_amount_json
from xorj_localnet.chain.wire import message_of


def status_json(status: Status) -> Json:
    """The legacy ``status`` member beside ``err``."""
    return {"Ok": None} if status.err is None else {"Err": status.err}


def landed_json(landed: Landed, encoding: str, max_version: int | None) -> Json:
    """A transaction as ``getTransaction`` shows it; raises ``RpcFault`` -32015 for a version the caller cannot read."""
    versioned = isinstance(message_of(landed.transaction), MessageV0)
    if versioned and max_version is None:
        raise unsupported_version(0)
    body: dict[str, Json] = {
        "slot": landed.status.slot,
        "blockTime": landed.unix_time_s,
        "meta": _meta_json(landed),
        "transaction": _transaction_json(landed.transaction, encoding),
    }
    if max_version is not None:
        body["version"] = 0 if versioned else "legacy"
    return body


def _transaction_json(transaction: VersionedTransaction, encoding: str) -> Json:
    if encoding == "base64":
        return [base64.b64encode(bytes(transaction)).decode(), "base64"]
    if encoding == "base58":
        return [base58.b58encode(bytes(transaction)).decode(), "base58"]
    message = message_of(transaction)
    header = message.header
    body: dict[str, Json] = {
        "accountKeys": [str(key) for key in message.account_keys],
        "header": {
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
            "numRequiredSignatures": header.num_required_signatures,
        },
        "instructions": [_instruction_json(instruction, 1) for instruction in message.instructions],
        "recentBlockhash": str(message.recent_blockhash),
    }
    if isinstance(message, MessageV0):
        body["addressTableLookups"] = [
            {
                "accountKey": str(lookup.account_key),
                "readonlyIndexes": cast("Json", list(lookup.readonly_indexes)),
                "writableIndexes": cast("Json", list(lookup.writable_indexes)),
            }
            for lookup in message.address_table_lookups
        ]
    return {"message": body, "signatures": [str(signature) for signature in transaction.signatures]}


def _instruction_json(instruction: CompiledInstruction, stack_height: int | None) -> Json:
    return {
        "accounts": cast("Json", list(bytes(instruction.accounts))),
        "data": base58.b58encode(bytes(instruction.data)).decode(),
        "programIdIndex": instruction.program_id_index,
        "stackHeight": stack_height,
    }


def _meta_json(landed: Landed) -> Json:
    meta = landed.meta
    body: dict[str, Json] = {
        "err": landed.status.err,
        "status": status_json(landed.status),
        "fee": meta.fee(),
        "preBalances": list(landed.pre_balances),
        "postBalances": list(landed.post_balances),
        "innerInstructions": inner_instructions_json(meta),
        "logMessages": list(meta.logs()),
        "preTokenBalances": _token_balances_json(landed.pre_tokens),
        "postTokenBalances": _token_balances_json(landed.post_tokens),
        "rewards": [],
        "loadedAddresses": {
            "writable": _texts(landed.loaded_writable),
            "readonly": _texts(landed.loaded_readonly),
        },
        "computeUnitsConsumed": meta.compute_units_consumed(),
    }
    returned = return_data_json(meta)
    if returned is not None:
        body["returnData"] = returned
    return body


def inner_instructions_json(meta: TransactionMetadata) -> Json:
    """Inner instructions by outer index, empty groups left out."""
    return [
        {
            "index": index,
            "instructions": [_instruction_json(inner.instruction(), inner.stack_height()) for inner in group],
        }
        for index, group in enumerate(meta.inner_instructions())
        if group
    ]


def return_data_json(meta: TransactionMetadata) -> Json:
    """What the last program to set return data left, or null."""
    returned = meta.return_data()
    data = bytes(returned.data)
    if not data:
        return None
    return {"programId": str(returned.program_id), "data": [base64.b64encode(data).decode(), "base64"]}


def _token_balances_json(balances: Sequence[TokenBalance]) -> Json:
    return [
        {
            "accountIndex": balance.account_index,
            "mint": str(balance.mint),
            "owner": str(balance.owner),
            "programId": str(balance.program_id),
            "uiTokenAmount": cast("Json", ui_amount_json(balance.amount_base_units, balance.decimals)),
        }
        for balance in balances
    ]


def _texts(keys: Sequence[Pubkey]) -> Json:
    return [str(key) for key in keys]
