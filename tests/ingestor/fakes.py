"""A log that is a list, and bodies of an engine."""

import json
from typing import Any

from xorj_core.facts import Fact, Position
from xorj_log.writer import PublishUnknown


class ListPublisher:
    """Keeps what is published; fails as often as `failures` says."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.failures = 0

    async def publish(self, fact: Fact) -> Position:
        if self.failures:
            self.failures -= 1
            raise PublishUnknown("planned")
        self.facts.append(fact)
        return Position("cluster", "topic", 0, len(self.facts) - 1)


SOL = "So11111111111111111111111111111111111111112"
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
WALLETS = (
    "5r9fspc3GqNYTTRgtiSpkGr2oNa6PYMNtTLguJNGMqNw",
    "8CRGEUBcBztAUgd61VY7ss3eW17R7HVvnvhtjKB5Y4G4",
    "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN",
)


def trader(place: int = 1, /, **changes: Any) -> dict[str, Any]:
    """One good entry of a ranking, with changes; a change to ... removes the field."""
    entry = {
        "rank": place,
        "wallet_address": WALLETS[place - 1],
        "trust_score": "95.5",
        "allocation": [{"mint": SOL, "weight_bps": 6000}, {"mint": USDC, "weight_bps": 4000}],
        "metrics": {"sharpe_ratio": 1.5, "something_new": None},
        **changes,
    }
    return {name: value for name, value in entry.items() if value is not ...}


def body(*traders: dict[str, Any], **changes: Any) -> bytes:
    """A ranking's body."""
    return json.dumps({"status": "success", "data": list(traders), "meta": {"at": 1}, **changes}).encode()
