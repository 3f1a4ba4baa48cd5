"""Gets transactions onto a chain: signs, sends, asks, sends again, signs anew when a blockhash has expired.

For transactions of which a second copy does no harm: each is refused, or changes nothing, once the first has executed.
1. A transaction counts as landed only by its status at the commitment asked for.
2. It is signed anew only when it has no status and the block height has passed its blockhash's last valid one.
3. What an endpoint does not answer is unknown and asked again, for at most `patience_s` without any answer.
4. At most `in_flight_max` transactions are under way at once.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from xorj_solana.rpc.client import STATUSES_MAX, RpcClient
from xorj_solana.rpc.errors import MIN_CONTEXT_SLOT_NOT_REACHED, RpcError, RpcMalformed, RpcRejected, RpcUnreachable
from xorj_solana.rpc.results import Commitment, Status
from xorj_solana.rpc.transaction_error import TransactionErrorKind

T = TypeVar("T")

TRANSACTION_LEN_MAX = 1_232
_ORDER = (Commitment.PROCESSED, Commitment.CONFIRMED, Commitment.FINALIZED)
_SIMULATION_UNITS = 1_400_000
_FIRST_PAUSE_S = 0.025
"""Asked again after this, then after twice as long each time until something lands, at most `poll_s`."""


class LandingFailed(Exception):
    """A transaction failed on chain or never got there; `logs` are those of its simulation, if one failed."""

    def __init__(self, step: str, reason: str, logs: Sequence[str] = ()) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason
        self.logs = tuple(logs)


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction to land: what it is called, what it does, who signs beside the payer, its compute limit."""

    name: str
    instructions: tuple[Instruction, ...]
    signers: tuple[Keypair, ...] = ()
    units_max: int = 10_000


@dataclass(slots=True)
class _Attempt:
    step: Step
    raw: bytes
    last_valid_height: int
    sent_at_s: float
    copies: int


@dataclass(slots=True)
class Tally:
    """What was sent: transactions signed, and those of them that landed."""

    signed: int = 0
    landed: int = 0
    by_name: dict[str, int] = field(default_factory=dict)


