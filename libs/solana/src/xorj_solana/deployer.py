"""Deploys and upgrades programs: reads what stands on chain, does what the plan says is left, reads again.

1. Nothing is remembered outside the chain: a run that was killed at any moment is continued by starting it again.
2. The loader is told to deploy only after the whole buffer was read back and equals the program.
3. What an endpoint says has landed is believed only once it shows; what it says of rent, within reason.
4. A run has succeeded when the program's data on chain equals the program, zero-padded, in a finalized transaction.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from solders.hash import Hash
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from xorj_solana import loader, rollout
from xorj_solana.landing import TRANSACTION_LEN_MAX, Lander, LandingFailed, Step
from xorj_solana.programs import UPGRADEABLE_LOADER
from xorj_solana.rollout import Cost, Kind, NotDeployable, Plan, Rent, Seen, Target
from xorj_solana.rpc.results import Commitment, KeyedAccountsAt
from xorj_solana.vault.addresses import program_data_address

ROUNDS_MAX = 6
ACCOUNT_OVERHEAD_BYTES = 128
RENT_LAMPORTS_PER_BYTE_MAX = 100_000
"""Some fifteen times what it was in 2026: an endpoint that lies about rent could have us lock away any amount."""

CATCH_UP_S = 30.0
_POLL_S = 0.1
_SOLD_OUT = "the payer has {held} lamports and needs {needed}"


@dataclass(frozen=True, slots=True)
class Keys:
    """Who signs. `program` is needed at a first deployment only."""

    authority: Keypair
    program: Keypair | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would do and cost from here; lamports. `transactions` counts each by its name."""

    plan: Plan
    cost: Cost
    payer_lamports: int
    transactions: dict[str, int]

    @property
    def enough(self) -> bool:
        """Whether the payer holds what is needed."""
        return self.payer_lamports >= self.cost.needed_at_most


