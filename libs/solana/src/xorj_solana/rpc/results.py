"""What the RPC client returns: frozen values, amounts in base units or lamports, slots as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.signature import Signature

from xorj_solana.rpc.transaction_error import TransactionError


class Commitment(Enum):
    """How settled the state is that a call reads."""

    PROCESSED = "processed"
    CONFIRMED = "confirmed"
    FINALIZED = "finalized"


@dataclass(frozen=True, slots=True)
class LatestBlockhash:
    """A blockhash, usable while the block height is at most ``last_valid_block_height``."""

    blockhash: Hash
    last_valid_block_height: int
    context_slot: int


@dataclass(frozen=True, slots=True)
class Account:
    """An account's content."""

    lamports: int
    owner: Pubkey
    data: bytes
    executable: bool


@dataclass(frozen=True, slots=True)
class AccountsAt:
    """Accounts as they were at one slot, in the order asked for; ``None`` where there is none."""

    slot: int
    accounts: tuple[Account | None, ...]


@dataclass(frozen=True, slots=True)
class KeyedAccountsAt:
    """Accounts with their addresses as they were at one slot."""

    slot: int
    accounts: tuple[tuple[Pubkey, Account], ...]


@dataclass(frozen=True, slots=True)
class Status:
    """Where a transaction landed and how settled that is; ``err`` is ``None`` for success."""

    slot: int
    err: TransactionError | None
    commitment: Commitment


@dataclass(frozen=True, slots=True)
class StatusesAt:
    """Statuses by signature as one slot knows them; ``None`` where the signature is unknown."""

    slot: int
    statuses: Mapping[Signature, Status | None]


@dataclass(frozen=True, slots=True)
class Simulation:
    """Outcome of a simulation; ``accounts`` in the order asked for, empty when none were or when it failed."""

    slot: int
    err: TransactionError | None
    logs: tuple[str, ...]
    units_consumed: int
    accounts: tuple[Account | None, ...]


@dataclass(frozen=True, slots=True)
class TokenBalance:
    """Amount of a token account (by its index among the transaction's keys) in base units."""

    account_index: int
    mint: Pubkey
    owner: Pubkey | None
    amount_base_units: int
    decimals: int


@dataclass(frozen=True, slots=True)
class TransactionAt:
    """A landed transaction: wire bytes, fee in lamports, logs (a hint, never a proof), token balances around it."""

    slot: int
    block_time_unix_s: int | None
    raw: bytes
    err: TransactionError | None
    fee_lamports: int
    logs: tuple[str, ...]
    units_consumed: int | None
    pre_token_balances: tuple[TokenBalance, ...]
    post_token_balances: tuple[TokenBalance, ...]


@dataclass(frozen=True, slots=True)
class PrioritizationFee:
    """Lowest compute-unit price, in micro-lamports, that landed in a slot."""

    slot: int
    micro_lamports_per_unit: int


@dataclass(frozen=True, slots=True)
class PerformanceSample:
    """Slots counted over a period of whole seconds that ended at ``slot``."""

    slot: int
    slots: int
    transactions: int
    period_s: int
