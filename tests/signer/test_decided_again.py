"""Signatures and refusals decided again from the log; numbers in names are the invariants of `replay_signing`."""

import dataclasses
import hashlib
import inspect
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from solders.keypair import Keypair
from xorj_core.facts import (
    Fact,
    HaltScope,
    KillCommanded,
    Position,
    SeenRecord,
    SettingsChanged,
    SigningBasis,
    SigningRefused,
    TradeSigned,
    fact_id,
)
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.kill import KillState, apply_kill
from xorj_core.policy import case, decide, rules
from xorj_core.policy.decide import DECISION_VERSION, Denied, decide_signing
from xorj_core.policy.limits import PolicyLimits, policy_sha256
from xorj_core.replay import Agrees, Differs, Outcome, Undecided, needed, redecide
from xorj_core.replay_signing import NOT_THE_POLICYS, is_refusal_by_policy
from xorj_core.replay_sources import Recorded
from xorj_halt.strict import verify_ed25519

from tests.signer.trades import DEPLOYMENT, LIMITS, NOW_MS, Trade, honest_trade

INTENT_AT, PLAN_AT = Position("c", "trade-intents", 0, 5), Position("c", "trade-intents", 0, 6)
BOT = Keypair()


class Log:
    """The records that one attempt is judged by, control, and the policy in force."""

    def __init__(self, trade: Trade) -> None:
        background = [Recorded(fact, NOW_MS) for fact in trade.background()]
        self.found = [*background, Recorded(trade.intent, NOW_MS, INTENT_AT), Recorded(trade.plan, NOW_MS, PLAN_AT)]
        self.state = KillState()
        self.limits: PolicyLimits | None = LIMITS

    def records(self, wanted: bytes) -> Sequence[Recorded]:
        return [record for record in self.found if fact_id(record.fact) == wanted]

    def kills(self, control_next_offset: int) -> KillState | None:
        return self.state

    def policy(self, wanted: bytes) -> PolicyLimits | None:
        known = self.limits
        return known if known is not None and policy_sha256(known) == wanted else None

    def verifies(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        return verify_ed25519(public_key, message, signature)


def honest() -> Trade:
    return honest_trade(bytes(BOT.pubkey()))


def basis_of(trade: Trade) -> SigningBasis:
    return SigningBasis(
        settings_fact_id=fact_id(trade.settings),
        price_in=SeenRecord(fact_id(trade.price_in), NOW_MS),
        price_out=SeenRecord(fact_id(trade.price_out), NOW_MS),
        now_ms=NOW_MS,
        bot_authority=trade.bot,
        policy_sha256=policy_sha256(LIMITS),
        genesis_hash=DEPLOYMENT.genesis_hash,
    )


def signature_of(trade: Trade) -> TradeSigned:
    """What the signer publishes for it, whatever the policy says."""
    signature = bytes(BOT.sign_message(trade.plan.message))
    return TradeSigned(
        intent_id=trade.intent.intent_id,
        trade_id=trade.intent.trade_id,
        vault=trade.intent.vault,
        trade_seq=trade.intent.trade_seq,
        attempt=trade.plan.attempt,
        message_sha256=hashlib.sha256(trade.plan.message).digest(),
        transaction=b"\x01" + signature + trade.plan.message,
        signature=signature,
        provider="file",
        policy_sha256=policy_sha256(LIMITS),
        intent_position=INTENT_AT,
        attempt_position=PLAN_AT,
        control_offset=3,
        signed_at_us=1,
        basis=basis_of(trade),
    )


def refusal_of(trade: Trade, reason: Reason, detail: str) -> SigningRefused:
    return SigningRefused(
        intent_id=trade.intent.intent_id,
        trade_id=trade.intent.trade_id,
        vault=trade.intent.vault,
        attempt=trade.plan.attempt,
        reason=reason,
        detail=detail,
        caller="executor",
        attempt_position=PLAN_AT,
        refused_at_us=1,
        requests=1,
        basis=basis_of(trade),
        intent_position=INTENT_AT,
    )


def again(fact: Fact, log: Log) -> Outcome:
    return redecide(fact, DECISION_VERSION, log)


def refused_as(outcome: Outcome) -> Reason:
    """The refusal that the inputs of a signature give."""
    assert isinstance(outcome, Differs), outcome
    assert isinstance(outcome.decided, SigningRefused)
    return outcome.decided.reason


def test_1_an_honest_signature_is_decided_again() -> None:
    trade = honest()
    assert again(signature_of(trade), Log(trade)) == Agrees()


BENT = {
    "less than the reference value comes out": lambda: honest_trade(bytes(BOT.pubkey()), amount_out_min=1),
    "the owner trades no more": lambda: honest().with_settings(enabled=False),
    "another mint is allowed": lambda: honest().with_settings(allowed_mints=(bytes(32),)),
    "the plan says another blockhash": lambda: honest().with_plan(blockhash=bytes(32)),
    "the bytes are no message": lambda: honest().with_plan(message=b"\x80"),
    "the owner has not signed": lambda: honest().with_forged_settings(slippage_bps_max=500),
}


@pytest.mark.parametrize("name", BENT)
def test_1_a_signature_that_the_policy_forbids_differs_and_its_refusal_agrees(name: str) -> None:
    trade = BENT[name]()
    denied = decide_signing(trade.inputs(), LIMITS)
    assert isinstance(denied, Denied)
    assert refused_as(again(signature_of(trade), Log(trade))) is denied.reason
    assert again(refusal_of(trade, denied.reason, denied.detail), Log(trade)) == Agrees()
    assert isinstance(again(refusal_of(trade, denied.reason, "another reason"), Log(trade)), Differs)


def test_2_settings_signed_for_another_cluster_allow_nothing() -> None:
    trade = honest()
    fact = signature_of(trade)
    elsewhere = replace(fact, basis=replace(fact.basis, genesis_hash=bytes(32)))
    assert refused_as(again(elsewhere, Log(trade))) is Reason.SETTINGS_NOT_SIGNED


def test_3_a_signature_in_spite_of_a_kill_differs() -> None:
    trade = honest()
    log = Log(trade)
    command = KillCommanded(b"\x01" * 16, HaltScope.EVERYTHING, b"", "test", 1, bytes(8), b"")
    log.state = apply_kill(KillState(), command, "operator", 2)
    assert refused_as(again(signature_of(trade), log)) is Reason.KILLED


def test_3_what_is_no_signature_of_the_named_key_differs() -> None:
    trade = honest()
    forged = replace(signature_of(trade), signature=bytes(Keypair().sign_message(trade.plan.message)))
    assert refused_as(again(forged, Log(trade))) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("name", ["trade_id", "vault", "message_sha256", "transaction", "policy_sha256"])
def test_3_every_field_that_follows_is_compared(name: str) -> None:
    trade = honest()
    bent: dict[str, Any] = {name: b"\x09" * 32}
    outcome = again(replace(signature_of(trade), **bent), Log(trade))
    assert isinstance(outcome, Differs)
    assert [one.field for one in outcome.differences] == [name]


def test_4_what_the_ledger_refused_must_have_been_approved() -> None:
    trade = honest()
    for reason in (Reason.ATTEMPT_TAKEN, Reason.WINDOW_CAP, Reason.PROVIDER_TIMEOUT, Reason.KILLED):
        assert again(refusal_of(trade, reason, "as it was"), Log(trade)) == Agrees()
    assert isinstance(again(refusal_of(trade, Reason.VALUE_CAP, "too much"), Log(trade)), Differs)
    disabled = honest().with_settings(enabled=False)
    assert isinstance(again(refusal_of(disabled, Reason.WINDOW_CAP, "as it was"), Log(disabled)), Differs)


def test_4_a_refusal_before_the_policy_has_nothing_to_decide_again() -> None:
    trade = honest()
    before = replace(refusal_of(trade, Reason.NOT_AUDITED, ""), basis=SigningBasis())
    assert not is_refusal_by_policy(before)
    assert needed(before) == ()
    hidden = replace(refusal_of(trade, Reason.VALUE_CAP, ""), basis=SigningBasis())
    assert is_refusal_by_policy(hidden), "a refusal by the policy that does not say what it rests on"
    assert isinstance(again(hidden, Log(trade)), Undecided)


def test_no_reason_that_a_rule_gives_is_taken_as_recorded() -> None:
    sources = "".join(inspect.getsource(module) for module in (case, decide, rules))
    given = {Reason[name] for name in re.findall(r"Reason\.([A-Z_]+)", sources)}
    assert Reason.VALUE_CAP in given
    assert not given & NOT_THE_POLICYS


def test_without_any_one_of_its_records_it_is_undecided() -> None:
    trade = honest()
    log = Log(trade)
    fact = signature_of(trade)
    assert set(needed(fact)) == {fact_id(record.fact) for record in log.found}
    for missing in tuple(log.found):
        log.found = [record for record in Log(trade).found if fact_id(record.fact) != fact_id(missing.fact)]
        assert isinstance(again(fact, log), Undecided)


def test_a_record_at_another_place_or_with_two_contents_is_another_record() -> None:
    trade = honest()
    log = Log(trade)
    log.found = [replace(record, position=Position("c", "trade-intents", 0, 9)) for record in log.found]
    assert isinstance(again(signature_of(trade), log), Undecided)
    log = Log(trade)
    log.found.append(Recorded(replace(trade.settings, slippage_bps_max=900), NOW_MS + 1))
    assert isinstance(again(signature_of(trade), log), Undecided)
    log = Log(trade)
    log.found.append(Recorded(replace(trade.plan, message=b"other"), NOW_MS, Position("c", "trade-intents", 0, 8)))
    assert again(signature_of(trade), log) == Agrees(), "a plan of the same attempt at another place"


def test_a_policy_that_is_not_on_the_log_and_an_old_record_are_undecided() -> None:
    trade = honest()
    log = Log(trade)
    log.limits = None
    assert isinstance(again(signature_of(trade), log), Undecided)
    log.limits = replace(LIMITS, attempts_max=3)
    assert isinstance(again(signature_of(trade), log), Undecided)
    fact = signature_of(trade)
    old = replace(fact, basis=replace(fact.basis, genesis_hash=b""))
    assert isinstance(again(old, Log(trade)), Undecided)
    assert isinstance(redecide(fact, 0, Log(trade)), Undecided)


def test_the_basis_of_a_decision_has_no_field_that_replay_leaves_out() -> None:
    trade = honest()
    fact = signature_of(trade)
    for field in dataclasses.fields(SigningBasis):
        value = getattr(fact.basis, field.name)
        other: Any = value + 10**9 if isinstance(value, int) else b"\x07" * 32
        if isinstance(value, SeenRecord):
            other = SeenRecord(value.fact_id, value.appended_at_ms - 10**9)
        bent = replace(fact, basis=replace(fact.basis, **{field.name: other}))
        assert again(bent, Log(trade)) != Agrees(), field.name


def test_settings_that_no_one_had_are_a_refusal() -> None:
    trade = honest()
    fact = signature_of(trade)
    without = replace(fact, basis=replace(fact.basis, settings_fact_id=b""))
    log = Log(trade)
    log.found = [record for record in log.found if not isinstance(record.fact, SettingsChanged)]
    assert refused_as(again(without, log)) is Reason.SETTINGS_MISSING