class Deployer:
    """One program, one set of bytes, one endpoint. `tell` hears of each phase and of how many transactions it has."""

    def __init__(
        self, lander: Lander, target: Target, keys: Keys, tell: Callable[[str, int], None] = lambda _phase, _count: None
    ) -> None:
        rollout.check_elf(target.elf)
        self._lander = lander
        self._target = target
        self._keys = keys
        self._tell = tell
        self._chunk_len = self._longest_chunk()

    async def estimate(self) -> Estimate:
        """What there is to do. Sends nothing. Raises `NotDeployable`, `RpcError`."""
        seen, payer_lamports = await self._see(0)
        rent = await self._rent(seen)
        plan = rollout.plan(self._target, seen, rent, self._chunk_len)
        steps = self._all_steps(plan)
        fees = 0
        counts: dict[str, int] = {}
        for name, step, count in steps:
            fees += await self._lander.fee_lamports(step) * count
            counts[name] = count
        return Estimate(plan, rollout.cost(plan, seen, rent, fees), payer_lamports, counts)

    async def run(self) -> Plan:
        """Does what is left until nothing is; returns the first plan.

        Raises `NotDeployable`, `LandingFailed`, `RpcError`.
        """
        first = await self.estimate()
        if not first.enough:
            text = _SOLD_OUT.format(held=first.payer_lamports, needed=first.cost.needed_at_most)
            raise NotDeployable("insufficient_lamports", text)
        slot, before, failure = (
            0,
            None,
            LandingFailed("deploy", "the endpoint does not show what it reported as landed"),
        )
        for _ in range(ROUNDS_MAX):
            seen, _held = await self._see(slot)
            rent = await self._rent(seen)
            plan = rollout.plan(self._target, seen, rent, self._chunk_len)
            if plan.kind is Kind.ALREADY or (plan.kind is Kind.STAGE and plan.handed_over):
                return first.plan
            if plan == before:
                raise failure
            try:
                slot = await self._step_on(plan)
            except LandingFailed as error:  # what it was for may stand there all the same: a copy came first
                before, failure = plan, error
        raise failure

    async def _step_on(self, plan: Plan) -> int:
        """The next phase of a plan; returns the slot that it reached."""
        target = self._target
        if plan.missing or not plan.buffer_ready:
            slot = 0
            if not plan.buffer_ready:
                slot = await self._land("open-buffer", [await self._lander.tried(self._opening(plan))])
            writes = [self._write(at, chunk) for at, chunk in plan.missing]
            return max(slot, await self._land("write", writes))
        if plan.kind is Kind.STAGE:
            handing = loader.set_authority(target.buffer, target.authority, target.upgrade_authority)
            step = Step("hand-over", (handing,), (self._keys.authority,))
            return await self._land(step.name, [await self._lander.tried(step)], Commitment.FINALIZED)
        await self._until_after(plan.deployed_slot)
        if plan.extend_by:
            return await self._land("extend", [await self._extension(plan)])
        final = await self._lander.tried(self._final(plan))
        return await self._land(final.name, [final], Commitment.FINALIZED)

    async def _land(self, phase: str, steps: list[Step], commitment: Commitment = Commitment.CONFIRMED) -> int:
        self._tell(phase, len(steps))
        return await self._lander.land(steps, commitment)

    # -- transactions --------------------------------------------------------------------------------------------

    def _all_steps(self, plan: Plan) -> list[tuple[str, Step, int]]:
        """One example of each transaction that a plan still needs, with their number."""
        if plan.kind is Kind.ALREADY or plan.handed_over:
            return []
        found = []
        if not plan.buffer_ready:
            found.append(("open-buffer", self._opening(plan), 1))
        if plan.missing:
            found.append(("write", self._write(*plan.missing[0]), len(plan.missing)))
        if plan.kind is Kind.STAGE:
            target = self._target
            handing = loader.set_authority(target.buffer, target.authority, target.upgrade_authority)
            return [*found, ("hand-over", Step("hand-over", (handing,), (self._keys.authority,)), 1)]
        if plan.extend_by:
            more = loader.extend_program(self._target.program, self._payer, plan.extend_by)
            found.append(("extend", Step("extend", (more,)), 1))
        final = self._final(plan)
        return [*found, (final.name, final, 1)]

    def _opening(self, plan: Plan) -> Step:
        made = rollout.buffer_opening(self._target, self._payer, plan.buffer_lamports_missing)
        return Step("open-buffer", made, (self._keys.authority,))

    def _write(self, at: int, chunk: bytes) -> Step:
        target = self._target
        return Step("write", (loader.write(target.buffer, target.authority, at, chunk),), (self._keys.authority,))

    def _final(self, plan: Plan) -> Step:
        target, authority = self._target, self._keys.authority
        if plan.kind is Kind.UPGRADE:
            made = loader.upgrade(target.program, target.buffer, self._payer, target.authority)
            return Step("upgrade", (made,), (authority,))
        key = self._keys.program
        if key is None or key.pubkey() != target.program:
            raise NotDeployable("program_key_missing", "a first deployment needs the program's own key")
        opening = rollout.program_opening(target.program, self._payer, plan.program_lamports_missing)
        made = loader.deploy(self._payer, target.program, target.buffer, target.authority, plan.data_len)
        return Step("deploy", (*opening, made), (authority, key))

    async def _extension(self, plan: Plan) -> Step:
        """The extension that this cluster takes: newer ones want the upgrade authority to sign it."""
        target = self._target
        checked = loader.extend_program_checked(target.program, target.authority, self._payer, plan.extend_by)
        try:
            return await self._lander.tried(Step("extend", (checked,), (self._keys.authority,)))
        except LandingFailed:
            plain = loader.extend_program(target.program, self._payer, plan.extend_by)
            return await self._lander.tried(Step("extend", (plain,)))

    def _longest_chunk(self) -> int:
        """How many bytes one write carries in a transaction of the largest size."""
        bare = len(bytes(self._lander.signed(self._write(0, b"?" * 200), Hash.default()))) - 200
        return TRANSACTION_LEN_MAX - bare

    @property
    def _payer(self) -> Pubkey:
        return self._lander.payer.pubkey()

    # -- reading -------------------------------------------------------------------------------------------------

    async def _see(self, min_slot: int) -> tuple[Seen, int]:
        """The accounts, and what the payer has, not older than a slot that is known to be confirmed."""
        target = self._target
        keys = (target.program, program_data_address(target.program), target.buffer, self._payer)
        found = await self._lander.patiently(
            lambda client: client.get_multiple_accounts(keys, Commitment.CONFIRMED, min_slot or None)
        )
        program, data, buffer, payer = found.accounts
        return Seen(program, data, buffer), 0 if payer is None else payer.lamports

    async def _rent(self, seen: Seen) -> Rent:
        async def ask(size: int) -> int:
            said = await self._lander.patiently(lambda client: client.get_minimum_balance_for_rent_exemption(size))
            if said > (size + ACCOUNT_OVERHEAD_BYTES) * RENT_LAMPORTS_PER_BYTE_MAX:
                raise NotDeployable("absurd_rent", f"the endpoint wants {said} lamports for {size} bytes")
            return said

        free = Rent(0, 0, 0, 0)
        data_len = rollout.plan(self._target, seen, free, self._chunk_len).data_len
        return Rent(
            await ask(self._target.buffer_len),
            await ask(loader.PROGRAM_LEN),
            await ask(loader.PROGRAM_DATA_META_LEN + data_len),
            await ask(0),
        )

    async def _until_after(self, slot: int) -> None:
        """Wait until a later slot is confirmed: the loader changes a program once a slot."""
        deadline = time.monotonic() + CATCH_UP_S
        while await self._lander.patiently(lambda client: client.get_slot(Commitment.CONFIRMED)) <= slot:
            if time.monotonic() > deadline:
                raise LandingFailed("upgrade", f"no slot after {slot} within {CATCH_UP_S} s")
            await asyncio.sleep(_POLL_S)


async def leftover_buffers(lander: Lander, authority: Pubkey) -> KeyedAccountsAt:
    """Every buffer of this authority with its lamports; of its data only the head. Raises `RpcError`."""
    prefix = loader.buffers_of(authority)
    return await lander.client.get_program_accounts(
        UPGRADEABLE_LOADER, prefix, Commitment.CONFIRMED, data_bytes=loader.BUFFER_META_LEN
    )


async def close_buffers(lander: Lander, buffers: list[Pubkey], recipient: Pubkey, authority: Keypair) -> None:
    """Closes buffers, whose rent goes to `recipient`. Raises `LandingFailed`, `RpcError`."""
    steps = [
        Step("close-buffer", (loader.close_buffer(one, recipient, authority.pubkey()),), (authority,))
        for one in buffers
    ]
    await lander.land([replace(await lander.tried(step), name=step.name) for step in steps], Commitment.FINALIZED)
