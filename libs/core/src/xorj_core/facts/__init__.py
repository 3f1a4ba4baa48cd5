"""Every fact that the services write and read, one module per topic; each has a protobuf message of the same name.

1. A fact is immutable and names what happened, in the past tense.
2. `CAUSE` names the fields that identify the occurrence: the fact id is a hash of them (`fact_id`).
"""

from typing import TypeAlias

from xorj_core.canonical import encode_value
from xorj_core.facts.common import (
    HaltScope,
    Position,
    RiskProfile,
    SeenRecord,
    SigningBasis,
    TargetWeight,
    Verdict,
)
from xorj_core.facts.confirmations import (
    AttemptFailed,
    AttemptStage,
    TradeConfirmed,
    TradeExpired,
    TradeFinalized,
    TradeSubmitted,
)
from xorj_core.facts.control import KillCommanded
from xorj_core.facts.dead_letters import DeadLettered
from xorj_core.facts.heartbeats import Acknowledgement, AuditHeartbeat, Covered, Echo, HaltState, ServiceHeartbeat
from xorj_core.facts.observations import Mode, PolicyAdopted, ServiceStarted
from xorj_core.facts.portfolio_deltas import (
    Holding,
    MintPosition,
    PortfolioReconciled,
    ReconcileDue,
    ReconciliationBasis,
    ReconciliationRefused,
    ReconciliationRefusedReason,
)
from xorj_core.facts.prices import ReferencePriceObserved
from xorj_core.facts.signed_txs import SigningRefused, SigningRefusedReason, TradeSigned
from xorj_core.facts.strategies import (
    RankedTrader,
    RankingObserved,
    RankingRefused,
    RankingRefusedReason,
    SkippedTrader,
)
from xorj_core.facts.trade_intents import (
    NO_QUOTE,
    AttemptPlanned,
    Halt,
    LookupTable,
    Quote,
    TradeBasis,
    TradeIntended,
    TradeRefused,
    TradeRefusedReason,
)
from xorj_core.facts.user_settings import SettingsChanged
from xorj_core.ids import FACT_DOMAIN, digest

Fact: TypeAlias = (
    RankingObserved
    | RankingRefused
    | SettingsChanged
    | ReferencePriceObserved
    | PolicyAdopted
    | ServiceStarted
    | PortfolioReconciled
    | ReconciliationRefused
    | ReconcileDue
    | TradeIntended
    | TradeRefused
    | AttemptPlanned
    | TradeSigned
    | SigningRefused
    | TradeSubmitted
    | AttemptFailed
    | TradeConfirmed
    | TradeFinalized
    | TradeExpired
    | KillCommanded
    | ServiceHeartbeat
    | AuditHeartbeat
    | DeadLettered
)


def fact_id(fact: Fact) -> bytes:
    """32 bytes: a hash of the fact's type and of the fields named by its CAUSE."""
    return id_of_cause(type(fact), *(getattr(fact, name) for name in fact.CAUSE))


def id_of_cause(kind: type, *cause: object) -> bytes:
    """The id of the fact of this kind whose CAUSE fields have these values, without the fact."""
    return digest(FACT_DOMAIN, kind.__name__.encode(), *(encode_value(value) for value in cause))


__all__ = [
    "NO_QUOTE",
    "Acknowledgement",
    "AttemptFailed",
    "AttemptPlanned",
    "AttemptStage",
    "AuditHeartbeat",
    "Covered",
    "DeadLettered",
    "Echo",
    "Fact",
    "Halt",
    "HaltScope",
    "HaltState",
    "Holding",
    "KillCommanded",
    "LookupTable",
    "MintPosition",
    "Mode",
    "PolicyAdopted",
    "PortfolioReconciled",
    "Position",
    "Quote",
    "RankedTrader",
    "RankingObserved",
    "RankingRefused",
    "RankingRefusedReason",
    "ReconcileDue",
    "ReconciliationBasis",
    "ReconciliationRefused",
    "ReconciliationRefusedReason",
    "ReferencePriceObserved",
    "RiskProfile",
    "SeenRecord",
    "ServiceHeartbeat",
    "ServiceStarted",
    "SettingsChanged",
    "SigningBasis",
    "SigningRefused",
    "SigningRefusedReason",
    "SkippedTrader",
    "TargetWeight",
    "TradeBasis",
    "TradeConfirmed",
    "TradeExpired",
    "TradeFinalized",
    "TradeIntended",
    "TradeRefused",
    "TradeRefusedReason",
    "TradeSigned",
    "TradeSubmitted",
    "Verdict",
    "fact_id",
    "id_of_cause",
]
