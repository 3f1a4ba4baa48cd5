"""Reads the engine's ranking: what can be mirrored, what is skipped, what makes the whole body unusable. Pure.

Body: `{status, data: [{rank, wallet_address, trust_score, allocation?: [{mint, weight_bps}], …}], meta}`.

1. A body with any trader that contradicts itself is refused whole: half a ranking would be another ranking.
2. A trust score is never rounded up: 94.999 stays below 95.
3. A trader without an allocation is skipped with a reason. What such a wallet holds on chain is not looked up.
4. Unknown fields are tolerated.
"""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal, InvalidOperation

from solders.pubkey import Pubkey
from xorj_core.facts import RankedTrader, SkippedTrader, TargetWeight

from xorj_ingestor.strict_json import Json, Malformed, as_list, as_object, as_whole, read

TRADERS_MAX = 1_000
MINTS_MAX = 64
RANK_MAX = 1_000_000
BPS = 10_000
SCORE_MAX = Decimal(100)
NO_ALLOCATION = "no allocation"


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one body says, best rank first."""

    traders: tuple[RankedTrader, ...]
    skipped: tuple[SkippedTrader, ...]


def parse_ranking(body: bytes) -> Ranking:
    """The ranking in a body. Raises Malformed."""
    document = as_object(read(body), "the body")
    if document.get("status") != "success":
        raise Malformed("status is not success")
    traders: list[RankedTrader] = []
    skipped: list[tuple[int, SkippedTrader]] = []
    for place, value in enumerate(as_list(document.get("data"), "data", TRADERS_MAX)):
        entry = as_object(value, f"data[{place}]")
        rank = as_whole(entry.get("rank"), f"data[{place}].rank", 1, RANK_MAX)
        wallet = read_key(entry.get("wallet_address"), f"data[{place}].wallet_address")
        score = read_score_hundredths(entry.get("trust_score"), f"data[{place}].trust_score")
        allocation = entry.get("allocation")
        if allocation is None or allocation == []:
            skipped.append((rank, SkippedTrader(str(Pubkey(wallet)), NO_ALLOCATION)))
        else:
            traders.append(RankedTrader(rank, wallet, score, _read_allocation(allocation, f"data[{place}].allocation")))
    ranks = [trader.rank for trader in traders] + [rank for rank, _ in skipped]
    wallets = [str(Pubkey(trader.wallet)) for trader in traders] + [trader.wallet for _, trader in skipped]
    if len(set(ranks)) != len(ranks):
        raise Malformed("two traders have the same rank")
    if len(set(wallets)) != len(wallets):
        raise Malformed("a wallet is ranked twice")
    return Ranking(
        traders=tuple(sorted(traders, key=lambda trader: trader.rank)),
        skipped=tuple(trader for _, trader in sorted(skipped, key=lambda pair: pair[0])),
    )


def read_key(value: Json, where: str) -> bytes:
    """The 32 bytes of a base58 address. Raises Malformed."""
    try:
        return bytes(Pubkey.from_string(value)) if isinstance(value, str) else _refuse(where)
    except ValueError:
        return _refuse(where)


def read_score_hundredths(value: Json, where: str) -> int:
    """A trust score of 0 to 100, a number or a decimal string, in hundredths rounded down. Raises Malformed."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Malformed(f"{where} is not a number")
    try:
        score = Decimal(value)
    except InvalidOperation:
        raise Malformed(f"{where} is not a number") from None
    if not score.is_finite() or not 0 <= score <= SCORE_MAX:
        raise Malformed(f"{where} is not from 0 to 100")
    return int((score * 100).to_integral_value(ROUND_FLOOR))


def _read_allocation(value: Json, where: str) -> tuple[TargetWeight, ...]:
    weights = []
    for place, item in enumerate(as_list(value, where, MINTS_MAX)):
        entry = as_object(item, f"{where}[{place}]")
        mint = read_key(entry.get("mint"), f"{where}[{place}].mint")
        weight_bps = as_whole(entry.get("weight_bps"), f"{where}[{place}].weight_bps", 1, BPS)
        weights.append(TargetWeight(mint, weight_bps))
    if len({weight.mint for weight in weights}) != len(weights):
        raise Malformed(f"{where} names a mint twice")
    if sum(weight.weight_bps for weight in weights) != BPS:
        raise Malformed(f"{where} does not sum to {BPS}")
    return tuple(weights)


def _refuse(where: str) -> bytes:
    raise Malformed(f"{where} is not an address")
