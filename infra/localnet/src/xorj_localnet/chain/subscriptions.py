"""WebSocket subscriptions: who wants to hear of what, and what to tell them when a slot moves.

1. A notification at confirmed or finalized goes out when its slot reaches that commitment, in slot order.
2. At processed, signatures, accounts and logs are told as soon as the transaction has run.
3. A signature subscription ends with its one notification; one made late is told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from solders.pubkey import Pubkey
from solders.signature import Signature

from xorj_localnet.chain.bank import Bank
from xorj_localnet.chain.encodings import Encoding, account_json
from xorj_localnet.chain.faults import INVALID_PARAMS, Json, RpcFault, invalid_params
from xorj_localnet.chain.params import Params, pubkey
from xorj_localnet.chain.records import Landed
from xorj_localnet.chain.slots import Commitment

Send = Callable[[Json], None]


@dataclass(frozen=True, slots=True)
class SlotTopic:
    """Every slot."""


@dataclass(frozen=True, slots=True)
class SignatureTopic:
    """The end of one transaction."""

    signature: Signature
    commitment: Commitment


@dataclass(frozen=True, slots=True)
class AccountTopic:
    """Changes of one account."""

    key: Pubkey
    commitment: Commitment
    encoding: Encoding


@dataclass(frozen=True, slots=True)
class LogsTopic:
    """Logs of every transaction, or of those naming one address."""

    mentions: Pubkey | None
    commitment: Commitment


Topic = SlotTopic | SignatureTopic | AccountTopic | LogsTopic


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic and where to send what happens on it."""

    id: int
    topic: Topic
    send: Send


class Subscriptions:
    """All subscriptions of all connections."""

    __slots__ = ("_active", "_bank", "_next_id", "_told")

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._active: dict[int, Subscription] = {}
        self._next_id = 1
        self._told = {commitment: bank.clock.at(commitment) for commitment in Commitment}

    def __len__(self) -> int:
        return len(self._active)

    def subscribe(self, method: str, params: Params, send: Send) -> tuple[int, Callable[[], None]]:
        """Register; returns the id and what to call once the caller has been told it. Raises ``RpcFault``."""
        subscription = Subscription(self._next_id, _topic(method, params), send)
        self._next_id += 1
        self._active[subscription.id] = subscription
        return subscription.id, lambda: self._catch_up(subscription)

    def unsubscribe(self, subscription_id: int) -> None:
        """Forget a subscription; raises ``RpcFault`` for an unknown one."""
        if self._active.pop(subscription_id, None) is None:
            raise RpcFault(INVALID_PARAMS, "Invalid subscription id.")

    def drop(self, subscription_ids: Iterable[int]) -> None:
        """Forget the subscriptions of a closed connection."""
        for subscription_id in subscription_ids:
            self._active.pop(subscription_id, None)

    def _catch_up(self, subscription: Subscription) -> None:
        topic = subscription.topic
        if not isinstance(topic, SignatureTopic):
            return
        status = self._bank.records.status(topic.signature)
        if status is not None and status.slot <= self._bank.clock.at(topic.commitment):
            self._tell_signature(subscription, status.err)

    def transaction_ran(self, landed: Landed) -> None:
        """A transaction has landed in the slot in progress."""
        self._tell_transaction(landed, Commitment.PROCESSED)
        slot = landed.status.slot
        written = self._bank.accounts_written_in(slot).intersection(landed.keys)
        self._tell_accounts(written, slot, Commitment.PROCESSED)
        for commitment in (Commitment.CONFIRMED, Commitment.FINALIZED):
            if self._bank.clock.at(commitment) == slot:
                self._tell_transaction(landed, commitment)
                self._tell_accounts(written, slot, commitment)

    def slot_began(self) -> None:
        """The bank has moved on by one slot."""
        clock = self._bank.clock
        note: Json = {"parent": clock.slot - 1, "root": clock.at(Commitment.FINALIZED), "slot": clock.slot}
        for subscription in list(self._active.values()):
            if isinstance(subscription.topic, SlotTopic):
                _notify(subscription, "slotNotification", note)
        self._told[Commitment.PROCESSED] = clock.slot
        for commitment in (Commitment.CONFIRMED, Commitment.FINALIZED):
            reached = clock.at(commitment)
            for slot in range(self._told[commitment] + 1, reached + 1):
                for landed in self._bank.records.in_slot(slot):
                    self._tell_transaction(landed, commitment)
                self._tell_accounts(self._bank.accounts_written_in(slot), slot, commitment)
            self._told[commitment] = reached

    def _tell_transaction(self, landed: Landed, commitment: Commitment) -> None:
        for subscription in list(self._active.values()):
            match subscription.topic:
                case SignatureTopic(signature=wanted, commitment=at) if at is commitment:
                    if wanted == landed.signature:
                        self._tell_signature(subscription, landed.status.err)
                case LogsTopic(mentions=mentions, commitment=at) if at is commitment:
                    if mentions is None or mentions in landed.keys:
                        value: Json = {
                            "signature": str(landed.signature),
                            "err": landed.status.err,
                            "logs": list(landed.meta.logs()),
                        }
                        _notify(subscription, "logsNotification", _at(landed.status.slot, value))
                case _:
                    pass

    def _tell_signature(self, subscription: Subscription, err: Json) -> None:
        topic = subscription.topic
        commitment = topic.commitment if isinstance(topic, SignatureTopic) else Commitment.PROCESSED
        del self._active[subscription.id]
        _notify(subscription, "signatureNotification", _at(self._bank.clock.at(commitment), {"err": err}))

    def _tell_accounts(self, written: frozenset[Pubkey], slot: int, commitment: Commitment) -> None:
        if not written:
            return
        for subscription in list(self._active.values()):
            match subscription.topic:
                case AccountTopic(key=key, commitment=at, encoding=encoding) if at is commitment and key in written:
                    account = self._bank.account_at(key, slot)
                    gone: Json = {
                        "data": ["", "base64"],
                        "executable": False,
                        "lamports": 0,
                        "owner": str(Pubkey.default()),
                        "rentEpoch": 0,
                        "space": 0,
                    }
                    value = gone if account is None else account_json(account, encoding, None)
                    _notify(subscription, "accountNotification", _at(slot, value))
                case _:
                    pass


def _topic(method: str, params: Params) -> Topic:
    match method:
        case "slotSubscribe":
            return SlotTopic()
        case "signatureSubscribe":
            return SignatureTopic(params.signature(0), params.config(1).commitment())
        case "accountSubscribe":
            config = params.config(1)
            encoding = config.encoding(Encoding.BASE64)
            if encoding in (Encoding.BINARY, Encoding.BASE58):
                raise invalid_params("Invalid params: account subscriptions here are base64")
            return AccountTopic(params.pubkey(0), config.commitment(), encoding)
        case "logsSubscribe":
            return LogsTopic(_mentions(params.at(0)), params.config(1).commitment())
        case _:
            raise RpcFault(-32601, "Method not found")


def _mentions(value: Json) -> Pubkey | None:
    match value:
        case "all" | "allWithVotes":
            return None
        case {"mentions": [str(text)]}:
            return pubkey(text)
        case _:
            raise invalid_params("Invalid Request: Only 1 address supported")


def _at(slot: int, value: Json) -> Json:
    return {"context": {"slot": slot}, "value": value}


def _notify(subscription: Subscription, method: str, result: Json) -> None:
    subscription.send(
        {"jsonrpc": "2.0", "method": method, "params": {"result": result, "subscription": subscription.id}}
    )
