"""A scenario: the tokens of a local world, their prices over time, and the ranking that its engine publishes first.

1. A scenario is a function of its file or directory alone: engine, venue and genesis agree on it without talking.
2. Every trader's allocation sums to 10000 basis points over tokens of the scenario.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import cast

from xorj_localnet.market.exact_json import Json, loads
from xorj_localnet.market.prices import BPS, PriceSeries, Swing
from xorj_localnet.market.tokens import Token, pico_usd


class ScenarioError(ValueError):
    """The scenario cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Trader:
    """One ranked trader. `allocation` maps mint to basis points; empty: the engine sends none."""

    wallet: str
    trust_score_hundredths: int
    allocation: Mapping[str, int]
    metrics: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A market with its first ranking, in the order of the ranks."""

    name: str
    tokens: tuple[Token, ...]
    prices: Mapping[str, PriceSeries]
    traders: tuple[Trader, ...]

    def __post_init__(self) -> None:
        mints = {token.mint for token in self.tokens}
        if set(self.prices) != mints or len(mints) != len(self.tokens):
            raise ScenarioError(f"scenario {self.name}: every token needs exactly one price series")
        for trader in self.traders:
            if trader.allocation and (sum(trader.allocation.values()) != BPS or not set(trader.allocation) <= mints):
                raise ScenarioError(f"scenario {self.name}: allocation of {trader.wallet} does not fit")

    def token(self, mint: str) -> Token | None:
        """The token with this mint, if the scenario has it."""
        return next((token for token in self.tokens if token.mint == mint), None)

    def price_pico_usd(self, mint: str, tick: int) -> int:
        """Pico-USD for one whole token; KeyError for a mint that the scenario has not."""
        return self.prices[mint].at(tick)


def load_scenario(name: str = "default", *, recorded: Path | None = None, rows_per_tick: int = 1) -> Scenario:
    """The scenario `default`, `recorded` (from the directory given), or that of a JSON file. Raises ScenarioError."""
    if name == "recorded":
        from xorj_localnet.market.recorded import recorded_scenario

        if recorded is None:
            raise ScenarioError("the recorded scenario needs XORJ_RECORDED_DATA, the directory of the recordings")
        return recorded_scenario(recorded, rows_per_tick=rows_per_tick)
    if name == "default":
        return scenario_of(name, (resources.files("xorj_localnet.market") / "default.json").read_bytes())
    try:
        return scenario_of(Path(name).stem, Path(name).read_bytes())
    except OSError as error:
        raise ScenarioError(f"scenario {name}: {error.strerror}") from error


def scenario_from_environment(environment: Mapping[str, str]) -> Scenario:
    """The scenario that XORJ_SCENARIO, XORJ_RECORDED_DATA and XORJ_MARKET_ROWS_PER_TICK name. Raises ScenarioError."""
    recorded = environment.get("XORJ_RECORDED_DATA", "")
    rows = environment.get("XORJ_MARKET_ROWS_PER_TICK", "") or "1"
    if not rows.isascii() or not rows.isdigit():
        raise ScenarioError(f"XORJ_MARKET_ROWS_PER_TICK must be a whole number, not {rows!r}")
    return load_scenario(
        environment.get("XORJ_SCENARIO", "") or "default",
        recorded=Path(recorded) if recorded else None,
        rows_per_tick=int(rows),
    )


def scenario_of(name: str, text: bytes) -> Scenario:
    """The scenario in a JSON text (layout: default.json). Raises ScenarioError."""
    try:
        document = cast("dict[str, Json]", loads(text))
        tokens = [cast("dict[str, Json]", entry) for entry in cast("list[Json]", document["tokens"])]
        traders = [cast("dict[str, Json]", entry) for entry in cast("list[Json]", document["traders"])]
        by_symbol = {str(entry["symbol"]): _token(entry) for entry in tokens}
        return Scenario(
            name=name,
            tokens=tuple(by_symbol.values()),
            prices={str(entry["mint"]): _series(entry) for entry in tokens},
            traders=tuple(_trader(entry, by_symbol) for entry in traders),
        )
    except ScenarioError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ScenarioError(f"scenario {name}: {type(error).__name__} {error}") from error


def _token(entry: dict[str, Json]) -> Token:
    return Token(str(entry["mint"]), str(entry["symbol"]), str(entry["name"]), _whole(entry["decimals"]))


def _series(entry: dict[str, Json]) -> Swing:
    price = pico_usd(Decimal(str(entry["price_usd"])))
    return Swing(price, _whole(entry["swing_bps"]), _whole(entry["period_ticks"]))


def _trader(entry: dict[str, Json], tokens: Mapping[str, Token]) -> Trader:
    allocation = cast("dict[str, Json]", entry["allocation_bps"])
    metrics = cast("dict[str, Json]", entry.get("metrics", {}))
    return Trader(
        wallet=str(entry["wallet"]),
        trust_score_hundredths=_hundredths(str(entry["trust_score"])),
        allocation={tokens[symbol].mint: _whole(weight) for symbol, weight in allocation.items()},
        metrics={key: Decimal(str(value)) for key, value in metrics.items()},
    )


def _hundredths(text: str) -> int:
    value = Decimal(text).scaleb(2)
    if value != value.to_integral_value():
        raise ScenarioError(f"trust score finer than hundredths: {text}")
    return int(value)


def _whole(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ScenarioError(f"not a whole number: {value}")
    return value
