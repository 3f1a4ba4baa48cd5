"""The records of one trade in an evidence file, and what must hold among them: bytes, signature, end.

1. Two records of one place (intent id, or intent id and attempt) must say the same.
2. A signature counts for the bytes of its own planned attempt and no others.
3. A trade has an end only once: finalized with amounts within the intent, or expired.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from xorj_core.checkpoint import Verify
from xorj_core.evidence import EvidenceRecord
from xorj_core.facts import (
    AttemptPlanned,
    Fact,
    Position,
    TradeExpired,
    TradeFinalized,
    TradeIntended,
    TradeSigned,
)
from xorj_core.policy.case import Case, read_message
from xorj_core.policy.limits import Cap, OutflowCaps, PolicyLimits, WindowCaps
from xorj_core.policy.rules import RULES
from xorj_core.policy.trade_instruction import BOT_TRADE_DISCRIMINATOR
from xorj_core.solana_message import MalformedMessage, decode, resolve

F = TypeVar("F")

BYTE_RULES = (
    "attempt-of-intent",
    "ids-from-causes",
    "one-trade-only",
    "only-signer",
    "our-key-once",
    "accounts-hash",
    "arguments",
    "plan-says-the-same",
)
"""The rules of the signer's policy that follow from the records alone; its operator's bounds are not in the file."""

_NO_CAP = Cap(0, 0)
_NO_CAPS = WindowCaps(_NO_CAP, _NO_CAP)


class EvidenceFails(Exception):
    """A step of the judgement does not hold; the message says why."""


@dataclass(frozen=True, slots=True)
class Placed(Generic[F]):
    """A fact and the record that holds it."""

    fact: F
    record: EvidenceRecord


@dataclass(slots=True)
class TradeRecords:
    """What the file holds of the trade; of two records of one intent the first in the log's order counts."""

    intents: dict[bytes, Placed[TradeIntended]] = field(default_factory=dict)
    plans: dict[Position, Placed[AttemptPlanned]] = field(default_factory=dict)
    signed: list[Placed[TradeSigned]] = field(default_factory=list)
    ends: list[Placed[TradeFinalized | TradeExpired]] = field(default_factory=list)

    def add(self, fact: Fact, record: EvidenceRecord) -> None:
        """Take a record of the trade; kinds that no step asks for are passed over."""
        match fact:
            case TradeIntended():
                self.intents.setdefault(fact.intent_id, Placed(fact, record))
            case AttemptPlanned():
                self.plans[position_of(record)] = Placed(fact, record)
            case TradeSigned():
                self.signed.append(Placed(fact, record))
            case TradeFinalized() | TradeExpired():
                self.ends.append(Placed(fact, record))
            case _:
                pass

    def causes_of(self, signed: TradeSigned) -> tuple[Placed[TradeIntended], Placed[AttemptPlanned]]:
        """The intent and the attempt that the signer names; raises EvidenceFails."""
        intent, plan = self.intents.get(signed.intent_id), self.plans.get(signed.attempt_position)
        if intent is None or position_of(intent.record) != signed.intent_position:
            raise EvidenceFails(f"the intent that the signer names is not in the file: {signed.intent_position}")
        if plan is None or (plan.fact.intent_id, plan.fact.attempt) != (signed.intent_id, signed.attempt):
            raise EvidenceFails(f"the attempt that the signer names is not in the file: {signed.attempt_position}")
        return intent, plan


def position_of(record: EvidenceRecord) -> Position:
    """Where the record stood on the broker."""
    return Position(record.cluster_id, record.topic, record.partition, record.offset)


def check_bytes(trade: TradeRecords, signed: TradeSigned) -> str:
    """The planned message is one trade with the intent's arguments; raises EvidenceFails."""
    placed_intent, placed_plan = trade.causes_of(signed)
    intent, plan = placed_intent.fact, placed_plan.fact
    try:
        message = decode(plan.message)
        accounts = resolve(message, {table.address: table.addresses for table in plan.lookup_tables})
    except MalformedMessage as error:
        raise EvidenceFails(f"attempt {plan.attempt}: {error}") from error
    programs = [
        accounts[instruction.program_index].key
        for instruction in message.instructions
        if instruction.data.startswith(BOT_TRADE_DISCRIMINATOR)
    ]
    if len(programs) != 1:
        raise EvidenceFails(f"attempt {plan.attempt} holds {len(programs)} trades")
    case = Case(
        limits=_limits(programs[0]),
        reading=read_message(plan.message, plan.lookup_tables, programs[0]),
        known_intent=intent,
        known_plan=plan,
        known_bot_authority=message.static_keys[0],
    )
    for rule in RULES:
        denied = rule.check(case) if rule.name in BYTE_RULES else None
        if denied is not None:
            raise EvidenceFails(f"attempt {plan.attempt}: {denied.detail}")
    return f"attempt {plan.attempt}: {intent.amount_in_base_units} in, at least {intent.amount_out_min_base_units} out"


