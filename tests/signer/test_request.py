"""The whole request path over a real socket, a real broker and a real database."""

import asyncio
import dataclasses
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from grpc_health.v1 import health_pb2, health_pb2_grpc
from solders.transaction import VersionedTransaction
from xorj.signer.v1 import signer_pb2, signer_pb2_grpc
from xorj_core.facts import Mode, SigningRefused, TradeExpired, TradeSigned
from xorj_core.facts.common import Position
from xorj_core.policy.limits import policy_sha256
from xorj_halt.view import Halted, HaltReason
from xorj_localnet.world import World
from xorj_signer.ledger import Ledger, Reservation, StoredSignature
from xorj_signer.outbox import publish_unpublished

from tests.signer.rig import RefusedCall, Rig, started_rig
from tests.signer.trades import EXPIRY_SLOT, LIMITS, Bytes, Trade, honest_trade, some_key
from tests.worlds import small_world

pytestmark = pytest.mark.asyncio(loop_scope="module")

KILLED = Halted(HaltReason.KILLED, "killed by a test")
NO_LEASE = Halted(HaltReason.NO_LEASE, "no audit heartbeat")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with small_world(Path(tmp_path_factory.mktemp("world"))) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serving(world: World) -> AsyncIterator[Rig]:
    async with started_rig(world) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def rig(serving: Rig) -> AsyncIterator[Rig]:
    parts = serving.signing
    yield serving
    serving.guard.halts.clear()
    serving.guard.uncovered.clear()
    serving.key.wrong = serving.key.broken = False
    serving.change(mode=parts.mode, limits=parts.limits, ledger=parts.ledger, writer=parts.writer)


async def refusal(rig: Rig, trade: Trade, *, published: bool = True, **asked: Any) -> RefusedCall:
    """Ask for a signature that must not be given; nothing may be signed, and the refusal stands on the log."""
    uses = rig.key.uses
    with pytest.raises(RefusedCall) as refused:
        await rig.sign(trade, **asked)
    assert rig.key.uses == uses or refused.value.reason in ("BAD_SIGNATURE", "PROVIDER_FAILED", "KILLED")
    facts = [fact for fact in await rig.log_of("signed-txs") if getattr(fact, "vault", b"") == trade.intent.vault]
    assert not [fact for fact in facts if isinstance(fact, TradeSigned)]
    reasons = [fact.reason.name for fact in facts if isinstance(fact, SigningRefused)]
    assert reasons == ([refused.value.reason] if published else [])
    return refused.value


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


async def test_the_same_bytes_again_give_the_same_signature_without_the_key(rig: Rig) -> None:
    positions = await rig.publish_trade(honest_trade(rig.bot))
    first = await rig.ask(*positions)
    uses = rig.key.uses
    assert await rig.ask(*positions) == first
    assert rig.key.uses == uses


async def test_a_stored_signature_is_not_given_out_while_halted(rig: Rig) -> None:
    positions = await rig.publish_trade(honest_trade(rig.bot))
    await rig.ask(*positions)
    for halts in ([KILLED], [None, KILLED]):
        rig.guard.halts = list(halts)
        with pytest.raises(RefusedCall) as refused:
            await rig.ask(*positions)
        assert refused.value.reason == "KILLED"


async def test_two_calls_at_once_for_one_attempt_give_one_signature(rig: Rig) -> None:
    positions = await rig.publish_trade(honest_trade(rig.bot))
    answers = await asyncio.gather(*(rig.ask(*positions) for _ in range(8)))
    assert len({answer.signature for answer in answers}) == 1


async def test_other_bytes_for_a_signed_attempt_are_refused(rig: Rig) -> None:
    owner, delta = some_key("owner of other bytes"), some_key("delta")
    await rig.sign(honest_trade(rig.bot, owner=owner, delta=delta))
    other = honest_trade(rig.bot, owner=owner, delta=delta, made=Bytes(unit_price=20_000), settings_version=2)
    with pytest.raises(RefusedCall) as refused:
        await rig.sign(other)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ATTEMPT_TAKEN")


async def test_a_second_attempt_of_the_same_intent_is_signed(rig: Rig) -> None:
    owner, delta = some_key("owner of two attempts"), some_key("delta")
    first = await rig.sign(honest_trade(rig.bot, owner=owner, delta=delta))
    again = honest_trade(rig.bot, owner=owner, delta=delta, attempt=2, settings_version=2)
    assert (await rig.sign(again)).signature != first.signature


def expired(trade: Trade, context_slot: int) -> TradeExpired:
    return TradeExpired(
        intent_id=trade.intent.intent_id,
        trade_id=trade.intent.trade_id,
        vault=trade.intent.vault,
        trade_seq=trade.intent.trade_seq,
        expiry_slot=trade.intent.expiry_slot,
        context_slot=context_slot,
        observed_trade_seq=trade.intent.trade_seq - 1,
        providers=1,
    )


