"""The bytes of an attempt: bounds of expiry, fee and size, and what they say."""

from dataclasses import replace

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.message import from_bytes_versioned, to_bytes_versioned
from solders.pubkey import Pubkey
from xorj_core.facts import Quote
from xorj_executor.jupiter import Route
from xorj_executor.planning import (
    Budget,
    Places,
    PlanLimits,
    Unplannable,
    build_message,
    clamp_price,
    expiry_slot,
    plan_of,
    units_limit,
)
from xorj_executor.ports import Blockhash, Simulated
from xorj_solana.programs import LOCAL_VAULT_PROGRAM
from xorj_solana.vault import MintPlaces, accounts_hash_of_message, trade_authority_address

from tests.core.trade_facts import JUP, USDC, VAULT, intended_of

LIMITS = PlanLimits(75, 10, 1_000)
BOT = Pubkey(b"\x42" * 32)
PLACES = Places(LOCAL_VAULT_PROGRAM, BOT, MintPlaces(Pubkey(USDC)), MintPlaces(Pubkey(JUP)))
BUDGET = Budget(200_000, 500)
TRADE_AT = 2
HASH_AT = 72


def route_of(accounts: int) -> Route:
    """A route whose swap names so many accounts beside the trade authority."""
    authority = trade_authority_address(LOCAL_VAULT_PROGRAM, Pubkey(VAULT))
    metas = [AccountMeta(authority, is_signer=True, is_writable=False)]
    metas += [AccountMeta(Pubkey(bytes([99, n]) * 16), is_signer=False, is_writable=True) for n in range(accounts)]
    quote = Quote("jupiter", 1, 2, 2, 0, (), bytes(32))
    return Route(quote, Instruction(Pubkey(b"\x06" * 32), bytes(24), metas), ())


def test_an_attempt_never_outlives_its_intent() -> None:
    intended = intended_of()
    assert expiry_slot(intended, 200, LIMITS) == 275
    assert expiry_slot(intended, 450, LIMITS) == intended.expiry_slot == 500
    assert expiry_slot(replace(intended, expiry_slot=10_000), 200, replace(LIMITS, attempt_slots=900)) == 500


def test_the_price_is_clamped_and_grows_with_each_attempt() -> None:
    assert [clamp_price(100, n, LIMITS) for n in (1, 2, 3, 4)] == [100, 200, 400, 800]
    assert clamp_price(0, 1, LIMITS) == 10
    assert clamp_price(82_000_000_000, 1, LIMITS) == 1_000


def test_the_compute_limit_is_a_fifth_above_the_simulation() -> None:
    assert units_limit(100_001) == 120_002
    assert units_limit(1_300_000) == 1_400_000


def test_the_message_says_what_was_intended() -> None:
    intended = intended_of()
    message = build_message(intended, route_of(12), PLACES, bytes(32), 275, BUDGET)
    assert message.account_keys[0] == BOT
    assert message.header.num_required_signatures == 1
    assert len(message.instructions) == 3
    data = message.instructions[TRADE_AT].data
    assert data[16:48] == intended.intent_id
    amounts = [int.from_bytes(data[at : at + 8], "little") for at in (8, 48, 56, 64)]
    assert amounts == [1, intended.amount_in_base_units, intended.amount_out_min_base_units, 275]
    assert data[HASH_AT : HASH_AT + 32] == accounts_hash_of_message(message, TRADE_AT, {})
    latest = Blockhash(bytes(32), 150, 200)
    plan = plan_of(intended, 1, message, route_of(12), latest, 275, BUDGET, Simulated(100, 5))
    assert to_bytes_versioned(from_bytes_versioned(plan.message)) == plan.message
    assert (plan.planned_slot, plan.expiry_slot, plan.lookup_tables) == (200, 275, ())


def test_a_route_that_does_not_fit_into_a_packet_is_refused() -> None:
    with pytest.raises(Unplannable, match="bytes"):
        build_message(intended_of(), route_of(40), PLACES, bytes(32), 275, BUDGET)


def test_a_swap_that_wants_another_signature_is_refused() -> None:
    route = route_of(1)
    foreign = [*route.swap.accounts, AccountMeta(Pubkey(b"\x33" * 32), is_signer=True, is_writable=False)]
    swap = Instruction(route.swap.program_id, route.swap.data, foreign)
    with pytest.raises(Unplannable, match="signature"):
        build_message(intended_of(), replace(route, swap=swap), PLACES, bytes(32), 275, BUDGET)
