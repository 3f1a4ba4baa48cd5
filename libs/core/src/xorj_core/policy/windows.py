"""What a trade adds to which window, and whether it still fits. Pure; the ledger keeps the sums.

A window of a span is counted in 60 buckets and holds the bucket of the moment and the 60 before it: at least the whole
span, at most one bucket more. So no interval of a span's length, wherever it begins, ever holds more than its cap.

1. Trades and value are counted once for each intent, lamports for each attempt; nothing is ever given back.
2. Time is the caller's and never goes backwards in the ledger (docs/adr/0008).
3. A demand that does not fit changes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.policy.case import Denied
from xorj_core.policy.limits import Cap, PolicyLimits, WindowCaps

BUCKETS = 60


class Span(IntEnum):
    """How long a window reaches back; the numbers stand in the ledger."""

    MINUTE = 1
    DAY = 2


BUCKET_MS = {Span.MINUTE: 60_000 // BUCKETS, Span.DAY: 86_400_000 // BUCKETS}


class ScopeKind(IntEnum):
    """Whose trades a window counts; the numbers stand in the ledger."""

    ALL = 0
    VAULT = 1
    MINT = 2


@dataclass(frozen=True, slots=True)
class Window:
    """One counter: of everything, of one vault or of one mint (32 bytes, empty for everything)."""

    kind: ScopeKind
    subject: bytes
    span: Span

    @property
    def name(self) -> str:
        """The window as a refusal names it."""
        subject = f" {self.subject.hex()}" if self.subject else ""
        return f"{self.kind.name.lower()}{subject}, {self.span.name.lower()}"


@dataclass(frozen=True, slots=True)
class Spent:
    """What a window holds."""

    trades: int = 0
    value_micro_usd: int = 0
    lamports: int = 0

    def plus(self, other: "Spent") -> "Spent":
        """Both together."""
        return Spent(
            self.trades + other.trades,
            self.value_micro_usd + other.value_micro_usd,
            self.lamports + other.lamports,
        )


@dataclass(frozen=True, slots=True)
class Demand:
    """The cap of one window that an attempt counts in; `lamports_max` is None where only trades and value count."""

    window: Window
    trades_max: int
    value_micro_usd_max: int
    lamports_max: int | None = None


def bucket_of(span: Span, now_ms: int) -> int:
    """The bucket that counts at this time."""
    return now_ms // BUCKET_MS[span]


def oldest_bucket(span: Span, now_ms: int) -> int:
    """The oldest bucket that a window still holds at this time."""
    return bucket_of(span, now_ms) - BUCKETS


def demands_of(
    limits: PolicyLimits, vault: bytes, mints: tuple[bytes, bytes], owner_day_value_micro_usd_max: int
) -> tuple[Demand, ...]:
    """Every window that a trade of this vault and these mints counts in, with the operator's and the owner's caps."""
    named = {item.mint: item.caps for item in limits.named_mints}
    owners = Cap(limits.each_vault.day.trades_max, owner_day_value_micro_usd_max)
    outflow = limits.outflow
    return (
        _demand(Window(ScopeKind.ALL, b"", Span.MINUTE), limits.all_vaults.minute, outflow.lamports_minute_max),
        _demand(Window(ScopeKind.ALL, b"", Span.DAY), limits.all_vaults.day, outflow.lamports_day_max),
        _demand(Window(ScopeKind.VAULT, vault, Span.MINUTE), limits.each_vault.minute),
        _demand(Window(ScopeKind.VAULT, vault, Span.DAY), _lower(limits.each_vault.day, owners)),
        *(demand for mint in mints for demand in _of_mint(mint, named.get(mint, limits.each_mint))),
    )


def refusal_of(demands: Iterable[Demand], adds: Spent, held: Mapping[Window, Spent]) -> Denied | None:
    """Why `adds` does not fit beside what the windows hold; None when it fits into all of them."""
    for demand in demands:
        total = held.get(demand.window, Spent()).plus(adds)
        if demand.lamports_max is not None and adds.lamports and total.lamports > demand.lamports_max:
            detail = f"{demand.window.name}: {total.lamports} lamports, at most {demand.lamports_max}"
            return Denied(Reason.OUTFLOW_CAP, detail)
        if adds.trades and total.trades > demand.trades_max:
            return Denied(
                Reason.WINDOW_CAP, f"{demand.window.name}: {total.trades} trades, at most {demand.trades_max}"
            )
        if adds.trades and total.value_micro_usd > demand.value_micro_usd_max:
            detail = f"{demand.window.name}: {total.value_micro_usd} micro-USD, at most {demand.value_micro_usd_max}"
            return Denied(Reason.WINDOW_CAP, detail)
    return None


def _of_mint(mint: bytes, caps: WindowCaps) -> tuple[Demand, Demand]:
    return (
        _demand(Window(ScopeKind.MINT, mint, Span.MINUTE), caps.minute),
        _demand(Window(ScopeKind.MINT, mint, Span.DAY), caps.day),
    )


def _demand(window: Window, cap: Cap, lamports_max: int | None = None) -> Demand:
    return Demand(window, cap.trades_max, cap.value_micro_usd_max, lamports_max)


def _lower(one: Cap, other: Cap) -> Cap:
    return Cap(
        min(one.trades_max, other.trades_max),
        min(one.value_micro_usd_max, other.value_micro_usd_max),
    )
