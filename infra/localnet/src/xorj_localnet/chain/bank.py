"""The bank: executes transactions in the slot in progress and answers for accounts at every commitment.

1. A transaction executes at most once: by its signature, and only while its blockhash is usable.
2. It lands when it succeeded or its payer was charged; otherwise it leaves no trace.
3. A read at confirmed or finalized gives the state at the end of that slot.
4. Simulation runs on the slot in progress whatever the commitment; the commitment decides which blockhashes it knows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from solders.account import Account
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from xorj_localnet.chain.faults import Json
from xorj_localnet.chain.genesis import Genesis
from xorj_localnet.chain.machine import Executed, Machine, Simulated
from xorj_localnet.chain.records import Landed, Records, Status
from xorj_localnet.chain.rewind import UndoLog
from xorj_localnet.chain.slots import Commitment, Depths, SlotClock
from xorj_localnet.chain.tokens import TokenReader
from xorj_localnet.chain.wire import LoadedKeys, compute_budget, load_keys, message_of

FEE_SLOTS_KEPT = 150
_SLOT_HASHES_SHOWN = 512


@dataclass(frozen=True, slots=True)
class SlotFees:
    """Compute-unit prices (micro-lamports) paid in a slot, each with the accounts it locked for writing."""

    slot: int
    paid: list[tuple[int, frozenset[Pubkey]]]


class Bank:
    """The local cluster's state. One thread; ``now_unix_s`` is asked once per slot."""

    def __init__(self, genesis: Genesis, genesis_hash: bytes, depths: Depths, now_unix_s: Callable[[], int]) -> None:
        self.genesis_hash = genesis_hash
        self.machine = Machine(genesis)
        self.clock = SlotClock(self.machine.first_slot, genesis_hash, depths)
        self.records = Records()
        self.fees: deque[SlotFees] = deque(maxlen=FEE_SLOTS_KEPT)
        self._undo: UndoLog[Pubkey, Account | None] = UndoLog()
        self._tokens = TokenReader(self.machine.account)
        self._now_unix_s = now_unix_s
        self._unix_time_s = now_unix_s()
        self._begin_slot()

    # -- slots ---------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """End the slot in progress and begin the next."""
        self.clock.advance()
        self._begin_slot()
        finalized = self.clock.at(Commitment.FINALIZED)
        self._undo.prune(finalized - 1)
        self.records.prune_slots(finalized - 1)

    def _begin_slot(self) -> None:
        self._unix_time_s = max(self._unix_time_s, self._now_unix_s())
        recent = self.clock.recent_blockhashes(_SLOT_HASHES_SHOWN)
        self.machine.begin_slot(self.clock.slot, self._unix_time_s, recent)
        self.fees.append(SlotFees(self.clock.slot, []))

    # -- reading -------------------------------------------------------------------------------------------------

    def account_at(self, key: Pubkey, slot: int) -> Account | None:
        """The account at the end of ``slot``, which is the one in progress or a commitment's."""
        return self._undo.at(key, slot, self.machine.account(key))

    def program_accounts_at(self, program_id: Pubkey, slot: int) -> dict[Pubkey, Account]:
        """Every account of a program at the end of ``slot``."""
        found = self.machine.owned_by(program_id)
        for key in self._undo.keys_written_after(slot):
            then = self.account_at(key, slot)
            if then is not None and then.owner == program_id:
                found[key] = then
            else:
                found.pop(key, None)
        return found

    def accounts_written_in(self, slot: int) -> frozenset[Pubkey]:
        """Accounts written in a slot that is not final yet."""
        return self._undo.written_in(slot)

    # -- writing -------------------------------------------------------------------------------------------------

    def put_account(self, key: Pubkey, account: Account) -> None:
        """Put an account in place in the slot in progress, subject to no rule."""
        self._undo.note(key, self.clock.slot, self.machine.account(key))
        self.machine.set_account(key, account)

    def refusal(self, transaction: VersionedTransaction, known_at_slot: int) -> str | None:
        """``BlockhashNotFound`` or ``AlreadyProcessed`` where the bank of ``known_at_slot`` would say so."""
        if self.records.status(transaction.signatures[0]) is not None:
            return "AlreadyProcessed"
        blockhash = bytes(message_of(transaction).recent_blockhash)
        if not self.clock.blockhash_usable(blockhash, known_at_slot):
            return "BlockhashNotFound"
        return None

    def simulate(self, transaction: VersionedTransaction, *, known_at_slot: int, check_blockhash: bool) -> Simulated:
        """Run without effect. Signatures are the caller's business."""
        refused = self.refusal(transaction, known_at_slot)
        if refused is not None and (check_blockhash or refused == "AlreadyProcessed"):
            return Simulated(refused, None)
        return self.machine.simulate(transaction)

    def execute(self, transaction: VersionedTransaction) -> Landed | None:
        """Run in the slot in progress; ``None`` when the transaction did not land (rules 1 and 2)."""
        if self.refusal(transaction, self.clock.slot) is not None or not all(transaction.verify_with_results()):
            return None
        message = message_of(transaction)
        keys = load_keys(message, self.machine.account)
        if keys is None:
            return None
        payer = keys.all[0]
        payer_lamports = self.machine.balance(payer)
        before = {key: self.machine.account(key) for key in keys.writable}
        pre_balances = tuple(map(self.machine.balance, keys.all))
        outcome = self.machine.execute(transaction)
        if outcome.err is not None and self.machine.balance(payer) == payer_lamports:
            return None
        for key, account in before.items():
            self._undo.note(key, self.clock.slot, account)
        landed = self._landed(transaction, keys, before, pre_balances, outcome)
        self.records.add(landed)
        self.fees[-1].paid.append((compute_budget(message).price_micro_lamports, frozenset(keys.writable)))
        return landed

    def _landed(
        self,
        transaction: VersionedTransaction,
        keys: LoadedKeys,
        before: dict[Pubkey, Account | None],
        pre_balances: tuple[int, ...],
        outcome: Executed,
    ) -> Landed:
        after = {key: self.machine.account(key) for key in keys.writable}
        err: Json = outcome.err
        return Landed(
            signature=transaction.signatures[0],
            status=Status(self.clock.slot, err),
            unix_time_s=self._unix_time_s,
            transaction=transaction,
            loaded_writable=keys.looked_up_writable,
            loaded_readonly=keys.looked_up_readonly,
            meta=outcome.meta,
            pre_balances=pre_balances,
            post_balances=tuple(map(self.machine.balance, keys.all)),
            pre_tokens=self._tokens.balances(keys.all, before),
            post_tokens=self._tokens.balances(keys.all, after),
        )
