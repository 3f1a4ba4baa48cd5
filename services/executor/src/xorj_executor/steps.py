"""The four steps that move a trade on: decide, plan, sign, submit. Each publishes what it did and changes nothing else.

1. The guard is asked before every step, and again after every wait for somebody else.
2. A step acts on facts that were read back from the log, never on what it decided in memory.
3. A fault of the world is a pause; a refusal is a fact.
"""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, TypeAlias

import structlog
from solders.pubkey import Pubkey
from xorj_core.execution import Attempt, Delta
from xorj_core.facts import (
    AttemptFailed,
    AttemptPlanned,
    AttemptStage,
    Fact,
    Halt,
    Mode,
    Position,
    TradeIntended,
    TradeRefused,
    TradeRefusedReason,
    TradeSubmitted,
    fact_id,
)
from xorj_core.next_step import Decide, Plan, Sign, Submit
from xorj_core.profiles import Commitment
from xorj_core.trade import (
    QuoteRefused,
    TradeInputs,
    TradeLimits,
    choose_leg,
    decide_trade,
    refuse_before_quote,
)
from xorj_solana.tokens import associated_token_address
from xorj_solana.vault import MintPlaces, trade_authority_address

from xorj_executor import planning
from xorj_executor.books import Books
from xorj_executor.jupiter import Route, RouteWish
from xorj_executor.metrics import FACTS
from xorj_executor.planning import Budget, Places, PlanLimits, Unplannable
from xorj_executor.ports import (
    Chain,
    ChainFailure,
    Gate,
    Log,
    Sent,
    Signed,
    Signer,
    SignerUnavailable,
    SignRefusal,
    Venue,
)