class Lander:
    """Sends everything from one payer through one endpoint."""

    def __init__(
        self,
        client: RpcClient,
        payer: Keypair,
        *,
        unit_price_micro_lamports: int = 0,
        in_flight_max: int = 32,
        patience_s: float = 60.0,
        resend_s: float = 1.0,
        poll_s: float = 0.4,
        copies_max: int = 6,
        on_landed: Callable[[Step], None] | None = None,
    ) -> None:
        self.client = client
        self.payer = payer
        self.tally = Tally()
        self._unit_price = unit_price_micro_lamports
        self._in_flight_max = in_flight_max
        self._patience_s = patience_s
        self._resend_s = resend_s
        self._poll_s = poll_s
        self._copies_max = copies_max
        self._on_landed = on_landed
        self._answered_at_s = time.monotonic()

    def message(self, step: Step, blockhash: Hash, *, priced: bool = True) -> MessageV0:
        """The message of a step, with its compute limit and price."""
        budget = [set_compute_unit_limit(step.units_max)]
        if self._unit_price and priced:
            budget.append(set_compute_unit_price(self._unit_price))
        return MessageV0.try_compile(self.payer.pubkey(), [*budget, *step.instructions], [], blockhash)

    def signed(self, step: Step, blockhash: Hash, *, priced: bool = True) -> VersionedTransaction:
        """The transaction of a step, signed by the payer and whoever else must."""
        message = self.message(step, blockhash, priced=priced)
        by_key = {pair.pubkey(): pair for pair in (self.payer, *step.signers)}
        required = message.account_keys[: message.header.num_required_signatures]
        return VersionedTransaction(message, [by_key[key] for key in required])

    async def patiently(self, ask: Callable[[RpcClient], Awaitable[T]]) -> T:
        """The answer to a read that may be repeated: asked again while the endpoint is silent, unwell or behind.

        Raises the last `RpcError` after `patience_s`, and at once what the endpoint refuses.
        """
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return await ask(self.client)
            except RpcError as error:
                refused = isinstance(error, RpcRejected) and error.code != MIN_CONTEXT_SLOT_NOT_REACHED
                if refused or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(self._poll_s)

    async def fee_lamports(self, step: Step) -> int:
        """What one transaction of this shape costs. Raises `RpcError`."""
        latest = await self.patiently(lambda client: client.get_latest_blockhash(Commitment.CONFIRMED))
        message = to_bytes_versioned(self.message(step, latest.blockhash))
        fee = await self.patiently(lambda client: client.get_fee_for_message(message, Commitment.CONFIRMED))
        if fee is None:
            raise RpcMalformed(self.client.name, "getFeeForMessage: no fee for a fresh blockhash")
        return fee

    async def tried(self, step: Step) -> Step:
        """The step with the compute limit that a simulation shows to suffice, its own if that does.

        Raises `LandingFailed` with its logs when the simulation fails, `RpcError` when there was none.
        """
        wide = Step(step.name, step.instructions, step.signers, _SIMULATION_UNITS)
        raw = bytes(self.signed(wide, Hash.default(), priced=False))  # so wide a limit at a price could cost too much
        result = await self.patiently(lambda client: client.simulate_transaction(raw, replace_recent_blockhash=True))
        if result.err is not None:
            raise LandingFailed(step.name, result.err.raw, result.logs)
        units = max(step.units_max, result.units_consumed * 6 // 5 + 500)
        return Step(step.name, step.instructions, step.signers, units)

    async def land(self, steps: Sequence[Step], commitment: Commitment = Commitment.CONFIRMED) -> int:
        """Land every step, in no order; returns the highest slot in which one executed, 0 when there was nothing.

        Raises `LandingFailed`, and `RpcError` when the endpoint stays silent for `patience_s` or refuses to answer.
        """
        waiting = deque((step, 1) for step in steps)
        under_way: dict[Signature, _Attempt] = {}
        highest, pause_s = 0, _FIRST_PAUSE_S
        self._answered_at_s = time.monotonic()
        while waiting or under_way:
            landed_before = self.tally.landed
            try:
                await self._sign_and_send(waiting, under_way)
                highest = max(highest, await self._look(waiting, under_way, commitment))
                await self._send_again(under_way)
                self._answered_at_s = time.monotonic()
            except (RpcUnreachable, RpcMalformed):  # unknown is asked again
                if time.monotonic() - self._answered_at_s > self._patience_s:
                    raise
            moved = self.tally.landed > landed_before
            pause_s = _FIRST_PAUSE_S if moved else min(2 * pause_s, self._poll_s)
            if under_way or waiting:
                await asyncio.sleep(pause_s)
        return highest

    async def _sign_and_send(self, waiting: deque[tuple[Step, int]], under_way: dict[Signature, _Attempt]) -> None:
        room = min(self._in_flight_max - len(under_way), len(waiting))
        if room <= 0:
            return
        latest = await self.client.get_latest_blockhash(Commitment.CONFIRMED)
        fresh = []
        for _ in range(room):
            step, copy = waiting.popleft()
            transaction = self.signed(step, latest.blockhash)
            attempt = _Attempt(step, bytes(transaction), latest.last_valid_block_height, time.monotonic(), copy)
            under_way[transaction.signatures[0]] = attempt
            fresh.append(attempt)
            self.tally.signed += 1
            self.tally.by_name[step.name] = self.tally.by_name.get(step.name, 0) + 1
        await asyncio.gather(*(self._send(attempt) for attempt in fresh))

    async def _send_again(self, under_way: dict[Signature, _Attempt]) -> None:
        now = time.monotonic()
        late = [attempt for attempt in under_way.values() if now - attempt.sent_at_s > self._resend_s]
        for attempt in late:
            attempt.sent_at_s = now
        await asyncio.gather(*(self._send(attempt) for attempt in late))

    async def _send(self, attempt: _Attempt) -> None:
        """Hand the bytes over. Only its status tells what became of them; a refusal is told at once."""
        try:
            await self.client.send_transaction(attempt.raw)
        except RpcRejected as error:
            kind = None if error.err is None else error.err.kind
            if kind not in (TransactionErrorKind.BLOCKHASH_NOT_FOUND, TransactionErrorKind.ALREADY_PROCESSED):
                raise LandingFailed(attempt.step.name, str(error), error.logs) from error
        except RpcError:  # unknown: the status tells
            return

    async def _look(
        self, waiting: deque[tuple[Step, int]], under_way: dict[Signature, _Attempt], commitment: Commitment
    ) -> int:
        """Take what has landed off the list and put what has expired back; the height is read before the statuses."""
        height = await self.client.get_block_height(Commitment.CONFIRMED)
        asked = list(under_way)
        highest = 0
        for at in range(0, len(asked), STATUSES_MAX):
            found = await self.client.get_signature_statuses(asked[at : at + STATUSES_MAX], search_history=True)
            for signature, status in found.statuses.items():
                attempt = under_way[signature]
                if status is None:
                    if height > attempt.last_valid_height:
                        del under_way[signature]
                        self._put_back(attempt, waiting)
                elif self._landed(attempt.step, status, commitment):
                    del under_way[signature]
                    highest = max(highest, status.slot)
        return highest

    def _put_back(self, attempt: _Attempt, waiting: deque[tuple[Step, int]]) -> None:
        if attempt.copies >= self._copies_max:
            raise LandingFailed(attempt.step.name, f"expired {attempt.copies} times without landing")
        waiting.append((attempt.step, attempt.copies + 1))

    def _landed(self, step: Step, status: Status, commitment: Commitment) -> bool:
        if _ORDER.index(status.commitment) < _ORDER.index(commitment):
            return False
        if status.err is not None:
            raise LandingFailed(step.name, f"failed on chain: {status.err.raw}")
        self.tally.landed += 1
        if self._on_landed is not None:
            self._on_landed(step)
        return True
