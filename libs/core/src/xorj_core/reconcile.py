"""Compares a vault's holdings with its target: pure, exact, in integers.

Entry points: `target_of` (what to mirror, or why nothing) and `decide_reconciliation` (the fact to publish).

1. Values of positions are rounded down; their sum is the vault's value, and the targets sum to exactly that value, so
   the differences sum to zero.
2. Each target is within one micro-USD of its exact share.
3. Only the owner's allowed mints count: others are neither valued nor traded.
4. The decision depends on its inputs alone and on no order among them.
5. Every refusal has a reason of the closed set and says when to look again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from xorj_core.bounds import BPS
from xorj_core.facts.common import RiskProfile, SeenRecord
from xorj_core.facts.portfolio_deltas import (
    Holding,
    MintPosition,
    PortfolioReconciled,
    ReconciliationBasis,
    ReconciliationRefused,
    ReconciliationRefusedReason,
)
from xorj_core.facts.strategies import RankedTrader, RankingObserved
from xorj_core.facts.user_settings import SettingsChanged
from xorj_core.money import value_micro_usd
from xorj_core.profiles import limits_of
from xorj_core.select import choose_trader

DECISION_VERSION: Final = 2
VALUE_MICRO_USD_MAX: Final = 2**63 - 1
"""Values and their differences fit into the 64 bits of their messages."""

Reason = ReconciliationRefusedReason

PASSING: Final = frozenset({Reason.PRICE_MISSING, Reason.PRICE_STALE, Reason.VAULT_UNREADABLE})
"""Reasons that pass by themselves, so that looking again soon is worth it."""


@dataclass(frozen=True, slots=True)
class SeenPrice:
    """A reference price as the log holds it; `appended_at_ms` is the broker's time."""

    fact_id: bytes
    price_pico_usd: int
    decimals: int
    appended_at_ms: int


@dataclass(frozen=True, slots=True)
class VaultSnapshot:
    """A vault and its token accounts, as one answer held them. `holdings`: mint to base units, absent is zero."""

    slot: int
    owner: bytes
    enabled: bool
    trade_seq: int
    holdings: Mapping[bytes, int]


