"""The gRPC face of the signer: who calls, until when, and which methods there are.

1. Only TLS with a client certificate of our authority; the caller is the certificate's one common name.
2. A call without a deadline is refused; so are more than `IN_FLIGHT_MAX` at a time.
3. Nothing but signing, public keys and health; no reflection. Any other method is refused like every bad request.
4. Whatever fails, the caller gets a typed refusal (`wire`), and SignTrade's are told (`refusals`).
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn, TypeAlias

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from xorj.signer.v1 import signer_pb2
from xorj_contracts.codec import position_to_message
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.policy.decide import Denied

from xorj_signer.certificates import (
    CONNECTION_AGE_MS_MAX,
    CONNECTION_GRACE_MS,
    CertificateFiles,
    RotatingCertificates,
)
from xorj_signer.metrics import SECONDS, SIGNED
from xorj_signer.providers import KeyProvider
from xorj_signer.refusals import NOWHERE, Refusal
from xorj_signer.request import Outcome, SigningRequest
from xorj_signer.settings import SignerSettings
from xorj_signer.wire import MESSAGE_BYTES_MAX, Context, Unreadable, caller_of, read_request, refuse, time_remaining_s

SERVICE_NAME: Final = "xorj.signer.v1.Signer"
IN_FLIGHT_MAX: Final = 512

SignTrade: TypeAlias = Callable[[SigningRequest], Awaitable[Outcome]]
Tell: TypeAlias = Callable[[Refusal], Awaitable[None]]

log = structlog.get_logger()


class SignerServicer:
    """Translates between the wire and the request path."""

    def __init__(self, sign_trade: SignTrade, key: KeyProvider, tell: Tell) -> None:
        self._sign_trade = sign_trade
        self._key = key
        self._tell = tell
        self._in_flight = 0

    async def sign(self, data: bytes, context: Context) -> signer_pb2.SignTradeResponse:
        """Sign one planned attempt, named by positions."""
        began = time.monotonic()
        if self._in_flight >= IN_FLIGHT_MAX:
            await self._refuse(context, Denied(Reason.BUSY, f"{IN_FLIGHT_MAX} requests are being answered"))
        self._in_flight += 1
        try:
            asked = await self._read(data, context)
            outcome = await self._outcome(asked)
        finally:
            self._in_flight -= 1
            SECONDS.observe(time.monotonic() - began)
        if isinstance(outcome, Denied):
            log.warning("refused", reason=outcome.reason.name, detail=outcome.detail, caller=asked.caller)
            await refuse(context, outcome)
        SIGNED.inc()
        log.info("signed", trade_id=outcome.fact.trade_id.hex(), attempt=outcome.fact.attempt)
        return signer_pb2.SignTradeResponse(
            signature=outcome.fact.signature,
            transaction=outcome.fact.transaction,
            signed=position_to_message(outcome.position),
        )

    async def public_keys(self, _: bytes, context: Context) -> signer_pb2.GetPublicKeysResponse:
        """The address of the key that signs; for every principal with a certificate."""
        if time_remaining_s(context) is None:
            await refuse(context, Denied(Reason.BAD_REQUEST, "a deadline is required"))
        if not caller_of(context):
            await refuse(context, Denied(Reason.CALLER_NOT_ALLOWED, "the certificate does not name one caller"))
        key = signer_pb2.GetPublicKeysResponse.PublicKey(
            provider=self._key.name, algorithm=self._key.kind.value, public_key=self._key.public_key()
        )
        return signer_pb2.GetPublicKeysResponse(keys=[key])

    async def _read(self, data: bytes, context: Context) -> SigningRequest:
        remaining_s = time_remaining_s(context)
        if remaining_s is None:
            await self._refuse(context, Denied(Reason.BAD_REQUEST, "a deadline is required"))
        try:
            intent, attempt, traceparent = read_request(data)
        except Unreadable as error:
            await self._refuse(context, Denied(Reason.BAD_REQUEST, str(error)), error.code)
        return SigningRequest(caller_of(context), intent, attempt, traceparent, time.monotonic() + remaining_s)

    async def _outcome(self, asked: SigningRequest) -> Outcome:
        try:
            return await self._sign_trade(asked)
        except Exception as error:
            log.exception("request_failed", caller=asked.caller)
            denied = Denied(Reason.INTERNAL, f"a fault of the signer itself ({type(error).__name__})")
            await self._tell(Refusal(asked.caller, denied.reason, denied.detail, attempt_position=asked.attempt))
            return denied

    async def _refuse(self, context: Context, denied: Denied, code: grpc.StatusCode | None = None) -> NoReturn:
        """Refuse what was not even a request; ids that it may have named are not known."""
        caller = caller_of(context)
        log.warning("refused", reason=denied.reason.name, detail=denied.detail, caller=caller)
        await self._tell(Refusal(caller, denied.reason, denied.detail, attempt_position=NOWHERE))
        await refuse(context, denied, code)


class _NothingElse(grpc.GenericRpcHandler):
    """Answers every method that no handler before it knows."""

    def service(self, handler_call_details: Any) -> Any:
        async def unknown(_: bytes, context: Context) -> bytes:
            denied = Denied(Reason.BAD_REQUEST, "there is no such method")
            await refuse(context, denied, grpc.StatusCode.UNIMPLEMENTED)

        return grpc.unary_unary_rpc_method_handler(unknown)


def build_server(
    settings: SignerSettings, servicer: SignerServicer
) -> tuple["grpc.aio.Server", int, "health.aio.HealthServicer"]:
    """A server that is not started yet, its port, and its health, which says NOT_SERVING until told otherwise.

    Raises OSError or ValueError for certificate files that are missing or unfit and RuntimeError for a busy port.
    """
    files = CertificateFiles(settings.kafka_key_file, settings.kafka_cert_file, settings.kafka_ca_file)
    options = [
        # A little more than is read, so that what is too large can be refused with its reason.
        ("grpc.max_receive_message_length", 4 * MESSAGE_BYTES_MAX),
        ("grpc.max_metadata_size", 8 * 1024),
        ("grpc.max_concurrent_streams", IN_FLIGHT_MAX),
        ("grpc.max_connection_age_ms", CONNECTION_AGE_MS_MAX),
        ("grpc.max_connection_age_grace_ms", CONNECTION_GRACE_MS),
        ("grpc.so_reuseport", 0),
    ]
    server = grpc.aio.server(options=options)
    # Bytes go in unread: what cannot be parsed is refused here, with a reason, and not by the library without one.
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "SignTrade": grpc.unary_unary_rpc_method_handler(
            servicer.sign, response_serializer=signer_pb2.SignTradeResponse.SerializeToString
        ),
        "GetPublicKeys": grpc.unary_unary_rpc_method_handler(
            servicer.public_keys, response_serializer=signer_pb2.GetPublicKeysResponse.SerializeToString
        ),
    }
    state = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(state, server)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE_NAME, methods), _NothingElse()))
    credentials = RotatingCertificates(files).credentials()
    port = server.add_secure_port(f"{settings.signer_host}:{settings.signer_port}", credentials)
    return server, port, state


async def set_serving(state: "health.aio.HealthServicer", *, serving: bool) -> None:
    """Tell health checks whether signatures may be asked for."""
    answer = health_pb2.HealthCheckResponse
    status = answer.SERVING if serving else answer.NOT_SERVING
    for name in ("", SERVICE_NAME):
        await state.set(name, status)
