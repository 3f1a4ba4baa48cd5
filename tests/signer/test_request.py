"""The whole request path over a real socket, a real broker and a real database."""

import asyncio
import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from grpc_health.v1 import health_pb2, health_pb2_grpc
from solders.transaction import VersionedTransaction
from xorj.signer.v1 import signer_pb2, signer_pb2_grpc
from xorj_core.facts import Fact, Mode, TradeSigned, fact_id
from xorj_core.facts.common import Position
from xorj_core.policy.limits import Cap, OutflowCaps, WindowCaps, policy_sha256
from xorj_halt.view import Halted, HaltReason
from xorj_log.writer import PublishUnknown
from xorj_signer.outbox import Publisher

from tests.signer.rig import RefusedCall, Rig, refusal
from tests.signer.trades import LIMITS, Bytes, honest_trade, some_key

pytestmark = pytest.mark.asyncio(loop_scope="module")

KILLED = Halted(HaltReason.KILLED, "killed by a test")
NO_LEASE = Halted(HaltReason.NO_LEASE, "no audit heartbeat")


async def test_an_honest_trade_is_signed_and_its_fact_is_on_the_log(rig: Rig) -> None:
    trade = honest_trade(rig.bot)
    intent, attempt = await rig.publish_trade(trade)
    answer = await rig.ask(intent, attempt)
    Ed25519PublicKey.from_public_bytes(rig.bot).verify(answer.signature, trade.plan.message)
    transaction = VersionedTransaction.from_bytes(answer.transaction)
    assert transaction.verify_with_results() == [True]
    signed = [fact for fact in await rig.log_of("signed-txs") if isinstance(fact, TradeSigned)]
    fact = next(fact for fact in signed if fact.vault == trade.intent.vault)
    assert (fact.transaction, fact.signature) == (answer.transaction, answer.signature)
    assert fact.message_sha256 == hashlib.sha256(trade.plan.message).digest()
    assert (fact.intent_position, fact.attempt_position) == (intent, attempt)
    assert (fact.policy_sha256, fact.control_offset) == (policy_sha256(LIMITS), 7)
    assert fact.basis.policy_sha256 == policy_sha256(LIMITS)
    assert fact.basis.bot_authority == rig.bot
    assert fact.basis.settings_fact_id == fact_id(trade.settings)
    assert (fact.basis.price_in.fact_id, fact.basis.price_out.fact_id) == (
        trade.intent.price_in_fact_id,
        trade.intent.price_out_fact_id,
    )
    assert fact.basis.now_ms >= max(fact.basis.price_in.appended_at_ms, fact.basis.price_out.appended_at_ms) > 0


async def test_many_vaults_are_signed_at_once(rig: Rig) -> None:
    trades = [honest_trade(rig.bot) for _ in range(25)]
    answers = await asyncio.gather(*(rig.sign(trade) for trade in trades))
    assert len({answer.signature for answer in answers}) == len(trades)


async def test_only_the_executor_may_ask(rig: Rig) -> None:
    for caller in ("ingestor", "reconciler", "auditor", "operator"):
        refused = await refusal(rig, honest_trade(rig.bot), caller=caller, published=False)
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")


async def test_a_caller_without_a_certificate_gets_no_connection(rig: Rig) -> None:
    authority = rig.world.certificates.of("executor").ca_file.read_bytes()
    for credentials in (grpc.ssl_channel_credentials(authority), None):
        channel = (
            grpc.aio.secure_channel(rig.address, credentials) if credentials else grpc.aio.insecure_channel(rig.address)
        )
        async with channel:
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await signer_pb2_grpc.SignerStub(channel).GetPublicKeys(signer_pb2.GetPublicKeysRequest(), timeout=3)
            assert error.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_a_call_without_a_deadline_is_refused(rig: Rig) -> None:
    positions = await rig.publish_trade(honest_trade(rig.bot))
    with pytest.raises(RefusedCall) as refused:
        await rig.ask(*positions, timeout_s=None)
    assert refused.value.reason == "BAD_REQUEST"


async def test_records_that_do_not_exist_are_not_signed(rig: Rig) -> None:
    intent, attempt = await rig.publish_trade(honest_trade(rig.bot))
    missing = dataclasses.replace(attempt, offset=attempt.offset + 1_000)
    foreign = dataclasses.replace(attempt, cluster_id="another cluster")
    for wrong in (missing, foreign):
        with pytest.raises(RefusedCall) as refused:
            await rig.ask(intent, wrong, timeout_s=4)
        assert refused.value.reason == "RECORD_NOT_FOUND"


