"""The signer's policy, as a function of its arguments: what an executor that has been taken over might try."""

import dataclasses
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.compute_budget import request_heap_frame, set_compute_unit_limit
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from xorj_core import solana_message
from xorj_core.base58 import address_bytes, address_text
from xorj_core.bounds import reference_bound
from xorj_core.facts import LookupTable, RiskProfile
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.policy.decide import Approved, Denied, SeenPrice, decide_signing
from xorj_core.policy.limits import PolicyLimits, policy_sha256
from xorj_core.policy.trade_instruction import accounts_hash
from xorj_core.solana_message import Lookup, MalformedMessage, decode, resolve, serialise
from xorj_solana.programs import LOCAL_VAULT_PROGRAM
from xorj_solana.vault.building import discriminator

from tests.signer.trades import (
    EXPIRY_SLOT,
    LIMIT_UNITS,
    LIMITS,
    NOW_MS,
    PLANNED_SLOT,
    PRICE_MICRO,
    Bytes,
    Trade,
    honest_trade,
    new_owner,
    price_of,
    some_key,
)

BOT = some_key("bot")
STRANGER = Pubkey(some_key("stranger"))
OURS_AGAIN = AccountMeta(Pubkey(BOT), is_signer=False, is_writable=True)


def reason_of(trade: Trade, limits: PolicyLimits = LIMITS, **inputs: Any) -> Reason | None:
    """None when the trade may be signed."""
    decision = decide_signing(trade.inputs(**inputs), limits)
    return decision.reason if isinstance(decision, Denied) else None


def made(**changes: Any) -> Trade:
    return honest_trade(BOT, made=Bytes(**changes))


def drain(lamports: int) -> Instruction:
    return transfer(TransferParams(from_pubkey=Pubkey(BOT), to_pubkey=STRANGER, lamports=lamports))


def vault_instruction(name: str) -> Instruction:
    return Instruction(
        LOCAL_VAULT_PROGRAM, discriminator(name), [AccountMeta(STRANGER, is_signer=False, is_writable=True)]
    )


def test_an_honest_trade_may_be_signed() -> None:
    assert decide_signing(honest_trade(BOT).inputs(), LIMITS) == Approved(
        100_000_000, 5_000 + LIMIT_UNITS * PRICE_MICRO // 10**6
    )


@pytest.mark.parametrize(
    ("trade", "reason"),
    [
        (made(before=[drain(1)]), Reason.PROGRAM_NOT_ALLOWED),
        (made(after=[drain(10**9)]), Reason.PROGRAM_NOT_ALLOWED),
        (made(after=[vault_instruction("withdraw")]), Reason.PROGRAM_NOT_ALLOWED),
        (made(before=[set_compute_unit_limit(5)]), Reason.PROGRAM_NOT_ALLOWED),
        (made(before=[request_heap_frame(32 * 1024)]), Reason.PROGRAM_NOT_ALLOWED),
        (made(program=STRANGER), Reason.PROGRAM_NOT_ALLOWED),
        (made(bend=lambda i: Instruction(i.program_id, i.data + b"\0", i.accounts)), Reason.INTENT_MISMATCH),
        (made(bend=lambda i: Instruction(i.program_id, i.data[:-1], i.accounts)), Reason.INTENT_MISMATCH),
        (made(bend=lambda i: Instruction(i.program_id, i.data[:100], i.accounts)), Reason.INTENT_MISMATCH),
        (made(bend=lambda i: Instruction(i.program_id, i.data, i.accounts[:13])), None),
        (made(bend=lambda i: Instruction(i.program_id, i.data, i.accounts[:12])), Reason.INTENT_MISMATCH),
        (made(order={"seq": 2}), Reason.INTENT_MISMATCH),
        (made(order={"intent_id": some_key("other intent")}), Reason.INTENT_MISMATCH),
        (made(order={"amount_in_max": 100_000_001}), Reason.INTENT_MISMATCH),
        (made(order={"amount_out_min": 1}), Reason.INTENT_MISMATCH),
        (made(vault_owner=STRANGER), Reason.INTENT_MISMATCH),
        (made(mint_in=some_key("other mint")), Reason.INTENT_MISMATCH),
        (made(hashed=False), Reason.ACCOUNTS_MISMATCH),
        (
            made(extra_swap_accounts=[OURS_AGAIN]),
            Reason.ACCOUNTS_MISMATCH,
        ),
        (made(order={"expiry_slot": PLANNED_SLOT}), Reason.EXPIRY_OUT_OF_BOUNDS),
        (made(order={"expiry_slot": PLANNED_SLOT + 251}), Reason.EXPIRY_OUT_OF_BOUNDS),
        (made(unit_price=2**40), Reason.FEE_TOO_HIGH),
        (made(units=1_400_001), Reason.FEE_TOO_HIGH),
    ],
)
def test_bytes_that_do_anything_else_than_the_intended_trade_are_refused(trade: Trade, reason: Reason | None) -> None:
    assert reason_of(trade) == reason


