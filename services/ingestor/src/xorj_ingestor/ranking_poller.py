"""Polls the engine's ranking; publishes RankingObserved when it says something new, RankingRefused when it is unusable.

1. What counts as new is the traders and the skipped, not the bytes: a new time stamp in `meta` is no news.
2. A refusal is published once per change of reason and status; a good body makes the next refusal news again.
3. A refusal changes nothing about the ranking that was observed last: it stays in force.
"""

import hashlib
import time

import structlog
from xorj_core.facts import RankingObserved, RankingRefused, RankingRefusedReason, fact_id

from xorj_ingestor.http_source import Answer, BodyTooLarge, HttpSource, Unreachable
from xorj_ingestor.polling import SourceFailed
from xorj_ingestor.publisher import Publisher
from xorj_ingestor.ranking import Ranking, parse_ranking
from xorj_ingestor.strict_json import Malformed

ENGINE = "quantitative-engine"
PATH = "/internal/ranked-traders"
OK = 200
DETAIL_MAX = 500


class RankingPoller:
    """One engine."""

    source = "engine"

    def __init__(self, http: HttpSource, publisher: Publisher) -> None:
        self._http = http
        self._publisher = publisher
        self._observed: Ranking | None = None
        self._refused: tuple[RankingRefusedReason, int] | None = None

    async def poll(self) -> None:
        """Asks once. Raises SourceFailed after a refusal, PublishUnknown."""
        try:
            answer = await self._http.get(PATH)
        except Unreachable as error:
            await self._refuse(RankingRefusedReason.UNREACHABLE, str(error), None)
            return
        except BodyTooLarge as error:
            await self._refuse(RankingRefusedReason.TOO_LARGE, str(error), None)
            return
        if answer.status != OK:
            await self._refuse(RankingRefusedReason.HTTP_STATUS, f"status {answer.status}", answer)
            return
        try:
            ranking = parse_ranking(answer.body)
        except Malformed as error:
            await self._refuse(RankingRefusedReason.MALFORMED, str(error), answer)
            return
        if ranking != self._observed:
            observed = RankingObserved(
                engine=ENGINE,
                observed_at_us=_now_us(),
                body_sha256=hashlib.sha256(answer.body).digest(),
                traders=ranking.traders,
                skipped=ranking.skipped,
            )
            position = await self._publisher.publish(observed)
            structlog.get_logger().info(
                "ranking.published", at=str(position), fact_id=fact_id(observed).hex(), traders=len(ranking.traders)
            )
            self._observed = ranking
        self._refused = None

    async def _refuse(self, reason: RankingRefusedReason, detail: str, answer: Answer | None) -> None:
        status = 0 if answer is None else answer.status
        if (reason, status) != self._refused:
            await self._publisher.publish(
                RankingRefused(
                    engine=ENGINE,
                    observed_at_us=_now_us(),
                    reason=reason,
                    detail=detail[:DETAIL_MAX],
                    body_sha256=b"" if answer is None else hashlib.sha256(answer.body).digest(),
                    http_status=status,
                )
            )
            self._refused = (reason, status)
        raise SourceFailed(f"{reason.name}: {detail}")


def _now_us() -> int:
    return time.time_ns() // 1000
