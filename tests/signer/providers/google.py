"""Google Cloud KMS for tests: a small gRPC server with a real Ed25519 key and CRC32C in both directions."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any, ClassVar

import google_crc32c
import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.cloud import kms_v1
from xorj_core.base58 import address_text
from xorj_signer.providers import KeyKind

from tests.signer.providers.stand_ins import Wrong

SERVICE = "google.cloud.kms.v1.KeyManagementService"
VERSION = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
STATUS = {
    Wrong.DOWN: grpc.StatusCode.UNAVAILABLE,
    Wrong.BROKEN: grpc.StatusCode.INTERNAL,
    Wrong.THROTTLED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Wrong.DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Wrong.DISABLED: grpc.StatusCode.FAILED_PRECONDITION,
    Wrong.GONE: grpc.StatusCode.NOT_FOUND,
}
SLOW_S_MAX = 30.0


def crc32c(data: bytes) -> int:
    """The checksum that both sides send along."""
    return int(google_crc32c.value(data))


class GoogleStandIn:
    """One key version; refuses a request whose checksum does not fit, as the real service does."""

    kind = KeyKind.ED25519
    ways: ClassVar[frozenset[Wrong]] = frozenset(Wrong) - {Wrong.RUBBISH}

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public_key = self._key.public_key().public_bytes_raw()
        self.wrong: Wrong | None = None
        self.raw: bytes | None = None
        """Answer everything with these bytes."""
        self.released = Event()
        self.settings: dict[str, str] = {}
        self.algorithm = kms_v1.CryptoKeyVersion.CryptoKeyVersionAlgorithm.EC_SIGN_ED25519

    def act(self, wrong: Wrong | None) -> None:
        self.wrong = wrong
        if wrong is None:
            self.released.set()
        else:
            self.released.clear()

    @property
    def said_name(self) -> str:
        return VERSION.removesuffix("1") + "2" if self.wrong is Wrong.OTHER_KEY else VERSION

    def sign(self, request: kms_v1.AsymmetricSignRequest, context: grpc.ServicerContext) -> Any:
        self._begin(context, request.name, signing=True)
        if request.data_crc32c != crc32c(request.data):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "data_crc32c does not fit")
        signature = self._key.sign(request.data)
        if self.wrong is Wrong.SIGNATURE:
            signature = self._key.sign(request.data + b"?")
        elif self.wrong is Wrong.LENGTH:
            signature = signature[:63]
        checksum = crc32c(signature) ^ (1 if self.wrong is Wrong.DAMAGED else 0)
        return kms_v1.AsymmetricSignResponse(
            name=self.said_name,
            signature=signature,
            signature_crc32c=checksum,
            verified_data_crc32c=self.wrong is not Wrong.DAMAGED_THERE,
        )

    def version(self, request: kms_v1.GetCryptoKeyVersionRequest, context: grpc.ServicerContext) -> Any:
        self._begin(context, request.name)
        states = kms_v1.CryptoKeyVersion.CryptoKeyVersionState
        state = states.DISABLED if self.wrong is Wrong.DISABLED else states.ENABLED
        return kms_v1.CryptoKeyVersion(name=self.said_name, state=state, algorithm=self.algorithm)

    def get_public_key(self, request: kms_v1.GetPublicKeyRequest, context: grpc.ServicerContext) -> Any:
        self._begin(context, request.name)
        pem = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        checksum = crc32c(pem) ^ (1 if self.wrong is Wrong.DAMAGED else 0)
        return kms_v1.PublicKey(name=self.said_name, pem=pem.decode(), pem_crc32c=checksum, algorithm=self.algorithm)

    def _begin(self, context: grpc.ServicerContext, name: str, *, signing: bool = False) -> None:
        if self.wrong is Wrong.SLOW:
            self.released.wait(SLOW_S_MAX)
        if self.wrong in STATUS and (signing or self.wrong is not Wrong.DISABLED):
            context.abort(STATUS[self.wrong], "as told")
        if name != VERSION:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such version")


@contextmanager
def google_stand_in() -> Iterator[GoogleStandIn]:
    """A server on loopback."""
    stand_in = GoogleStandIn()
    server = grpc.server(ThreadPoolExecutor(40))
    server.add_generic_rpc_handlers((_handlers(stand_in),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    stand_in.settings.update(
        {
            "XORJ_SIGNER_PROVIDER": "google-kms",
            "XORJ_SIGNER_PUBLIC_KEY": address_text(stand_in.public_key),
            "XORJ_SIGNER_GCP_KEY_VERSION": VERSION,
            "XORJ_SIGNER_GCP_LOCAL_ADDRESS": address,
        }
    )
    yield stand_in
    stand_in.act(None)
    server.stop(0).wait()


def _handlers(stand_in: GoogleStandIn) -> grpc.GenericRpcHandler:
    def unary(method: Callable[[Any, grpc.ServicerContext], Any], request: Any, answer: Any) -> Any:
        def written(message: Any) -> bytes:
            return stand_in.raw if stand_in.raw is not None else bytes(answer.serialize(message))

        return grpc.unary_unary_rpc_method_handler(method, request.deserialize, written)

    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "AsymmetricSign": unary(stand_in.sign, kms_v1.AsymmetricSignRequest, kms_v1.AsymmetricSignResponse),
            "GetCryptoKeyVersion": unary(stand_in.version, kms_v1.GetCryptoKeyVersionRequest, kms_v1.CryptoKeyVersion),
            "GetPublicKey": unary(stand_in.get_public_key, kms_v1.GetPublicKeyRequest, kms_v1.PublicKey),
        },
    )