def test_a_second_signer_or_another_fee_payer_is_refused() -> None:
    assert reason_of(honest_trade(BOT), bot_authority=some_key("another key")) is Reason.ACCOUNTS_MISMATCH
    second = AccountMeta(STRANGER, is_signer=True, is_writable=False)
    bent = made(bend=lambda i: Instruction(i.program_id, i.data, [*i.accounts, second]))
    assert reason_of(bent) is Reason.ACCOUNTS_MISMATCH


def test_a_trade_that_names_another_bot_authority_is_refused() -> None:
    other = AccountMeta(STRANGER, is_signer=False, is_writable=False)
    swapped = made(
        bend=lambda i: Instruction(i.program_id, i.data, [*i.accounts[:2], other, *i.accounts[3:], OURS_AGAIN])
    )
    assert reason_of(swapped) is Reason.ACCOUNTS_MISMATCH


@pytest.mark.parametrize("seq", [0, 2**63])
def test_a_sequence_that_no_vault_reaches_is_refused(seq: int) -> None:
    assert reason_of(honest_trade(BOT, seq=seq)) is Reason.RECORD_MISMATCH


def test_an_expiry_far_ahead_is_refused_even_if_the_intent_allows_it() -> None:
    trade = made(order={"expiry_slot": PLANNED_SLOT + 301}).with_intent(expiry_slot=PLANNED_SLOT + 1_000)
    assert reason_of(trade) is Reason.EXPIRY_OUT_OF_BOUNDS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"vault": some_key("another vault")}, Reason.RECORD_MISMATCH),
        ({"intent_id": some_key("another intent")}, Reason.RECORD_MISMATCH),
        ({"trade_seq": 2}, Reason.RECORD_MISMATCH),
        ({"attempt": 0}, Reason.RECORD_MISMATCH),
        ({"attempt": 5}, Reason.RECORD_MISMATCH),
        ({"blockhash": some_key("another blockhash")}, Reason.RECORD_MISMATCH),
        ({"compute_unit_limit": 1}, Reason.RECORD_MISMATCH),
        ({"expiry_slot": EXPIRY_SLOT + 1}, Reason.EXPIRY_OUT_OF_BOUNDS),
        ({"planned_slot": EXPIRY_SLOT - 301}, Reason.EXPIRY_OUT_OF_BOUNDS),
        ({"message": b""}, Reason.MALFORMED_TRANSACTION),
    ],
)
def test_a_plan_that_says_something_else_than_its_bytes_is_refused(changes: dict[str, Any], reason: Reason) -> None:
    assert reason_of(honest_trade(BOT).with_plan(**changes)) is reason


def test_ids_that_do_not_follow_from_their_causes_are_refused() -> None:
    other = some_key("made up")
    assert reason_of(honest_trade(BOT).with_intent(delta_id=other)) is Reason.RECORD_MISMATCH
    made_up = honest_trade(BOT).with_intent(intent_id=other).with_plan(intent_id=other)
    assert reason_of(made_up) is Reason.RECORD_MISMATCH


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"enabled": False}, Reason.SETTINGS_FORBID),
        ({"allowed_mints": (some_key("usdc"),)}, Reason.SETTINGS_FORBID),
        ({"profile": RiskProfile.UNSPECIFIED}, Reason.SETTINGS_MISSING),
        ({"trade_value_micro_usd_max": 99_999_999}, Reason.VALUE_CAP),
        ({"slippage_bps_max": 49}, Reason.MINIMUM_OUT_TOO_LOW),
    ],
)
def test_what_the_owner_does_not_allow_is_refused(changes: dict[str, Any], reason: Reason) -> None:
    assert reason_of(honest_trade(BOT).with_settings(**changes)) is reason


def test_a_vault_without_settings_is_refused() -> None:
    assert reason_of(honest_trade(BOT), settings=None) is Reason.SETTINGS_MISSING


