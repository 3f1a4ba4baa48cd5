"""Decisions to trade and planned attempts: topic trade-intents."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Final

from xorj_core.facts.common import SeenRecord, Verdict
from xorj_core.facts.observations import Mode


@dataclass(frozen=True, slots=True)
class Quote:
    """What a venue offered."""

    venue: str
    amount_in_base_units: int
    amount_out_base_units: int
    amount_out_threshold_base_units: int  # as the venue stated it
    price_impact_bps: int
    pools: tuple[bytes, ...]
    body_sha256: bytes  # of the answer as received


NO_QUOTE: Final = Quote("", 0, 0, 0, 0, (), b"")


class Halt(IntEnum):
    """Why the guard says no."""

    UNSPECIFIED = 0  # it does not
    KILLED = 1
    NO_LEASE = 2  # also: control has not been read to its end


@dataclass(frozen=True, slots=True)
class TradeBasis:
    """What the answer to a delta rests on beside the facts that it names: enough to decide it again."""

    delta: SeenRecord = field(default_factory=SeenRecord)
    now_ms: int = 0
    mode: Mode = Mode.UNSPECIFIED
    halt: Halt = Halt.UNSPECIFIED
    halt_detail: str = ""
    control_next_offset: int = 0  # control had been read up to here
    settings_version: int = 0  # the newest that was read for this vault; 0: none
    settings_enabled: bool = False
    price_in: SeenRecord = field(default_factory=SeenRecord)
    price_out: SeenRecord = field(default_factory=SeenRecord)
    delta_age_ms_max: int = 0
    price_age_ms_max: int = 0
    price_impact_bps_max: int = 0


@dataclass(frozen=True, slots=True)
class TradeIntended:
    """One leg for one vault, decided from one delta. A published intent has exactly two ends: finalized or expired."""

    CAUSE: ClassVar[tuple[str, ...]] = ("intent_id",)

    intent_id: bytes  # 32 bytes
    trade_id: bytes  # 32 bytes
    vault: bytes
    trade_seq: int  # the delta's vault_trade_seq + 1
    delta_id: bytes
    mint_in: bytes
    mint_out: bytes
    amount_in_base_units: int
    amount_out_min_base_units: int
    slippage_bps_max: int
    quote: Quote
    price_in_fact_id: bytes
    price_out_fact_id: bytes
    price_in_pico_usd: int
    price_out_pico_usd: int
    decimals_in: int
    decimals_out: int
    value_micro_usd: int
    verdicts: tuple[Verdict, ...]
    expiry_slot: int = 0  # no attempt may expire later: an intent without attempts ends too
    basis: TradeBasis = field(default_factory=TradeBasis)


class TradeRefusedReason(IntEnum):
    """Why a TradeRefused was published."""

    UNSPECIFIED = 0
    KILLED = 1
    NO_LEASE = 2
    OBSERVE_MODE = 3
    BELOW_MINIMUM = 4
    LIMIT_EXCEEDED = 5
    PRICE_STALE = 6
    QUOTE_UNAVAILABLE = 7
    QUOTE_INVALID = 8
    SLIPPAGE = 9
    SETTINGS_CHANGED = 10
    PRICE_IMPACT = 11
    DELTA_STALE = 12


@dataclass(frozen=True, slots=True)
class TradeRefused:
    """A delta that asked for a trade and got none."""

    CAUSE: ClassVar[tuple[str, ...]] = ("delta_id",)

    vault: bytes
    delta_id: bytes
    trade_seq: int
    reason: TradeRefusedReason
    detail: str
    verdicts: tuple[Verdict, ...]
    retry_after_ms: int
    basis: TradeBasis = field(default_factory=TradeBasis)
    quote: Quote = NO_QUOTE  # the venue's offer
    quote_refused: TradeRefusedReason = TradeRefusedReason.UNSPECIFIED  # why there was none; none was asked for
    quote_detail: str = ""


@dataclass(frozen=True, slots=True)
class LookupTable:
    """An address lookup table as it was resolved."""

    address: bytes
    addresses: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AttemptPlanned:
    """The exact bytes that may be signed for an intent, and when they stop being valid."""

    CAUSE: ClassVar[tuple[str, ...]] = ("intent_id", "attempt")

    intent_id: bytes
    trade_id: bytes
    vault: bytes
    trade_seq: int
    attempt: int  # 1, 2, ...
    message: bytes  # serialised v0 message
    lookup_tables: tuple[LookupTable, ...]
    blockhash: bytes
    last_valid_block_height: int  # of this blockhash
    expiry_slot: int  # the vault program refuses later
    compute_unit_limit: int
    compute_unit_price_micro_lamports: int
    simulated_amount_out_base_units: int
    simulated_units: int
    planned_slot: int
