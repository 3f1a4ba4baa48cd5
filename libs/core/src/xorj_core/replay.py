"""Decides again what the log says was decided, from what the decision recorded and from the facts that it names.

Entry points: `redecide` (one decision) and `needed` (the records it rests on, so that they can be looked up together).

1. Every kind of fact is either a decision with a decider for its version, or no decision: `DECIDERS` and
   `NOT_DECISIONS` hold each kind once.
2. A decision is made again by the very function that made it, never by a second formula.
3. An input counts only as the log holds it: a record that is missing, or was appended at another time than the decision
   says, makes it `Undecided`, which is never taken for agreement.
4. Whether a kill stood against a trade follows from control, not from what the decision says of it.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from xorj_core import facts
from xorj_core.facts import (
    NO_QUOTE,
    Fact,
    Halt,
    PortfolioReconciled,
    Quote,
    RankingObserved,
    ReconciliationBasis,
    ReconciliationRefused,
    ReferencePriceObserved,
    SeenRecord,
    SettingsChanged,
    SigningRefused,
    TradeBasis,
    TradeIntended,
    TradeRefused,
    TradeRefusedReason,
    TradeSigned,
    id_of_cause,
)
from xorj_core.kill import kill_of, told
from xorj_core.reconcile import (
    LookAgain,
    ReconciliationInputs,
    SeenPrice,
    VaultSnapshot,
    VaultUnreadable,
    decide_reconciliation,
)
from xorj_core.replay_signing import needed_to_sign, redecide_signed, redecide_signing_refused
from xorj_core.replay_sources import InputMissing, Sources, only, seen_at
from xorj_core.trade import PriceRead, QuoteRefused, TradeInputs, TradeLimits, decide_trade


@dataclass(frozen=True, slots=True)
class Difference:
    """One field in which the recorded decision is not the one that its inputs give; both as text."""

    field: str
    recorded: str
    decided: str


@dataclass(frozen=True, slots=True)
class Agrees:
    """The inputs give the very decision that is recorded."""


@dataclass(frozen=True, slots=True)
class Differs:
    """The inputs give another decision."""

    decided: Fact
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Undecided:
    """It cannot be decided again; never a sign that all is well."""

    reason: str


Outcome: TypeAlias = Agrees | Differs | Undecided
Decider: TypeAlias = Callable[[Any, Sources], Fact]


def redecide(fact: Fact, decision_version: int, sources: Sources) -> Outcome:
    """What comes of deciding `fact` again. Raises KeyError for a fact that is no decision."""
    versions = DECIDERS[type(fact)]
    decider = versions.get(decision_version)
    if decider is None:
        if not decision_version:
            return Undecided("of a version that did not record what it rests on")
        return Undecided(f"no decider for version {decision_version}, only for {sorted(versions)}")
    try:
        decided = decider(fact, sources)
    except InputMissing as missing:
        return Undecided(str(missing))
    except (ValueError, AssertionError) as error:  # inputs that no decision was ever made from
        return Undecided(f"the recorded inputs are not such as a decision has: {error}")
    return Agrees() if decided == fact else Differs(decided, differences(fact, decided))


def needed(fact: Fact) -> tuple[bytes, ...]:
    """Ids of the facts that deciding this one again asks for; none for a fact that is no decision."""
    match fact:
        case PortfolioReconciled() | ReconciliationRefused():
            basis = fact.basis
            ids = (basis.settings_fact_id, basis.ranking_fact_id, *(seen.fact_id for seen in basis.prices))
        case TradeIntended() | TradeRefused():
            rests = fact.basis
            version = rests.settings_version
            settings = id_of_cause(SettingsChanged, fact.vault, version) if version else b""
            ids = (rests.delta.fact_id, rests.price_in.fact_id, rests.price_out.fact_id, settings)
        case TradeSigned() | SigningRefused():
            ids = needed_to_sign(fact)
        case _:
            ids = ()
    return tuple(found for found in ids if found)


def differences(recorded: object, decided: object, path: str = "") -> tuple[Difference, ...]:
    """Every field in which two facts differ; kinds first, then field by field, nested ones with dots."""
    if type(recorded) is not type(decided):
        return (Difference(path or "kind", _shown(recorded), _shown(decided)),)
    if dataclasses.is_dataclass(recorded):
        found: list[Difference] = []
        for field in dataclasses.fields(recorded):
            inner = f"{path}.{field.name}" if path else field.name
            found += differences(getattr(recorded, field.name), getattr(decided, field.name), inner)
        return tuple(found)
    if isinstance(recorded, tuple) and isinstance(decided, tuple) and len(recorded) == len(decided):
        pairs = enumerate(zip(recorded, decided, strict=True))
        return tuple(d for number, (one, other) in pairs for d in differences(one, other, f"{path}[{number}]"))
    return () if recorded == decided else (Difference(path, _shown(recorded), _shown(decided)),)


def _redecide_reconciliation(fact: PortfolioReconciled | ReconciliationRefused, sources: Sources) -> Fact:
    basis = fact.basis
    settings = only(sources, basis.settings_fact_id, SettingsChanged)
    ranking = only(sources, basis.ranking_fact_id, RankingObserved)
    prices = {}
    for seen in basis.prices:
        price = seen_at(sources, seen, ReferencePriceObserved)
        prices[price.mint] = SeenPrice(seen.fact_id, price.price_pico_usd, price.decimals, seen.appended_at_ms)
    inputs = ReconciliationInputs(
        vault=fact.vault,
        trigger_fact_id=fact.trigger_fact_id,
        settings=settings,
        settings_fact_id=basis.settings_fact_id,
        ranking=ranking,
        ranking_fact_id=basis.ranking_fact_id,
        prices=prices,
        snapshot=_snapshot(basis),
        now_ms=basis.now_ms,
        price_age_ms_max=basis.price_age_ms_max,
        look_again=LookAgain(basis.retry_soon_ms, basis.retry_later_ms),
    )
    return decide_reconciliation(inputs)


def _snapshot(basis: ReconciliationBasis) -> VaultSnapshot | VaultUnreadable:
    if not basis.vault_was_read:
        return VaultUnreadable(basis.unreadable_detail)
    holdings = {holding.mint: holding.amount_base_units for holding in basis.holdings}
    return VaultSnapshot(basis.slot, basis.owner, basis.enabled, basis.trade_seq, holdings)


def _redecide_intended(fact: TradeIntended, sources: Sources) -> Fact:
    return decide_trade(_trade_inputs(fact.vault, fact.basis, fact.quote, fact.expiry_slot, sources))


def _redecide_refused(fact: TradeRefused, sources: Sources) -> Fact:
    quote: Quote | QuoteRefused | None = fact.quote if fact.quote != NO_QUOTE else None
    if fact.quote_refused is not TradeRefusedReason.UNSPECIFIED:
        quote = QuoteRefused(fact.quote_refused, fact.quote_detail)
    return decide_trade(_trade_inputs(fact.vault, fact.basis, quote, 0, sources))


def _trade_inputs(
    vault: bytes, basis: TradeBasis, quote: Quote | QuoteRefused | None, expiry_slot: int, sources: Sources
) -> TradeInputs:
    delta = seen_at(sources, basis.delta, PortfolioReconciled)
    if basis.settings_version:
        settings = only(sources, id_of_cause(SettingsChanged, vault, basis.settings_version), SettingsChanged)
        enabled = settings is not None and settings.enabled
    else:
        enabled = False
    halt, detail = _halt(vault, basis, sources)
    return TradeInputs(
        delta=delta,
        delta_appended_at_ms=basis.delta.appended_at_ms,
        now_ms=basis.now_ms,
        mode=basis.mode,
        halt=halt,
        halt_detail=detail,
        control_next_offset=basis.control_next_offset,
        settings_version=basis.settings_version,
        settings_enabled=enabled,
        price_in=_price(sources, basis.price_in),
        price_out=_price(sources, basis.price_out),
        quote=quote,
        expiry_slot=expiry_slot,
        limits=TradeLimits(basis.delta_age_ms_max, basis.price_age_ms_max, basis.price_impact_bps_max),
    )


def _halt(vault: bytes, basis: TradeBasis, sources: Sources) -> tuple[Halt, str]:
    """The guard's verdict: a kill as control gives it; whether a lease held, only the executor's clock could tell."""
    state = sources.kills(basis.control_next_offset)
    if state is None:
        return basis.halt, basis.halt_detail
    if (kill := kill_of(state, vault)) is not None:
        return Halt.KILLED, told(kill)
    return (Halt.UNSPECIFIED, "") if basis.halt is Halt.KILLED else (basis.halt, basis.halt_detail)


def _price(sources: Sources, seen: SeenRecord) -> PriceRead | None:
    if not seen.fact_id:
        return None
    return PriceRead(seen_at(sources, seen, ReferencePriceObserved), seen.appended_at_ms)


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if dataclasses.is_dataclass(value):
        return type(value).__name__
    return f"{len(value)} items" if isinstance(value, tuple) else str(value)


DECIDERS: Final[Mapping[type, Mapping[int, Decider]]] = {
    PortfolioReconciled: {2: _redecide_reconciliation},
    ReconciliationRefused: {2: _redecide_reconciliation},
    TradeIntended: {2: _redecide_intended},
    TradeRefused: {2: _redecide_refused},
    TradeSigned: {1: redecide_signed},
    SigningRefused: {1: redecide_signing_refused},
}
"""Every decision fact, with the decider of each version that a log may hold."""

NOT_DECISIONS: Final[Mapping[type, str]] = {
    facts.RankingObserved: "seen at the engine",
    facts.RankingRefused: "seen at the engine",
    facts.SettingsChanged: "an owner's own",
    facts.ReferencePriceObserved: "seen at a price source",
    facts.ServiceStarted: "happened",
    facts.PolicyAdopted: "a policy that its operator wrote; signatures are judged by it",
    facts.ReconcileDue: "a clock ran out",
    facts.AttemptPlanned: "bytes from a venue's route and a simulation; judged by the signer's policy",
    facts.TradeSubmitted: "happened",
    facts.AttemptFailed: "seen on the chain",
    facts.TradeConfirmed: "seen on the chain",
    facts.TradeFinalized: "seen on the chain",
    facts.TradeExpired: "seen on the chain",
    facts.KillCommanded: "a person's or a service's own",
    facts.ServiceHeartbeat: "happened; its kill state is compared with control",
    facts.AuditHeartbeat: "happened",
    facts.DeadLettered: "happened",
}
"""Every other fact, and why it is no decision."""
