"""Attacks with settings and prices: withdrawn permissions brought back, prices that are old, absent or another's."""

import dataclasses
import os

import pytest
from xorj.envelope.v1.envelope_pb2 import Envelope
from xorj.signer.v1 import signer_pb2
from xorj.user_settings.v1.settings_revoked_pb2 import SettingsRevoked
from xorj_core.facts import RiskProfile, fact_id

from tests.signer.attacks.fortress import Fortress
from tests.signer.trades import JUP, USDC, honest_trade, new_owner, price_of, some_key

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_stored_signature_is_not_given_out_once_its_owner_has_disabled_trading(fortress: Fortress) -> None:
    """The replay cache must not answer before the policy; and old settings said again enable nothing."""
    trade = honest_trade(fortress.bot)
    positions, _ = await fortress.sign(trade)
    disabled = trade.with_settings(version=2, enabled=False).settings
    await fortress.publish("ingestor", disabled)
    assert (await fortress.refusal(positions, until="SETTINGS_FORBID")).reason == "SETTINGS_FORBID"
    await fortress.publish("ingestor", trade.settings, trade.with_settings(version=2).settings)
    fresh = honest_trade(fortress.bot, owner=trade.settings.owner, seq=2)
    assert await fortress.refused(fresh) == "SETTINGS_FORBID"
    assert (await fortress.refusal(positions)).reason == "SETTINGS_FORBID"


async def test_narrower_settings_hold_for_what_was_planned_before_them(fortress: Fortress) -> None:
    trade = honest_trade(fortress.bot)
    await fortress.publish("ingestor", *trade.background())
    positions = await fortress.publish("executor", trade.intent, trade.plan)
    narrower = trade.with_settings(version=2, slippage_bps_max=1).settings
    await fortress.publish("ingestor", narrower)
    fortress.lawful(trade.plan)  # until the signer has read them
    assert (await fortress.refusal(positions, until="MINIMUM_OUT_TOO_LOW")).reason == "MINIMUM_OUT_TOO_LOW"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"enabled": False}, "SETTINGS_FORBID"),
        ({"allowed_mints": (USDC,)}, "SETTINGS_FORBID"),
        ({"allowed_mints": ()}, "SETTINGS_FORBID"),
        ({"trade_value_micro_usd_max": 99_999_999}, "VALUE_CAP"),
        ({"slippage_bps_max": 0}, "MINIMUM_OUT_TOO_LOW"),
        ({"slippage_bps_max": 2**32 - 1}, ""),
    ],
)
async def test_what_the_owner_does_not_allow_is_not_signed(
    fortress: Fortress, changes: dict[str, object], reason: str
) -> None:
    trade = honest_trade(fortress.bot).with_settings(**changes)
    if reason:
        assert await fortress.refused(trade) == reason
    else:
        await fortress.sign(trade)  # absurd settings are cut down to the profile's


async def test_a_vault_without_settings_is_not_signed_for(fortress: Fortress) -> None:
    trade = honest_trade(fortress.bot)
    await fortress.publish("ingestor", trade.price_in, trade.price_out)
    positions = await fortress.publish("executor", trade.intent, trade.plan)
    assert (await fortress.refusal(positions, until="SETTINGS_MISSING")).reason == "SETTINGS_MISSING"


async def test_settings_of_another_owner_are_not_those_of_the_vault(fortress: Fortress) -> None:
    trade = honest_trade(fortress.bot)
    generous = dataclasses.replace(trade.settings, vault=some_key(f"vault {os.urandom(8).hex()}"))
    await fortress.publish("ingestor", generous, trade.price_in, trade.price_out)
    positions = await fortress.publish("executor", trade.intent, trade.plan)
    assert (await fortress.refusal(positions, until="SETTINGS_MISSING")).reason == "SETTINGS_MISSING"


@pytest.mark.parametrize(
    "changes",
    [
        {"slippage_bps_max": 200, "profile": RiskProfile.AGGRESSIVE},
        {"allowed_mints": (USDC, JUP, some_key("a worthless mint"))},
        {"trade_value_micro_usd_max": 2**60},
        {"owner_signature": b""},
        {"owner_signature": bytes(64)},
    ],
)
async def test_settings_that_the_owner_has_not_signed_allow_nothing(
    fortress: Fortress, changes: dict[str, object]
) -> None:
    """A stolen ingestor can write what it likes on user-settings."""
    assert await fortress.refused(honest_trade(fortress.bot).with_forged_settings(**changes)) == "SETTINGS_NOT_SIGNED"