def check_signature(trade: TradeRecords, signed: TradeSigned, verify: Verify) -> str:
    """The transaction is the planned message under one valid signature of its fee payer; raises EvidenceFails."""
    _, plan = trade.causes_of(signed)
    message = plan.fact.message
    if signed.message_sha256 != hashlib.sha256(message).digest():
        raise EvidenceFails(f"attempt {signed.attempt}: the signer names the hash of other bytes")
    if signed.transaction != b"\x01" + signed.signature + message:
        raise EvidenceFails(f"attempt {signed.attempt}: the signed transaction is not the planned message")
    key = decode(message).static_keys[0]
    if len(signed.signature) != 64 or not verify(key, message, signed.signature):
        raise EvidenceFails(f"attempt {signed.attempt}: no signature of {key.hex()} over these bytes")
    return f"attempt {signed.attempt}: by {key.hex()}"


def check_end(trade: TradeRecords) -> str:
    """Every intent has ended, at most one of them finalized and within its bounds; raises EvidenceFails."""
    told = []
    for intent_id, intent in trade.intents.items():
        ends = [end.fact for end in trade.ends if end.fact.intent_id == intent_id]
        if not ends:
            raise EvidenceFails(f"intent {intent_id.hex()} has no end on the log yet")
        if len({type(end) for end in ends}) > 1:
            raise EvidenceFails(f"intent {intent_id.hex()} both finalized and expired")
        end = ends[0]
        told.append(_finalized(trade, intent.fact, end) if isinstance(end, TradeFinalized) else _expired(end))
    if len({end.fact.intent_id for end in trade.ends if isinstance(end.fact, TradeFinalized)}) > 1:
        raise EvidenceFails("two intents of one trade finalized")
    return "; ".join(told)


def _finalized(trade: TradeRecords, intent: TradeIntended, end: TradeFinalized) -> str:
    if (end.vault, end.trade_seq) != (intent.vault, intent.trade_seq):
        raise EvidenceFails("the end is of another vault or sequence")
    signatures = {one.fact.signature for one in trade.signed if one.fact.intent_id == intent.intent_id}
    if not signatures or (end.signature and end.signature not in signatures):
        raise EvidenceFails("it executed under a signature that is not in the file")
    if end.amount_in_base_units > intent.amount_in_base_units:
        raise EvidenceFails(f"{end.amount_in_base_units} went in, intended were {intent.amount_in_base_units}")
    if end.amount_out_base_units < intent.amount_out_min_base_units:
        raise EvidenceFails(f"{end.amount_out_base_units} came out, at least {intent.amount_out_min_base_units} must")
    if end.slot > intent.expiry_slot:
        raise EvidenceFails(f"it executed in slot {end.slot}, after its expiry in {intent.expiry_slot}")
    amounts = f"{end.amount_in_base_units} in, {end.amount_out_base_units} out"
    return f"finalized in slot {end.slot}: {amounts}, as {end.providers} providers returned it"


def _expired(end: TradeExpired) -> str:
    return f"expired: at slot {end.context_slot} the vault had sequence {end.observed_trade_seq}"


def _limits(vault_program: bytes) -> PolicyLimits:
    """Bounds for rules that ask for none."""
    return PolicyLimits(
        vault_program=vault_program,
        swap_programs=(),
        fee_lamports_max=0,
        trade_value_micro_usd_max=0,
        price_age_ms_max=0,
        attempts_max=0,
        expiry_slots_max=0,
        all_vaults=_NO_CAPS,
        each_vault=_NO_CAPS,
        each_mint=_NO_CAPS,
        named_mints=(),
        outflow=OutflowCaps(0, 0),
    )
