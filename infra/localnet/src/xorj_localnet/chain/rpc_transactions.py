"""Methods about transactions: sending, simulating, statuses, history, fees paid, and the faucet.

1. ``sendTransaction`` answers with the signature once the bytes are well-formed and, unless skipped, simulated; whether
   the transaction landed is told by its status alone, as on a real cluster.
"""

from __future__ import annotations

from typing import cast

from solders.compute_budget import set_compute_unit_limit
from solders.hash import Hash
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from xorj_localnet.chain.bank import Bank
from xorj_localnet.chain.encodings import Encoding, account_json, decode_transaction_bytes
from xorj_localnet.chain.faults import Json, invalid_params, preflight_failure, signature_verification_failure
from xorj_localnet.chain.machine import Simulated
from xorj_localnet.chain.params import Config, Params, pubkey, signature, strings
from xorj_localnet.chain.rpc_reads import context_slot, with_context
from xorj_localnet.chain.slots import BLOCKHASH_WINDOW_BLOCKS, Commitment, height_of
from xorj_localnet.chain.transaction_view import inner_instructions_json, landed_json, return_data_json, status_json
from xorj_localnet.chain.wire import parse_transaction

MAX_STATUSES = 256
MAX_SIGNATURES = 1_000
MAX_FEE_ACCOUNTS = 128
_FAUCET_UNITS = 10_000


def send_transaction(bank: Bank, params: Params) -> Json:
    config = params.config(1)
    transaction = _transaction(params.text(0), config)
    if not config.flag("skipPreflight"):
        slot = context_slot(bank, Config(_preflight_config(config)))
        if not all(transaction.verify_with_results()):
            raise signature_verification_failure()
        simulated = bank.simulate(transaction, known_at_slot=slot, check_blockhash=True)
        if simulated.err is not None:
            meta = simulated.meta
            logs, units = ([], 0) if meta is None else (meta.logs(), meta.compute_units_consumed())
            raise preflight_failure(simulated.err, logs, units)
    bank.execute(transaction)
    return str(transaction.signatures[0])


def _preflight_config(config: Config) -> dict[str, Json]:
    return {"commitment": config.raw("preflightCommitment"), "minContextSlot": config.raw("minContextSlot")}


def _transaction(text: str, config: Config) -> VersionedTransaction:
    encoding = config.raw("encoding")
    if encoding is not None and not isinstance(encoding, str):
        raise invalid_params("Invalid params: encoding must be a string")
    return parse_transaction(decode_transaction_bytes(text, encoding or "base58"))


def simulate_transaction(bank: Bank, params: Params) -> Json:
    config = params.config(1)
    transaction = _transaction(params.text(0), config)
    replace, verify = config.flag("replaceRecentBlockhash"), config.flag("sigVerify")
    if replace and verify:
        raise invalid_params("sigVerify may not be used with replaceRecentBlockhash")
    known_at_slot = context_slot(bank, config)
    if verify and not all(transaction.verify_with_results()):
        raise signature_verification_failure()
    simulated = bank.simulate(transaction, known_at_slot=known_at_slot, check_blockhash=not replace)
    meta = simulated.meta
    value: dict[str, Json] = {
        "accounts": _accounts_after(bank, simulated, config),
        "err": simulated.err,
        "fee": None if meta is None else meta.fee(),
        "innerInstructions": inner_instructions_json(meta) if meta and config.flag("innerInstructions") else None,
        "logs": [] if meta is None else cast("Json", meta.logs()),
        "replacementBlockhash": None,
        "returnData": None if meta is None else return_data_json(meta),
        "unitsConsumed": 0 if meta is None else meta.compute_units_consumed(),
    }
    if replace:
        value["replacementBlockhash"] = {
            "blockhash": str(Hash.from_bytes(bank.clock.blockhash_of(known_at_slot))),
            "lastValidBlockHeight": height_of(known_at_slot) + BLOCKHASH_WINDOW_BLOCKS,
        }
    return with_context(bank.clock.slot, value)


def _accounts_after(bank: Bank, simulated: Simulated, config: Config) -> Json:
    wanted = config.raw("accounts")
    if wanted is None:
        return None
    accounts = Config(wanted)
    keys = [pubkey(text) for text in strings(accounts.raw("addresses"), 100)]
    encoding = accounts.encoding(Encoding.BASE64)
    if encoding in (Encoding.BINARY, Encoding.BASE58):
        raise invalid_params("base58 encoding not supported")
    if simulated.err is not None:
        return [None for _ in keys]
    after = dict(simulated.post_accounts)
    shown = [after[key] if key in after else bank.machine.account(key) for key in keys]
    return [
        account_json(None if account is None or account.lamports == 0 else account, encoding, None) for account in shown
    ]


