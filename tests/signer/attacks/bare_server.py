"""The signer's own gRPC server with another authority's files, and a request path of the test's choice."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from xorj_signer.refusals import Refusal
from xorj_signer.request import Outcome, SigningRequest
from xorj_signer.server import SignerServicer, build_server, set_serving
from xorj_signer.settings import SignerSettings

from tests.signer.rig import ChosenKey


async def untold(refusal: Refusal) -> None:
    """There is no log here."""


@asynccontextmanager
async def bare_server(
    directory: Path,
    authority: bytes,
    key: bytes,
    certificate: bytes,
    sign_trade: Callable[[SigningRequest], Awaitable[Outcome]],
) -> AsyncIterator[str]:
    """Its address, while it serves."""
    files = {"ca": authority, "key": key, "certificate": certificate}
    for name, content in files.items():
        (directory / f"{name}.pem").write_bytes(content)
    nothing = directory / "unused"
    settings = SignerSettings.model_construct(
        kafka_ca_file=directory / "ca.pem",
        kafka_key_file=directory / "key.pem",
        kafka_cert_file=directory / "certificate.pem",
        keys_file=nothing,
        signer_host="127.0.0.1",
        signer_port=0,
    )
    server, port, state = build_server(settings, SignerServicer(sign_trade, ChosenKey(), untold))
    await server.start()
    await set_serving(state, serving=True)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)
