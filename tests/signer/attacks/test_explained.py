"""`xorj signer explain --trade` on the log of a besieged world says what the signer in it has said."""

from pathlib import Path

import pytest
from xorj_cli.running import RunningWorld
from xorj_cli.signing_records import records_of_trade
from xorj_core.policy.case import Case, read_message
from xorj_core.policy.decide import explain
from xorj_core.policy.rules import RULES

from tests.signer.attacks.fortress import Fortress
from tests.signer.trades import DEPLOYMENT, LIMITS, Trade, honest_trade
from tests.worlds import connection_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


def seen_by_operator(fortress: Fortress) -> RunningWorld:
    """What `world.json` would say of this world."""
    world = fortress.running.world
    return RunningWorld(
        directory=world.directory,
        cluster_id=world.broker.cluster_id,
        kafka=connection_of(world, "operator"),
        audit_dsn="",
        ledger_dsn="",
        keys_file=Path("unused"),
        operator_key_file=Path("unused"),
        services=(),
        signer_address=fortress.running.address,
        genesis_hash=DEPLOYMENT.genesis_hash,
        symbols={},
        decimals={},
        profiles={},
    )


async def first_refusal(fortress: Fortress, trade: Trade) -> tuple[str, str]:
    """The rule that refuses a trade on the log and its reason; empty when every rule passes."""
    records = await records_of_trade(seen_by_operator(fortress), trade.intent.trade_id, None)
    assert (records.intent, records.plan, records.settings) == (trade.intent, trade.plan, trade.settings)
    assert records.bot_authority == fortress.bot
    assert records.plan is not None
    case = Case(
        limits=LIMITS,
        reading=read_message(records.plan.message, records.plan.lookup_tables, LIMITS.vault_program),
        known_intent=records.intent,
        known_plan=records.plan,
        known_settings=records.settings,
        known_settings_signed=records.settings_signed(LIMITS.vault_program),
        known_prices=records.prices,
        known_bot_authority=records.bot_authority,
        now_ms=records.now_ms,
    )
    verdicts = explain(case)
    assert [verdict.rule for verdict in verdicts] == list(RULES)
    assert not [verdict.missing for verdict in verdicts if verdict.missing]
    denied = [(verdict.rule.name, verdict.denied.reason.name) for verdict in verdicts if verdict.denied]
    return denied[0] if denied else ("", "")


async def test_a_signed_trade_passes_every_rule_and_a_refused_one_fails_the_same_one(fortress: Fortress) -> None:
    signed, greedy = honest_trade(fortress.bot), honest_trade(fortress.bot, amount_out_min=1)
    disabled = honest_trade(fortress.bot).with_settings(enabled=False)
    await fortress.sign(signed)
    assert await first_refusal(fortress, signed) == ("", "")
    assert await first_refusal_after_asking(fortress, greedy) == "minimum-out"
    assert await first_refusal_after_asking(fortress, disabled) == "owner-allows"


async def first_refusal_after_asking(fortress: Fortress, trade: Trade) -> str:
    """The rule that the report names, once the signer itself has refused for the same reason."""
    reason = await fortress.refused(trade)
    rule, explained = await first_refusal(fortress, trade)
    assert explained == reason
    return rule
