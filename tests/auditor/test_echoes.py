"""Which counters the auditor echoes; test names follow the invariants of xorj_auditor.echoes."""

import os
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from xorj_auditor.echoes import FORGET_AFTER_S, Echoes
from xorj_contracts.codec import Envelope, encode
from xorj_core.facts import Echo, Fact, KillCommanded, Position, ServiceHeartbeat, fact_id
from xorj_core.keys import KeyRegistry, RegisteredKey, Role
from xorj_halt.keys import SigningKey, signing_key
from xorj_halt.signatures import signed_heartbeat
from xorj_log.reader import LogRecord

from tests.contracts.fact_examples import example

CLUSTER = "cluster"
SEEDS = {"executor": os.urandom(32), "ingestor": os.urandom(32)}


def key_of(service: str) -> SigningKey:
    return signing_key(SEEDS[service])


def echoes() -> Echoes:
    keys = {}
    for service, seed in SEEDS.items():
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        keys[key_of(service).key_id] = RegisteredKey(
            key_of(service).key_id, public, service, frozenset({Role.HEARTBEAT})
        )
    return Echoes(KeyRegistry(keys), CLUSTER)


def heartbeat(counter: int, service: str = "executor", name: str = "executor/a") -> ServiceHeartbeat:
    alive: ServiceHeartbeat = example(ServiceHeartbeat)
    alive = replace(alive, instance=name, service=service, counter=counter, cluster_id=CLUSTER)
    return signed_heartbeat(alive, key_of(service))


def record(fact: Fact | bytes) -> LogRecord:
    envelope = Envelope(b"" if isinstance(fact, bytes) else fact_id(fact), (), b"", "test", "", 0, 0, "")
    value = fact if isinstance(fact, bytes) else encode(envelope, fact)
    return LogRecord(Position(CLUSTER, "heartbeats", 0, 0), 0, None, (), value)


def test_the_last_counter_of_each_instance_is_echoed_in_order_of_names() -> None:
    heard = echoes()
    for number in (1, 2, 3):
        assert heard.hear(record(heartbeat(number)), 0.0)
    assert heard.hear(record(heartbeat(9, "ingestor", "ingestor/z")), 0.0)
    assert heard.hear(record(heartbeat(5, name="executor/B")), 0.0)
    assert heard.current(0.0) == (Echo("executor/B", 5), Echo("executor/a", 3), Echo("ingestor/z", 9))


def test_1_what_is_not_signed_by_the_service_it_names_is_not_echoed() -> None:
    heard = echoes()
    good = heartbeat(1)
    forged = [
        replace(good, counter=2),
        replace(heartbeat(2), cluster_id="other"),
        signed_heartbeat(replace(good, cluster_id="other"), key_of("executor")),
        signed_heartbeat(good, key_of("ingestor")),
        heartbeat(1, name="ingestor/a"),
        signed_heartbeat(good, signing_key(os.urandom(32))),
    ]
    for fact in forged:
        assert not heard.hear(record(fact), 0.0)
    assert not heard.hear(record(example(KillCommanded)), 0.0)
    assert not heard.hear(record(b"garbage"), 0.0)
    assert heard.current(0.0) == ()


def test_2_an_instance_that_fell_silent_is_forgotten() -> None:
    heard = echoes()
    heard.hear(record(heartbeat(1)), 10.0)
    assert heard.current(10.0 + FORGET_AFTER_S) != ()
    assert heard.current(10.1 + FORGET_AFTER_S) == ()