async def test_records_of_another_topic_or_in_the_wrong_order_are_refused(rig: Rig) -> None:
    intent, attempt = await rig.publish_trade(honest_trade(rig.bot))
    for pair, reason in (
        ((dataclasses.replace(intent, topic="signed-txs"), attempt), "BAD_REQUEST"),
        ((attempt, intent), "RECORD_MISMATCH"),
        ((intent, intent), "RECORD_MISMATCH"),
    ):
        with pytest.raises(RefusedCall) as refused:
            await rig.ask(*pair)
        assert refused.value.reason == reason


async def test_the_attempt_of_one_trade_is_not_signed_for_the_intent_of_another(rig: Rig) -> None:
    one, other = honest_trade(rig.bot), honest_trade(rig.bot)
    mixed = dataclasses.replace(one, plan=dataclasses.replace(other.plan, vault=one.intent.vault))
    assert (await refusal(rig, mixed)).reason == "RECORD_MISMATCH"


async def test_a_record_under_the_key_of_another_vault_is_refused(rig: Rig) -> None:
    trade = honest_trade(rig.bot)
    await rig.publish("ingestor", *trade.background())
    stray = dataclasses.replace(trade.plan, vault=some_key("another vault"))
    intent, attempt = await rig.publish("executor", trade.intent, stray)
    with pytest.raises(RefusedCall) as refused:
        await rig.ask(intent, attempt)
    assert refused.value.reason == "RECORD_MISMATCH"


async def test_what_the_audit_log_does_not_hold_is_not_signed(rig: Rig) -> None:
    for index in (0, 1):
        positions = await rig.publish_trade(honest_trade(rig.bot))
        rig.guard.uncovered = {positions[index]}
        with pytest.raises(RefusedCall) as refused:
            await rig.ask(*positions)
        assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_AUDITED")


@pytest.mark.parametrize(("halted", "reason"), [(KILLED, "KILLED"), (NO_LEASE, "NO_LEASE")])
async def test_nothing_is_signed_while_halted(rig: Rig, halted: Halted, reason: str) -> None:
    rig.guard.halts = [halted]
    assert (await refusal(rig, honest_trade(rig.bot))).reason == reason


async def test_a_kill_during_the_key_use_keeps_the_signature_inside(rig: Rig) -> None:
    trade = honest_trade(rig.bot)
    rig.guard.halts = [None, KILLED]
    assert (await refusal(rig, trade)).reason == "KILLED"
    await rig.signing.publisher.note()
    assert await rig.signing.ledger.unpublished(0) == []


async def test_observe_mode_signs_nothing(rig: Rig) -> None:
    rig.change(mode=Mode.OBSERVE)
    assert (await refusal(rig, honest_trade(rig.bot))).reason == "OBSERVE_MODE"
    rig.change(mode=Mode.LIVE)


@pytest.mark.parametrize(
    ("bend", "reason"),
    [
        (lambda bot: honest_trade(bot, amount_out_min=1), "MINIMUM_OUT_TOO_LOW"),
        (lambda bot: honest_trade(bot, made=Bytes(hashed=False)), "ACCOUNTS_MISMATCH"),
        (lambda bot: honest_trade(bot, made=Bytes(order={"amount_out_min": 1})), "INTENT_MISMATCH"),
        (lambda bot: honest_trade(bot, made=Bytes(unit_price=2**40)), "FEE_TOO_HIGH"),
        (lambda bot: honest_trade(bot, made=Bytes(order={"expiry_slot": 5_000})), "EXPIRY_OUT_OF_BOUNDS"),
        (lambda bot: honest_trade(bot).with_plan(message=b"\x80rubbish"), "MALFORMED_TRANSACTION"),
        (lambda bot: honest_trade(bot).with_settings(enabled=False), "SETTINGS_FORBID"),
        (lambda bot: honest_trade(bot, amount_in=10**12), "VALUE_CAP"),
        (lambda bot: honest_trade(some_key("another bot")), "ACCOUNTS_MISMATCH"),
    ],
)
async def test_a_bent_trade_is_refused_over_the_wire(rig: Rig, bend: Any, reason: str) -> None:
    assert (await refusal(rig, bend(rig.bot))).reason == reason


async def test_a_swap_program_that_the_policy_does_not_name_is_refused(rig: Rig) -> None:
    rig.change(limits=dataclasses.replace(LIMITS, swap_programs=(some_key("another program"),)))
    assert (await refusal(rig, honest_trade(rig.bot))).reason == "PROGRAM_NOT_ALLOWED"
    rig.change(limits=LIMITS)


async def test_a_full_window_refuses_the_trade_and_leaves_the_vault_free(rig: Rig) -> None:
    none = Cap(0, 0)
    rig.change(limits=dataclasses.replace(LIMITS, each_vault=WindowCaps(none, none)))
    trade = honest_trade(rig.bot)
    assert (await refusal(rig, trade)).reason == "WINDOW_CAP"
    rig.change(limits=LIMITS)
    other = honest_trade(rig.bot, owner=trade.settings.owner, settings_version=2)
    await rig.sign(other)


