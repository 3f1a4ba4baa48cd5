"""The lease's fold; test names follow the invariants of xorj_core.lease."""

from hypothesis import given
from hypothesis import strategies as st
from xorj_core.facts import AuditHeartbeat, Covered, Echo, Position
from xorj_core.lease import (
    LEASE_NS,
    SENT_REMEMBERED_MAX,
    LeaseState,
    apply_heartbeat,
    is_covered,
    missing_lease,
    remember_sent,
)

ME = "executor/one"
CLUSTER = "cluster"


def heartbeat(
    counter: int | None, *, cluster: str = CLUSTER, control: int = 0, covered: tuple[Covered, ...] = ()
) -> AuditHeartbeat:
    echoes = (Echo("signer/two", 12),) if counter is None else (Echo(ME, counter), Echo("signer/two", 12))
    return AuditHeartbeat("auditor/a", cluster, covered, control, echoes, 0, bytes(32), 0, bytes(8), b"")


def sent(*times_ns: int) -> LeaseState:
    """A state in which counters 1, 2, … were sent at these times."""
    state = LeaseState(ME, CLUSTER)
    for number, at_ns in enumerate(times_ns, start=1):
        state = remember_sent(state, number, at_ns)
    return state


steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 10**9)),
        st.tuples(st.just("echo"), st.integers(0, 40)),
        st.tuples(st.just("wait"), st.integers(1, 10**9)),
    )
)


@given(steps)
def test_1_the_lease_runs_from_a_sending_however_late_and_often_its_echo_arrives(
    history: list[tuple[str, int]],
) -> None:
    state, now_ns, counter, sent_at = LeaseState(ME, CLUSTER), 1, 0, {}
    echoed: set[int] = set()
    for step, amount in history:
        if step == "send":
            now_ns += amount
            counter += 1
            sent_at[counter] = now_ns
            state = remember_sent(state, counter, now_ns)
        elif step == "echo":
            echoed.add(amount)
            state = apply_heartbeat(state, heartbeat(amount))
        else:
            now_ns += amount
        if missing_lease(state, now_ns, 0) is None:
            assert any(c in sent_at and now_ns - sent_at[c] < LEASE_NS for c in echoed)


def test_2_a_counter_that_was_not_sent_here_or_is_forgotten_starts_no_lease() -> None:
    assert apply_heartbeat(sent(10, 20), heartbeat(3)).proven_ns is None
    assert apply_heartbeat(sent(10, 20), heartbeat(None)).proven_ns is None
    many = sent(*range(1, SENT_REMEMBERED_MAX + 2))
    assert len(many.sent) == SENT_REMEMBERED_MAX
    assert apply_heartbeat(many, heartbeat(1)).proven_ns is None


def test_3_an_older_echo_does_not_shorten_the_lease() -> None:
    state = apply_heartbeat(sent(10, 20, 30), heartbeat(2))
    assert apply_heartbeat(state, heartbeat(1)) == state
    assert state.proven_ns == 20
    assert apply_heartbeat(state, heartbeat(3)).proven_ns == 30


def test_the_lease_ends_exactly_when_its_duration_is_over() -> None:
    state = apply_heartbeat(sent(100), heartbeat(1))
    assert missing_lease(state, 100 + LEASE_NS - 1, 0) is None
    assert missing_lease(state, 100 + LEASE_NS, 0) is not None
    assert missing_lease(LeaseState(ME, CLUSTER), 0, 0) is not None


def test_4_control_must_be_read_as_far_as_any_heartbeat_has_named() -> None:
    state = apply_heartbeat(sent(100), heartbeat(1, control=5))
    assert missing_lease(state, 101, 4) is not None
    assert missing_lease(state, 101, 5) is None
    state = apply_heartbeat(state, heartbeat(1, control=3))
    assert missing_lease(state, 101, 4) is not None


def test_5_another_clusters_heartbeat_changes_nothing() -> None:
    state = sent(100)
    covered = (Covered("prices", 0, 9),)
    assert apply_heartbeat(state, heartbeat(1, cluster="other", control=5, covered=covered)) == state


@given(st.lists(st.integers(0, 50), min_size=1), st.integers(0, 60))
def test_6_cover_only_grows_and_belongs_to_one_cluster(nexts: list[int], offset: int) -> None:
    state = LeaseState(ME, CLUSTER)
    for number in nexts:
        state = apply_heartbeat(state, heartbeat(None, covered=(Covered("prices", 0, number),)))
    assert is_covered(state, Position(CLUSTER, "prices", 0, offset)) == (offset < max(nexts))
    assert not is_covered(state, Position("other", "prices", 0, 0))
    assert not is_covered(state, Position(CLUSTER, "prices", 1, 0))