def test_settings_cannot_allow_more_slippage_than_the_profile() -> None:
    low = reference_bound(100_000_000, 10**12, 6, 5 * 10**11, 6, 51)
    greedy = honest_trade(BOT, amount_out_min=low).with_settings(slippage_bps_max=10_000)
    assert reason_of(greedy) is Reason.MINIMUM_OUT_TOO_LOW


def test_the_operators_cap_counts_beside_the_owners() -> None:
    assert reason_of(honest_trade(BOT), dataclasses.replace(LIMITS, trade_value_micro_usd_max=1)) is Reason.VALUE_CAP


def test_an_executor_that_asks_for_one_base_unit_out_is_refused() -> None:
    assert reason_of(honest_trade(BOT, amount_out_min=1)) is Reason.MINIMUM_OUT_TOO_LOW


def test_one_base_unit_below_the_bound_is_refused() -> None:
    bound = reference_bound(100_000_000, 10**12, 6, 5 * 10**11, 6, 50)
    assert reason_of(honest_trade(BOT, amount_out_min=bound)) is None
    assert reason_of(honest_trade(BOT, amount_out_min=bound - 1)) is Reason.MINIMUM_OUT_TOO_LOW


def test_prices_must_be_known_fresh_and_those_of_the_mints() -> None:
    trade = honest_trade(BOT)
    assert reason_of(trade, price_in=None) is Reason.PRICE_MISSING
    assert reason_of(trade, price_out=None) is Reason.PRICE_MISSING
    old = SeenPrice(trade.price_out, NOW_MS - LIMITS.price_age_ms_max - 1)
    assert reason_of(trade, price_out=old) is Reason.PRICE_STALE
    assert reason_of(trade, price_in=SeenPrice(trade.price_out, NOW_MS)) is Reason.RECORD_MISMATCH
    dearer = SeenPrice(dataclasses.replace(trade.price_out, price_pico_usd=10**15), NOW_MS)
    assert reason_of(trade, price_out=dearer) is Reason.RECORD_MISMATCH
    assert reason_of(trade.with_intent(price_out_pico_usd=10**15)) is Reason.RECORD_MISMATCH
    nothing = price_of(trade.intent.mint_out, 0)
    assert reason_of(trade.with_intent(price_out_pico_usd=0), price_out=SeenPrice(nothing, NOW_MS)) is (
        Reason.PRICE_MISSING
    )


@given(
    amount=st.integers(1, 10**15),
    price_in=st.integers(1, 10**17),
    price_out=st.integers(1, 10**17),
    decimals=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    slippage=st.integers(0, 9_999),
)
def test_the_bound_never_gives_away_more_than_the_slippage(
    amount: int, price_in: int, price_out: int, decimals: tuple[int, int], slippage: int
) -> None:
    bound = reference_bound(amount, price_in, decimals[0], price_out, decimals[1], slippage)
    worth_in = amount * price_in * 10 ** decimals[1] * (10_000 - slippage)
    assert bound * price_out * 10 ** decimals[0] * 10_000 >= worth_in
    assert (bound - 1) * price_out * 10 ** decimals[0] * 10_000 < worth_in


@given(at=st.integers(0, 10**6), to=st.integers(0, 255))
def test_one_changed_byte_is_never_signed_as_the_same_trade(at: int, to: int) -> None:
    """Only the swap's own route and its accounts are outside the policy; the vault program judges those by balances."""
    trade = honest_trade(BOT, owner=new_owner(some_key("owner")), delta=some_key("delta"))
    message = bytearray(trade.plan.message)
    index = at % len(message)
    changed = message[index] != to
    message[index] = to
    decision = decide_signing(trade.with_plan(message=bytes(message)).inputs(), LIMITS)
    if changed and isinstance(decision, Approved):
        assert trade.plan.message.find(b"swap\x01") <= index < trade.plan.message.find(b"swap\x01") + 5


@given(st.binary(max_size=400))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    for candidate in (data, b"\x80" + data):
        try:
            assert serialise(decode(candidate)) == candidate
        except MalformedMessage:
            continue


@given(st.data())
def test_cut_and_padded_messages_are_refused(data: st.DataObject) -> None:
    message = honest_trade(BOT, owner=new_owner(some_key("owner")), delta=some_key("delta")).plan.message
    with pytest.raises(MalformedMessage):
        decode(message[: data.draw(st.integers(0, len(message) - 1))])
    with pytest.raises(MalformedMessage):
        decode(message + data.draw(st.binary(min_size=1, max_size=20)))


