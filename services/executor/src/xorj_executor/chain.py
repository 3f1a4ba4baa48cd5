"""The cluster through the RPC pool, in the terms of the executor.

1. An answer that did not come says nothing: ChainUnreachable, never a zero or a "not found".
2. Statuses are matched by signature, never by place in a list.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from xorj_core import profiles
from xorj_core.outcome import Landed, VaultRead
from xorj_solana.programs import SPL_TOKEN, TOKEN_2022
from xorj_solana.rpc import (
    Account,
    Commitment,
    Handed,
    RpcClient,
    RpcError,
    RpcPool,
    RpcRejected,
    TransactionError,
    TransactionErrorKind,
)
from xorj_solana.tokens import MalformedAccount
from xorj_solana.vault import find_failure, find_trade_executed, parse_vault

from xorj_executor.ports import Blockhash, ChainFailure, ChainUnreachable, Sent, Simulated

T = TypeVar("T")
BLOCKHASH_REUSE_S = 0.5
PRICE_REUSE_S = 5.0
PRICE_PERCENTILE = 75
LEVELS = {
    profiles.Commitment.CONFIRMED: Commitment.CONFIRMED,
    profiles.Commitment.FINALIZED: Commitment.FINALIZED,
}
SETTLED = {
    profiles.Commitment.CONFIRMED: (Commitment.CONFIRMED, Commitment.FINALIZED),
    profiles.Commitment.FINALIZED: (Commitment.FINALIZED,),
}


class RpcChain:
    """The port `Chain` over several endpoints."""

    def __init__(self, pool: RpcPool, vault_program: Pubkey) -> None:
        self._pool = pool
        self._program = vault_program
        self._token_programs: dict[Pubkey, Pubkey] = {}
        self._blockhash: tuple[float, Blockhash] | None = None
        self._prices: dict[tuple[Pubkey, ...], tuple[float, int]] = {}

    async def slot(self, commitment: profiles.Commitment) -> int:
        """The slot that has reached a commitment."""
        return await self._read(lambda client: client.get_slot(LEVELS[commitment]))

    async def latest_blockhash(self) -> Blockhash:
        """A confirmed blockhash, at most `BLOCKHASH_REUSE_S` old."""
        if self._blockhash and time.monotonic() - self._blockhash[0] < BLOCKHASH_REUSE_S:
            return self._blockhash[1]
        latest = await self._read(lambda client: client.get_latest_blockhash(Commitment.CONFIRMED))
        found = Blockhash(bytes(latest.blockhash), latest.last_valid_block_height, latest.context_slot)
        self._blockhash = (time.monotonic(), found)
        return found

    async def token_programs(self, mints: Sequence[Pubkey]) -> tuple[Pubkey, ...]:
        """The program that owns each mint; raises ValueError for what is no mint of a known token program."""
        unknown = [mint for mint in mints if mint not in self._token_programs]
        if unknown:
            answer = await self._read(lambda c: c.get_multiple_accounts(unknown, Commitment.CONFIRMED))
            for mint, account in zip(unknown, answer.accounts, strict=True):
                if account is None or account.owner not in (SPL_TOKEN, TOKEN_2022):
                    raise ValueError(f"{mint} is no mint")
                self._token_programs[mint] = account.owner
        return tuple(self._token_programs[mint] for mint in mints)

    async def unit_price_micro_lamports(self, writable: Sequence[Pubkey]) -> int:
        """A high percentile of recent slots' lowest prices for these accounts."""
        key = tuple(writable)
        known = self._prices.get(key)
        if known and time.monotonic() - known[0] < PRICE_REUSE_S:
            return known[1]
        fees = await self._read(lambda client: client.get_recent_prioritization_fees(writable))
        prices = sorted(fee.micro_lamports_per_unit for fee in fees)
        price = prices[(len(prices) - 1) * PRICE_PERCENTILE // 100] if prices else 0
        if len(self._prices) > 1000:
            self._prices.clear()
        self._prices[key] = (time.monotonic(), price)
        return price

    async def simulate(self, message: MessageV0, vault: Pubkey) -> Simulated | ChainFailure:
        """Run a message without signatures; the output is what the vault account would record."""
        raw = bytes(VersionedTransaction.populate(message, [Signature.default()]))
        done = await self._read(lambda client: client.simulate_transaction(raw, accounts=[vault]))
        if done.err is not None:
            return _failure(done.err, done.logs, done.slot)
        account = done.accounts[0] if done.accounts else None
        try:
            parsed = parse_vault(account.data) if account else None
        except MalformedAccount as error:
            raise ChainUnreachable(f"simulated vault account: {error}") from error
        if parsed is None or parsed.last_trade is None:
            raise ChainUnreachable("the simulation returned no vault account")
        return Simulated(done.units_consumed, parsed.last_trade.amount_out)

    async def send(self, transaction: bytes) -> tuple[Sent, int]:
        """Identical bytes to every endpoint."""
        handed = await self._pool.send_everywhere(transaction)
        taken = sum(1 for one in handed if _has_taken(one))
        if taken:
            return Sent.TAKEN, taken
        rejected = all(isinstance(one.answer, RpcRejected) for one in handed)
        return (Sent.REJECTED if rejected else Sent.UNKNOWN), 0

    async def vaults(self, vaults: Sequence[bytes], commitment: profiles.Commitment) -> tuple[VaultRead | None, ...]:
        """At most 100 vault accounts of one answer."""
        keys = [Pubkey(vault) for vault in vaults]
        answer = await self._read(lambda c: c.get_multiple_accounts(keys, LEVELS[commitment]))
        return tuple(self._vault_read(account, answer.slot) for account in answer.accounts)

    async def failures(self, signatures: Sequence[bytes]) -> dict[bytes, ChainFailure]:
        """Those that landed with an error, as far as recent history knows."""
        wanted = [Signature.from_bytes(one) for one in signatures]
        answer = await self._read(lambda c: c.get_signature_statuses(wanted, search_history=False))
        return {
            bytes(signature): _failure(status.err, (), status.slot)
            for signature, status in answer.statuses.items()
            if status is not None and status.err is not None and status.commitment is not Commitment.PROCESSED
        }

    async def landed(self, signatures: Sequence[bytes], commitment: profiles.Commitment) -> Landed | None:
        """The one that landed without error at a commitment, with the amounts that its event states."""
        wanted = [Signature.from_bytes(one) for one in signatures]
        answer = await self._read(lambda c: c.get_signature_statuses(wanted, search_history=True))
        for signature, status in answer.statuses.items():
            settled = status is not None and status.commitment in SETTLED[commitment]
            if settled and status is not None and status.err is None:
                return await self._transaction_event(signature, LEVELS[commitment])
        return None

    async def _transaction_event(self, signature: Signature, commitment: Commitment) -> Landed:
        done = await self._read(lambda c: c.get_transaction(signature, commitment))
        event = find_trade_executed(done.logs, self._program) if done else None
        if done is None or event is None:
            raise ChainUnreachable(f"transaction {signature} has landed but its logs are not there")
        return Landed(bytes(signature), done.slot, event.amount_in, event.amount_out)

    def _vault_read(self, account: Account | None, slot: int) -> VaultRead | None:
        if account is None or account.owner != self._program:
            return None
        try:
            vault = parse_vault(account.data)
        except MalformedAccount:
            return None
        last = vault.last_trade
        return VaultRead(
            context_slot=slot,
            trade_seq=vault.trade_seq,
            last_intent_id=last.intent_id if last else b"",
            last_amount_in_base_units=last.amount_in if last else 0,
            last_amount_out_base_units=last.amount_out if last else 0,
            last_slot=last.slot if last else 0,
            providers=1,
        )

    async def _read(self, ask: Callable[[RpcClient], Awaitable[T]]) -> T:
        try:
            return await self._pool.read_first_ok(ask)
        except RpcError as error:
            raise ChainUnreachable(str(error)) from error


def _has_taken(one: Handed) -> bool:
    if isinstance(one.answer, RpcRejected) and one.answer.err is not None:
        return one.answer.err.kind is TransactionErrorKind.ALREADY_PROCESSED
    return one.taken


def _failure(error: TransactionError, logs: Sequence[str], slot: int) -> ChainFailure:
    innermost = find_failure(logs)
    code = innermost.code if innermost else error.custom_code or 0
    detail = f"program {innermost.program}" if innermost else error.instruction_error or error.raw[:200]
    return ChainFailure(error.kind.value, error.instruction_index or 0, code, detail, slot)
