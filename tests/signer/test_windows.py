"""Windows of the policy and the book of reservations, without a database: what counts, how often, what is refused."""

import dataclasses
import random

from hypothesis import given
from hypothesis import strategies as st
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.policy.decide import Denied
from xorj_core.policy.limits import Cap, MintCaps, OutflowCaps, WindowCaps
from xorj_core.policy.windows import (
    BUCKET_MS,
    BUCKETS,
    Demand,
    ScopeKind,
    Span,
    Spent,
    Window,
    bucket_of,
    demands_of,
    oldest_bucket,
)
from xorj_signer.book import AuditedExpiry, Book, Expiries, Reservation, Reserved

from tests.signer.trades import LIMITS, some_key

VAULT, IN, OUT = some_key("vault"), some_key("in"), some_key("out")
SPAN_MS = {Span.MINUTE: 60_000, Span.DAY: 86_400_000}
EVERYTHING = Window(ScopeKind.ALL, b"", Span.MINUTE)
NEVER: Expiries = lambda *_: None  # noqa: E731


def reservation(
    intent: str, *, seq: int = 1, attempt: int = 1, value: int = 10, lamports: int = 5_000, demand: Demand | None = None
) -> Reservation:
    demands = () if demand is None else (demand,)
    message = some_key(f"{intent} {attempt}")
    return Reservation(some_key(intent), VAULT, seq, attempt, message, 100 + attempt, value, lamports, 0, demands)


def reason_of(outcome: Reserved | Denied) -> Reason | None:
    return outcome.reason if isinstance(outcome, Denied) else None


@given(at=st.integers(0, 2**45), span=st.sampled_from(list(Span)), ago=st.integers(0, 2 * 86_400_000))
def test_a_window_holds_at_least_its_span_and_at_most_one_bucket_more(at: int, span: Span, ago: int) -> None:
    then = max(0, at - ago)
    held = bucket_of(span, then) >= oldest_bucket(span, at)
    if at - then <= SPAN_MS[span]:
        assert held
    if at - then >= SPAN_MS[span] + BUCKET_MS[span]:
        assert not held
    assert BUCKET_MS[span] * BUCKETS == SPAN_MS[span]


def test_a_trade_counts_for_everything_its_vault_and_both_mints() -> None:
    own = WindowCaps(Cap(7, 8), Cap(9, 10))
    limits = dataclasses.replace(LIMITS, named_mints=(MintCaps(OUT, own),), outflow=OutflowCaps(11, 12))
    demands = {demand.window: demand for demand in demands_of(limits, VAULT, (IN, OUT), 10**6)}
    kinds = {(window.kind, window.subject) for window in demands}
    assert kinds == {(ScopeKind.ALL, b""), (ScopeKind.VAULT, VAULT), (ScopeKind.MINT, IN), (ScopeKind.MINT, OUT)}
    assert len(demands) == 8
    of_out = demands[Window(ScopeKind.MINT, OUT, Span.MINUTE)]
    assert (of_out.trades_max, of_out.value_micro_usd_max) == (7, 8)
    assert demands[Window(ScopeKind.MINT, IN, Span.MINUTE)].trades_max == limits.each_mint.minute.trades_max
    assert demands[EVERYTHING].lamports_max == 11
    assert demands[Window(ScopeKind.VAULT, VAULT, Span.DAY)].value_micro_usd_max == 10**6, "the owner's own cap a day"


def test_the_operators_cap_a_day_holds_whatever_the_owner_allows() -> None:
    demands = {demand.window: demand for demand in demands_of(LIMITS, VAULT, (IN, OUT), 2**63)}
    held = demands[Window(ScopeKind.VAULT, VAULT, Span.DAY)]
    assert held.value_micro_usd_max == LIMITS.each_vault.day.value_micro_usd_max


def test_a_window_is_full_at_its_cap_and_not_before() -> None:
    for demand, reason in (
        (Demand(EVERYTHING, 3, 10**9, None), Reason.WINDOW_CAP),
        (Demand(EVERYTHING, 10**9, 30, None), Reason.WINDOW_CAP),
        (Demand(EVERYTHING, 10**9, 10**9, 15_000), Reason.OUTFLOW_CAP),
    ):
        book = Book()
        outcomes = [book.reserve(reservation(f"i{n}", seq=n, demand=demand), NEVER) for n in range(1, 5)]
        assert [reason_of(outcome) for outcome in outcomes] == [None, None, None, reason]
        assert len(book.new_intents) == 3, "a refusal binds nothing"
        assert book.counted[EVERYTHING] == Spent(3, 30, 15_000)


def test_further_attempts_cost_lamports_but_are_no_further_trade() -> None:
    demand = Demand(EVERYTHING, 1, 10, 15_000)
    book = Book()
    outcomes = [book.reserve(reservation("i", attempt=n, demand=demand), NEVER) for n in (1, 2, 3, 4)]
    assert [reason_of(outcome) for outcome in outcomes] == [None, None, None, Reason.OUTFLOW_CAP]
    assert book.counted[EVERYTHING] == Spent(1, 10, 15_000)


def test_the_same_bytes_again_count_nothing_even_if_the_window_is_full() -> None:
    book = Book()
    wanted = reservation("i", demand=Demand(EVERYTHING, 1, 10, 5_000))
    assert [book.reserve(wanted, NEVER) for _ in range(3)] == [Reserved(None)] * 3
    assert book.counted[EVERYTHING] == Spent(1, 10, 5_000)


def test_an_expired_intents_count_is_not_given_back() -> None:
    demand = Demand(EVERYTHING, 1, 10**9, None)
    book = Book()
    assert reason_of(book.reserve(reservation("first", demand=demand), NEVER)) is None
    proven: Expiries = lambda *_: AuditedExpiry(some_key("expired"), 102)  # noqa: E731
    assert reason_of(book.reserve(reservation("second", demand=demand), proven)) is Reason.WINDOW_CAP
    assert some_key("first") in book.freed, "that it has expired is true all the same"


@given(st.integers(0, 2**32))
def test_in_any_order_of_requests_a_sequence_has_one_living_intent_and_an_attempt_one_message(seed: int) -> None:
    chance = random.Random(seed)
    book = Book()
    bound: dict[tuple[bytes, int], bytes] = {}
    for _ in range(40):
        intent, seq, attempt = f"i{chance.randrange(4)}", chance.randrange(1, 3), chance.randrange(1, 4)
        wanted = reservation(f"{intent} {seq}", seq=seq, attempt=attempt)
        if chance.random() < 0.3:
            wanted = dataclasses.replace(wanted, message_sha256=some_key("other"))
        expiries: Expiries = NEVER
        if chance.random() < 0.2:
            proof = AuditedExpiry(some_key("e"), chance.choice([100, 102, 104]))
            expiries = lambda *_, proof=proof: proof  # noqa: E731
        held_before = book.holders.get((VAULT, seq))
        outcome = book.reserve(wanted, expiries)
        holder = book.holders.get((VAULT, seq))
        if isinstance(outcome, Reserved):
            assert holder == wanted.intent_id
            assert bound.setdefault((wanted.intent_id, attempt), wanted.message_sha256) == wanted.message_sha256
        if held_before is not None and holder != held_before:
            latest = max(row.expiry_slot for row in book.attempts[held_before].values())
            assert proof.context_slot > latest
            assert held_before in book.freed
        assert holder is None or holder not in book.freed, "an expired intent never comes back"
