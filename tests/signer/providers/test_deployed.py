"""The signer as a process of its own with a key in KMS: it trades, it refuses typed, its health follows the key."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from xorj.signer.v1 import signer_pb2
from xorj_core.facts import SigningRefused, TradeSigned
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_halt.strict import verify_ed25519
from xorj_localnet.hsm import SignerKey
from xorj_localnet.ports import choose_port

from tests.signer.providers.aws import AwsStandIn
from tests.signer.providers.azure import AzureStandIn
from tests.signer.providers.stand_ins import Wrong
from tests.signer.rig import channel_of
from tests.signer.running import Running, reason_of, signer_process, start_auditor
from tests.signer.trades import honest_trade
from tests.worlds import small_world

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEADLINE_S = 30.0
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, aws: AwsStandIn) -> AsyncIterator[Running]:
    aws.act(None)
    key = SignerKey("aws-kms", aws.public_key, aws.settings)
    async with small_world(Path(tmp_path_factory.mktemp("world"))) as world:
        await start_auditor(world)
        await world.start_process(signer_process(world, key, XORJ_SIGNER_KEY_CHECK_MS="100"))
        yield Running(world, key)


async def until_health(running: Running, status: int) -> None:
    """Until the signer's health says so."""
    async with asyncio.timeout(DEADLINE_S), channel_of(running.world, running.address, "executor") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while (await stub.Check(health_pb2.HealthCheckRequest(service="xorj.signer.v1.Signer"))).status != status:
            await asyncio.sleep(0.02)


async def test_a_trade_is_signed_by_the_key_in_kms(running: Running, aws: AwsStandIn) -> None:
    trade = honest_trade(aws.public_key)
    answer = await running.answer(await running.publish_trade(trade))
    assert isinstance(answer, signer_pb2.SignTradeResponse), answer
    assert verify_ed25519(aws.public_key, trade.plan.message, answer.signature)
    signed = [fact for fact in await running.facts("signed-txs") if isinstance(fact, TradeSigned)]
    assert [(fact.provider, fact.signature) for fact in signed] == [("aws-kms", answer.signature)]
    asked = [body for body in aws.asked if "SigningAlgorithm" in body]
    assert [(body["MessageType"], body["SigningAlgorithm"], body["KeyId"]) for body in asked[-1:]] == [
        ("RAW", "ED25519_SHA_512", aws.key_arn)
    ]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (Wrong.THROTTLED, Reason.PROVIDER_THROTTLED),
        (Wrong.SLOW, Reason.PROVIDER_TIMEOUT),
        (Wrong.DENIED, Reason.PROVIDER_DENIED),
        (Wrong.DISABLED, Reason.PROVIDER_KEY_DISABLED),
        (Wrong.OTHER_KEY, Reason.PROVIDER_WRONG_KEY),
        (Wrong.LENGTH, Reason.PROVIDER_MALFORMED),
        (Wrong.SIGNATURE, Reason.BAD_SIGNATURE),
        (Wrong.BROKEN, Reason.PROVIDER_FAILED),
    ],
    ids=lambda value: getattr(value, "text", getattr(value, "name", value)),
)
async def test_what_is_wrong_with_kms_is_refused_by_name_and_blocks_nothing(
    running: Running, aws: AwsStandIn, wrong: Wrong, reason: Reason
) -> None:
    """1. A lawful trade, a wrong KMS: refused, and on the log. 2. KMS is right again: the same bytes are signed."""
    trade = honest_trade(aws.public_key)
    positions = await running.publish_trade(trade)
    aws.act_on_signing = wrong
    aws.released.clear()
    try:
        refused = await running.answer(positions, until=reason.name)
    finally:
        aws.act_on_signing = None
        aws.released.set()
    assert reason_of(refused) == reason.name
    facts = [fact for fact in await running.facts("signed-txs") if isinstance(fact, SigningRefused)]
    assert reason in [fact.reason for fact in facts if fact.vault == trade.intent.vault]
    signed = await running.answer(positions)
    assert isinstance(signed, signer_pb2.SignTradeResponse), signed


@pytest.mark.parametrize("wrong", [Wrong.DISABLED, Wrong.OTHER_KEY, Wrong.DOWN], ids=lambda wrong: wrong.text)
async def test_health_follows_the_key(running: Running, aws: AwsStandIn, wrong: Wrong) -> None:
    await until_health(running, SERVING)
    aws.act(wrong)
    try:
        await until_health(running, NOT_SERVING)
    finally:
        aws.act(None)
    await until_health(running, SERVING)


async def start(running: Running, **env: str) -> "subprocess.CompletedProcess[str]":
    """A second signer with other settings, until it ends by itself."""
    spec = signer_process(running.world, running.key, **env)
    told = {name: value for name, value in spec.env.items() if value}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XORJ_")}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "xorj_signer"],
        env={**environment, **told},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_a_signer_does_not_serve_with_a_key_that_cannot_sign_trades(
    running: Running, azure: AzureStandIn
) -> None:
    azure.act(None)
    done = await start(running, **{**dict.fromkeys(running.key.settings, ""), **azure.settings})
    assert done.returncode == 2
    assert "a p256 key cannot sign trades" in done.stderr


async def test_a_signer_whose_provider_is_not_there_ends_and_says_so(running: Running) -> None:
    began = time.monotonic()
    done = await start(running, XORJ_SIGNER_AWS_ENDPOINT_URL=f"http://127.0.0.1:{choose_port()}")
    assert done.returncode == 1
    assert "the signer cannot start" in done.stderr
    assert time.monotonic() - began < DEADLINE_S
