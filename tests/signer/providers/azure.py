"""Azure Key Vault for tests: a TLS server that speaks its REST protocol, tokens included, with a real P-256 key."""

import datetime
import ipaddress
import json
import secrets
import ssl
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from xorj_signer.providers import KeyKind
from xorj_signer.verification import P256_N

from tests.signer.providers.stand_ins import Wrong

TENANT = "00000000-0000-0000-0000-000000000001"
KEY = "bot"
VERSION = "0" * 31 + "1"
OTHER_VERSION = "0" * 31 + "2"
SLOW_S_MAX = 30.0
ERRORS = {
    Wrong.BROKEN: (500, "InternalError", "as told"),
    Wrong.THROTTLED: (429, "Throttled", "as told"),
    Wrong.DENIED: (403, "Forbidden", "The caller does not have the permission"),
    Wrong.DISABLED: (403, "Forbidden", "Operation is not allowed on a disabled key"),
    Wrong.GONE: (404, "KeyNotFound", "as told"),
}


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class AzureStandIn:
    """One vault with one key; every signature it gives has its s in the upper half."""

    kind = KeyKind.P256
    ways: ClassVar[frozenset[Wrong]] = frozenset(Wrong) - {Wrong.DAMAGED, Wrong.DAMAGED_THERE}

    def __init__(self, directory: Path) -> None:
        self._key = generate_private_key(SECP256R1())
        self._other = generate_private_key(SECP256R1())
        self.public_key = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self.wrong: Wrong | None = None
        self.raw: tuple[int, bytes] | None = None
        """Answer everything but tokens with this."""
        self.released = Event()
        self.tokens: set[str] = set()
        self.attributes: dict[str, Any] = {}
        self.operations = ["sign", "verify"]
        self.curve = "P-256"
        self.secret = secrets.token_hex(16)
        certificate = _certificate(directory)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.server = _Server(("127.0.0.1", 0), _Vault)
        self.server.stand_in = self
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"https://localhost:{self.server.server_address[1]}"
        secret_file = directory / "client-secret"
        secret_file.write_text(self.secret)
        self.settings = {
            "XORJ_SIGNER_PROVIDER": "azure-keyvault",
            "XORJ_SIGNER_PUBLIC_KEY": self.public_key.hex(),
            "XORJ_SIGNER_AZURE_VAULT_URL": self.url,
            "XORJ_SIGNER_AZURE_KEY": KEY,
            "XORJ_SIGNER_AZURE_KEY_VERSION": VERSION,
            "XORJ_SIGNER_AZURE_CREDENTIAL": "client-secret",
            "XORJ_SIGNER_AZURE_TENANT_ID": TENANT,
            "XORJ_SIGNER_AZURE_CLIENT_ID": "signer",
            "XORJ_SIGNER_AZURE_CLIENT_SECRET_FILE": str(secret_file),
            "XORJ_SIGNER_AZURE_AUTHORITY": self.url,
            "XORJ_SIGNER_AZURE_CA_FILE": str(certificate),
        }

    def act(self, wrong: Wrong | None) -> None:
        self.wrong = wrong
        if wrong is None:
            self.released.set()
        else:
            self.released.clear()

    @property
    def said_id(self) -> str:
        return f"{self.url}/keys/{KEY}/{OTHER_VERSION if self.wrong is Wrong.OTHER_KEY else VERSION}"

    def description(self) -> dict[str, Any]:
        """Answer of `GET /keys/…`."""
        numbers = self._key.public_key().public_numbers()
        x, y = (_b64(number.to_bytes(32)) for number in (numbers.x, numbers.y))
        key = {"kid": self.said_id, "kty": "EC-HSM", "crv": self.curve, "key_ops": self.operations, "x": x, "y": y}
        return {"key": key, "attributes": {**self.attributes, "enabled": self.wrong is not Wrong.DISABLED}}

    def signed(self, body: dict[str, Any]) -> dict[str, Any]:
        """Answer of `POST /keys/…/sign`."""
        assert body["alg"] == "ES256"
        digest = urlsafe_b64decode(body["value"] + "==")
        if self.wrong is Wrong.SIGNATURE:
            digest = bytes(32)
        key = self._other if self.wrong is Wrong.OTHER_KEY else self._key
        r, s = decode_dss_signature(key.sign(digest, ECDSA(Prehashed(SHA256()))))
        signature = r.to_bytes(32) + max(s, P256_N - s).to_bytes(32)
        return {"kid": self.said_id, "value": _b64(signature[:63] if self.wrong is Wrong.LENGTH else signature)}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    stand_in: AzureStandIn

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is part of the tests."""


class _Vault(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        stand_in = self.server.stand_in
        if "/.well-known/openid-configuration" in self.path:
            base = f"{stand_in.url}/{TENANT}"
            told = {
                "issuer": f"{base}/v2.0",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            }
            self._answer(200, told)
        elif self._may_go_on():
            # Azure describes a disabled key; it refuses to use it.
            self._answer(200, stand_in.description())

    def do_POST(self) -> None:
        stand_in = self.server.stand_in
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path.endswith("/token"):
            if stand_in.secret.encode() not in body:
                self._answer(401, {"error": "invalid_client", "error_description": "as told"})
                return
            token = secrets.token_hex(16)
            stand_in.tokens.add(token)
            self._answer(200, {"token_type": "Bearer", "expires_in": 3600, "access_token": token})
        elif self._may_go_on():
            self._answer(200, stand_in.signed(json.loads(body)))

    def _may_go_on(self) -> bool:
        stand_in = self.server.stand_in
        wrong = stand_in.wrong
        if self.headers.get("authorization", "").removeprefix("Bearer ") not in stand_in.tokens:
            told = f'Bearer authorization="{stand_in.url}/{TENANT}", resource="https://vault.azure.net"'
            self._answer(401, {"error": {"code": "Unauthorized", "message": "a token"}}, {"www-authenticate": told})
            return False
        if stand_in.raw is not None:
            self._write(stand_in.raw[0], stand_in.raw[1], {"content-type": "application/json"})
            return False
        if wrong is Wrong.SLOW:
            stand_in.released.wait(SLOW_S_MAX)
        if wrong is Wrong.DOWN:
            self.close_connection = True
            return False
        if wrong is Wrong.RUBBISH:
            self._answer(200, {"value": 7, "key": {"kid": stand_in.said_id}})
            return False
        if wrong in ERRORS and not (wrong is Wrong.DISABLED and self.command == "GET"):
            status, code, message = ERRORS[wrong]
            self._answer(status, {"error": {"code": code, "message": message}})
            return False
        return True

    def _answer(self, status: int, told: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._write(status, json.dumps(told).encode(), {"content-type": "application/json", **(headers or {})})

    def _write(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
        """Tests are quiet."""


@contextmanager
def azure_stand_in(directory: Path) -> Iterator[AzureStandIn]:
    """A server on loopback."""
    stand_in = AzureStandIn(directory)
    yield stand_in
    stand_in.act(None)
    stand_in.server.shutdown()
    stand_in.server.server_close()


def _certificate(directory: Path) -> Path:
    """A self-signed certificate of this machine and its key, in one file."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    path = directory / "vault.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return path
