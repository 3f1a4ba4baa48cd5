"""The path from a request to a signature; every step by itself, nothing taken from the caller but two positions.

1. No signature exists whose intent and attempt are not already in the audit log.
2. The ledger has committed the reservation before the key is used, and the signature before it leaves.
3. Kill switch and lease are asked before the key is used and again after it, also for a signature that is stored.
4. Mode `observe` signs nothing, whatever else is true.
5. What leaves has been verified here and is on the log.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import structlog
from aiokafka.errors import KafkaError
from xorj_core.facts import AttemptPlanned, Mode, SigningRefused, TradeIntended, TradeSigned
from xorj_core.facts.common import Position
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.policy.decide import Denied, SigningInputs, decide_signing
from xorj_core.policy.limits import PolicyLimits, policy_sha256
from xorj_halt.keys import verifies
from xorj_halt.view import Halted, HaltReason
from xorj_log.fetcher import RecordFetcher, RecordNotFound, WrongCluster
from xorj_log.inbox import FactRecord, read_record
from xorj_log.writer import LogWriter, PublishUnknown

from xorj_signer.knowledge import Knowledge
from xorj_signer.ledger import LEDGER_FAULTS, AuditedExpiry, Ledger, Reservation, StoredSignature
from xorj_signer.providers import KeyProvider, ProviderFailed

INTENTS_TOPIC = "trade-intents"
WAIT_S_MAX = 2.0
"""How long one request waits for a record, its audit cover or a price, within its own deadline."""

log = structlog.get_logger()


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
        """How long to wait for something outside."""
        return max(0.0, min(WAIT_S_MAX, self.deadline - time.monotonic()))


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
    writer: LogWriter

    async def sign_trade(self, request: SigningRequest) -> Outcome:
        """Sign one planned attempt, or say why not; a refusal over records that exist is published too."""
        if request.caller not in self.callers:
            return Denied(Reason.CALLER_NOT_ALLOWED, f"{request.caller!r} may not ask for signatures")
        found = await self._fetch(request)
        if isinstance(found, Denied):
            return found
        try:
            outcome = await self._sign_found(request, found)
        except ProviderFailed as error:
            outcome = Denied(Reason.PROVIDER_FAILED, str(error))
        except LEDGER_FAULTS as error:
            outcome = Denied(Reason.LEDGER_UNAVAILABLE, f"{type(error).__name__}: {error}")
        except PublishUnknown as error:
            outcome = Denied(Reason.LOG_UNAVAILABLE, str(error))
        if isinstance(outcome, Denied):
            await self._publish_refusal(request, found, outcome)
        return outcome

    async def _sign_found(self, request: SigningRequest, found: Found) -> Outcome:
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
        decision = decide_signing(self._inputs(found), self.limits)
        if isinstance(decision, Denied):
            return decision
        message_sha256 = hashlib.sha256(plan.message).digest()
        wanted = Reservation(
            intent_id=intent.intent_id,
            vault=intent.vault,
            trade_seq=intent.trade_seq,
            attempt=plan.attempt,
            message_sha256=message_sha256,
            expiry_slot=plan.expiry_slot,
            value_micro_usd=decision.value_micro_usd,
        )
        reserved = await self.ledger.reserve(wanted, self._expiry)
        if isinstance(reserved, Denied):
            return reserved
        stored = reserved.stored
        if stored is None:
            signature = await self.key.sign(plan.message)
            if not verifies(self.key.public_key(), plan.message, signature):
                return Denied(Reason.BAD_SIGNATURE, "the provider's signature does not verify")
            if halted := self._halted(intent.vault):
                return halted
            stored = await self.ledger.complete(self._fact(request, found, signature, message_sha256))
        elif halted := self._halted(intent.vault):
            return halted
        return SignedTrade(stored.fact, await self._publish(request, found, stored))

    async def _fetch(self, request: SigningRequest) -> Found | Denied:
        if request.intent.topic != INTENTS_TOPIC or request.attempt.topic != INTENTS_TOPIC:
            return Denied(Reason.BAD_REQUEST, f"both records stand on {INTENTS_TOPIC}")
        try:
            intent_record = await self.fetcher.fetch(request.intent, request.patience_s())
            plan_record = await self.fetcher.fetch(request.attempt, request.patience_s())
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
            price_in=self.knowledge.price(found.intent.price_in_fact_id),
            price_out=self.knowledge.price(found.intent.price_out_fact_id),
            now_ms=max(found.plan_timestamp_ms, self.knowledge.newest_ms),
            bot_authority=self.key.public_key(),
        )

    def _fact(self, request: SigningRequest, found: Found, signature: bytes, message_sha256: bytes) -> TradeSigned:
        intent, plan = found.intent, found.plan
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
        )

    async def _publish(self, request: SigningRequest, found: Found, stored: StoredSignature) -> Position:
        if stored.published is not None:
            return stored.published
        causes = (found.intent_fact_id, found.plan_fact_id)
        position = await self.writer.publish(stored.fact, causation=causes, traceparent=request.traceparent)
        await self.ledger.mark_published(stored.fact, position)
        return position

    async def _publish_refusal(self, request: SigningRequest, found: Found, denied: Denied) -> None:
        """The caller gets the refusal even where the log cannot be reached."""
        refused = SigningRefused(
            intent_id=found.plan.intent_id,
            trade_id=found.plan.trade_id,
            vault=found.plan.vault,
            attempt=found.plan.attempt,
            reason=denied.reason,
            detail=denied.detail,
            caller=request.caller,
            attempt_position=request.attempt,
            refused_at_us=time.time_ns() // 1000,
            requests=1,
        )
        try:
            await self.writer.publish(refused, causation=(found.plan_fact_id,), traceparent=request.traceparent)
        except PublishUnknown as error:
            log.warning("refusal_not_published", reason=denied.reason.name, error=str(error))
