"""Reading a wire transaction: its keys with their flags, its lookups, its compute-budget requests and base fee.

1. Nothing here executes; a transaction that cannot be read raises ``RpcFault`` as a node would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from solders.account import Account
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.transaction import SanitizeError, VersionedTransaction

from xorj_localnet.chain.faults import invalid_params

LAMPORTS_PER_SIGNATURE = 5_000
MICRO_LAMPORTS_PER_LAMPORT = 1_000_000
_DEFAULT_UNITS_PER_INSTRUCTION = 200_000
_MAX_UNITS = 1_400_000
_LOOKUP_TABLE_META_BYTES = 56
_COMPUTE_BUDGET = Pubkey.from_string("ComputeBudget111111111111111111111111111111")
_PRECOMPILES = frozenset(
    Pubkey.from_string(text)
    for text in (
        "Ed25519SigVerify111111111111111111111111111",
        "KeccakSecp256k11111111111111111111111111111",
        "Secp256r1SigVerify1111111111111111111111111",
    )
)

AnyMessage = Message | MessageV0


@dataclass(frozen=True, slots=True)
class LoadedKeys:
    """Addresses a transaction names: writable and read-only ones from lookup tables, and all writable ones."""

    looked_up_writable: tuple[Pubkey, ...]
    looked_up_readonly: tuple[Pubkey, ...]
    writable: tuple[Pubkey, ...]
    all: tuple[Pubkey, ...]


@dataclass(frozen=True, slots=True)
class ComputeBudget:
    """Compute-unit limit and price (micro-lamports per unit) that a message asks for."""

    units_max: int
    price_micro_lamports: int


def parse_transaction(raw: bytes) -> VersionedTransaction:
    """A transaction from wire bytes, checked for consistent indexes; raises ``RpcFault``."""
    try:
        transaction = VersionedTransaction.from_bytes(raw)
    except ValueError as error:
        raise invalid_params(
            f"failed to deserialize solana_transaction::versioned::VersionedTransaction: {error}"
        ) from (error)
    message_of(transaction)
    try:
        transaction.sanitize()
    except SanitizeError as error:
        raise invalid_params(
            "invalid transaction: Transaction failed to sanitize accounts offsets correctly"
        ) from error
    return transaction


def message_of(transaction: VersionedTransaction) -> AnyMessage:
    """The message, which has to be legacy or version 0; raises ``RpcFault`` for any other."""
    message = transaction.message
    if isinstance(message, Message | MessageV0):
        return message
    raise invalid_params("invalid transaction: Transaction version is unsupported")


def load_keys(message: AnyMessage, read: Callable[[Pubkey], Account | None]) -> LoadedKeys | None:
    """Resolve lookup tables with ``read``; ``None`` when one cannot be resolved (the VM then says why)."""
    writable_found: list[Pubkey] = []
    readonly_found: list[Pubkey] = []
    for lookup in message.address_table_lookups if isinstance(message, MessageV0) else ():
        table = read(lookup.account_key)
        if table is None:
            return None
        addresses = bytes(table.data)[_LOOKUP_TABLE_META_BYTES:]
        for indexes, found in ((lookup.writable_indexes, writable_found), (lookup.readonly_indexes, readonly_found)):
            for index in indexes:
                address = addresses[32 * index : 32 * index + 32]
                if len(address) != 32:
                    return None
                found.append(Pubkey.from_bytes(address))
    keys = message.account_keys
    header = message.header
    signed_end = header.num_required_signatures - header.num_readonly_signed_accounts
    unsigned_end = len(keys) - header.num_readonly_unsigned_accounts
    static = (*keys[:signed_end], *keys[header.num_required_signatures : unsigned_end])
    return LoadedKeys(
        looked_up_writable=tuple(writable_found),
        looked_up_readonly=tuple(readonly_found),
        writable=(*static, *writable_found),
        all=(*keys, *writable_found, *readonly_found),
    )


def compute_budget(message: AnyMessage) -> ComputeBudget:
    """Limit and price from the compute-budget instructions, with the default limit where none is set."""
    limit: int | None = None
    price = 0
    others = 0
    for instruction in message.instructions:
        if message.account_keys[instruction.program_id_index] != _COMPUTE_BUDGET:
            others += 1
            continue
        data = bytes(instruction.data)
        if data[:1] == b"\x02" and len(data) >= 5:
            limit = int.from_bytes(data[1:5], "little")
        elif data[:1] == b"\x03" and len(data) >= 9:
            price = int.from_bytes(data[1:9], "little")
    units = _DEFAULT_UNITS_PER_INSTRUCTION * others if limit is None else limit
    return ComputeBudget(min(units, _MAX_UNITS), price)


def fee_lamports(message: AnyMessage) -> int:
    """Base fee for every signature (precompiles' included) plus the priority fee, rounded up."""
    signatures = message.header.num_required_signatures
    for instruction in message.instructions:
        if message.account_keys[instruction.program_id_index] in _PRECOMPILES:
            signatures += bytes(instruction.data)[:1][0] if instruction.data else 0
    budget = compute_budget(message)
    priority = -(-budget.units_max * budget.price_micro_lamports // MICRO_LAMPORTS_PER_LAMPORT)
    return LAMPORTS_PER_SIGNATURE * signatures + priority
