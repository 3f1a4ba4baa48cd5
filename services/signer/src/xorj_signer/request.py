"""The path from a request to a signature; every step by itself, nothing taken from the caller but two positions.

1. No signature exists whose intent and attempt are not already in the audit log.
2. The ledger has committed the reservation before the key is used, and the signature before it leaves.
3. Kill switch and lease are asked before the key is used and again after it, also for a signature that is stored.
4. Mode `observe` signs nothing, whatever else is true.
5. What leaves has been verified here and is on the log.
6. Every refusal is told (`refusals`), whatever it was for.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from aiokafka.errors import KafkaError
from xorj_core.facts import AttemptPlanned, Mode, SeenRecord, SigningBasis, TradeIntended, TradeSigned, fact_id
from xorj_core.facts.common import Position
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.policy.decide import Approved, Denied, SeenPrice, SigningInputs, decide_signing
from xorj_core.policy.limits import PolicyLimits, policy_sha256
from xorj_core.policy.windows import demands_of
from xorj_halt.view import Halted, HaltReason
from xorj_log.fetcher import RecordFetcher, RecordNotFound, WrongCluster
from xorj_log.inbox import FactRecord, read_record
from xorj_log.writer import PublishUnknown

from xorj_signer.knowledge import Knowledge
from xorj_signer.ledger import LEDGER_FAULTS, AuditedExpiry, Ledger, Reservation
from xorj_signer.outbox import Publisher
from xorj_signer.providers import KeyProvider, ProviderFailed
from xorj_signer.providers.checked import REFUSED_AS, sign_checked
from xorj_signer.refusals import Refusal, Refusals

INTENTS_TOPIC = "trade-intents"
WAIT_S_MAX = 2.0
"""How long one request waits for a record, its audit cover or a price, within its own deadline."""
ANSWER_S_MIN = 0.1
"""Time that is kept for the answer: a refusal that comes after the deadline says nothing to its caller."""
CLOCK_AHEAD_MS_MAX = 5_000
"""Windows are counted by the broker's time, but by none further ahead of our own clock than this."""


class Halt(Protocol):
    """What the path asks of the guard (`xorj_halt.guard.Guard`)."""

    @property
    def control_next_offset(self) -> int: ...

    def verdict(self, vault: bytes | None) -> Halted | None: ...

    def covered(self, position: Position) -> bool: ...

    async def wait_covered(self, positions: Sequence[Position], timeout_s: float) -> bool: ...


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """Who asks for a signature over which planned attempt; `deadline` is on the monotonic clock, in seconds."""

    caller: str
    intent: Position
    attempt: Position
    traceparent: str
    deadline: float

    def patience_s(self) -> float:
        """How long to wait for something outside, so that there is time left to answer."""
        remaining_s = self.deadline - time.monotonic()
        return max(0.0, min(WAIT_S_MAX, remaining_s - max(ANSWER_S_MIN, remaining_s / 10)))


@dataclass(frozen=True, slots=True)
class SignedTrade:
    """A signature that may leave, and where its fact stands."""

    fact: TradeSigned
    position: Position


@dataclass(frozen=True, slots=True)
class Found:
    """The two records of a request, as the log holds them."""

    intent: TradeIntended
    intent_fact_id: bytes
    plan: AttemptPlanned
    plan_fact_id: bytes
    plan_timestamp_ms: int

    @property
    def fact_ids(self) -> tuple[bytes, bytes]:
        """What the signature is caused by."""
        return (self.intent_fact_id, self.plan_fact_id)


@dataclass(slots=True)
class Course:
    """How far a request has come; a refusal tells as much as is known then."""

    found: Found | None = None
    basis: SigningBasis = field(default_factory=SigningBasis)


Outcome: TypeAlias = SignedTrade | Denied


