"""The topic table, the ACLs made from it, the proto files and the docs say the same."""

import dataclasses
import re
import typing
from pathlib import Path

import pytest
from xorj_core import facts
from xorj_localnet.topics import grants
from xorj_log.acl import Operation, Pattern, ResourceKind
from xorj_log.topics import BY_FACT, BY_NAME, EVERYONE, TOPICS, VAULT_PARTITIONS, Topic

ROOT = Path(__file__).resolve().parents[2]


def granted(topics: tuple[Topic, ...], operation: Operation) -> dict[str, set[str]]:
    """Who may do `operation` on each topic according to the generated permissions."""
    found: dict[str, set[str]] = {topic.name: set() for topic in topics}
    for grant in grants(topics):
        if grant.kind is ResourceKind.TOPIC and grant.operation is operation and grant.name in found:
            found[grant.name].add(grant.principal)
    return found


def test_only_the_writers_in_the_table_may_write() -> None:
    assert granted(TOPICS, Operation.WRITE) == {topic.name: set(topic.writers) for topic in TOPICS}


def test_only_the_readers_in_the_table_the_auditor_and_the_operator_may_read() -> None:
    expected = {topic.name: {*topic.readers, "auditor", "operator"} for topic in TOPICS}
    assert granted(TOPICS, Operation.READ) == expected


def test_no_prefix_rule_covers_a_topic_of_the_table() -> None:
    prefixes = [g.name for g in grants() if g.kind is ResourceKind.TOPIC and g.pattern is Pattern.PREFIXED]
    assert [t.name for t in TOPICS for prefix in prefixes if t.name.startswith(prefix)] == []


def test_a_planted_writer_is_caught() -> None:
    wider = dataclasses.replace(BY_NAME["signed-txs"], writers=("signer", "executor"))
    planted = tuple(wider if topic.name == "signed-txs" else topic for topic in TOPICS)
    assert granted(planted, Operation.WRITE) != {topic.name: set(topic.writers) for topic in TOPICS}


def test_each_trade_fact_has_one_writer() -> None:
    shared = {t.name for t in TOPICS if len(t.writers) > 1}
    assert shared == {"observations", "control", "heartbeats", "dead-letters"}


def test_every_fact_in_core_and_every_proto_file_stands_on_one_topic() -> None:
    in_core = {cls.__name__ for cls in typing.get_args(facts.Fact)}
    assert in_core <= set(BY_FACT)
    for topic in TOPICS:
        folder = ROOT / "proto/xorj" / topic.name.replace("-", "_") / "v1"
        text = "".join(path.read_text() for path in folder.glob("*.proto"))
        assert set(re.findall(r"^message (\w+)", text, re.M)) == set(topic.facts), topic.name


def test_vault_keyed_topics_have_equal_partition_counts() -> None:
    assert {t.partitions for t in TOPICS if t.key == "vault"} == {VAULT_PARTITIONS}


def test_keys_are_fields_of_their_facts() -> None:
    for cls in typing.get_args(facts.Fact):
        key = BY_FACT[cls.__name__].key
        assert not key or key in {f.name for f in dataclasses.fields(cls)}, cls.__name__


@pytest.mark.parametrize("topic", TOPICS, ids=lambda t: t.name)
def test_the_docs_show_the_table(topic: Topic) -> None:
    rows = [line.strip("| ").split(" | ") for line in (ROOT / "docs/interfaces.md").read_text().splitlines()]
    row = next(row for row in rows if row[0] == topic.name)
    named = {EVERYONE: "every service, operator", tuple(EVERYONE[:-1]): "every service", (): "none"}
    assert row[1] == (topic.key or "none")
    assert row[2] == ", ".join(topic.facts)
    assert row[3] == named.get(topic.writers, ", ".join(topic.writers))
    assert row[4] == named.get(topic.readers, ", ".join(topic.readers))
    assert row[5] == str(topic.partitions)