ROUTE_REUSE_S: Final = 2.0
ROUTES_KEPT: Final = 1_000
HALTED_PAUSE_S: Final = 0.25
REPLAN_PAUSE_S: Final = 1.0
PASSING_ERRORS: Final = ("BlockhashNotFound", "AccountInUse")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ReadBack:
    """Go on when the record at this position has been read, and after `pause_s`."""

    position: Position
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Nothing was published; try again after a growing pause."""

    why: str


@dataclass(frozen=True, slots=True)
class Halted:
    """The guard says no; ask again soon."""

    why: str


After: TypeAlias = ReadBack | Retry | Halted


@dataclass(frozen=True, slots=True)
class Rules:
    """The executor's settings as far as trades are concerned."""

    mode: Mode
    trade: TradeLimits
    plan: PlanLimits
    intent_slots: int
    vault_program: Pubkey


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside."""

    log: Log
    gate: Gate
    venue: Venue
    chain: Chain
    signer: Signer


class Steps:
    """Carries out one step at a time for any number of vaults."""

    def __init__(self, books: Books, ports: Ports, rules: Rules) -> None:
        self._books = books
        self._ports = ports
        self._rules = rules
        self._routes: OrderedDict[bytes, tuple[float, Route]] = OrderedDict()
        self._bot_authority: Pubkey | None = None

    async def decide(self, step: Decide) -> After:
        """Answer a delta with an intent or a refusal."""
        inputs = self._inputs(step.delta)
        refused = refuse_before_quote(inputs)
        if refused is not None:
            return await self._publish(refused, step.delta.fact)
        route, slot = await asyncio.gather(self._first_route(step.delta), self._ports.chain.slot(Commitment.CONFIRMED))
        quote = route.quote if isinstance(route, Route) else route
        inputs = replace(self._inputs(step.delta), quote=quote, expiry_slot=slot + self._rules.intent_slots)
        answer = decide_trade(inputs)
        if isinstance(answer, TradeIntended) and isinstance(route, Route):
            self._remember(answer.intent_id, route)
        return await self._publish(answer, step.delta.fact)

    async def plan(self, step: Plan) -> After:
        """Build, simulate and publish the bytes of one attempt."""
        intended = step.trade.intended
        if intended is None:
            return Retry("the intent has not been read")
        if halted := self._halted(intended.vault):
            return halted
        route = self._reusable(intended.intent_id, step.number) or await self._route_of(intended)
        if isinstance(route, QuoteRefused):
            if route.reason is TradeRefusedReason.QUOTE_UNAVAILABLE:
                return Retry(route.detail)
            return await self._fail(intended, step.number, ChainFailure(route.reason.name, 0, 0, route.detail, 0))
        planned = await self._planned(intended, step.number, route)
        if isinstance(planned, ChainFailure):
            if planned.error in PASSING_ERRORS:
                return Retry(planned.error)
            return await self._fail(intended, step.number, planned)
        if halted := self._halted(intended.vault):
            return halted
        return await self._publish(planned, intended)

    async def sign(self, step: Sign) -> After:
        """Ask the signer; what it signed comes back on the log."""
        intended, attempt = step.trade.intended, step.attempt
        if intended is None or step.trade.intended_at is None or attempt.planned_at is None:
            return Retry("intent or plan has not been read")
        if halted := self._halted(intended.vault):
            return halted
        answer = await self._ports.signer.sign(step.trade.intended_at, attempt.planned_at)
        match answer:
            case Signed(position):
                return ReadBack(position)
            case SignerUnavailable(detail):
                return Retry(detail)
            case SignRefusal(reason, detail, is_final):
                if not is_final:
                    return Retry(f"{reason}: {detail}")
                failure = ChainFailure(reason, 0, 0, detail[:300], 0)
                return await self._fail(intended, attempt.number, failure, AttemptStage.SIGNING)

    async def submit(self, step: Submit) -> After:
        """Send the signed bytes everywhere; from here on the chain decides."""
        intended, attempt = step.trade.intended, step.attempt
        if intended is None or attempt.signed is None:
            return Retry("intent or signature has not been read")
        if halted := self._halted(intended.vault):
            return halted
        sent, endpoints = await self._ports.chain.send(attempt.signed.transaction)
        if sent is not Sent.TAKEN:
            return Retry(f"send {sent.value}")
        return await self._publish(_submitted(intended, attempt, endpoints), attempt.signed)

    def _inputs(self, delta: Delta) -> TradeInputs:
        state = self._books.vault(delta.fact.vault)
        leg = choose_leg(delta.fact)
        control_next_offset, verdict = self._ports.gate.judged(delta.fact.vault)
        return TradeInputs(
            delta=delta.fact,
            delta_appended_at_ms=delta.appended_at_ms,
            now_ms=time.time_ns() // 1_000_000,
            mode=self._rules.mode,
            halt=verdict[0] if verdict else Halt.UNSPECIFIED,
            halt_detail=verdict[1] if verdict else "",
            control_next_offset=control_next_offset,
            settings_version=state.settings_version,
            settings_enabled=state.settings_enabled,
            price_in=self._books.prices.get(leg.overweight.mint) if leg else None,
            price_out=self._books.prices.get(leg.underweight.mint) if leg else None,
            quote=None,
            expiry_slot=0,
            limits=self._rules.trade,
        )

    async def _first_route(self, delta: Delta) -> Route | QuoteRefused:
        leg = choose_leg(delta.fact)
        if leg is None:
            return QuoteRefused(TradeRefusedReason.QUOTE_UNAVAILABLE, "there is no leg")
        fact = delta.fact
        mints = (leg.overweight.mint, leg.underweight.mint)
        return await self._route(fact.vault, *mints, leg.amount_in_base_units, fact.slippage_bps_max)

    async def _route_of(self, intended: TradeIntended) -> Route | QuoteRefused:
        mints = (intended.mint_in, intended.mint_out)
        return await self._route(intended.vault, *mints, intended.amount_in_base_units, intended.slippage_bps_max)

    async def _route(
        self, vault: bytes, mint_in: bytes, mint_out: bytes, amount: int, slippage_bps: int
    ) -> Route | QuoteRefused:
        taker = trade_authority_address(self._rules.vault_program, Pubkey(vault))
        try:
            _, program_out = await self._ports.chain.token_programs((Pubkey(mint_in), Pubkey(mint_out)))
        except ValueError as error:
            return QuoteRefused(TradeRefusedReason.QUOTE_INVALID, str(error))
        destination = associated_token_address(taker, Pubkey(mint_out), program_out)
        wish = RouteWish(mint_in, mint_out, amount, slippage_bps, bytes(taker), bytes(destination))
        return await self._ports.venue.route(wish)

    def _remember(self, intent_id: bytes, route: Route) -> None:
        self._routes[intent_id] = (time.monotonic(), route)
        while len(self._routes) > ROUTES_KEPT:
            self._routes.popitem(last=False)

    def _reusable(self, intent_id: bytes, attempt: int) -> Route | None:
        """The intent's own route while it is fresh: a second request would only cost time."""
        known = self._routes.get(intent_id)
        if known is None or attempt != 1 or time.monotonic() - known[0] > ROUTE_REUSE_S:
            return None
        return known[1]

    async def _planned(self, intended: TradeIntended, number: int, route: Route) -> AttemptPlanned | ChainFailure:
        chain, rules = self._ports.chain, self._rules
        mints = (Pubkey(intended.mint_in), Pubkey(intended.mint_out))
        program_in, program_out = await chain.token_programs(mints)
        if self._bot_authority is None:
            self._bot_authority = Pubkey(await self._ports.signer.public_key())
        places = Places(
            rules.vault_program,
            self._bot_authority,
            MintPlaces(mints[0], program_in),
            MintPlaces(mints[1], program_out),
        )
        pools = [meta.pubkey for meta in route.swap.accounts if meta.is_writable]
        latest, asked = await asyncio.gather(chain.latest_blockhash(), chain.unit_price_micro_lamports(pools))
        price = planning.clamp_price(asked, number, rules.plan)
        expiry = planning.expiry_slot(intended, latest.context_slot, rules.plan)
        try:
            roomy = Budget(planning.UNITS_MAX, price)
            trial = planning.build_message(intended, route, places, latest.blockhash, expiry, roomy)
            simulated = await chain.simulate(trial, Pubkey(intended.vault))
            if isinstance(simulated, ChainFailure):
                return simulated
            budget = Budget(planning.units_limit(simulated.units), price)
            message = planning.build_message(intended, route, places, latest.blockhash, expiry, budget)
        except Unplannable as error:
            return ChainFailure("Unplannable", 0, 0, str(error)[:300], latest.context_slot)
        return planning.plan_of(intended, number, message, route, latest, expiry, budget, simulated)

    async def _fail(
        self,
        intended: TradeIntended,
        attempt: int,
        failure: ChainFailure,
        stage: AttemptStage = AttemptStage.SIMULATION,
    ) -> After:
        failed = attempt_failed(intended, attempt, b"", failure, stage)
        after = await self._publish(failed, intended)
        return replace(after, pause_s=REPLAN_PAUSE_S * attempt)

    async def _publish(self, fact: Fact, cause: Fact) -> ReadBack:
        position = await self._ports.log.publish(fact, causation=(fact_id(cause),))
        tell(fact)
        return ReadBack(position)

    def _halted(self, vault: bytes) -> Halted | None:
        verdict = self._ports.gate.verdict(vault)
        return Halted(f"{verdict[0].name.lower()}: {verdict[1]}") if verdict else None


