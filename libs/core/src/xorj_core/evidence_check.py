"""Judges the evidence of one trade step by step, with nothing but the file and the keys that its reader trusts.

Decoding and verifying Ed25519 signatures are handed in; there is no I/O, no database and no network here.

1. Steps are taken in the order of `Step`; the first that fails ends the judgement and is named.
2. Nothing in the file is believed: leaves, decisions, ids and hashes are recomputed from the records.
3. A record counts only with its proof under a checkpoint that the log's trusted key has signed.
4. What cannot be proven offline is not claimed: the chain's own state is what its finalized account said to those who
   wrote the record, and a kill or a lapsed lease is what the executor recorded of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from xorj_core.audit_chain import record_leaf
from xorj_core.checkpoint import CheckpointRefused, NoteKey, Verify, parse_checkpoint, parse_key
from xorj_core.evidence import Evidence
from xorj_core.evidence_trade import EvidenceFails, TradeRecords, check_bytes, check_end, check_signature
from xorj_core.facts import Fact, PortfolioReconciled, TradeIntended, fact_id
from xorj_core.kill import KillState
from xorj_core.merkle import ProofRefused, check_inclusion
from xorj_core.policy.limits import PolicyLimits
from xorj_core.replay import Agrees, Differs, Undecided, redecide
from xorj_core.replay_sources import Recorded

Decode = Callable[[bytes | None], tuple[Fact, int]]
"""The fact in a record value and its decision version; raises ValueError."""


class Step(StrEnum):
    """What is judged, in this order."""

    CHECKPOINT = "checkpoint signed by the log"
    WITNESS = "checkpoint cosigned by the witness"
    INCLUSION = "every record in the log's tree"
    RECORDS = "records of this one trade"
    COMPARISON = "ranking and holdings give the delta"
    DECISION = "the delta gives the intent"
    AUDITED = "intent and attempt audited before the signature"
    BYTES = "the planned bytes are the intended trade"
    SIGNATURE = "the signature is over exactly these bytes"
    END = "the end on chain is this trade's"


@dataclass(frozen=True, slots=True)
class StepResult:
    """How one step went; `passed` is None for a step that was not asked for."""

    step: Step
    passed: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom the reader trusts. None: the key that the file names, which proves only that the file is of one piece."""

    log_key: NoteKey | None = None
    witness_key: NoteKey | None = None


@dataclass(slots=True)
class _Judgement:
    evidence: Evidence
    trust: Trust
    decode: Decode
    verify: Verify
    size: int = 0
    root: bytes = b""
    records: dict[bytes, list[Recorded]] = field(default_factory=dict)
    trade: TradeRecords = field(default_factory=TradeRecords)
    versions: dict[bytes, int] = field(default_factory=dict)


def judge_evidence(evidence: Evidence, trust: Trust, decode: Decode, verify: Verify) -> tuple[StepResult, ...]:
    """Every step up to the first that fails, in order; all of `Step` when none does."""
    judgement = _Judgement(evidence, trust, decode, verify)
    results: list[StepResult] = []
    for step, check in _CHECKS:
        try:
            told = check(judgement)
        except (EvidenceFails, CheckpointRefused, ProofRefused) as failure:
            return (*results, StepResult(step, passed=False, detail=str(failure)))
        results.append(StepResult(step, passed=None if told is None else True, detail=told or "not asked for"))
    return tuple(results)


def _checkpoint(judgement: _Judgement) -> str:
    key = judgement.trust.log_key or parse_key(judgement.evidence.log_key)
    note = parse_checkpoint(judgement.evidence.checkpoint.encode())
    note.signed_by(key, judgement.verify)
    if note.checkpoint.origin != key.name:
        raise EvidenceFails(f"a checkpoint of {note.checkpoint.origin}, not of {key.name}")
    judgement.size, judgement.root = note.checkpoint.size, note.checkpoint.root
    whose = "trusted" if judgement.trust.log_key else "named by the file itself: compare it"
    return f"{note.checkpoint.size} entries, signed by {key} ({whose})"


def _witness(judgement: _Judgement) -> str | None:
    key = judgement.trust.witness_key
    if key is None:
        return None
    parse_checkpoint(judgement.evidence.checkpoint.encode()).signed_by(key, judgement.verify)
    return f"cosigned by {key.name}"


def _inclusion(judgement: _Judgement) -> str:
    for one in judgement.evidence.records:
        leaf = record_leaf(
            one.cluster_id,
            one.topic,
            one.partition,
            one.offset,
            one.timestamp_ms,
            one.appended_at_us,
            one.key,
            one.headers,
            one.value,
        )
        try:
            check_inclusion(one.index, judgement.size, leaf, one.proof, judgement.root)
        except ProofRefused as refused:
            raise EvidenceFails(f"entry {one.index} ({one.topic}/{one.partition}@{one.offset}): {refused}") from refused
    return f"{len(judgement.evidence.records)} records"


