"""Polls the venue's reference prices of every mint that some vault may hold; publishes each as it was at the asking.

1. Decimals are those of the token list; a price that states others is not published, for its unit is in doubt.
2. The time of a price is the time before it was asked for, so its age is never understated.
3. A mint that the venue does not price, or not believably, gets no fact: readers see its last price age.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Protocol

import structlog
from solders.pubkey import Pubkey
from xorj_core.facts import ReferencePriceObserved

from xorj_ingestor.http_source import BodyTooLarge, HttpSource, Unreachable
from xorj_ingestor.polling import SourceFailed
from xorj_ingestor.prices import Price, parse_decimals, parse_prices
from xorj_ingestor.publisher import Publisher
from xorj_ingestor.strict_json import Malformed

SOURCE = "jupiter-price-v3"
SOURCE_CLASS = "market"
PRICE_PATH, SEARCH_PATH = "/price/v3", "/tokens/v2/search"
MINTS_PER_REQUEST = 50
OK = 200


class WantedMints(Protocol):
    """Which mints need a price."""

    @property
    def mints(self) -> Collection[bytes]:
        """32 bytes each."""
        ...


class PricePoller:
    """One venue."""

    source = "prices"

    def __init__(self, http: HttpSource, publisher: Publisher, wanted: WantedMints) -> None:
        self._http = http
        self._publisher = publisher
        self._wanted = wanted
        self._decimals: dict[str, int] = {}
        self._complained: dict[str, str] = {}

    async def poll(self) -> None:
        """Asks for every wanted mint once. Raises SourceFailed, PublishUnknown."""
        mints = sorted(str(Pubkey(mint)) for mint in self._wanted.mints)
        for at in range(0, len(mints), MINTS_PER_REQUEST):
            await self._poll_some(mints[at : at + MINTS_PER_REQUEST])

    async def _poll_some(self, mints: Sequence[str]) -> None:
        await self._learn_decimals([mint for mint in mints if mint not in self._decimals])
        asked_at_us = time.time_ns() // 1000
        body = await self._get(PRICE_PATH, {"ids": ",".join(mints)})
        try:
            prices = parse_prices(body, mints)
        except Malformed as error:
            raise SourceFailed(f"{PRICE_PATH}: {error}") from error
        problems = dict(prices.refused)
        facts = []
        for mint, price in prices.good.items():
            problem = self._problem_of(mint, price)
            if problem is None:
                facts.append(_fact(mint, price, asked_at_us))
            else:
                problems[mint] = problem
        self._complain(mints, problems)
        await asyncio.gather(*(self._publisher.publish(fact) for fact in facts))

    def _problem_of(self, mint: str, price: Price) -> str | None:
        listed = self._decimals.get(mint)
        if listed is None:
            return "not in the token list"
        return None if listed == price.decimals else f"decimals {price.decimals}, the token list says {listed}"

    def _complain(self, mints: Sequence[str], problems: dict[str, str]) -> None:
        """Logs a mint's problem once, until it changes or goes."""
        for mint in mints:
            problem = problems.get(mint)
            if problem is None:
                self._complained.pop(mint, None)
            elif self._complained.get(mint) != problem:
                self._complained[mint] = problem
                structlog.get_logger().warning("price.refused", mint=mint, detail=problem)

    async def _learn_decimals(self, mints: Sequence[str]) -> None:
        if not mints:
            return
        body = await self._get(SEARCH_PATH, {"query": ",".join(mints)})
        try:
            self._decimals.update(parse_decimals(body, mints))
        except Malformed as error:
            raise SourceFailed(f"{SEARCH_PATH}: {error}") from error

    async def _get(self, path: str, params: dict[str, str]) -> bytes:
        try:
            answer = await self._http.get(path, params)
        except (Unreachable, BodyTooLarge) as error:
            raise SourceFailed(str(error)) from error
        if answer.status != OK:
            raise SourceFailed(f"{path}: status {answer.status}")
        return answer.body


def _fact(mint: str, price: Price, asked_at_us: int) -> ReferencePriceObserved:
    return ReferencePriceObserved(
        mint=bytes(Pubkey.from_string(mint)),
        price_pico_usd=price.price_pico_usd,
        decimals=price.decimals,
        source=SOURCE,
        source_class=SOURCE_CLASS,
        observed_at_us=asked_at_us,
    )
