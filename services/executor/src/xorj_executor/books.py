"""What the executor has read: one folded state per vault, and the latest reference price of each mint.

The table HANDLERS says who handles which fact. Everything here can be thrown away and read again.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from xorj_core import facts
from xorj_core.execution import VaultExecution, fold, freeze, open_trade
from xorj_core.facts import Position, ReferencePriceObserved
from xorj_core.trade import PriceRead
from xorj_log.inbox import FactRecord, UndecodableRecord
from xorj_log.topics import BY_NAME

VAULT_TOPICS: Final = ("user-settings", "portfolio-deltas", "trade-intents", "signed-txs", "confirmations")
PRICE_TOPICS: Final = ("prices",)


class Books:
    """The executor's read models."""

    def __init__(self) -> None:
        self.vaults: dict[bytes, VaultExecution] = {}
        self.prices: dict[bytes, PriceRead] = {}
        self.open_vaults: set[bytes] = set()  # those with a trade that has not ended

    def forget_vaults(self) -> None:
        """Begin again: the assigned partitions will be read from their beginning."""
        self.vaults.clear()
        self.open_vaults.clear()

    def enter(self, item: FactRecord) -> bytes | None:
        """Fold one fact; the vault that it concerns, if any."""
        handler = HANDLERS.get(type(item.fact))
        return handler(self, item) if handler else None

    def enter_undecodable(self, item: UndecodableRecord) -> bytes | None:
        """Freeze the vault of a record that did not decode; the vault, where the key names one."""
        key, position = item.record.key, item.record.position
        if BY_NAME[position.topic].key != "vault" or key is None or len(key) != 32:
            return None
        self.vaults[key] = freeze(self.vault(key), position)
        return key

    def vault(self, vault: bytes) -> VaultExecution:
        """The state of a vault; an empty one where nothing was read."""
        return self.vaults.get(vault) or VaultExecution(vault)

    def has_read(self, vault: bytes, position: Position) -> bool:
        """True when the record at this position is in the vault's state."""
        return self.vault(vault).has_read(position)


def _fold_vault(books: Books, item: FactRecord) -> bytes:
    vault: bytes = getattr(item.fact, "vault")  # noqa: B009 - every fact in the table that comes here has it
    record = item.record
    state = fold(books.vault(vault), record.position, record.timestamp_ms, item.fact)
    books.vaults[vault] = state
    if open_trade(state) is None:
        books.open_vaults.discard(vault)
    else:
        books.open_vaults.add(vault)
    return vault


def _take_price(books: Books, item: FactRecord) -> None:
    if isinstance(item.fact, ReferencePriceObserved):
        books.prices[item.fact.mint] = PriceRead(item.fact, item.record.timestamp_ms)


Handler: TypeAlias = Callable[[Books, FactRecord], bytes | None]

HANDLERS: Final[dict[type, Handler]] = {
    facts.ReferencePriceObserved: _take_price,
    facts.SettingsChanged: _fold_vault,
    facts.PortfolioReconciled: _fold_vault,
    facts.ReconciliationRefused: _fold_vault,
    facts.ReconcileDue: _fold_vault,
    facts.TradeIntended: _fold_vault,
    facts.TradeRefused: _fold_vault,
    facts.AttemptPlanned: _fold_vault,
    facts.TradeSigned: _fold_vault,
    facts.SigningRefused: _fold_vault,
    facts.TradeSubmitted: _fold_vault,
    facts.AttemptFailed: _fold_vault,
    facts.TradeConfirmed: _fold_vault,
    facts.TradeFinalized: _fold_vault,
    facts.TradeExpired: _fold_vault,
}