def get_signature_statuses(bank: Bank, params: Params) -> Json:
    signatures = [signature(text) for text in params.texts(0, MAX_STATUSES)]
    search = params.config(1).flag("searchTransactionHistory")
    slot = bank.clock.slot
    return with_context(slot, [_status(bank, one, slot, search=search) for one in signatures])


def _status(bank: Bank, wanted: Signature, slot: int, *, search: bool) -> Json:
    status = bank.records.status(wanted)
    if status is None or (not search and status.slot + BLOCKHASH_WINDOW_BLOCKS < slot):
        return None
    reached = bank.clock.reached(status.slot)
    return {
        "slot": status.slot,
        "confirmations": None if reached is Commitment.FINALIZED else slot - status.slot,
        "err": status.err,
        "status": status_json(status),
        "confirmationStatus": reached.value,
    }


def _settled_slot(bank: Bank, config: Config) -> int:
    if config.commitment() is Commitment.PROCESSED:
        raise invalid_params("Method does not support commitment below `confirmed`")
    return context_slot(bank, config)


def get_transaction(bank: Bank, params: Params) -> Json:
    wanted = params.signature(0)
    raw = params.at(1)
    config = Config({"encoding": raw}) if isinstance(raw, str) else params.config(1)
    encoding = config.raw("encoding") or "json"
    if encoding not in ("json", "base64", "base58"):
        raise invalid_params(f"unsupported encoding: {encoding}. Supported encodings: json, base64, base58")
    slot = _settled_slot(bank, config)
    landed = bank.records.detail(wanted)
    if landed is None or landed.status.slot > slot:
        return None
    return landed_json(landed, str(encoding), config.number("maxSupportedTransactionVersion"))


def get_signatures_for_address(bank: Bank, params: Params) -> Json:
    address, config = params.pubkey(0), params.config(1)
    limit = config.number("limit")
    limit = MAX_SIGNATURES if limit is None else limit
    if not 1 <= limit <= MAX_SIGNATURES:
        raise invalid_params(f"Invalid limit; max {MAX_SIGNATURES}")
    before, until = (_optional_signature(config.raw(name)) for name in ("before", "until"))
    slot = _settled_slot(bank, config)
    rows: list[Json] = []
    started = before is None
    for landed in bank.records.of_address(address):
        if landed.signature == until or len(rows) == limit:
            break
        if started and landed.status.slot <= slot:
            rows.append(
                {
                    "signature": str(landed.signature),
                    "slot": landed.status.slot,
                    "err": landed.status.err,
                    "memo": None,
                    "blockTime": landed.unix_time_s,
                    "confirmationStatus": bank.clock.reached(landed.status.slot).value,
                }
            )
        started = started or landed.signature == before
    return rows


def _optional_signature(value: Json) -> Signature | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise invalid_params("Invalid param: Invalid")
    return signature(value)


def get_recent_prioritization_fees(bank: Bank, params: Params) -> Json:
    wanted = {pubkey(text) for text in params.texts(0, MAX_FEE_ACCOUNTS)} if params.at(0) is not None else set[Pubkey]()
    rows: list[Json] = []
    for fees in bank.fees:
        lowest = [min((price for price, _ in fees.paid), default=0)]
        lowest += [min((price for price, locked in fees.paid if key in locked), default=0) for key in wanted]
        rows.append({"slot": fees.slot, "prioritizationFee": max(lowest)})
    return rows


class Faucet:
    """Pays airdrops by ordinary transfers, so that they confirm like any transaction."""

    __slots__ = ("_count", "_key")

    def __init__(self) -> None:
        self._key = Keypair()
        self._count = 0

    @property
    def address(self) -> Pubkey:
        """The account that pays; the genesis has to fund it."""
        return self._key.pubkey()

    def request_airdrop(self, bank: Bank, params: Params) -> Json:
        """Transfer lamports to an address; the limit asked for makes every airdrop's bytes different."""
        to, lamports = params.pubkey(0), params.number(1)
        self._count += 1
        blockhash = Hash.from_bytes(bank.clock.blockhash_of(bank.clock.slot))
        pay = transfer(TransferParams(from_pubkey=self.address, to_pubkey=to, lamports=lamports))
        distinct = set_compute_unit_limit(_FAUCET_UNITS + self._count % 1_000_000)
        message = MessageV0.try_compile(self.address, [distinct, pay], [], blockhash)
        transaction = VersionedTransaction(message, [self._key])
        landed = bank.execute(transaction)
        if landed is None or landed.status.err is not None:
            raise invalid_params("Invalid params: the airdrop failed; is the amount enough for rent exemption?")
        return str(landed.signature)