def test_a_length_in_a_longer_spelling_is_refused() -> None:
    message = honest_trade(BOT).plan.message
    count = message[4]
    with pytest.raises(MalformedMessage, match="shortest"):
        decode(message[:4] + bytes([count | 0x80, 0]) + message[5:])


def test_legacy_and_unknown_versions_are_refused() -> None:
    message = honest_trade(BOT).plan.message
    for prefix in (b"", b"\x81", b"\xff"):
        with pytest.raises(MalformedMessage):
            decode(prefix + message[1:])


def with_table(trade: Trade, shown: tuple[bytes, ...], actual: tuple[bytes, ...]) -> Trade:
    """The trade with its pool loaded from a lookup table whose entries the plan states as `shown`."""
    message = decode(trade.plan.message)
    pool = message.static_keys.index(some_key("pool"))
    total = len(message.static_keys)
    static = tuple(key for key in message.static_keys if key != some_key("pool"))
    move = {old: (total - 1 if old == pool else old - (old > pool)) for old in range(total)}
    instructions = tuple(
        dataclasses.replace(
            item,
            program_index=move[item.program_index],
            account_indexes=tuple(move[index] for index in item.account_indexes),
        )
        for item in message.instructions
    )
    table = some_key("table")
    lookups = (Lookup(table, (1,), ()),)
    loaded = dataclasses.replace(message, static_keys=static, instructions=instructions, lookups=lookups)
    accounts = resolve(loaded, {table: actual})
    last = instructions[-1]
    digest = accounts_hash([accounts[index] for index in last.account_indexes])
    data = last.data[:72] + digest + last.data[104:]
    loaded = dataclasses.replace(loaded, instructions=(*instructions[:-1], dataclasses.replace(last, data=data)))
    return trade.with_plan(message=serialise(loaded), lookup_tables=(LookupTable(table, shown),))


def test_accounts_from_a_lookup_table_are_resolved_and_hashed() -> None:
    honest = (some_key("x"), some_key("pool"))
    assert reason_of(with_table(honest_trade(BOT), honest, honest)) is None


def test_a_plan_that_lies_about_a_lookup_table_is_refused() -> None:
    honest, lying = (some_key("x"), some_key("pool")), (some_key("x"), some_key("other pool"))
    assert reason_of(with_table(honest_trade(BOT), lying, honest)) is Reason.ACCOUNTS_MISMATCH
    assert reason_of(with_table(honest_trade(BOT), (), honest)) is Reason.MALFORMED_TRANSACTION
    trade = with_table(honest_trade(BOT), honest, honest)
    assert reason_of(trade.with_plan(lookup_tables=())) is Reason.MALFORMED_TRANSACTION


def test_our_key_inside_a_lookup_table_is_refused() -> None:
    honest, ours = (some_key("x"), some_key("pool")), (some_key("x"), BOT)
    assert reason_of(with_table(honest_trade(BOT), ours, honest)) is Reason.MALFORMED_TRANSACTION


def another(value: Any) -> Any:
    """A value of the same kind that differs in one place."""
    if isinstance(value, int):
        return value + 1
    if isinstance(value, bytes):
        return some_key("other program")
    if isinstance(value, tuple):
        return (*value, some_key("one more"))
    first = dataclasses.fields(value)[0].name
    return dataclasses.replace(value, **{first: another(getattr(value, first))})


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(PolicyLimits)])
def test_every_bound_is_in_the_policys_hash(name: str) -> None:
    value = getattr(LIMITS, name)
    changes: dict[str, Any] = {name: another(value)}
    assert policy_sha256(dataclasses.replace(LIMITS, **changes)) != policy_sha256(LIMITS)


@given(st.binary(min_size=32, max_size=32))
def test_addresses_read_back(key: bytes) -> None:
    assert address_bytes(address_text(key)) == key
    assert address_text(key) == str(Pubkey(key))


def test_text_that_is_no_address_is_refused() -> None:
    for text in ("", "0", "1" * 31, "1" * 33, "z" * 44, str(STRANGER) + "1"):
        with pytest.raises(ValueError):
            address_bytes(text)


def test_the_largest_message_is_a_packet_without_its_signature() -> None:
    with pytest.raises(MalformedMessage, match="at most"):
        decode(b"\x80" + os.urandom(solana_message.MESSAGE_BYTES_MAX))
