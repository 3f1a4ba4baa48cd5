"""A key is watched while it serves, one thread does a device's work, and a selftest says what it has seen."""

import asyncio
import threading
from dataclasses import dataclass, field

import pytest
from solders.message import Message, MessageV0, from_bytes_versioned
from xorj_core.base58 import address_text
from xorj_signer.key_health import watch_key
from xorj_signer.metrics import KEY_FAULTS, KEY_FIT
from xorj_signer.providers import KeyKind, ProviderFailed, ProviderFault
from xorj_signer.providers.challenge import CHALLENGE_BYTES, challenge
from xorj_signer.providers.settings import load_provider_settings
from xorj_signer.providers.thread import OneThread
from xorj_signer.selftest import report, selftest

from tests.signer.providers.aws import AwsStandIn
from tests.signer.providers.azure import AzureStandIn
from tests.signer.providers.conftest import Told
from tests.signer.providers.stand_ins import StandIn, Wrong

DEADLINE_S = 10.0
EXPECTED = bytes(32)


@dataclass(slots=True)
class AnsweringKey:
    """Gives the answers that it was given, then the expected one."""

    answers: list[bytes | ProviderFailed]
    kind: KeyKind = KeyKind.ED25519
    name: str = "file"
    asked: int = 0

    def public_key(self) -> bytes:
        return EXPECTED

    async def sign(self, message: bytes) -> bytes:
        raise AssertionError("a watch signs nothing")

    async def check(self) -> bytes:
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else EXPECTED
        if isinstance(answer, ProviderFailed):
            raise answer
        return answer

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(slots=True)
class Listening:
    """What a watch has said."""

    said: list[bool] = field(default_factory=list)

    async def __call__(self, serving: bool) -> None:
        self.said.append(serving)


async def watched(key: AnsweringKey, until_asked: int) -> list[bool]:
    told = Listening()
    watch = asyncio.create_task(watch_key(key, EXPECTED, 0.001, told))
    async with asyncio.timeout(DEADLINE_S):
        while key.asked < until_asked and not watch.done():
            await asyncio.sleep(0.001)
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch
    return told.said


async def test_a_key_that_is_right_is_not_talked_about() -> None:
    assert await watched(AnsweringKey([]), 5) == []


@pytest.mark.parametrize(
    "answer", [bytes([1]) * 32, b"", *(ProviderFailed("as told", fault) for fault in ProviderFault)], ids=str
)
async def test_a_key_that_is_unfit_stops_serving_until_it_is_right_again(answer: bytes | ProviderFailed) -> None:
    fault = answer.fault if isinstance(answer, ProviderFailed) else ProviderFault.WRONG_KEY
    counted = KEY_FAULTS.labels(fault.value)._value.get()
    assert await watched(AnsweringKey([EXPECTED, answer, answer, EXPECTED]), 6) == [False, True]
    assert KEY_FAULTS.labels(fault.value)._value.get() == counted + 2
    assert KEY_FIT._value.get() == 1


async def test_one_thread_does_the_calls_in_order_and_skips_those_nobody_waits_for() -> None:
    thread, gate, done = OneThread("test"), threading.Event(), []

    def work(number: int) -> int:
        if number == 0:
            gate.wait(DEADLINE_S)
        done.append(number)
        return number

    asked = [asyncio.create_task(thread.call(lambda number=number: work(number))) for number in range(20)]  # type: ignore[misc]
    await asyncio.sleep(0)
    for task in asked[1::2]:
        task.cancel()
    await asyncio.sleep(0)
    gate.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    thread.end()
    assert [answer for answer in answers if isinstance(answer, int)] == list(range(0, 20, 2))
    assert done == list(range(0, 20, 2))


async def test_a_failing_call_fails_alone() -> None:
    thread = OneThread("test")
    calls = [thread.call(lambda divisor=divisor: 4 // divisor) for divisor in (1, 0, 2)]  # type: ignore[misc]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    thread.end()
    assert isinstance(answers.pop(1), ZeroDivisionError)
    assert answers == [4, 2]


def test_a_thread_serves_several_loops_one_after_the_other() -> None:
    thread = OneThread("test")
    assert [asyncio.run(thread.call(lambda: 7)) for _ in range(3)] == [7, 7, 7]
    thread.end()


def test_a_challenge_can_be_no_transaction() -> None:
    for _ in range(50):
        text = challenge()
        assert len(text) == CHALLENGE_BYTES != 32
        assert text[0] == 0xFF
        for read in (Message.from_bytes, MessageV0.from_bytes, from_bytes_versioned):
            with pytest.raises(ValueError):
                read(text)
    assert challenge() != challenge()


async def test_a_selftest_tells_the_key_and_verifies_every_signature(stand_in: StandIn, told: Told) -> None:
    found = await selftest(load_provider_settings(told(stand_in.settings)), signatures=20, callers=4)
    told_of = report(found)
    assert (told_of["passed"], told_of["key_kind"]) == (True, stand_in.kind.value)
    assert told_of["signatures"] == {"asked": 20, "verified": 20}
    assert told_of["public_key"] == told_of["expected_public_key"]
    assert told_of["can_sign_trades"] is (stand_in.kind is KeyKind.ED25519)


@pytest.mark.parametrize("wrong", [Wrong.THROTTLED, Wrong.SIGNATURE, Wrong.DENIED])
async def test_a_selftest_counts_what_went_wrong(wrong: Wrong, aws: AwsStandIn, told: Told) -> None:
    settings = load_provider_settings(told(aws.settings))
    aws.act(None)
    aws.act_on_signing = wrong
    try:
        found = await selftest(settings, signatures=4, callers=2)
    finally:
        aws.act_on_signing = None
    assert not found.passed
    assert dict(found.faults) == {wrong.fault: 4}


async def test_a_selftest_of_another_key_than_the_expected_one_stops(azure: AzureStandIn, told: Told) -> None:
    azure.act(None)
    environment = told({**azure.settings, "XORJ_SIGNER_PUBLIC_KEY": address_text(bytes([9]) * 32)})
    with pytest.raises(ProviderFailed) as failed:
        await selftest(load_provider_settings(environment), signatures=2, callers=1)
    assert failed.value.fault is ProviderFault.WRONG_KEY