@dataclass(frozen=True, slots=True)
class Signing:
    """The parts that the path is made of."""

    callers: frozenset[str]
    mode: Mode
    limits: PolicyLimits
    fetcher: RecordFetcher
    guard: Halt
    knowledge: Knowledge
    ledger: Ledger
    key: KeyProvider
    publisher: Publisher
    refusals: Refusals

    async def sign_trade(self, request: SigningRequest) -> Outcome:
        """Sign one planned attempt, or say why not."""
        course = Course()
        try:
            if request.caller not in self.callers:
                outcome: Outcome = Denied(Reason.CALLER_NOT_ALLOWED, f"{request.caller!r} may not ask for signatures")
            else:
                fetched = await self._fetch(request)
                if isinstance(fetched, Denied):
                    outcome = fetched
                else:
                    course.found = fetched
                    outcome = await self._sign_found(request, fetched, course)
        except ProviderFailed as error:
            outcome = Denied(REFUSED_AS[error.fault], str(error))
        except LEDGER_FAULTS as error:
            outcome = Denied(Reason.LEDGER_UNAVAILABLE, f"{type(error).__name__}: {error}")
        except PublishUnknown as error:
            outcome = Denied(Reason.LOG_UNAVAILABLE, str(error))
        if isinstance(outcome, Denied):
            await self.refusals.tell(_refusal(request, course, outcome), request.patience_s())
        return outcome

    async def _sign_found(self, request: SigningRequest, found: Found, course: Course) -> Outcome:
        """The request path. Whatever comes later in it relies on everything before it."""
        intent, plan = found.intent, found.plan
        if not await self.guard.wait_covered([request.intent, request.attempt], request.patience_s()):
            return Denied(Reason.NOT_AUDITED, "the audit log does not hold the intent and the attempt yet")
        if halted := self._halted(intent.vault):
            return halted
        if self.mode is not Mode.LIVE:
            return Denied(Reason.OBSERVE_MODE, "this signer observes")
        await self.knowledge.wait_for_prices((intent.price_in_fact_id, intent.price_out_fact_id), request.patience_s())
        if self._expiry(intent.vault, intent.trade_seq, intent.intent_id):
            return Denied(Reason.SEQUENCE_TAKEN, "the intent has expired")
        inputs = self._inputs(found)
        course.basis = _basis(inputs, self.limits, self.knowledge.genesis_hash)
        decision = decide_signing(inputs, self.limits)
        if isinstance(decision, Denied):
            return decision
        message_sha256 = hashlib.sha256(plan.message).digest()
        reserved = await self.ledger.reserve(self._reservation(inputs, decision, message_sha256), self._expiry)
        if isinstance(reserved, Denied):
            return reserved
        stored = reserved.stored
        if stored is None:
            signature = await sign_checked(self.key, plan.message, request.patience_s())
            if halted := self._halted(intent.vault):
                return halted
            stored = await self.ledger.complete(self._fact(request, inputs, course.basis, signature, message_sha256))
        elif halted := self._halted(intent.vault):
            return halted
        position = await self.publisher.publish(stored, found.fact_ids, request.traceparent)
        return SignedTrade(stored.fact, position)

    async def _fetch(self, request: SigningRequest) -> Found | Denied:
        if request.intent.topic != INTENTS_TOPIC or request.attempt.topic != INTENTS_TOPIC:
            return Denied(Reason.BAD_REQUEST, f"both records stand on {INTENTS_TOPIC}")
        try:
            # The attempt comes after its intent: once it is here, the intent is, too, unless it is old.
            plan_record = await self.fetcher.fetch(request.attempt, request.patience_s())
            intent_record = await self.fetcher.fetch(request.intent, request.patience_s())
        except (RecordNotFound, WrongCluster) as error:
            return Denied(Reason.RECORD_NOT_FOUND, str(error))
        except KafkaError as error:
            return Denied(Reason.LOG_UNAVAILABLE, f"{type(error).__name__}: {error}")
        intent, plan = read_record(intent_record), read_record(plan_record)
        if not isinstance(intent, FactRecord) or not isinstance(plan, FactRecord):
            return Denied(Reason.RECORD_MISMATCH, "a record cannot be read")
        if not isinstance(intent.fact, TradeIntended) or not isinstance(plan.fact, AttemptPlanned):
            return Denied(Reason.RECORD_MISMATCH, "the records are not an intent and an attempt")
        if intent_record.key != intent.fact.vault or plan_record.key != intent.fact.vault:
            return Denied(Reason.RECORD_MISMATCH, "a record stands under another key than its vault")
        if request.intent.partition != request.attempt.partition or request.intent.offset >= request.attempt.offset:
            return Denied(Reason.RECORD_MISMATCH, "the attempt does not come after the intent in one partition")
        return Found(
            intent=intent.fact,
            intent_fact_id=intent.envelope.fact_id,
            plan=plan.fact,
            plan_fact_id=plan.envelope.fact_id,
            plan_timestamp_ms=plan_record.timestamp_ms,
        )

    def _halted(self, vault: bytes) -> Denied | None:
        halted = self.guard.verdict(vault)
        if halted is None:
            return None
        reason = Reason.KILLED if halted.reason is HaltReason.KILLED else Reason.NO_LEASE
        return Denied(reason, halted.detail)

    def _expiry(self, vault: bytes, trade_seq: int, intent_id: bytes) -> AuditedExpiry | None:
        """The end of an intent, once the audit log holds it."""
        expiry = self.knowledge.expiry(vault, trade_seq, intent_id)
        if expiry is None or not self.guard.covered(expiry.position):
            return None
        return AuditedExpiry(expiry.fact_id, expiry.context_slot)

    def _inputs(self, found: Found) -> SigningInputs:
        return SigningInputs(
            intent=found.intent,
            plan=found.plan,
            settings=self.knowledge.settings(found.intent.vault),
            settings_signed=self.knowledge.settings_signed(found.intent.vault),
            price_in=self.knowledge.price(found.intent.price_in_fact_id),
            price_out=self.knowledge.price(found.intent.price_out_fact_id),
            now_ms=max(found.plan_timestamp_ms, self.knowledge.newest_ms),
            bot_authority=self.key.public_key(),
        )

    def _reservation(self, inputs: SigningInputs, approved: Approved, message_sha256: bytes) -> Reservation:
        """What the attempt binds and counts as; its owner's settings are known, or it would not be approved."""
        intent, settings = inputs.intent, inputs.settings
        if settings is None:
            raise RuntimeError("a trade was approved without its owner's settings")
        mints = (intent.mint_in, intent.mint_out)
        return Reservation(
            intent_id=intent.intent_id,
            vault=intent.vault,
            trade_seq=intent.trade_seq,
            attempt=inputs.plan.attempt,
            message_sha256=message_sha256,
            expiry_slot=inputs.plan.expiry_slot,
            value_micro_usd=approved.value_micro_usd,
            outflow_lamports=approved.outflow_lamports,
            now_ms=min(inputs.now_ms, time.time_ns() // 1_000_000 + CLOCK_AHEAD_MS_MAX),
            demands=demands_of(self.limits, intent.vault, mints, settings.day_value_micro_usd_max),
        )

    def _fact(
        self,
        request: SigningRequest,
        inputs: SigningInputs,
        basis: SigningBasis,
        signature: bytes,
        message_sha256: bytes,
    ) -> TradeSigned:
        intent, plan = inputs.intent, inputs.plan
        return TradeSigned(
            intent_id=intent.intent_id,
            trade_id=intent.trade_id,
            vault=intent.vault,
            trade_seq=intent.trade_seq,
            attempt=plan.attempt,
            message_sha256=message_sha256,
            transaction=b"\x01" + signature + plan.message,
            signature=signature,
            provider=self.key.name,
            policy_sha256=policy_sha256(self.limits),
            intent_position=request.intent,
            attempt_position=request.attempt,
            control_offset=self.guard.control_next_offset,
            signed_at_us=time.time_ns() // 1000,
            basis=basis,
        )


def _refusal(request: SigningRequest, course: Course, denied: Denied) -> Refusal:
    """The refusal with what is known of the attempt: only what records say, never what the caller claims."""
    refusal = Refusal(
        caller=request.caller,
        reason=denied.reason,
        detail=denied.detail,
        intent_position=request.intent,
        attempt_position=request.attempt,
    )
    if course.found is None:
        return refusal
    plan = course.found.plan
    return replace(
        refusal,
        intent_id=plan.intent_id,
        trade_id=plan.trade_id,
        vault=plan.vault,
        attempt=plan.attempt,
        causation=(course.found.plan_fact_id,),
        traceparent=request.traceparent,
        basis=course.basis,
    )


def _basis(inputs: SigningInputs, limits: PolicyLimits, genesis_hash: bytes) -> SigningBasis:
    """All that the decision rests on and the attempt's own records do not say."""
    return SigningBasis(
        settings_fact_id=b"" if inputs.settings is None else fact_id(inputs.settings),
        price_in=_seen(inputs.intent.price_in_fact_id, inputs.price_in),
        price_out=_seen(inputs.intent.price_out_fact_id, inputs.price_out),
        now_ms=inputs.now_ms,
        bot_authority=inputs.bot_authority,
        policy_sha256=policy_sha256(limits),
        genesis_hash=genesis_hash,
    )


def _seen(price_fact_id: bytes, price: SeenPrice | None) -> SeenRecord:
    return SeenRecord() if price is None else SeenRecord(price_fact_id, price.timestamp_ms)
