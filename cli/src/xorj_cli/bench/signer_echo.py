"""The bare mTLS gRPC server that the signer's speed is judged by: answers as many bytes, and does nothing else.

Run as `python -m xorj_cli.bench.signer_echo`, told by XORJ_KAFKA_{KEY,CERT,CA}_FILE and XORJ_READY_FILE; SIGTERM
ends it.
"""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any, Final

import grpc
import uvloop

SERVICE: Final = "xorj.bench.Echo"
METHOD: Final = f"/{SERVICE}/Echo"
ANSWER_BYTES: Final = 900
"""About what a SignTradeResponse has."""


async def serve(key: bytes, certificate: bytes, authority: bytes, ready_file: Path) -> None:
    """Answer until told to stop. Raises OSError."""

    async def echo(request: bytes, _: "grpc.aio.ServicerContext[Any, Any]") -> bytes:
        return request[:1].ljust(ANSWER_BYTES, b"\0")

    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    server = grpc.aio.server()
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    credentials = grpc.ssl_server_credentials(
        [(key, certificate)],
        root_certificates=authority,
        require_client_auth=True,
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    aside = ready_file.with_suffix(".part")
    aside.write_text(json.dumps({"pid": os.getpid(), "address": f"127.0.0.1:{port}"}))
    aside.replace(ready_file)
    await stopping.wait()
    await server.stop(0)


def main() -> None:
    """Serve with the identity that the environment names."""
    env = os.environ
    key, certificate, authority = (Path(env[f"XORJ_KAFKA_{name}_FILE"]).read_bytes() for name in ("KEY", "CERT", "CA"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(key, certificate, authority, Path(env["XORJ_READY_FILE"])))


if __name__ == "__main__":
    main()
