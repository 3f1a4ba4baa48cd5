"""Holdings against targets: topic portfolio-deltas."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

from xorj_core.facts.common import RiskProfile, SeenRecord


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
class Holding:
    """What a vault holds of one mint."""

    mint: bytes
    amount_base_units: int


@dataclass(frozen=True, slots=True)
class ReconciliationBasis:
    """What a comparison or its refusal rests on beside the facts that it names: enough to decide it again."""

    settings_fact_id: bytes = b""  # empty: none known
    ranking_fact_id: bytes = b""
    prices: tuple[SeenRecord, ...] = ()  # of the owner's allowed mints, ordered by fact id
    vault_was_read: bool = False  # the fields of the vault hold only then
    unreadable_detail: str = ""
    slot: int = 0
    owner: bytes = b""
    enabled: bool = False
    trade_seq: int = 0
    holdings: tuple[Holding, ...] = ()  # ordered by mint
    now_ms: int = 0
    price_age_ms_max: int = 0
    retry_soon_ms: int = 0
    retry_later_ms: int = 0


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
    basis: ReconciliationBasis = field(default_factory=ReconciliationBasis)


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
    basis: ReconciliationBasis = field(default_factory=ReconciliationBasis)


@dataclass(frozen=True, slots=True)
class ReconcileDue:
    """It is time to look at a vault again."""

    CAUSE: ClassVar[tuple[str, ...]] = ("vault", "cause_fact_id")

    vault: bytes
    cause_fact_id: bytes
    due_at_us: int
