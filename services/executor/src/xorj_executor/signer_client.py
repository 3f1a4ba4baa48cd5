"""The signer over gRPC with mutual TLS.

1. Every call has a deadline; no answer says nothing about whether a signature exists.
2. A refusal is final unless its reason is known to be passing.
"""

from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from xorj.signer.v1 import signer_pb2, signer_pb2_grpc
from xorj_contracts.codec import Undecodable, position_from_message, position_to_message
from xorj_core.facts import Position
from xorj_core.policy.passing import PASSING

from xorj_executor.ports import SignAnswer, Signed, SignerUnavailable, SignRefusal

DEADLINE_S: Final = 5.0
ERROR_DOMAIN: Final = "signer.xorj"
PASSING_REASONS: Final = frozenset(reason.name for reason in PASSING)


class SignerClient:
    """One signer at `host:port`. Close with `aclose`."""

    def __init__(self, address: str, ca_file: Path, cert_file: Path, key_file: Path) -> None:
        credentials = grpc.ssl_channel_credentials(ca_file.read_bytes(), key_file.read_bytes(), cert_file.read_bytes())
        options = [
            ("grpc.max_receive_message_length", 16 * 1024),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1_000),
        ]
        self._channel = grpc.aio.secure_channel(address, credentials, options=options)
        self._stub: Any = signer_pb2_grpc.SignerStub(self._channel)

    async def aclose(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def sign(self, intent: Position, attempt: Position) -> SignAnswer:
        """Ask for the signature over the attempt's bytes."""
        request = signer_pb2.SignTradeRequest(
            intent=position_to_message(intent),
            attempt=position_to_message(attempt),
        )
        try:
            answer = await self._stub.SignTrade(request, timeout=DEADLINE_S)
            return Signed(position_from_message(answer.signed))
        except grpc.aio.AioRpcError as error:
            return _refusal(error)
        except Undecodable as error:
            return SignerUnavailable(f"answer without a position: {error}")

    async def public_key(self) -> bytes:
        """The one Ed25519 key; raises ConnectionError."""
        try:
            answer = await self._stub.GetPublicKeys(signer_pb2.GetPublicKeysRequest(), timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise ConnectionError(f"the signer does not answer: {error.code().name}") from error
        keys = [key.public_key for key in answer.keys if key.algorithm == "ed25519"]
        if len(keys) != 1 or len(keys[0]) != 32:
            raise ConnectionError(f"the signer names {len(keys)} Ed25519 keys, not one")
        return bytes(keys[0])


def _refusal(error: grpc.aio.AioRpcError) -> SignAnswer:
    """A refusal with the signer's reason; any other failure of the call says nothing."""
    for name, value in error.trailing_metadata() or ():
        if name != "grpc-status-details-bin" or not isinstance(value, bytes):
            continue
        info = ErrorInfo()
        try:
            if any(detail.Unpack(info) for detail in Status.FromString(value).details):
                break
        except DecodeError:
            continue
    else:
        return SignerUnavailable(f"{error.code().name}: {error.details()}")
    if info.domain != ERROR_DOMAIN:
        return SignerUnavailable(f"refused by {info.domain[:64]}")
    reason = info.reason.removeprefix("REASON_")
    return SignRefusal(reason, error.details() or "", is_final=reason not in PASSING_REASONS)
