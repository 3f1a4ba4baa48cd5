"""Facts and chain accounts of small vaults, for the reconciler's tests."""

import base64
import hashlib
import os
from dataclasses import dataclass, field, replace

import httpx
from solders.pubkey import Pubkey
from xorj_core.facts import (
    RankedTrader,
    RankingObserved,
    ReferencePriceObserved,
    RiskProfile,
    SettingsChanged,
    TargetWeight,
)
from xorj_solana.programs import SPL_TOKEN
from xorj_solana.tokens import associated_token_address, token_account_data
from xorj_solana.vault.accounts import VAULT_DISCRIMINATOR, VAULT_LEN

USD = 10**6
PROGRAM = Pubkey(b"\x77" * 32)
USDC, JUP = b"\x10" * 32, b"\x20" * 32


@dataclass(frozen=True, slots=True)
class VaultExample:
    """A vault and its owner."""

    vault: bytes = field(default_factory=lambda: os.urandom(32))
    owner: bytes = field(default_factory=lambda: os.urandom(32))

    def settings(self, version: int = 1) -> SettingsChanged:
        """Settings that let it mirror anyone with 90 or more in USDC and JUP."""
        return SettingsChanged(
            vault=self.vault,
            owner=self.owner,
            version=version,
            profile=RiskProfile.MODERATE,
            enabled=True,
            slippage_bps_max=100,
            allowed_mints=(USDC, JUP),
            dead_band_bps=100,
            trade_value_micro_usd_min=USD,
            trade_value_micro_usd_max=10_000 * USD,
            day_value_micro_usd_max=100_000 * USD,
            owner_signature=b"",
        )

    def account_data(self, trade_seq: int) -> bytes:
        """The vault account as the program lays it out."""
        data = bytearray(VAULT_LEN)
        data[:8], data[8], data[11] = VAULT_DISCRIMINATOR, 1, 1
        data[16:48] = self.owner
        data[48:56] = data[56:64] = trade_seq.to_bytes(8, "little")
        return bytes(data)


def ranking(number: int, *weights: tuple[bytes, int]) -> RankingObserved:
    """One eligible trader; `number` tells rankings apart."""
    allocation = tuple(TargetWeight(mint, weight) for mint, weight in weights)
    trader = RankedTrader(1, hashlib.sha256(b"trader").digest(), 9_600, allocation)
    return RankingObserved("engine", number, number.to_bytes(32, "big"), (trader,), ())


def price(mint: bytes, usd_micro: int, number: int = 1) -> ReferencePriceObserved:
    """A price with six decimals."""
    return ReferencePriceObserved(mint, usd_micro * 10**6, 6, "test", "test", number)


class ChainHand:
    """Puts accounts in place on the local chain, subject to no rule."""

    def __init__(self, rpc_url: str) -> None:
        self._url = rpc_url

    async def put_vault(self, example: VaultExample, holdings: dict[bytes, int], trade_seq: int = 0) -> None:
        """The vault account and one token account for each mint, then enough slots that they are confirmed."""
        await self._put(Pubkey(example.vault), PROGRAM, example.account_data(trade_seq))
        for mint, amount in holdings.items():
            address = associated_token_address(Pubkey(example.vault), Pubkey(mint))
            data = token_account_data(mint=Pubkey(mint), owner=Pubkey(example.vault), amount=amount)
            await self._put(address, SPL_TOKEN, data)
        await self._call("local_warpSlots", 5)

    async def _put(self, key: Pubkey, owner: Pubkey, data: bytes) -> None:
        entry = {"lamports": 10**9, "owner": str(owner), "data_base64": base64.b64encode(data).decode()}
        await self._call("local_setAccount", str(key), {**entry, "executable": False})

    async def _call(self, method: str, *params: object) -> None:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = (await client.post(self._url, json=body)).json()
        assert "result" in answer, answer


__all__ = ["JUP", "PROGRAM", "USD", "USDC", "ChainHand", "VaultExample", "price", "ranking", "replace"]
