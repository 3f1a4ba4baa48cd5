"""The virtual machine with its genesis: accounts in, execution out. No slots' history, no statuses.

1. Signature, blockhash and duplicate checks are off in the machine: the bank does them, because the machine knows one
   blockhash at a time and forgets duplicates.
2. Programs come in through the upgradeable loader, so that their upgrade authority is a real account's content.
   Transactions to it deploy, upgrade and close as on a cluster, but the code runs from the same slot on, not the next.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import cast

from solders.account import Account
from solders.clock import Clock
from solders.hash import Hash
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, TransactionMetadata

from xorj_localnet.chain.faults import Json
from xorj_localnet.chain.genesis import Genesis, GenesisProgram

SLOTS_PER_EPOCH = 432_000
_UPGRADEABLE_LOADER = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
_AUTHORITY_OFFSET = 12
_PROGRAM_DATA_META_BYTES = 45


@dataclass(frozen=True, slots=True)
class Executed:
    """What an execution gave: error as JSON (``None`` for success) and metadata."""

    err: Json
    meta: TransactionMetadata


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation gave; ``meta`` is absent when it was refused before running."""

    err: Json
    meta: TransactionMetadata | None
    post_accounts: tuple[tuple[Pubkey, Account], ...] = ()


class Machine:
    """LiteSVM with the settings the bank needs."""

    __slots__ = ("_svm", "first_slot")

    def __init__(self, genesis: Genesis) -> None:
        svm = LiteSVM().with_sigverify(sigverify=False).with_blockhash_check(check=False).with_transaction_history(0)
        self._svm = svm
        self.first_slot = svm.get_clock().slot + 1
        for program in genesis.programs:
            self._load(program)
        for key, account in genesis.accounts:
            svm.set_account(key, account)

    def _load(self, program: GenesisProgram) -> None:
        self._svm.add_program_with_loader(program.program_id, program.elf, _UPGRADEABLE_LOADER)
        address, _ = Pubkey.find_program_address([bytes(program.program_id)], _UPGRADEABLE_LOADER)
        stored = self._svm.get_account(address)
        if stored is None:
            raise RuntimeError(f"the loader created no program data for {program.program_id}")
        data = bytearray(stored.data)
        authority = bytes(33) if program.upgrade_authority is None else b"\x01" + bytes(program.upgrade_authority)
        data[_AUTHORITY_OFFSET:_PROGRAM_DATA_META_BYTES] = authority
        self._svm.set_account(
            address, Account(stored.lamports, bytes(data), stored.owner, stored.executable, stored.rent_epoch)
        )

    def begin_slot(self, slot: int, unix_time_s: int, recent: list[tuple[int, bytes]]) -> None:
        """Set the clock and the slot hashes (newest first) that programs see."""
        epoch = slot // SLOTS_PER_EPOCH
        self._svm.set_clock(Clock(slot, unix_time_s, epoch, epoch + 1, unix_time_s))
        self._svm.set_slot_hashes([(s, Hash.from_bytes(h)) for s, h in recent])

    def account(self, key: Pubkey) -> Account | None:
        """The account now; one without lamports does not exist."""
        found = self._svm.get_account(key)
        return None if found is None or found.lamports == 0 else found

    def balance(self, key: Pubkey) -> int:
        """Lamports now, 0 when absent."""
        return self._svm.get_balance(key) or 0

    def set_account(self, key: Pubkey, account: Account) -> None:
        """Put an account in place, subject to no rule."""
        self._svm.set_account(key, account)

    def owned_by(self, program_id: Pubkey) -> dict[Pubkey, Account]:
        """Every account of a program now."""
        return {key: account for key, account in self._svm.get_program_accounts(program_id) if account.lamports > 0}

    def rent_exempt_lamports(self, data_bytes: int) -> int:
        """Lamports that make an account of this size exempt from rent."""
        return self._svm.minimum_balance_for_rent_exemption(data_bytes)

    def execute(self, transaction: VersionedTransaction) -> Executed:
        """Run a transaction and keep its effects."""
        result = self._svm.send_transaction(transaction)
        if isinstance(result, FailedTransactionMetadata):
            return Executed(_error_json(result), result.meta())
        return Executed(None, result)

    def simulate(self, transaction: VersionedTransaction) -> Simulated:
        """Run a transaction and keep nothing."""
        result = self._svm.simulate_transaction(transaction)
        if isinstance(result, FailedTransactionMetadata):
            return Simulated(_error_json(result), result.meta())
        return Simulated(None, result.meta(), tuple(result.post_accounts()))


def _error_json(failed: FailedTransactionMetadata) -> Json:
    document = cast("dict[str, Json]", json.loads(failed.to_json()))
    return document["err"]