async def publish_expiry(rig: Rig, trade: Trade, context_slot: int) -> Position:
    """Publish a TradeExpired and wait until the signer knows it."""
    (position,) = await rig.publish("executor", expired(trade, context_slot))
    intent = trade.intent
    async with asyncio.timeout(10):
        while (known := rig.signing.knowledge.expiry(intent.vault, intent.trade_seq, intent.intent_id)) is None or (
            known.position != position
        ):
            await asyncio.sleep(0.01)
    return position


async def test_another_intent_gets_the_sequence_only_after_an_audited_expiry(rig: Rig) -> None:
    owner = some_key("owner of two intents")
    first = honest_trade(rig.bot, owner=owner)
    await rig.sign(first)
    second = honest_trade(rig.bot, owner=owner, settings_version=2)
    positions = await rig.publish_trade(second)
    with pytest.raises(RefusedCall) as refused:
        await rig.ask(*positions)
    assert refused.value.reason == "SEQUENCE_TAKEN"

    await publish_expiry(rig, first, EXPIRY_SLOT)
    with pytest.raises(RefusedCall) as refused:
        await rig.ask(*positions)
    assert refused.value.reason == "SEQUENCE_TAKEN", "the proof is not later than what was signed"

    position = await publish_expiry(rig, first, EXPIRY_SLOT + 1)
    rig.guard.uncovered = {position}
    with pytest.raises(RefusedCall) as refused:
        await rig.ask(*positions)
    assert refused.value.reason == "SEQUENCE_TAKEN", "the audit log does not hold the expiry"

    rig.guard.uncovered = set()
    await rig.ask(*positions)
    again = honest_trade(rig.bot, owner=owner, delta=first.intent.delta_id, attempt=2, settings_version=3)
    with pytest.raises(RefusedCall) as refused:
        await rig.sign(again)
    assert refused.value.reason == "SEQUENCE_TAKEN", "an expired intent never comes back"


class _CrashesBeforePublishing(Ledger):
    """The signer's own ledger, whose process dies right after the signature was stored."""

    async def complete(self, fact: TradeSigned) -> StoredSignature:
        await super().complete(fact)
        raise ConnectionResetError("the process is gone")


async def test_what_was_signed_but_not_published_is_published_at_the_next_start(rig: Rig) -> None:
    trade = honest_trade(rig.bot)
    async with _CrashesBeforePublishing(rig.world.database.dsn("signer")) as crashing:
        usual = rig.signing.ledger
        rig.change(ledger=crashing)
        with pytest.raises(RefusedCall):
            await rig.sign(trade)
        rig.change(ledger=usual)
    assert not [f for f in await rig.log_of("signed-txs") if isinstance(f, TradeSigned) and f.vault == trade.plan.vault]
    assert await publish_unpublished(usual, rig.writers["signer"], 0) == 1
    signed = [f for f in await rig.log_of("signed-txs") if isinstance(f, TradeSigned) and f.vault == trade.plan.vault]
    assert len(signed) == 1
    assert await publish_unpublished(usual, rig.writers["signer"], 0) == 0


async def test_without_its_ledger_the_signer_refuses(rig: Rig) -> None:
    usual = rig.signing.ledger
    async with Ledger(rig.world.database.dsn("signer")) as closed:
        pass
    rig.change(ledger=closed)
    assert (await refusal(rig, honest_trade(rig.bot))).reason == "LEDGER_UNAVAILABLE"
    rig.change(ledger=usual)


async def test_the_signers_role_can_neither_delete_nor_rebind_rows(rig: Rig) -> None:
    import asyncpg

    await rig.sign(honest_trade(rig.bot))
    connection = await asyncpg.connect(rig.world.database.dsn("signer"))
    try:
        for statement in (
            "DELETE FROM attempt",
            "UPDATE attempt SET message_sha256 = intent_id",
            "UPDATE intent SET trade_seq = trade_seq + 1",
            "TRUNCATE intent CASCADE",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_reservations_of_one_sequence_are_decided_one_after_the_other(rig: Rig) -> None:
    """Eight intents race for one place: the row that commits first wins, and seven are told so."""
    vault = some_key("contended vault")

    def wanted(index: int) -> Reservation:
        return Reservation(some_key(f"intent {index}"), vault, 1, 1, some_key("message"), 10, 0)

    ledger = rig.signing.ledger
    outcomes = await asyncio.gather(*(ledger.reserve(wanted(index), lambda *_: None) for index in range(8)))
    assert sum(type(outcome).__name__ == "Reserved" for outcome in outcomes) == 1


async def test_the_public_key_and_health_are_told_to_those_with_a_certificate(rig: Rig) -> None:
    async with rig.channel("reconciler") as channel:
        keys = await signer_pb2_grpc.SignerStub(channel).GetPublicKeys(signer_pb2.GetPublicKeysRequest(), timeout=5)
        assert [(key.algorithm, key.public_key) for key in keys.keys] == [("ed25519", rig.bot)]
        asked = health_pb2.HealthCheckRequest(service="xorj.signer.v1.Signer")
        health = await health_pb2_grpc.HealthStub(channel).Check(asked, timeout=5)
        assert health.status == health_pb2.HealthCheckResponse.SERVING
