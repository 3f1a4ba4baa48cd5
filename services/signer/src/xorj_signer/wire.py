"""How a refusal looks on the wire, and what a request must look like to be read at all.

1. Every refusal is a google.rpc.Status with one ErrorInfo, whose reason is of the closed enum of SigningRefused.
2. What a caller writes is bounded before it is read and checked before it is kept.
"""

import re
from typing import Any, Final, NoReturn, TypeAlias

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from xorj.signer.v1 import signer_pb2
from xorj_contracts.codec import Undecodable, position_from_message
from xorj_core.facts.common import Position
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.policy.decide import Denied
from xorj_core.policy.passing import PASSING

ERROR_DOMAIN: Final = "signer.xorj"
MESSAGE_BYTES_MAX: Final = 16 * 1024
NAME_CHARACTERS_MAX: Final = 64

_STATUS: Final = {
    Reason.CALLER_NOT_ALLOWED: grpc.StatusCode.PERMISSION_DENIED,
    Reason.BAD_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.SEQUENCE_TAKEN: grpc.StatusCode.ALREADY_EXISTS,
    Reason.ATTEMPT_TAKEN: grpc.StatusCode.ALREADY_EXISTS,
    **dict.fromkeys(PASSING, grpc.StatusCode.UNAVAILABLE),
    Reason.BUSY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.INTERNAL: grpc.StatusCode.INTERNAL,
}
"""Status of a refusal; its reason, not its status, says whether to ask again. Any other is FAILED_PRECONDITION."""

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class Unreadable(ValueError):
    """The bytes are no request; the text says why, the code how that is told."""

    def __init__(self, detail: str, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT) -> None:
        super().__init__(detail)
        self.code = code


def read_request(data: bytes) -> tuple[Position, Position, str]:
    """Positions of intent and attempt, and the trace, empty if it is none; raises `Unreadable`."""
    if len(data) > MESSAGE_BYTES_MAX:
        raise Unreadable(f"{len(data)} bytes, at most {MESSAGE_BYTES_MAX}", grpc.StatusCode.RESOURCE_EXHAUSTED)
    try:
        request = signer_pb2.SignTradeRequest.FromString(data)
        positions = position_from_message(request.intent), position_from_message(request.attempt)
    except (DecodeError, Undecodable, UnicodeDecodeError) as error:
        raise Unreadable(f"not a SignTradeRequest: {error}") from error
    for position in positions:
        if max(len(position.cluster_id), len(position.topic)) > NAME_CHARACTERS_MAX:
            raise Unreadable(f"a name of more than {NAME_CHARACTERS_MAX} characters")
    trace = request.traceparent if _TRACEPARENT.fullmatch(request.traceparent) else ""
    return (*positions, trace)


def caller_of(context: Context) -> str:
    """The common name of the client's certificate, as verified by TLS; empty for anything else."""
    identity = context.auth_context()
    if list(identity.get("transport_security_type", ())) != [b"ssl"]:
        return ""
    names = list(identity.get("x509_common_name", ()))
    try:
        return names[0].decode()[:NAME_CHARACTERS_MAX] if len(names) == 1 else ""
    except UnicodeDecodeError:
        return ""


def time_remaining_s(context: Context) -> float | None:
    """Seconds until the call's deadline; None without one, which the type of the library does not say."""
    return context.time_remaining()


async def refuse(context: Context, denied: Denied, code: grpc.StatusCode | None = None) -> NoReturn:
    """End the call with the refusal, by its reason's status unless another is given."""
    code = code or _STATUS.get(denied.reason, grpc.StatusCode.FAILED_PRECONDITION)
    info = AnyMessage()
    info.Pack(ErrorInfo(reason=f"REASON_{denied.reason.name}", domain=ERROR_DOMAIN))
    number: int = code.value[0]
    status = Status(code=number, message=denied.detail, details=[info])
    await context.abort(code, denied.detail, (("grpc-status-details-bin", status.SerializeToString()),))
    raise AssertionError("abort always raises")
