"""The scenario made of recordings: real hourly prices, real mints, and the wallets of a real leaderboard.

Directory: `tokens/verified_tokens.csv` (mint, symbol, name, decimals), `prices/<SYMBOL>_USDT-1h.csv` (its close
column), `traders/leaderboard.json`.

1. Every number is read exactly: closes and metrics as Decimal, prices as whole pico-USD.
2. A trader's allocation is a rule, for the recording has none: of SHA-256 of the wallet's address, byte i modulo 9,
   plus 1, is the number of shares of SOL, BONK, JTO and USDC in that order; what rounding leaves goes to USDC.
3. Ranks go by recorded profit; trust comes from `xorj_localnet.market.trust`; wallets that it distrusts are left out.
"""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import cast

from xorj_localnet.market.exact_json import Json, loads
from xorj_localnet.market.prices import BPS, PriceSeries, Recorded, Swing
from xorj_localnet.market.scenario import Scenario, ScenarioError, Trader
from xorj_localnet.market.tokens import BONK, JTO, PICO, USDC, WSOL, Token, pico_usd
from xorj_localnet.market.trust import Record, distrust, trust_score_hundredths

TOKENS = (WSOL, BONK, JTO, USDC)


def recorded_scenario(directory: Path, *, rows_per_tick: int) -> Scenario:
    """The scenario of a directory of recordings. Raises ScenarioError."""
    try:
        tokens = _tokens(directory / "tokens" / "verified_tokens.csv")
        prices: dict[str, PriceSeries] = {USDC.mint: Swing(10**PICO, 0, 1)}
        for token in tokens:
            if token.mint != USDC.mint:
                closes = read_closes(directory / "prices" / f"{token.symbol}_USDT-1h.csv")
                prices[token.mint] = Recorded(closes, rows_per_tick)
        traders = read_traders((directory / "traders" / "leaderboard.json").read_bytes(), tokens)
    except (OSError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise ScenarioError(f"recordings in {directory}: {type(error).__name__} {error}") from error
    return Scenario("recorded", tokens, prices, traders)


def read_closes(path: Path) -> Sequence[int]:
    """The close column as pico-USD, oldest first."""
    with path.open(newline="") as file:
        closes = tuple(pico_usd(Decimal(row["close"])) for row in csv.DictReader(file))
    if not closes:
        raise ValueError(f"{path.name} holds no prices")
    return closes


def read_traders(text: bytes, tokens: Sequence[Token]) -> tuple[Trader, ...]:
    """The leaderboard's wallets that can be trusted at all, most profitable first."""
    found: list[tuple[Decimal, Trader]] = []
    for entry in cast("list[dict[str, Json]]", loads(text)):
        record = _record(entry)
        if distrust(record) is not None:
            continue
        wallet = str(entry["wallet_address"])
        profit = _decimal(entry["realized_profit_30d"])
        metrics = {
            "net_roi_percent": (record.profit_ratio * 100).quantize(Decimal("0.01")),
            "total_trades": Decimal(record.trades),
            "total_profit_usd": profit.quantize(Decimal("0.01")),
        }
        trader = Trader(wallet, trust_score_hundredths(record), allocation_of(wallet, tokens), metrics)
        found.append((profit, trader))
    found.sort(key=lambda pair: pair[0], reverse=True)
    return tuple(trader for _, trader in found)


def allocation_of(wallet: str, tokens: Sequence[Token]) -> Mapping[str, int]:
    """Basis points by mint (rule 2); the last token takes what rounding leaves."""
    seed = hashlib.sha256(wallet.encode()).digest()
    shares = [1 + seed[place] % 9 for place in range(len(tokens))]
    weights = [share * BPS // sum(shares) for share in shares]
    weights[-1] += BPS - sum(weights)
    return {token.mint: weight for token, weight in zip(tokens, weights, strict=True)}


def _tokens(path: Path) -> tuple[Token, ...]:
    with path.open(newline="") as file:
        rows = {row["mint"]: row for row in csv.DictReader(file)}
    return tuple(
        Token(token.mint, token.symbol, rows[token.mint]["name"], int(rows[token.mint]["decimals"])) for token in TOKENS
    )


def _record(entry: dict[str, Json]) -> Record:
    risk = cast("dict[str, Json]", entry["risk"])
    return Record(
        trades=int(_decimal(entry["txs_30d"])),
        tokens=int(_decimal(entry["token_num_7d"])),
        tokens_lost_over_half=int(_decimal(entry["pnl_lt_minus_dot5_num_7d"])),
        win_rate=_decimal(entry["winrate_7d"]),
        profit_ratio=_decimal(entry["pnl_7d"]),
        fast_ratio=_decimal(risk["fast_tx_ratio"]),
        trap_ratio=_decimal(risk["token_honeypot_ratio"]),
    )


def _decimal(value: Json) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError(f"not a number: {value!r}")
    return Decimal(value)
