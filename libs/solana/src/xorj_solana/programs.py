"""Addresses of the programs that everything else refers to.

The two local ids are for local chains only: hashes of a label, with no key behind them.
"""

import hashlib
from typing import Final

from solders.pubkey import Pubkey

SYSTEM: Final = Pubkey.from_string("11111111111111111111111111111111")
SPL_TOKEN: Final = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022: Final = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
ASSOCIATED_TOKEN: Final = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
UPGRADEABLE_LOADER: Final = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
WRAPPED_SOL: Final = Pubkey.from_string("So11111111111111111111111111111111111111112")


def _local_id(label: str) -> Pubkey:
    return Pubkey(hashlib.sha256(label.encode()).digest())


LOCAL_VAULT_PROGRAM: Final = _local_id("xorj local vault program")
LOCAL_CPMM_PROGRAM: Final = _local_id("xorj local cpmm program")
