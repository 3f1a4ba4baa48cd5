"""The JSON-RPC client the services use: strict answers, typed errors, several endpoints, notifications."""

from xorj_solana.rpc.client import RpcClient
from xorj_solana.rpc.errors import RpcError, RpcMalformed, RpcRejected, RpcUnreachable
from xorj_solana.rpc.pool import Handed, RpcPool
from xorj_solana.rpc.results import (
    Account,
    AccountsAt,
    Commitment,
    KeyedAccountsAt,
    LatestBlockhash,
    PerformanceSample,
    PrioritizationFee,
    Simulation,
    Status,
    StatusesAt,
    TokenBalance,
    TransactionAt,
)
from xorj_solana.rpc.transaction_error import TransactionError, TransactionErrorKind, parse_transaction_error
from xorj_solana.rpc.ws import SignatureSeen, SignatureWatcher, SlotMoved, slot_stream, watch_signature

__all__ = [
    "Account",
    "AccountsAt",
    "Commitment",
    "Handed",
    "KeyedAccountsAt",
    "LatestBlockhash",
    "PerformanceSample",
    "PrioritizationFee",
    "RpcClient",
    "RpcError",
    "RpcMalformed",
    "RpcPool",
    "RpcRejected",
    "RpcUnreachable",
    "SignatureSeen",
    "SignatureWatcher",
    "Simulation",
    "SlotMoved",
    "Status",
    "StatusesAt",
    "TokenBalance",
    "TransactionAt",
    "TransactionError",
    "TransactionErrorKind",
    "parse_transaction_error",
    "slot_stream",
    "watch_signature",
]
