"""The node: one bank, its subscribers, and the one table that says which function answers which method.

1. Whatever moves the bank goes through this class, so that subscribers always hear of it.
2. An answer to a request is a JSON-RPC response; no input raises.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import cast

from solders.account import Account
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM

from xorj_localnet.chain import rpc_reads as reads
from xorj_localnet.chain import rpc_transactions as transactions
from xorj_localnet.chain.bank import Bank
from xorj_localnet.chain.faults import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    Json,
    RpcFault,
    invalid_params,
)
from xorj_localnet.chain.genesis import Genesis, GenesisError, account_from_json
from xorj_localnet.chain.params import Params
from xorj_localnet.chain.performance import Performance
from xorj_localnet.chain.slots import Depths
from xorj_localnet.chain.subscriptions import Subscriptions

FAUCET_LAMPORTS = 10**18
MAX_WARP_SLOTS = 10_000
_log = logging.getLogger(__name__)

Method = Callable[[Bank, Params], Json]

READS: dict[str, Method] = {
    "getAccountInfo": reads.get_account_info,
    "getBalance": reads.get_balance,
    "getBlockHeight": reads.get_block_height,
    "getEpochInfo": reads.get_epoch_info,
    "getFeeForMessage": reads.get_fee_for_message,
    "getGenesisHash": reads.get_genesis_hash,
    "getHealth": reads.get_health,
    "getLatestBlockhash": reads.get_latest_blockhash,
    "getMinimumBalanceForRentExemption": reads.get_minimum_balance_for_rent_exemption,
    "getMultipleAccounts": reads.get_multiple_accounts,
    "getProgramAccounts": reads.get_program_accounts,
    "getRecentPrioritizationFees": transactions.get_recent_prioritization_fees,
    "getSignatureStatuses": transactions.get_signature_statuses,
    "getSignaturesForAddress": transactions.get_signatures_for_address,
    "getSlot": reads.get_slot,
    "getTokenAccountBalance": reads.get_token_account_balance,
    "getTokenAccountsByOwner": reads.get_token_accounts_by_owner,
    "getTransaction": transactions.get_transaction,
    "getVersion": reads.get_version,
    "isBlockhashValid": reads.is_blockhash_valid,
    "simulateTransaction": transactions.simulate_transaction,
}


class Node:
    """A bank behind JSON-RPC."""

    def __init__(self, genesis: Genesis, genesis_hash: bytes, depths: Depths) -> None:
        faucet = transactions.Faucet()
        funded = (faucet.address, Account(FAUCET_LAMPORTS, b"", SYSTEM_PROGRAM))
        self.bank = Bank(
            Genesis(genesis.programs, (funded, *genesis.accounts)), genesis_hash, depths, lambda: int(time.time())
        )
        self.subscriptions = Subscriptions(self.bank)
        self._performance = Performance(time.monotonic())
        self._faucet = faucet
        self._methods: dict[str, Method] = {
            **READS,
            "getRecentPerformanceSamples": self._performance_samples,
            "requestAirdrop": self._telling(faucet.request_airdrop),
            "sendTransaction": self._telling(transactions.send_transaction),
            "local_setAccount": self._set_account,
            "local_warpSlots": self._warp_slots,
        }

    def tick(self) -> None:
        """One slot passes at the cluster's own pace."""
        self._advance()
        self._performance.tick(self.bank.clock.slot, self.bank.records.transaction_count, time.monotonic())

    def _advance(self) -> None:
        self.bank.advance()
        self.subscriptions.slot_began()

    def _telling(self, method: Method) -> Method:
        def run(bank: Bank, params: Params) -> Json:
            seen = len(bank.records.in_slot(bank.clock.slot))
            result = method(bank, params)
            for landed in bank.records.in_slot(bank.clock.slot)[seen:]:
                self.subscriptions.transaction_ran(landed)
            return result

        return run

    def _performance_samples(self, _bank: Bank, params: Params) -> Json:
        limit = 720 if params.at(0) is None else params.number(0)
        if limit > 720:
            raise invalid_params("Invalid limit; max 720")
        newest = list(reversed(self._performance.samples))[:limit]
        return [
            {
                "slot": sample.slot,
                "numSlots": sample.slots,
                "numTransactions": sample.transactions,
                "numNonVoteTransactions": sample.transactions,
                "samplePeriodSecs": sample.period_s,
            }
            for sample in newest
        ]

    def _set_account(self, bank: Bank, params: Params) -> Json:
        entry = params.at(1)
        if not isinstance(entry, dict):
            raise invalid_params("Invalid params: expected an account object")
        try:
            account = account_from_json(entry)
        except GenesisError as error:
            raise invalid_params(f"Invalid params: {error}") from error
        key: Pubkey = params.pubkey(0)
        bank.put_account(key, account)
        return bank.clock.slot

    def _warp_slots(self, bank: Bank, params: Params) -> Json:
        count = params.number(0)
        if count > MAX_WARP_SLOTS:
            raise invalid_params(f"Invalid params: at most {MAX_WARP_SLOTS} slots at once")
        for _ in range(count):
            self._advance()
        return bank.clock.slot

    # -- JSON-RPC ------------------------------------------------------------------------------------------------

    def answer(self, body: bytes) -> Json:
        """The response to an HTTP body: an object, or a list for a batch; ``None`` when nothing is to be said."""
        try:
            request = parse(body)
        except RpcFault as fault:
            return error_response(None, fault)
        if isinstance(request, list):
            if not request:
                return error_response(None, RpcFault(INVALID_REQUEST, "Invalid request"))
            answers = [self.answer_one(one) for one in request]
            return [answer for answer in answers if answer is not None] or None
        return self.answer_one(request)

    def answer_one(self, request: Json) -> Json:
        """The response to one request; ``None`` for a notification."""
        call = read_call(request)
        if isinstance(call, RpcFault):
            return error_response(None, call)
        request_id, method, params = call
        try:
            result = self.call(method, params)
        except RpcFault as fault:
            response = error_response(request_id, fault)
        else:
            response = {"jsonrpc": "2.0", "result": result, "id": request_id}
        return response if isinstance(request, dict) and "id" in request else None

    def call(self, method: str, params: Json) -> Json:
        """The result of a method; raises ``RpcFault``, also for a fault of ours, which is logged."""
        function = self._methods.get(method)
        if function is None:
            raise RpcFault(METHOD_NOT_FOUND, "Method not found")
        try:
            return function(self.bank, Params(params))
        except RpcFault:
            raise
        except Exception as error:  # the node has to answer the others
            _log.exception("method %s failed", method)
            raise RpcFault(INTERNAL_ERROR, "Internal error") from error


def parse(body: bytes | str) -> Json:
    """JSON from a body; raises ``RpcFault`` -32700."""
    try:
        return cast("Json", json.loads(body))
    except (ValueError, RecursionError) as error:
        raise RpcFault(PARSE_ERROR, "Parse error") from error


def read_call(request: Json) -> tuple[Json, str, Json] | RpcFault:
    """Id, method and parameters of a request object, or the fault to answer with."""
    if not isinstance(request, dict) or request.get("jsonrpc") != "2.0":
        return RpcFault(INVALID_REQUEST, "Invalid request")
    method, request_id = request.get("method"), request.get("id")
    if not isinstance(method, str) or isinstance(request_id, dict | list | bool | float):
        return RpcFault(INVALID_REQUEST, "Invalid request")
    return request_id, method, request.get("params")


def error_response(request_id: Json, fault: RpcFault) -> Json:
    """A JSON-RPC error response."""
    return {"jsonrpc": "2.0", "error": fault.as_json(), "id": request_id}
