"""Holdings against targets: topic portfolio-deltas."""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from xorj_core.facts.common import RiskProfile


@dataclass(frozen=True, slots=True)
class MintPosition:
    """One mint of a vault against its target."""

    mint: bytes
    decimals: int
    amount_base_units: int
    price_pico_usd: int
    price_fact_id: bytes
    value_micro_usd: int
    target_weight_bps: int
    target_value_micro_usd: int
    difference_micro_usd: int  # value minus target: positive is overweight


@dataclass(frozen=True, slots=True)
class PortfolioReconciled:
    """Real holdings compared with the target, with every number that was used."""

    CAUSE: ClassVar[tuple[str, ...]] = ("vault", "trigger_fact_id", "snapshot_slot")

    vault: bytes  # 32 bytes
    trigger_fact_id: bytes
    snapshot_slot: int  # of the one answer that held the vault and its token accounts
    vault_trade_seq: int
    trader: bytes  # wallet that is mirrored
    ranking_fact_id: bytes
    settings_fact_id: bytes
    settings_version: int
    profile: RiskProfile
    slippage_bps_max: int
    trade_value_micro_usd_min: int
    trade_value_micro_usd_max: int
    dead_band_bps: int
    total_value_micro_usd: int
    positions: tuple[MintPosition, ...]  # ordered by mint
    in_balance: bool  # nothing to trade: every difference is inside the dead band


class ReconciliationRefusedReason(IntEnum):
    """Why a ReconciliationRefused was published."""

    UNSPECIFIED = 0
    NO_SETTINGS = 1
    DISABLED = 2
    NO_RANKING = 3
    NO_ELIGIBLE_TRADER = 4
    PRICE_MISSING = 5
    PRICE_STALE = 6
    VAULT_UNREADABLE = 7
    VAULT_EMPTY = 8
    OWNER_MISMATCH = 9


@dataclass(frozen=True, slots=True)
class ReconciliationRefused:
    """The vault could not be compared with its target."""

    CAUSE: ClassVar[tuple[str, ...]] = ("vault", "trigger_fact_id", "reason")

    vault: bytes
    trigger_fact_id: bytes
    reason: ReconciliationRefusedReason
    detail: str
    retry_after_ms: int


@dataclass(frozen=True, slots=True)
class ReconcileDue:
    """It is time to look at a vault again."""

    CAUSE: ClassVar[tuple[str, ...]] = ("vault", "cause_fact_id")

    vault: bytes
    cause_fact_id: bytes
    due_at_us: int
