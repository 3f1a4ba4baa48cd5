"""Who may ask, told by certificate: expired, self-signed, of another authority, or with a name that only looks right.

The server is the signer's own over real TLS; only the authority is the test's, because a world never keeps its key.
"""

import datetime
import ipaddress
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from xorj.signer.v1 import signer_pb2, signer_pb2_grpc
from xorj_contracts.codec import position_to_message
from xorj_core.facts.common import Position
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.policy.decide import Denied
from xorj_signer.request import SigningRequest

from tests.signer.attacks.bare_server import bare_server
from tests.signer.rig import refusal_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY = datetime.timedelta(days=1)
POSITION = position_to_message(Position("c", "trade-intents", 0, 1))


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority whose key the test holds."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        *names: str,
        begins: datetime.timedelta = -DAY,
        ends: datetime.timedelta = DAY,
        usages: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
        alternative: str = "localhost",
    ) -> tuple[bytes, bytes]:
        """Key and certificate, PEM, of a subject with these common names."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = draft(names, self.certificate.subject, key.public_key(), begins, ends)
        others = [x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")), x509.DNSName(alternative)]
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(others), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return pem_of(key), certificate.public_bytes(serialization.Encoding.PEM)


def draft(
    names: tuple[str, ...],
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begins: datetime.timedelta = -DAY,
    ends: datetime.timedelta = DAY,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names]))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )


def pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def authority(name: str = "authority") -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        draft((name,), subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(key, certificate)


@dataclass(slots=True)
class Gate:
    """The signer's server; `heard` is who got as far as the request path."""

    authority: Authority
    address: str
    heard: list[str]

    async def ask(self, key: bytes, certificate: bytes) -> grpc.aio.AioRpcError:
        """How a call with this certificate ends; no call ever gets a signature here."""
        credentials = grpc.ssl_channel_credentials(self.authority.pem, key, certificate)
        async with grpc.aio.secure_channel(self.address, credentials) as channel:
            request = signer_pb2.SignTradeRequest(intent=POSITION, attempt=POSITION)
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await signer_pb2_grpc.SignerStub(channel).SignTrade(request, timeout=5)
        return error.value


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    directory = Path(tmp_path_factory.mktemp("gate"))
    own = authority()
    key, certificate = own.issue("signer")
    heard: list[str] = []

    async def sign_trade(request: SigningRequest) -> Denied:
        heard.append(request.caller)
        return Denied(Reason.CALLER_NOT_ALLOWED, "the request path was reached")

    async with bare_server(directory, own.pem, key, certificate, sign_trade) as address:
        yield Gate(own, address, heard)


async def test_the_executors_certificate_reaches_the_request_path(gate: Gate) -> None:
    """The control of this module: the server does let the right one in."""
    ended = await gate.ask(*gate.authority.issue("executor"))
    assert ended.code() is grpc.StatusCode.PERMISSION_DENIED
    assert gate.heard[-1] == "executor"


@pytest.mark.parametrize(
    ("begins", "ends"), [(-3 * DAY, -DAY), (DAY, 3 * DAY), (-3 * DAY, -datetime.timedelta(seconds=2))]
)
async def test_a_certificate_outside_its_time_gets_no_connection(
    gate: Gate, begins: datetime.timedelta, ends: datetime.timedelta
) -> None:
    before = len(gate.heard)
    ended = await gate.ask(*gate.authority.issue("executor", begins=begins, ends=ends))
    assert ended.code() is grpc.StatusCode.UNAVAILABLE
    assert len(gate.heard) == before


async def test_a_certificate_of_another_authority_gets_no_connection(gate: Gate) -> None:
    before = len(gate.heard)
    for stranger in (authority("another"), authority("authority")):
        ended = await gate.ask(*stranger.issue("executor"))
        assert ended.code() is grpc.StatusCode.UNAVAILABLE
    assert len(gate.heard) == before


async def test_a_self_signed_certificate_gets_no_connection(gate: Gate) -> None:
    before = len(gate.heard)
    own = authority("executor")
    ended = await gate.ask(pem_of(own.key), own.pem)
    assert ended.code() is grpc.StatusCode.UNAVAILABLE
    assert len(gate.heard) == before


async def test_a_certificate_that_another_leaf_signed_gets_no_connection(gate: Gate) -> None:
    """A service's own certificate is no authority, whatever it signs."""
    before = len(gate.heard)
    key, certificate = gate.authority.issue("ingestor")
    private = serialization.load_pem_private_key(key, password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    leaf = Authority(private, x509.load_pem_x509_certificate(certificate))
    own_key, own_certificate = leaf.issue("executor")
    ended = await gate.ask(own_key, own_certificate + certificate)
    assert ended.code() is grpc.StatusCode.UNAVAILABLE
    assert len(gate.heard) == before


async def test_a_certificate_for_servers_only_gets_no_connection(gate: Gate) -> None:
    before = len(gate.heard)
    ended = await gate.ask(*gate.authority.issue("executor", usages=(ExtendedKeyUsageOID.SERVER_AUTH,)))
    assert ended.code() is grpc.StatusCode.UNAVAILABLE
    assert len(gate.heard) == before


@pytest.mark.parametrize("names", [("Executor",), ("executor ",), ("executor,ingestor",), ("ingestor", "executor")])
async def test_a_name_that_only_looks_like_the_executors_is_another(gate: Gate, names: tuple[str, ...]) -> None:
    await gate.ask(*gate.authority.issue(*names))
    assert gate.heard[-1] != "executor"


async def test_the_name_counts_and_not_the_alternative_one(gate: Gate) -> None:
    await gate.ask(*gate.authority.issue("ingestor", alternative="executor"))
    assert gate.heard[-1] == "ingestor"


async def test_what_the_caller_says_about_itself_is_not_heard(gate: Gate) -> None:
    """Metadata names nobody."""
    key, certificate = gate.authority.issue("ingestor")
    credentials = grpc.ssl_channel_credentials(gate.authority.pem, key, certificate)
    async with grpc.aio.secure_channel(gate.address, credentials) as channel:
        claims = (("x509_common_name", "executor"), ("caller", "executor"), ("authorization", "executor"))
        request = signer_pb2.SignTradeRequest(intent=POSITION, attempt=POSITION)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await signer_pb2_grpc.SignerStub(channel).SignTrade(request, timeout=5, metadata=claims)
    assert refusal_of(error.value).reason == "CALLER_NOT_ALLOWED"
    assert gate.heard[-1] == "ingestor"
