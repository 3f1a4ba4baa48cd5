"""What can go wrong between us and an RPC endpoint: three errors, three meanings.

1. ``RpcUnreachable``: no usable answer (timeout, connection, 5xx, 429, a node that says it is unwell). After a send the
   outcome is UNKNOWN, never failed.
2. ``RpcMalformed``: an answer that is not what the interface promises. After a send the outcome is UNKNOWN as well.
3. ``RpcRejected``: the endpoint understood and refused, with its code.
4. No text here holds a full URL: providers put keys into paths and queries.
"""

from __future__ import annotations

from xorj_solana.rpc.transaction_error import TransactionError

METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
PREFLIGHT_FAILURE = -32002
SIGNATURE_VERIFICATION_FAILURE = -32003
UNSUPPORTED_TRANSACTION_VERSION = -32015
MIN_CONTEXT_SLOT_NOT_REACHED = -32016

NODE_UNWELL_CODES = frozenset({-32004, -32005, -32014, -32429, -32603})
"""Block not available, node unhealthy, status not available yet, rate limit, internal error."""


class RpcError(Exception):
    """Anything that kept a call from giving its result; ``endpoint`` is a name without secrets."""

    def __init__(self, endpoint: str, message: str) -> None:
        super().__init__(f"{endpoint}: {message}")
        self.endpoint = endpoint


class RpcUnreachable(RpcError):
    """No usable answer; after a send the outcome is unknown."""


class RpcMalformed(RpcError):
    """The answer breaks the interface; after a send the outcome is unknown."""


class RpcRejected(RpcError):
    """The endpoint refused: JSON-RPC ``code`` and ``message``; ``err`` and ``logs`` when a simulation failed."""

    def __init__(
        self,
        endpoint: str,
        code: int,
        message: str,
        err: TransactionError | None = None,
        logs: tuple[str, ...] = (),
    ) -> None:
        super().__init__(endpoint, f"refused with {code}: {message}")
        self.code = code
        self.message = message
        self.err = err
        self.logs = logs