async def test_an_owners_own_cap_a_day_is_obeyed(rig: Rig) -> None:
    trade = honest_trade(rig.bot).with_settings(day_value_micro_usd_max=99_999_999)
    assert (await refusal(rig, trade)).reason == "WINDOW_CAP"


async def test_a_fee_payer_that_has_spent_its_minute_signs_no_more(rig: Rig) -> None:
    rig.change(limits=dataclasses.replace(LIMITS, outflow=OutflowCaps(1, 1)))
    assert (await refusal(rig, honest_trade(rig.bot))).reason == "OUTFLOW_CAP"
    rig.change(limits=LIMITS)


async def test_another_version_of_transactions_is_refused_as_such(rig: Rig) -> None:
    trade = honest_trade(rig.bot)
    later = trade.with_plan(message=b"\x81" + trade.plan.message[1:])
    refused = await refusal(rig, later)
    assert (refused.reason, "version 1" in refused.detail) == ("VERSION_NOT_SUPPORTED", True)


class _Unreachable:
    """A log that does not answer."""

    async def publish(
        self, fact: Fact, *, causation: Sequence[bytes] = (), traceparent: str = "", decision_version: int = 0
    ) -> Position:
        raise PublishUnknown("no answer from the broker")


async def test_a_signature_that_cannot_be_published_stays_inside_until_it_can(rig: Rig) -> None:
    trade, usual = honest_trade(rig.bot), rig.signing.publisher
    await usual.note()
    rig.change(publisher=Publisher(rig.signing.ledger, _Unreachable()))
    positions = await rig.publish_trade(trade)
    with pytest.raises(RefusedCall) as refused:
        await rig.ask(*positions)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.UNAVAILABLE, "LOG_UNAVAILABLE")
    rig.change(publisher=usual)
    assert await usual.publish_unpublished(0) == 1
    answer = await rig.ask(*positions)
    signed = [f for f in await rig.log_of("signed-txs") if isinstance(f, TradeSigned) and f.vault == trade.plan.vault]
    assert [fact.signature for fact in signed] == [answer.signature]


async def test_a_price_that_is_not_on_the_log_is_refused(rig: Rig) -> None:
    trade = honest_trade(rig.bot).with_intent(price_out_fact_id=some_key("no such fact"))
    assert (await refusal(rig, trade)).reason == "PRICE_MISSING"


async def test_a_stale_price_is_refused(rig: Rig) -> None:
    rig.change(limits=dataclasses.replace(LIMITS, price_age_ms_max=-1))
    assert (await refusal(rig, honest_trade(rig.bot))).reason == "PRICE_STALE"
    rig.change(limits=LIMITS)


async def test_a_vault_without_settings_is_refused(rig: Rig) -> None:
    trade = honest_trade(rig.bot)
    await rig.publish("ingestor", trade.price_in, trade.price_out)
    intent, attempt = await rig.publish("executor", trade.intent, trade.plan)
    with pytest.raises(RefusedCall) as refused:
        await rig.ask(intent, attempt)
    assert refused.value.reason == "SETTINGS_MISSING"


async def test_settings_that_cannot_be_read_freeze_their_vault(rig: Rig) -> None:
    trade = honest_trade(rig.bot)
    intent, attempt = await rig.publish_trade(trade)
    await rig.writers["ingestor"].append("user-settings", trade.intent.vault, b"from the future")
    async with asyncio.timeout(10):
        while rig.signing.knowledge.settings(trade.intent.vault) is not None:
            await asyncio.sleep(0.01)
    with pytest.raises(RefusedCall) as refused:
        await rig.ask(intent, attempt)
    assert refused.value.reason == "SETTINGS_MISSING"


async def test_a_provider_that_fails_or_lies_yields_no_signature(rig: Rig) -> None:
    rig.key.broken = True
    assert (await refusal(rig, honest_trade(rig.bot))).reason == "PROVIDER_FAILED"
    rig.key.broken, rig.key.wrong = False, True
    assert (await refusal(rig, honest_trade(rig.bot))).reason == "BAD_SIGNATURE"


async def test_the_public_key_and_health_are_told_to_those_with_a_certificate(rig: Rig) -> None:
    async with rig.channel("reconciler") as channel:
        keys = await signer_pb2_grpc.SignerStub(channel).GetPublicKeys(signer_pb2.GetPublicKeysRequest(), timeout=5)
        assert [(key.algorithm, key.public_key) for key in keys.keys] == [("ed25519", rig.bot)]
        asked = health_pb2.HealthCheckRequest(service="xorj.signer.v1.Signer")
        health = await health_pb2_grpc.HealthStub(channel).Check(asked, timeout=5)
        assert health.status == health_pb2.HealthCheckResponse.SERVING
