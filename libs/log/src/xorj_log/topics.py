"""The topic table: every topic with its key, facts, writers and readers. ACLs, the local broker and docs come from it.

1. One principal per service; a topic is written only by the principals named here.
2. Topics keyed by vault have equal partition counts, fixed for ever, so that one instance holds a vault on all of them.
3. The auditor reads every topic.
"""

from dataclasses import dataclass
from typing import Final

from xorj_core.facts import Fact

SERVICES: Final = ("ingestor", "reconciler", "executor", "signer", "auditor")
OPERATOR: Final = "operator"
EVERYONE: Final = (*SERVICES, OPERATOR)
VAULT_PARTITIONS: Final = 8
DAY_MS: Final = 86_400_000

# Consumer groups, each used by one principal only.
EXECUTOR_GROUP: Final = "xorj-executor"
RECONCILER_GROUP: Final = "xorj-reconciler"
GROUPS: Final = {EXECUTOR_GROUP: "executor", RECONCILER_GROUP: "reconciler"}
# The reconciler's read models have changelog topics under this prefix, which its principal may create.
RECONCILER_PREFIX: Final = "xorj-reconciler-"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic; `key` names the field of the fact that is the record's key ("" for none)."""

    name: str
    key: str
    facts: tuple[str, ...]
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    partitions: int = 1
    retention_ms: int | None = None  # None: for ever
    compacted_after_ms: int | None = None  # None: not compacted


TOPICS: Final = (
    Topic(
        "strategies",
        "engine",
        ("RankingObserved", "RankingRefused"),
        ("ingestor",),
        ("reconciler",),
        retention_ms=30 * DAY_MS,
    ),
    Topic(
        "user-settings",
        "vault",
        ("SettingsChanged", "SettingsRevoked"),
        ("ingestor",),
        ("reconciler", "executor", "signer"),
        VAULT_PARTITIONS,
        compacted_after_ms=7 * DAY_MS,
    ),
    Topic(
        "prices",
        "mint",
        ("ReferencePriceObserved",),
        ("ingestor",),
        ("reconciler", "executor", "signer"),
        retention_ms=7 * DAY_MS,
    ),
    Topic(
        "observations",
        "",
        (
            "VaultObserved",
            "EndpointObserved",
            "SystemErrorObserved",
            "SecurityViolationObserved",
            "ServiceStarted",
            "ConfigurationChanged",
            "PolicyAdopted",
        ),
        SERVICES,
        ("reconciler", "executor"),
        retention_ms=30 * DAY_MS,
    ),
    Topic(
        "portfolio-deltas",
        "vault",
        ("PortfolioReconciled", "ReconciliationRefused", "ReconcileDue"),
        ("reconciler",),
        ("executor", "reconciler"),
        VAULT_PARTITIONS,
        retention_ms=30 * DAY_MS,
    ),
    Topic(
        "trade-intents",
        "vault",
        ("TradeIntended", "TradeRefused", "AttemptPlanned"),
        ("executor",),
        ("signer", "executor", "reconciler"),
        VAULT_PARTITIONS,
        retention_ms=30 * DAY_MS,
    ),
    Topic(
        "signed-txs",
        "vault",
        ("TradeSigned", "SigningRefused"),
        ("signer",),
        ("executor",),
        VAULT_PARTITIONS,
        retention_ms=30 * DAY_MS,
    ),
    Topic(
        "confirmations",
        "vault",
        ("TradeSubmitted", "AttemptFailed", "TradeConfirmed", "TradeRolledBack", "TradeFinalized", "TradeExpired"),
        ("executor",),
        ("reconciler", "executor", "signer"),
        VAULT_PARTITIONS,
        retention_ms=30 * DAY_MS,
    ),
    Topic(
        "control",
        "",
        ("KillCommanded", "ResumeApproved", "ControlSnapshot"),
        EVERYONE,
        EVERYONE,
    ),
    Topic(
        "breakers",
        "breaker",
        ("BreakerTripped", "BreakerHalfOpened", "BreakerClosed", "ProbeClaimed", "BreakerSnapshot"),
        ("executor",),
        ("executor", "signer"),
        retention_ms=7 * DAY_MS,
    ),
    Topic(
        "heartbeats",
        "instance",
        ("AuditHeartbeat", "ServiceHeartbeat"),
        EVERYONE,
        EVERYONE,
        retention_ms=3_600_000,
    ),
    Topic(
        "executions",
        "vault",
        ("ExecutionSnapshot",),
        ("executor",),
        ("executor",),
        VAULT_PARTITIONS,
        compacted_after_ms=DAY_MS,
    ),
    Topic(
        "dead-letters",
        "position",
        ("DeadLettered",),
        EVERYONE,
        (),
    ),
)

BY_NAME: Final = {topic.name: topic for topic in TOPICS}
BY_FACT: Final = {fact: topic for topic in TOPICS for fact in topic.facts}


def readers_of(topic: Topic) -> tuple[str, ...]:
    """Every principal that may read `topic`: those in the table, the auditor, and the operator's tools."""
    return tuple(dict.fromkeys((*topic.readers, "auditor", OPERATOR)))


def topic_of(fact: Fact) -> Topic:
    """The one topic that this kind of fact is written to."""
    return BY_FACT[type(fact).__name__]


def key_of(fact: Fact) -> bytes | None:
    """The record key of a fact: bytes fields as they are, text in UTF-8; None for topics without keys."""
    topic = topic_of(fact)
    if not topic.key:
        return None
    value = getattr(fact, topic.key)
    return value if isinstance(value, bytes) else str(value).encode()
