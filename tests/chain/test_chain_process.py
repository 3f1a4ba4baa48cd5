"""The cluster as a process of its own: ready file, its own pace, and an orderly end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from xorj_localnet.chain.settings import ChainSettingsError, read_settings
from xorj_solana.rpc import Commitment, RpcClient, slot_stream

WAIT_S = 30.0


async def test_the_process_serves_at_its_own_pace_until_told_to_stop(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    environment = {
        **os.environ,
        "XORJ_CHAIN_READY_FILE": str(ready),
        "XORJ_CHAIN_SLOT_MS": "20",
        "XORJ_CHAIN_CONFIRMED_DEPTH_SLOTS": "0",
        "XORJ_CHAIN_FINALIZED_DEPTH_SLOTS": "1",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "xorj_localnet.chain", env=environment)
    try:
        async with asyncio.timeout(WAIT_S):
            while not ready.exists():
                assert process.returncode is None
                await asyncio.sleep(0.01)
            world = json.loads(ready.read_text())
            async with RpcClient(world["rpc_url"]) as client:
                assert str(await client.get_genesis_hash()) == world["genesis_hash"]
                assert await client.get_slot(Commitment.FINALIZED) < await client.get_slot(Commitment.PROCESSED)
            moves = []
            async for move in slot_stream(world["ws_url"]):
                moves.append(move.slot)
                if len(moves) == 3:
                    break
            assert moves[2] >= moves[0] + 2
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XORJ_CHAIN_PORT", "65536"),
        ("XORJ_CHAIN_PORT", "http"),
        ("XORJ_CHAIN_SLOT_MS", "-1"),
        ("XORJ_CHAIN_CONFIRMED_DEPTH_SLOTS", "40"),
        ("XORJ_CHAIN_FINALIZED_DEPTH_SLOTS", "1"),
    ],
)
def test_a_wrong_setting_is_refused(name: str, value: str) -> None:
    with pytest.raises(ChainSettingsError):
        read_settings({name: value})
