"""The records by which a transaction is judged: from a file, or from the log of the running world.

1. Of settings and prices those count that stood on the log when the attempt was planned.
2. A record that is not there is None; none is made up.
"""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.json_format import ParseDict, ParseError
from xorj.signer.v1 import signer_pb2, signer_pb2_grpc
from xorj_contracts.codec import Undecodable, from_message, message_class
from xorj_core.facts import AttemptPlanned, ReferencePriceObserved, SettingsChanged, TradeIntended
from xorj_core.owner_settings import Deployment, has_owner_signed
from xorj_core.policy.case import SeenPrice
from xorj_halt.keys import verifies
from xorj_log.inbox import FactRecord, read_record
from xorj_log.reader import LogReader

from xorj_cli.output import Exit, Failure
from xorj_cli.running import RunningWorld

TOPICS = ("trade-intents", "user-settings", "prices")
READ_S_MAX = 60.0
KEYS_S_MAX = 2.0
_KEYS = ("intent", "plan", "settings", "price_in", "price_out", "now_ms", "bot_authority", "genesis_hash")
F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Records:
    """What is known of one attempt."""

    intent: TradeIntended | None = None
    plan: AttemptPlanned | None = None
    settings: SettingsChanged | None = None
    prices: tuple[SeenPrice, SeenPrice] | None = None
    now_ms: int = 0
    bot_authority: bytes | None = None
    genesis_hash: bytes | None = None

    def settings_signed(self, vault_program: bytes) -> bool | None:
        """Whether the vault's owner has signed the settings for this cluster; None when that cannot be told."""
        if self.settings is None or self.genesis_hash is None:
            return None
        return has_owner_signed(self.settings, Deployment(self.genesis_hash, vault_program), verifies)


def records_from_file(path: Path) -> Records:
    """Records as JSON: docs/interfaces.md says how; every key may be absent. Raises Failure."""
    hint = "docs/interfaces.md, `xorj signer explain`, says what such a file holds"
    try:
        body = _object(path.read_bytes())
        prices = tuple(_price(body[name]) for name in ("price_in", "price_out") if name in body)
        return Records(
            intent=_fact(TradeIntended, body.get("intent")),
            plan=_fact(AttemptPlanned, body.get("plan")),
            settings=_fact(SettingsChanged, body.get("settings")),
            prices=(prices[0], prices[1]) if len(prices) == 2 else None,
            now_ms=int(body.get("now_ms", 0)),
            bot_authority=bytes.fromhex(body["bot_authority"]) if "bot_authority" in body else None,
            genesis_hash=bytes.fromhex(body["genesis_hash"]) if "genesis_hash" in body else None,
        )
    except OSError as error:
        raise Failure("no_records", f"{path}: {error.strerror}", hint, Exit.USAGE) from error
    except (ValueError, TypeError, KeyError, ParseError, Undecodable) as error:
        raise Failure("bad_records", f"{path}: {error}", hint, Exit.USAGE) from error


async def records_of_trade(world: RunningWorld, trade_id: bytes, attempt: int | None) -> Records:
    """What the log says of a trade's attempt, by default its last; raises Failure, KafkaError, ReadRefused."""
    read = _Read()
    async with asyncio.timeout(READ_S_MAX), LogReader(world.kafka, TOPICS) as reader:
        ends = await reader.end_offsets()
        while not await reader.has_reached(ends):
            for record in await reader.read():
                item = read_record(record)
                if isinstance(item, FactRecord):
                    read.tell(item)
    found = read.of_trade(trade_id, attempt)
    if found is None:
        which = "" if attempt is None else f" and attempt {attempt}"
        message = f"no planned attempt of this trade id{which} is on the log"
        raise Failure("no_such_trade", message, "trade ids stand in the facts and in the logs of the services")
    plan, planned_ms = found
    intent = read.intents.get(plan.intent_id)
    return Records(
        intent=intent,
        plan=plan,
        settings=read.settings_at(plan.vault, planned_ms),
        prices=None if intent is None else read.prices_of(intent),
        now_ms=planned_ms,
        bot_authority=await _bot_authority(world),
        genesis_hash=world.genesis_hash,
    )


class _Read:
    """What has been read of the log."""

    def __init__(self) -> None:
        self.intents: dict[bytes, TradeIntended] = {}
        self._plans: list[tuple[AttemptPlanned, int]] = []
        self._settings: list[tuple[SettingsChanged, int]] = []
        self._prices: dict[bytes, SeenPrice] = {}

    def tell(self, item: FactRecord) -> None:
        fact, at_ms = item.fact, item.record.timestamp_ms
        if isinstance(fact, TradeIntended):
            self.intents.setdefault(fact.intent_id, fact)
        elif isinstance(fact, AttemptPlanned):
            self._plans.append((fact, at_ms))
        elif isinstance(fact, SettingsChanged):
            self._settings.append((fact, at_ms))
        elif isinstance(fact, ReferencePriceObserved):
            self._prices.setdefault(item.envelope.fact_id, SeenPrice(fact, at_ms))

    def of_trade(self, trade_id: bytes, attempt: int | None) -> tuple[AttemptPlanned, int] | None:
        plans = [
            (plan, at) for plan, at in self._plans if plan.trade_id == trade_id and attempt in (None, plan.attempt)
        ]
        return plans[-1] if plans else None

    def settings_at(self, vault: bytes, at_ms: int) -> SettingsChanged | None:
        known = [fact for fact, appended_ms in self._settings if fact.vault == vault and appended_ms <= at_ms]
        return max(known, key=lambda fact: fact.version, default=None)

    def prices_of(self, intent: TradeIntended) -> tuple[SeenPrice, SeenPrice] | None:
        price_in, price_out = (self._prices.get(i) for i in (intent.price_in_fact_id, intent.price_out_fact_id))
        return None if price_in is None or price_out is None else (price_in, price_out)


async def _bot_authority(world: RunningWorld) -> bytes | None:
    """The address of the running signer's key; None when it does not answer."""
    credentials = grpc.ssl_channel_credentials(
        world.kafka.ca_file.read_bytes(), world.kafka.key_file.read_bytes(), world.kafka.cert_file.read_bytes()
    )
    async with grpc.aio.secure_channel(world.signer_address, credentials) as channel:
        try:
            stub = signer_pb2_grpc.SignerStub(channel)
            answer = await stub.GetPublicKeys(signer_pb2.GetPublicKeysRequest(), timeout=KEYS_S_MAX)
        except grpc.aio.AioRpcError:
            return None
    return bytes(answer.keys[0].public_key) if answer.keys else None


def _object(text: bytes) -> dict[str, Any]:
    body = json.loads(text)
    if not isinstance(body, dict) or set(body) - set(_KEYS):
        raise ValueError(f"an object with some of {', '.join(_KEYS)} is expected")
    return body


def _fact(kind: type[F], body: Any) -> F | None:
    if body is None:
        return None
    return cast(F, from_message(kind, ParseDict(body, message_class(kind)())))


def _price(body: Any) -> SeenPrice:
    fact = _fact(ReferencePriceObserved, body["fact"])
    if fact is None:
        raise ValueError("a price without its fact")
    return SeenPrice(fact, int(body["timestamp_ms"]))
