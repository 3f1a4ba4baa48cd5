"""Starts the executor: reads settings, builds the adapters, runs until SIGTERM."""

import sys

from solders.pubkey import Pubkey
from xorj_service.run import Context, run_service
from xorj_service.settings import load_settings, read_secret
from xorj_solana.rpc import RpcClient, RpcPool

from xorj_executor.chain import RpcChain
from xorj_executor.service import serve
from xorj_executor.settings import SERVICE, ExecutorSettings
from xorj_executor.signer_client import SignerClient
from xorj_executor.venue import JupiterVenue


def main() -> int:
    """The process's exit code."""
    settings = load_settings(ExecutorSettings)
    venue_key = read_secret(settings.venue_key_file)

    async def work(context: Context) -> None:
        rpc = RpcPool([RpcClient(url) for url in settings.rpc_urls()])
        venue = JupiterVenue(settings.venue_url, venue_key)
        tls = (settings.kafka_ca_file, settings.kafka_cert_file, settings.kafka_key_file)
        signer = SignerClient(settings.signer_address, *tls)
        try:
            chain = RpcChain(rpc, Pubkey.from_string(settings.vault_program))
            await serve(context, settings, rpc, chain, venue, signer)
        finally:
            await signer.aclose()
            await venue.aclose()
            await rpc.aclose()

    return run_service(SERVICE, settings, work)


if __name__ == "__main__":
    sys.exit(main())