def attempt_failed(
    intended: TradeIntended, attempt: int, signature: bytes, failure: ChainFailure, stage: AttemptStage
) -> AttemptFailed:
    """The fact of an attempt that did not execute."""
    return AttemptFailed(
        intent_id=intended.intent_id,
        trade_id=intended.trade_id,
        vault=intended.vault,
        trade_seq=intended.trade_seq,
        attempt=attempt,
        signature=signature,
        error=failure.error,
        instruction_index=failure.instruction_index,
        custom_code=failure.custom_code,
        detail=failure.detail,
        slot=failure.slot,
        stage=stage,
    )


def _submitted(intended: TradeIntended, attempt: Attempt, endpoints: int) -> TradeSubmitted:
    return TradeSubmitted(
        intent_id=intended.intent_id,
        trade_id=intended.trade_id,
        vault=intended.vault,
        trade_seq=intended.trade_seq,
        attempt=attempt.number,
        signature=attempt.signed.signature if attempt.signed else b"",
        endpoints=endpoints,
        submitted_at_us=time.time_ns() // 1000,
    )


def tell(fact: Fact) -> None:
    """Count and log a fact that was published."""
    name = type(fact).__name__
    FACTS.labels(name).inc()
    details = {
        key: value.hex() if isinstance(value, bytes) else value.name if isinstance(value, IntEnum) else value
        for key in ("trade_id", "vault", "trade_seq", "attempt", "reason", "detail", "error", "signature", "slot")
        if (value := getattr(fact, key, None)) not in (None, b"", "")
    }
    level = log.warning if isinstance(fact, TradeRefused | AttemptFailed) else log.info
    level(f"published.{name}", **details)
