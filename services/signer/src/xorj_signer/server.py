"""The gRPC face of the signer: who calls, until when, and how a refusal looks on the wire.

1. Only TLS with a client certificate of our authority; the caller is the certificate's common name.
2. A call without a deadline is refused; a refusal is a google.rpc.Status with an ErrorInfo.
3. Nothing but signing, public keys and health; no reflection.
"""

import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from xorj.signer.v1 import signer_pb2, signer_pb2_grpc
from xorj_contracts.codec import Undecodable, position_from_message, position_to_message
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.policy.decide import Denied
from xorj_core.policy.passing import PASSING

from xorj_signer.providers import KeyProvider
from xorj_signer.request import Outcome, SigningRequest
from xorj_signer.settings import SignerSettings

ERROR_DOMAIN = "signer.xorj"
MESSAGE_BYTES_MAX = 16 * 1024
SERVICE_NAME = "xorj.signer.v1.Signer"

_STATUS = {
    Reason.CALLER_NOT_ALLOWED: grpc.StatusCode.PERMISSION_DENIED,
    Reason.BAD_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.SEQUENCE_TAKEN: grpc.StatusCode.ALREADY_EXISTS,
    Reason.ATTEMPT_TAKEN: grpc.StatusCode.ALREADY_EXISTS,
    **dict.fromkeys(PASSING, grpc.StatusCode.UNAVAILABLE),
}
"""Status of a refusal; UNAVAILABLE may be asked again. Every other reason is FAILED_PRECONDITION."""

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
SignTrade: TypeAlias = Callable[[SigningRequest], Awaitable[Outcome]]

log = structlog.get_logger()


class SignerServicer(signer_pb2_grpc.SignerServicer):
    """Translates between the wire and the request path."""

    def __init__(self, sign_trade: SignTrade, key: KeyProvider) -> None:
        self._sign_trade = sign_trade
        self._key = key

    async def SignTrade(self, request: signer_pb2.SignTradeRequest, context: Context) -> signer_pb2.SignTradeResponse:
        """Sign one planned attempt, named by positions."""
        remaining_s = time_remaining_s(context)
        if remaining_s is None:
            await refuse(context, Denied(Reason.BAD_REQUEST, "a deadline is required"))
        try:
            intent, attempt = position_from_message(request.intent), position_from_message(request.attempt)
        except Undecodable as error:
            await refuse(context, Denied(Reason.BAD_REQUEST, str(error)))
        asked = SigningRequest(
            caller=caller_of(context),
            intent=intent,
            attempt=attempt,
            traceparent=request.traceparent[:64],
            deadline=time.monotonic() + remaining_s,
        )
        outcome = await self._sign_trade(asked)
        if isinstance(outcome, Denied):
            log.warning("refused", reason=outcome.reason.name, detail=outcome.detail, caller=asked.caller)
            await refuse(context, outcome)
        log.info("signed", trade_id=outcome.fact.trade_id.hex(), attempt=outcome.fact.attempt)
        return signer_pb2.SignTradeResponse(
            signature=outcome.fact.signature,
            transaction=outcome.fact.transaction,
            signed=position_to_message(outcome.position),
        )

    async def GetPublicKeys(
        self, request: signer_pb2.GetPublicKeysRequest, context: Context
    ) -> signer_pb2.GetPublicKeysResponse:
        """The address of the key that signs; for every principal with a certificate."""
        if time_remaining_s(context) is None:
            await refuse(context, Denied(Reason.BAD_REQUEST, "a deadline is required"))
        key = signer_pb2.GetPublicKeysResponse.PublicKey(
            provider=self._key.name, algorithm="ed25519", public_key=self._key.public_key()
        )
        return signer_pb2.GetPublicKeysResponse(keys=[key])


def time_remaining_s(context: Context) -> float | None:
    """Seconds until the call's deadline; None without one, which the type of the library does not say."""
    return context.time_remaining()


def caller_of(context: Context) -> str:
    """The common name of the client's certificate, as verified by TLS; empty for anything else."""
    identity = context.auth_context()
    if list(identity.get("transport_security_type", ())) != [b"ssl"]:
        return ""
    names = list(identity.get("x509_common_name", ()))
    return names[0].decode() if len(names) == 1 else ""


async def refuse(context: Context, denied: Denied) -> NoReturn:
    """End the call with the refusal."""
    code = _STATUS.get(denied.reason, grpc.StatusCode.FAILED_PRECONDITION)
    info = AnyMessage()
    info.Pack(ErrorInfo(reason=f"REASON_{denied.reason.name}", domain=ERROR_DOMAIN))
    number: int = code.value[0]
    status = Status(code=number, message=denied.detail, details=[info])
    await context.abort(code, denied.detail, (("grpc-status-details-bin", status.SerializeToString()),))
    raise AssertionError("abort always raises")


def build_server(
    settings: SignerSettings, servicer: SignerServicer
) -> tuple["grpc.aio.Server", int, "health.aio.HealthServicer"]:
    """A server that is not started yet, its port, and its health, which says NOT_SERVING until told otherwise.

    Raises OSError for missing certificate files and RuntimeError for a busy port.
    """
    # gRPC reports a broken key only per connection; this fails at start instead.
    ssl.create_default_context().load_cert_chain(settings.kafka_cert_file, settings.kafka_key_file)
    credentials = grpc.ssl_server_credentials(
        [(settings.kafka_key_file.read_bytes(), settings.kafka_cert_file.read_bytes())],
        root_certificates=settings.kafka_ca_file.read_bytes(),
        require_client_auth=True,
    )
    options = [
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
        ("grpc.max_concurrent_streams", 256),
        ("grpc.so_reuseport", 0),
    ]
    server = grpc.aio.server(options=options)
    signer_pb2_grpc.add_SignerServicer_to_server(servicer, server)
    state = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(state, server)
    port = server.add_secure_port(f"{settings.signer_host}:{settings.signer_port}", credentials)
    return server, port, state


async def set_serving(state: "health.aio.HealthServicer", *, serving: bool) -> None:
    """Tell health checks whether signatures may be asked for."""
    answer = health_pb2.HealthCheckResponse
    status = answer.SERVING if serving else answer.NOT_SERVING
    for name in ("", SERVICE_NAME):
        await state.set(name, status)
