"""Bent messages by the ten thousand: never a signature, never a crash, always a typed refusal.

The decision is asked for the volume; a sample of the same messages goes through the socket to the deployed signer.
"""

import dataclasses
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable

import pytest
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.policy.decide import Approved, decide_signing

from tests.signer.attacks.fortress import Fortress
from tests.signer.attacks.mutations import bytewise, drains, structured, wild, with_fee_payer
from tests.signer.recorded import recorded_messages
from tests.signer.test_policy import with_table
from tests.signer.trades import LIMITS, Bytes, Trade, honest_trade, new_owner, some_key

BOT = some_key("bot")
THIEF = some_key("thief")


def seeded() -> random.Random:
    """Numbers whose seed a failing test shows; XORJ_TEST_SEED repeats a run."""
    seed = int(os.environ.get("XORJ_TEST_SEED") or int.from_bytes(os.urandom(4)))
    sys.stdout.write(f"seed {seed}: XORJ_TEST_SEED={seed} repeats this run\n")
    return random.Random(seed)


def fixed_trade(made: Bytes | None = None) -> Trade:
    """The same bytes in every run."""
    return honest_trade(BOT, owner=new_owner(some_key("owner seed")), delta=some_key("delta"), made=made)


def in_table() -> Trade:
    """The same with an account in a lookup table of 256 entries, one of which is our key."""
    entries = tuple(some_key(f"entry {number}") for number in range(2, 255))
    table = (some_key("x"), some_key("pool"), *entries, BOT)
    return with_table(fixed_trade(), table, table)


def verdicts(trade: Trade, messages: Iterable[bytes]) -> Counter[Reason]:
    """How often each reason was given; a message that may be signed although it is another one fails the test."""
    reasons: Counter[Reason] = Counter()
    for message in messages:
        decision = decide_signing(trade.with_plan(message=message).inputs(), LIMITS)
        if isinstance(decision, Approved):
            assert differs_in_route_only(trade.plan.message, message), message.hex()
        else:
            reasons[decision.reason] += 1
    return reasons


def differs_in_route_only(honest: bytes, message: bytes) -> bool:
    """The route is the venue's own language, which the signer does not read: the vault program judges what it did."""
    at = honest.index(b"swap\x01")
    return len(honest) == len(message) and honest[:at] == message[:at] and honest[at + 5 :] == message[at + 5 :]


@pytest.mark.parametrize("trade", [fixed_trade, in_table], ids=["static", "table"])
def test_no_message_one_step_from_a_lawful_one_may_be_signed(trade: Callable[[], Trade]) -> None:
    lawful = trade()
    assert isinstance(decide_signing(lawful.inputs(), LIMITS), Approved)
    single = verdicts(lawful, bytewise(lawful.plan.message))
    shaped = verdicts(lawful, structured(lawful.plan.message))
    assert single.total() > 4_000
    assert shaped.total() > 300
    # Both reach behind the decoder, or they would test nothing but the decoder.
    assert {Reason.MALFORMED_TRANSACTION, Reason.ACCOUNTS_MISMATCH, Reason.INTENT_MISMATCH} <= {*single, *shaped}


@pytest.mark.parametrize("name", drains(BOT, THIEF))
@pytest.mark.parametrize("place", ["before", "after"])
def test_nothing_beside_the_trade_may_be_signed(name: str, place: str) -> None:
    instruction = drains(BOT, THIEF)[name]
    made = Bytes(before=[instruction]) if place == "before" else Bytes(after=[instruction])
    decision = decide_signing(fixed_trade(made).inputs(), LIMITS)
    assert not isinstance(decision, Approved)
    assert decision.reason in (Reason.PROGRAM_NOT_ALLOWED, Reason.MALFORMED_TRANSACTION)


def test_no_recorded_transaction_may_be_signed_whoever_pays() -> None:
    trade = fixed_trade()
    for recorded in recorded_messages():
        for message in (recorded.message, with_fee_payer(recorded.message, BOT)):
            plan = dataclasses.replace(trade.plan, message=message, lookup_tables=recorded.tables)
            decision = decide_signing(dataclasses.replace(trade, plan=plan).inputs(), LIMITS)
            assert not isinstance(decision, Approved)
            assert decision.reason is Reason.PROGRAM_NOT_ALLOWED, recorded.name


@pytest.mark.parametrize("rounds", [150, pytest.param(4_000, marks=pytest.mark.slow)])
def test_wildly_bent_messages_may_not_be_signed(rounds: int) -> None:
    numbers = seeded()
    trade = fixed_trade()
    sources = [trade.plan.message, *(with_fee_payer(recorded.message, BOT) for recorded in recorded_messages())]
    reasons = sum((verdicts(trade, wild(source, numbers, rounds)) for source in sources), Counter[Reason]())
    assert reasons.total() > rounds


@pytest.mark.asyncio(loop_scope="session")
async def test_bent_messages_get_typed_refusals_from_the_deployed_signer(fortress: Fortress) -> None:
    numbers = seeded()
    trade = honest_trade(fortress.bot)
    real = [with_fee_payer(recorded.message, fortress.bot) for recorded in recorded_messages()]
    bent = [*wild(trade.plan.message, numbers, 25), *(next(wild(message, numbers, 1)) for message in real)]
    bent += numbers.sample(list(structured(trade.plan.message)), 25)
    bent += [
        b"",
        b"\x80",
        bytes(1_232),
        numbers.randbytes(900),
        trade.plan.message * 2,
        b"\x81" + trade.plan.message[1:],
    ]
    reasons: Counter[str] = Counter()
    await fortress.publish("ingestor", *trade.background())
    (intent,) = await fortress.publish("executor", trade.intent)
    for message in real + bent:
        plan = dataclasses.replace(trade.plan, message=message)
        if differs_in_route_only(trade.plan.message, message):
            continue
        (attempt,) = await fortress.publish("executor", plan)
        refused = await fortress.refusal([intent, attempt])
        assert refused.reason in Reason.__members__
        reasons[refused.reason] += 1
    assert reasons["PROGRAM_NOT_ALLOWED"] >= len(real) // 2
    assert reasons["MALFORMED_TRANSACTION"]
    assert set(reasons) <= {
        "MALFORMED_TRANSACTION",
        "VERSION_NOT_SUPPORTED",
        "PROGRAM_NOT_ALLOWED",
        "ACCOUNTS_MISMATCH",
        "INTENT_MISMATCH",
        "RECORD_MISMATCH",
        "FEE_TOO_HIGH",
        "EXPIRY_OUT_OF_BOUNDS",
    }
    assert not [fact for fact in await fortress.signed() if fact.vault == trade.intent.vault]