@dataclass(frozen=True, slots=True)
class VaultUnreadable:
    """Why there is no snapshot."""

    detail: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is nothing to compare with."""

    reason: ReconciliationRefusedReason
    detail: str


@dataclass(frozen=True, slots=True)
class LookAgain:
    """When to look again after a refusal, in milliseconds."""

    soon_ms: int  # where the reason passes by itself
    later_ms: int  # everywhere else


@dataclass(frozen=True, slots=True)
class ReconciliationInputs:
    """Everything that a comparison depends on."""

    vault: bytes
    trigger_fact_id: bytes
    settings: SettingsChanged | None
    settings_fact_id: bytes
    ranking: RankingObserved | None
    ranking_fact_id: bytes
    prices: Mapping[bytes, SeenPrice]  # by mint
    snapshot: VaultSnapshot | VaultUnreadable
    now_ms: int
    price_age_ms_max: int
    look_again: LookAgain


def target_of(settings: SettingsChanged | None, ranking: RankingObserved | None) -> RankedTrader | Refusal:
    """The trader to mirror. Needs no chain, so that a vault without a target costs no request."""
    if settings is None:
        return Refusal(Reason.NO_SETTINGS, "no settings of this vault are known")
    if not settings.enabled:
        return Refusal(Reason.DISABLED, f"disabled by settings version {settings.version}")
    if ranking is None:
        return Refusal(Reason.NO_RANKING, "no ranking has been observed")
    if settings.profile is RiskProfile.UNSPECIFIED:
        return Refusal(Reason.NO_ELIGIBLE_TRADER, "the settings name no risk profile")
    trust_min = limits_of(settings.profile).trust_score_hundredths_min
    trader = choose_trader(ranking.traders, trust_min, settings.allowed_mints)
    if trader is None:
        detail = (
            f"none of {len(ranking.traders)} traders has a trust score of at least {trust_min} hundredths "
            "and an allocation within the allowed mints"
        )
        return Refusal(Reason.NO_ELIGIBLE_TRADER, detail)
    return trader


def decide_reconciliation(inputs: ReconciliationInputs) -> PortfolioReconciled | ReconciliationRefused:
    """The comparison of holdings with the target, or the reason why there is none."""
    target = target_of(inputs.settings, inputs.ranking)
    if isinstance(target, Refusal) or inputs.settings is None:
        return _refused(inputs, target if isinstance(target, Refusal) else Refusal(Reason.NO_SETTINGS, ""))
    snapshot = inputs.snapshot
    if isinstance(snapshot, VaultUnreadable):
        return _refused(inputs, Refusal(Reason.VAULT_UNREADABLE, snapshot.detail))
    if snapshot.owner != inputs.settings.owner:
        return _refused(inputs, Refusal(Reason.OWNER_MISMATCH, "the vault's owner is not the one in the settings"))
    if not snapshot.enabled:
        return _refused(inputs, Refusal(Reason.DISABLED, "the bot is disabled in the vault account"))
    positions = _positions(inputs, inputs.settings, target, snapshot)
    if isinstance(positions, Refusal):
        return _refused(inputs, positions)
    return _reconciled(inputs, inputs.settings, target, snapshot, positions)


def _positions(
    inputs: ReconciliationInputs, settings: SettingsChanged, target: RankedTrader, snapshot: VaultSnapshot
) -> tuple[MintPosition, ...] | Refusal:
    """One position for each allowed mint that is held or wanted, ordered by mint."""
    weights = {wanted.mint: wanted.weight_bps for wanted in target.allocation}
    amounts = {mint: snapshot.holdings.get(mint, 0) for mint in settings.allowed_mints}
    mints = sorted(mint for mint, amount in amounts.items() if amount > 0 or mint in weights)
    values: dict[bytes, int] = {}
    for mint in mints:
        value = _value(inputs, mint, amounts[mint])
        if isinstance(value, Refusal):
            return value
        values[mint] = value
    total = sum(values.values())
    if total == 0:
        return Refusal(Reason.VAULT_EMPTY, "nothing of value in the allowed mints")
    if total > VALUE_MICRO_USD_MAX:
        return Refusal(Reason.PRICE_MISSING, "prices make a value that does not fit into 63 bits")
    found = []
    weight_before = 0
    for mint in mints:
        weight = weights.get(mint, 0)
        # Difference of two rounded cumulative shares: each is within one unit, and together they are the total.
        wanted = total * (weight_before + weight) // BPS - total * weight_before // BPS
        weight_before += weight
        price = inputs.prices[mint]
        found.append(
            MintPosition(
                mint=mint,
                decimals=price.decimals,
                amount_base_units=amounts[mint],
                price_pico_usd=price.price_pico_usd,
                price_fact_id=price.fact_id,
                value_micro_usd=values[mint],
                target_weight_bps=weight,
                target_value_micro_usd=wanted,
                difference_micro_usd=values[mint] - wanted,
            )
        )
    return tuple(found)


def _value(inputs: ReconciliationInputs, mint: bytes, amount: int) -> int | Refusal:
    price = inputs.prices.get(mint)
    if price is None or price.price_pico_usd <= 0:
        return Refusal(Reason.PRICE_MISSING, f"no reference price for mint {mint.hex()}")
    age_ms = inputs.now_ms - price.appended_at_ms
    if age_ms > inputs.price_age_ms_max:
        detail = f"price of mint {mint.hex()} is {age_ms} ms old, at most {inputs.price_age_ms_max}"
        return Refusal(Reason.PRICE_STALE, detail)
    return value_micro_usd(amount, price.decimals, price.price_pico_usd)


def _reconciled(
    inputs: ReconciliationInputs,
    settings: SettingsChanged,
    target: RankedTrader,
    snapshot: VaultSnapshot,
    positions: tuple[MintPosition, ...],
) -> PortfolioReconciled:
    total = sum(position.value_micro_usd for position in positions)
    return PortfolioReconciled(
        vault=inputs.vault,
        trigger_fact_id=inputs.trigger_fact_id,
        snapshot_slot=snapshot.slot,
        vault_trade_seq=snapshot.trade_seq,
        trader=target.wallet,
        ranking_fact_id=inputs.ranking_fact_id,
        settings_fact_id=inputs.settings_fact_id,
        settings_version=settings.version,
        profile=settings.profile,
        slippage_bps_max=min(settings.slippage_bps_max, limits_of(settings.profile).slippage_bps_max),
        trade_value_micro_usd_min=settings.trade_value_micro_usd_min,
        trade_value_micro_usd_max=settings.trade_value_micro_usd_max,
        dead_band_bps=settings.dead_band_bps,
        total_value_micro_usd=total,
        positions=positions,
        in_balance=_is_in_balance(positions, settings, total),
        basis=basis_of(inputs),
    )


def _is_in_balance(positions: tuple[MintPosition, ...], settings: SettingsChanged, total: int) -> bool:
    """Whether the largest leg (largest overweight into largest underweight) is not worth trading."""
    over = max(position.difference_micro_usd for position in positions)
    under = -min(position.difference_micro_usd for position in positions)
    leg = min(over, under)
    return leg <= 0 or leg * BPS <= total * settings.dead_band_bps or leg < settings.trade_value_micro_usd_min


def _refused(inputs: ReconciliationInputs, refusal: Refusal) -> ReconciliationRefused:
    again = inputs.look_again
    return ReconciliationRefused(
        vault=inputs.vault,
        trigger_fact_id=inputs.trigger_fact_id,
        reason=refusal.reason,
        detail=refusal.detail,
        retry_after_ms=again.soon_ms if refusal.reason in PASSING else again.later_ms,
        basis=basis_of(inputs),
    )


def basis_of(inputs: ReconciliationInputs) -> ReconciliationBasis:
    """The inputs as the answer records them; of the prices only those of mints that the owner allows."""
    allowed = inputs.settings.allowed_mints if inputs.settings is not None else ()
    seen = {inputs.prices[mint] for mint in allowed if mint in inputs.prices}
    prices = tuple(SeenRecord(p.fact_id, p.appended_at_ms) for p in sorted(seen, key=lambda p: p.fact_id))
    basis = ReconciliationBasis(
        settings_fact_id=inputs.settings_fact_id if inputs.settings is not None else b"",
        ranking_fact_id=inputs.ranking_fact_id if inputs.ranking is not None else b"",
        prices=prices,
        now_ms=inputs.now_ms,
        price_age_ms_max=inputs.price_age_ms_max,
        retry_soon_ms=inputs.look_again.soon_ms,
        retry_later_ms=inputs.look_again.later_ms,
    )
    snapshot = inputs.snapshot
    if isinstance(snapshot, VaultUnreadable):
        return replace(basis, unreadable_detail=snapshot.detail)
    return replace(
        basis,
        vault_was_read=True,
        slot=snapshot.slot,
        owner=snapshot.owner,
        enabled=snapshot.enabled,
        trade_seq=snapshot.trade_seq,
        holdings=tuple(Holding(mint, amount) for mint, amount in sorted(snapshot.holdings.items())),
    )