async def test_a_stranger_cannot_sign_settings_for_anothers_vault(fortress: Fortress) -> None:
    trade, stranger = honest_trade(fortress.bot), new_owner()
    assert await fortress.refused(trade.with_settings(owner=stranger)) == "SETTINGS_NOT_SIGNED"


async def test_forged_settings_over_signed_ones_stop_the_vault_and_give_nothing(fortress: Fortress) -> None:
    trade = honest_trade(fortress.bot)
    positions, _ = await fortress.sign(trade)
    await fortress.publish("ingestor", trade.with_forged_settings(version=2).settings)
    assert (await fortress.refusal(positions, until="SETTINGS_NOT_SIGNED")).reason == "SETTINGS_NOT_SIGNED"


async def test_one_base_unit_out_is_refused_and_so_is_one_below_the_bound(fortress: Fortress) -> None:
    assert await fortress.refused(honest_trade(fortress.bot, amount_out_min=1)) == "MINIMUM_OUT_TOO_LOW"
    honest = honest_trade(fortress.bot)
    bound = honest.intent.amount_out_min_base_units
    await fortress.sign(honest)
    assert await fortress.refused(honest_trade(fortress.bot, amount_out_min=bound - 1)) == "MINIMUM_OUT_TOO_LOW"


@pytest.mark.slow  # it waits for the price; test_request asks the same of a signer in this process
async def test_a_price_that_was_never_published_supports_nothing(fortress: Fortress) -> None:
    invented = price_of(JUP, 1)
    trade = honest_trade(fortress.bot, amount_out_min=1)
    trade = trade.with_intent(price_out_fact_id=fact_id(invented), price_out_pico_usd=1)
    positions = await fortress.publish_trade(trade)
    assert (await fortress.refusal(positions, until="PRICE_MISSING")).reason == "PRICE_MISSING"


@pytest.mark.parametrize(
    "changes",
    [
        {"price_out_pico_usd": 10**15},
        {"price_in_pico_usd": 1},
        {"decimals_out": 0},
        {"decimals_in": 30},
    ],
)
async def test_another_price_than_the_published_one_is_refused(fortress: Fortress, changes: dict[str, int]) -> None:
    assert await fortress.refused(honest_trade(fortress.bot).with_intent(**changes)) == "RECORD_MISMATCH"


async def test_the_price_of_another_mint_is_refused(fortress: Fortress) -> None:
    trade = honest_trade(fortress.bot)
    swapped = trade.with_intent(
        price_out_fact_id=trade.intent.price_in_fact_id, price_out_pico_usd=trade.intent.price_in_pico_usd
    )
    assert await fortress.refused(swapped) == "RECORD_MISMATCH"


@pytest.mark.parametrize(("price", "decimals"), [(0, 6), (10**12, 31), (10**12, 2**32 - 1)])
async def test_a_price_that_is_none_supports_nothing(fortress: Fortress, price: int, decimals: int) -> None:
    trade = honest_trade(fortress.bot)
    absurd = price_of(JUP, price, decimals=decimals)
    bent = dataclasses.replace(trade, price_out=absurd).with_intent(
        price_out_fact_id=fact_id(absurd), price_out_pico_usd=price, decimals_out=decimals
    )
    positions = await fortress.publish_trade(bent)
    assert (await fortress.refusal(positions, until="PRICE_MISSING")).reason == "PRICE_MISSING"


async def test_a_revocation_stops_its_vault_until_newer_settings(fortress: Fortress) -> None:
    """No service writes SettingsRevoked; the signer takes one for what it cannot read, which freezes the vault."""
    trade = honest_trade(fortress.bot)
    positions, _ = await fortress.sign(trade)
    revoked = SettingsRevoked(vault=trade.settings.vault, version=2, reason="the owner's wish")
    envelope = Envelope(
        fact_id=os.urandom(32), type=SettingsRevoked.DESCRIPTOR.full_name, fact=revoked.SerializeToString()
    )
    ingestor = fortress.writers["ingestor"]
    await ingestor.append("user-settings", trade.settings.vault, envelope.SerializeToString())
    assert (await fortress.refusal(positions, until="SETTINGS_MISSING")).reason == "SETTINGS_MISSING"
    await fortress.publish("ingestor", trade.settings)  # what was allowed before is not newer
    fresh = honest_trade(fortress.bot, owner=trade.settings.owner, seq=2)
    unsigned = await fortress.refusal(await fortress.publish_trade(fresh), until="SETTINGS_MISSING")
    assert unsigned.reason == "SETTINGS_MISSING"
    await fortress.publish("ingestor", trade.with_settings(version=3).settings)
    assert isinstance(await fortress.running.answer(positions), signer_pb2.SignTradeResponse)
