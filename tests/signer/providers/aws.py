"""AWS KMS for tests: an emulator with a real Ed25519 key, and before it a proxy that can be wrong."""

import http.client
import json
import os
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, ClassVar

import botocore.session
from cryptography.hazmat.primitives.serialization import load_der_public_key
from xorj_core.base58 import address_text
from xorj_localnet.ports import choose_port
from xorj_signer.providers import KeyKind

from tests.signer.providers.stand_ins import Wrong

REGION = "eu-west-1"
START_S_MAX = 30.0
ERRORS = {
    Wrong.BROKEN: (500, "KMSInternalException"),
    Wrong.THROTTLED: (400, "ThrottlingException"),
    Wrong.DENIED: (400, "AccessDeniedException"),
    Wrong.DISABLED: (400, "DisabledException"),
    Wrong.GONE: (400, "NotFoundException"),
}


class AwsStandIn:
    """The proxy's view of one key."""

    kind = KeyKind.ED25519
    ways: ClassVar[frozenset[Wrong]] = frozenset(Wrong) - {Wrong.DAMAGED, Wrong.DAMAGED_THERE}

    def __init__(self, emulator_port: int, key_arn: str, public_key: bytes, directory: Path) -> None:
        self.emulator_port = emulator_port
        self.key_arn = key_arn
        self.p256_arn = ""
        self.public_key = public_key
        self.wrong: Wrong | None = None
        self.act_on_signing: Wrong | None = None
        """Wrong in this way for signatures alone."""
        self.raw: tuple[int, bytes] | None = None
        """Answer everything with this."""
        self.released = Event()
        self.asked: list[dict[str, Any]] = []
        self.server = _Server(("127.0.0.1", 0), _Proxy)
        self.server.stand_in = self
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = int(self.server.server_address[1])
        credentials = directory / "aws-credentials"
        credentials.write_text("[default]\naws_access_key_id = test\naws_secret_access_key = test\n")
        self.settings = {
            "XORJ_SIGNER_PROVIDER": "aws-kms",
            "XORJ_SIGNER_PUBLIC_KEY": address_text(public_key),
            "XORJ_SIGNER_AWS_KEY_ARN": key_arn,
            "XORJ_SIGNER_AWS_CREDENTIALS_FILE": str(credentials),
            "XORJ_SIGNER_AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
        }

    def act(self, wrong: Wrong | None) -> None:
        self.wrong = wrong
        if wrong is None:
            self.released.set()
        else:
            self.released.clear()

    def bend(self, answer: dict[str, Any], wrong: Wrong | None) -> dict[str, Any]:
        """An answer of the emulator, wrong as was asked for."""
        if wrong is Wrong.DISABLED and "KeyMetadata" in answer:
            return {"KeyMetadata": {**answer["KeyMetadata"], "KeyState": "Disabled", "Enabled": False}}
        if wrong is Wrong.OTHER_KEY and "KeyId" in answer:
            return {**answer, "KeyId": self.key_arn[:-4] + "0000"}
        if "Signature" not in answer:
            return answer
        signature = b64decode(answer["Signature"])
        if wrong is Wrong.SIGNATURE:
            signature = bytes(signature[:32]) + bytes(32)
        elif wrong is Wrong.LENGTH:
            signature = signature[:63]
        return {**answer, "Signature": b64encode(signature).decode()}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    stand_in: AwsStandIn

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is part of the tests."""


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        stand_in = self.server.stand_in
        body = self.rfile.read(int(self.headers["content-length"]))
        stand_in.asked.append(json.loads(body))
        if stand_in.raw is not None:
            self._answer(*stand_in.raw)
            return
        signing = self.headers.get("x-amz-target", "").endswith(".Sign")
        wrong = stand_in.wrong or (stand_in.act_on_signing if signing else None)
        if wrong is Wrong.SLOW:
            stand_in.released.wait(START_S_MAX)
        if wrong is Wrong.DOWN:
            self.close_connection = True
            return
        if wrong in ERRORS and (signing or wrong is not Wrong.DISABLED):
            status, code = ERRORS[wrong]
            self._answer(status, json.dumps({"__type": code, "message": "as told"}).encode())
            return
        if wrong is Wrong.RUBBISH:
            self._answer(200, b'{"Signature": "\xff\xfe~~"')
            return
        to = http.client.HTTPConnection("127.0.0.1", stand_in.emulator_port, timeout=10)
        try:
            to.request("POST", "/", body, dict(self.headers))
            answer = to.getresponse()
            text = answer.read()
        finally:
            to.close()
        if answer.status == 200:
            text = json.dumps(stand_in.bend(json.loads(text), wrong)).encode()
        self._answer(answer.status, text)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
        """Tests are quiet."""


@contextmanager
def aws_stand_in(directory: Path) -> Iterator[AwsStandIn]:
    """The emulator as a process of its own, with a new key in it."""
    port = choose_port()
    environment = {
        **os.environ,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SERVICES": "kms",
    }
    program = Path(sys.executable).with_name("ministack")
    with (directory / "ministack.log").open("wb") as log:
        process = subprocess.Popen([program], env=environment, cwd=directory, stdout=log, stderr=log)
    try:
        client = _client(process, port)
        arn = client.create_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        public: Any = load_der_public_key(client.get_public_key(KeyId=arn)["PublicKey"])
        stand_in = AwsStandIn(port, arn, public.public_bytes_raw(), directory)
        other = client.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
        stand_in.p256_arn = other["KeyMetadata"]["Arn"]
        yield stand_in
        stand_in.act(None)
        stand_in.server.shutdown()
        stand_in.server.server_close()
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _client(process: "subprocess.Popen[bytes]", port: int) -> Any:
    session = botocore.session.get_session()
    session.set_credentials("test", "test")
    client = session.create_client("kms", region_name=REGION, endpoint_url=f"http://127.0.0.1:{port}")
    deadline = time.monotonic() + START_S_MAX
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.connect()
        except OSError:
            assert process.poll() is None, "the emulator ended at once"
            assert time.monotonic() < deadline, "the emulator does not listen"
            time.sleep(0.05)
        else:
            return client
        finally:
            connection.close()