def _records(judgement: _Judgement) -> str:
    wanted = judgement.evidence.trade_id
    for one in judgement.evidence.records:
        try:
            fact, version = judgement.decode(one.value)
        except ValueError as error:
            raise EvidenceFails(f"entry {one.index} is no fact: {error}") from error
        judgement.records.setdefault(fact_id(fact), []).append(Recorded(fact, one.timestamp_ms))
        judgement.versions[fact_id(fact)] = version
        if getattr(fact, "trade_id", b"") == wanted:
            judgement.trade.add(fact, one)
    trade = judgement.trade
    if not trade.intents:
        raise EvidenceFails("no intent of this trade")
    kinds = f"{len(trade.intents)} intents, {len(trade.plans)} attempts, {len(trade.signed)} signatures"
    return f"{kinds}, {len(trade.ends)} ends"


def _comparison(judgement: _Judgement) -> str:
    told = []
    for intent in judgement.trade.intents.values():
        seen = intent.fact.basis.delta
        for record in judgement.records.get(seen.fact_id, ()):
            if record.appended_at_ms == seen.appended_at_ms and isinstance(record.fact, PortfolioReconciled):
                _decide_again(judgement, record.fact)
                if not _follows(judgement, record.fact):
                    raise EvidenceFails("the ranking that the delta rests on is not in the file")
                told.append(f"mirrors {record.fact.trader.hex()}")
                break
        else:
            raise EvidenceFails(f"the delta of intent {intent.fact.intent_id.hex()} is not in the file")
    return "; ".join(told)


def _follows(judgement: _Judgement, delta: PortfolioReconciled) -> bool:
    return delta.ranking_fact_id in judgement.records and delta.settings_fact_id in judgement.records


def _decision(judgement: _Judgement) -> str:
    for intent in judgement.trade.intents.values():
        _decide_again(judgement, intent.fact)
    return f"{len(judgement.trade.intents)} decided again"


def _decide_again(judgement: _Judgement, fact: PortfolioReconciled | TradeIntended) -> None:
    name = type(fact).__name__
    match redecide(fact, judgement.versions[fact_id(fact)], _FileSources(judgement.records, judgement.verify)):
        case Agrees():
            return
        case Undecided(reason):
            raise EvidenceFails(f"{name} cannot be decided again: {reason}")
        case Differs(decided, differences):
            first = differences[0]
            raise EvidenceFails(
                f"{name} is not what its inputs give ({type(decided).__name__}): "
                f"{first.field} is {first.recorded}, not {first.decided}"
            )


@dataclass(frozen=True, slots=True)
class _FileSources:
    """The records of the file as sources of a decision; control and the signer's policy are not among them."""

    found: dict[bytes, list[Recorded]]
    verify: Verify

    def records(self, wanted: bytes) -> Sequence[Recorded]:
        return self.found.get(wanted, ())

    def kills(self, control_next_offset: int) -> KillState | None:
        return None

    def policy(self, policy_sha256: bytes) -> PolicyLimits | None:
        return None

    def verifies(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        return self.verify(public_key, message, signature)


def _audited(judgement: _Judgement) -> str | None:
    told = []
    for signed in judgement.trade.signed:
        intent, plan = judgement.trade.causes_of(signed.fact)
        for what, cause in (("intent", intent.record), ("attempt", plan.record)):
            if cause.index >= signed.record.index:
                raise EvidenceFails(f"the {what} is entry {cause.index}, its signature entry {signed.record.index}")
        told.append(f"entries {intent.record.index} and {plan.record.index} before {signed.record.index}")
    return "; ".join(told) or None


def _bytes(judgement: _Judgement) -> str | None:
    told = [check_bytes(judgement.trade, signed.fact) for signed in judgement.trade.signed]
    return "; ".join(told) or None


def _signature(judgement: _Judgement) -> str | None:
    told = [check_signature(judgement.trade, signed.fact, judgement.verify) for signed in judgement.trade.signed]
    return "; ".join(told) or None


def _end(judgement: _Judgement) -> str:
    return check_end(judgement.trade)


_CHECKS: tuple[tuple[Step, Callable[[_Judgement], str | None]], ...] = (
    (Step.CHECKPOINT, _checkpoint),
    (Step.WITNESS, _witness),
    (Step.INCLUSION, _inclusion),
    (Step.RECORDS, _records),
    (Step.COMPARISON, _comparison),
    (Step.DECISION, _decision),
    (Step.AUDITED, _audited),
    (Step.BYTES, _bytes),
    (Step.SIGNATURE, _signature),
    (Step.END, _end),
)
