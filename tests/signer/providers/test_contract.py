"""What every provider promises, asked of each of them over the settings that the service reads."""

import asyncio
import os
import time

import pytest
from xorj_signer.providers import CALL_S_MAX, KeyKind, KeyProvider, ProviderFailed, ProviderFault
from xorj_signer.providers.checked import check_key, require_solana_key, sign_checked
from xorj_signer.verification import verifies

from tests.signer.providers.aws import AwsStandIn
from tests.signer.providers.azure import AzureStandIn
from tests.signer.providers.conftest import OpenKeys
from tests.signer.providers.google import GoogleStandIn
from tests.signer.providers.stand_ins import StandIn, Wrong
from tests.signer.providers.token import WrongToken, bent

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRANSACTION_BYTES_MAX = 1_232
SEEN_BY_A_CHECK = (Wrong.DISABLED, Wrong.OTHER_KEY, Wrong.GONE, Wrong.DENIED, Wrong.RUBBISH, Wrong.DAMAGED, Wrong.DOWN)
TOKEN_WAYS = [way for way in Wrong if way in WrongToken.ways]


async def test_a_provider_states_the_key_it_signs_with(stand_in: StandIn, key: KeyProvider) -> None:
    assert (key.kind, key.public_key(), key.name) == (
        stand_in.kind,
        stand_in.public_key,
        stand_in.settings["XORJ_SIGNER_PROVIDER"],
    )
    assert await key.check() == stand_in.public_key


async def test_a_provider_signs_the_message_itself(key: KeyProvider) -> None:
    for message in (b"x", os.urandom(32), os.urandom(TRANSACTION_BYTES_MAX)):
        signature = await key.sign(message)
        assert verifies(key.kind, key.public_key(), message, signature)
        assert not verifies(key.kind, key.public_key(), message + b"\0", signature)


async def test_an_ed25519_provider_signs_the_same_bytes_alike(key: KeyProvider) -> None:
    if key.kind is KeyKind.ED25519:
        assert await key.sign(b"once") == await key.sign(b"once")


async def test_many_callers_get_each_their_own_signature(key: KeyProvider) -> None:
    messages = [bytes([number]) * 40 for number in range(24)]
    signatures = await asyncio.gather(*(sign_checked(key, message) for message in messages))
    assert len(set(signatures)) == len(messages)


async def test_who_leaves_early_disturbs_nobody(key: KeyProvider) -> None:
    asked = [asyncio.create_task(key.sign(bytes([number]) * 40)) for number in range(16)]
    await asyncio.sleep(0)
    for task in asked[::2]:
        task.cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for number, answer in enumerate(answers):
        if number % 2:
            assert isinstance(answer, bytes)
            assert verifies(key.kind, key.public_key(), bytes([number]) * 40, answer)
    await sign_checked(key, b"afterwards")


def cases() -> list[tuple[str, Wrong]]:
    """Every way in which a provider of the network can be wrong."""
    remote = (("aws", AwsStandIn), ("google", GoogleStandIn), ("azure", AzureStandIn))
    return [(name, wrong) for name, cls in remote for wrong in Wrong if wrong in cls.ways]


@pytest.mark.parametrize(("name", "wrong"), cases(), ids=lambda value: getattr(value, "text", value))
async def test_what_goes_wrong_is_told_apart_and_passes(
    name: str, wrong: Wrong, request: pytest.FixtureRequest, keys: OpenKeys
) -> None:
    """1. Bend the provider. 2. No signature comes, and the fault has its name. 3. Straighten it: the same key signs."""
    stand_in: StandIn = request.getfixturevalue(name)
    stand_in.act(None)
    key = await keys.of(stand_in)
    try:
        stand_in.act(wrong)
        with pytest.raises(ProviderFailed) as failed:
            await sign_checked(key, b"message", timeout_s=0.3 if wrong is Wrong.SLOW else CALL_S_MAX)
        # Azure's SDK does not say which version has signed: there it shows as a signature that does not verify.
        unseen = (name, wrong) == ("azure", Wrong.OTHER_KEY)
        assert failed.value.fault is (ProviderFault.WRONG_SIGNATURE if unseen else wrong.fault), failed.value
        stand_in.act(None)
        await sign_checked(key, b"message")
    finally:
        stand_in.act(None)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [(name, wrong) for name, wrong in cases() if wrong in SEEN_BY_A_CHECK],
    ids=lambda value: getattr(value, "text", value),
)
async def test_a_check_asks_the_provider_and_not_its_memory(
    name: str, wrong: Wrong, request: pytest.FixtureRequest, keys: OpenKeys
) -> None:
    stand_in: StandIn = request.getfixturevalue(name)
    stand_in.act(None)
    key = await keys.of(stand_in)
    try:
        stand_in.act(wrong)
        with pytest.raises(ProviderFailed) as failed:
            await check_key(key, stand_in.public_key)
        assert failed.value.fault is wrong.fault, failed.value
        stand_in.act(None)
        await check_key(key, stand_in.public_key)
    finally:
        stand_in.act(None)


@pytest.mark.parametrize("wrong", TOKEN_WAYS, ids=[way.text for way in TOKEN_WAYS])
async def test_what_goes_wrong_with_a_token_is_told_apart(
    wrong: Wrong, request: pytest.FixtureRequest, keys: OpenKeys
) -> None:
    key = await keys.of(request.getfixturevalue("pkcs11"))
    with bent(key, wrong), pytest.raises(ProviderFailed) as failed:
        await sign_checked(key, b"message")
    assert failed.value.fault is wrong.fault
    await sign_checked(key, b"message")


async def test_a_token_that_was_taken_out_signs_again_by_itself_when_it_is_back(
    request: pytest.FixtureRequest, keys: OpenKeys
) -> None:
    key = await keys.of(request.getfixturevalue("pkcs11"))
    with bent(key, Wrong.DOWN):
        with pytest.raises(ProviderFailed):
            await key.sign(b"message")
        await sign_checked(key, b"message")


async def test_a_provider_that_never_answers_is_given_up_without_anybody_asking_for_it(
    request: pytest.FixtureRequest, keys: OpenKeys
) -> None:
    """Each SDK's own deadline, without a caller's: all three at once."""
    stand_ins: list[StandIn] = [request.getfixturevalue(name) for name in ("aws", "google", "azure")]
    opened = [await keys.of(stand_in) for stand_in in stand_ins]
    for stand_in in stand_ins:
        stand_in.act(Wrong.SLOW)
    began = time.monotonic()
    try:
        answers = await asyncio.gather(*(key.sign(b"message") for key in opened), return_exceptions=True)
    finally:
        for stand_in in stand_ins:
            stand_in.act(None)
    assert [getattr(answer, "fault", answer) for answer in answers] == [ProviderFault.TIMEOUT] * 3
    assert time.monotonic() - began < 10 * CALL_S_MAX  # the stand-ins would hold on for longer


async def test_a_key_that_cannot_sign_a_trade_is_refused_before_it_serves(key: KeyProvider) -> None:
    if key.kind is KeyKind.ED25519:
        require_solana_key(key)
        return
    with pytest.raises(ProviderFailed, match="cannot sign trades"):
        require_solana_key(key)
