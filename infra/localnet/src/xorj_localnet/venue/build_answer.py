"""The body of `/swap/v2/build`: a quote with raw instructions, shaped as Jupiter's.

1. Amounts are decimal strings of base units; instruction data is base64; the blockhash is a list of bytes.
2. `setupInstructions` and `cleanupInstruction` are always empty: the caller's token accounts exist.
"""

import base64
import time

from solders.compute_budget import set_compute_unit_price
from solders.instruction import Instruction

from xorj_localnet.market.exact_json import Json
from xorj_localnet.market.prices import BPS
from xorj_localnet.venue.quotes import Quote, swap_instruction

LABEL = "Raydium CP"
COMPUTE_UNIT_PRICE_MICRO_LAMPORTS = 10_000


def build_answer(given: Quote, blockhash: bytes, last_valid_block_height: int) -> Json:
    """The body for a quote, with a blockhash and the last block height at which it is valid."""
    wish = given.wish
    mint_in, mint_out = str(wish.mint_in), str(wish.mint_out)
    amount_in, amount_out = str(wish.amount_in), str(given.amount_out)
    now_s, now_ns = divmod(time.time_ns(), 10**9)
    return {
        "inputMint": mint_in,
        "outputMint": mint_out,
        "inAmount": amount_in,
        "outAmount": amount_out,
        "otherAmountThreshold": str(given.amount_out_min),
        "swapMode": "ExactIn",
        "slippageBps": wish.slippage_bps,
        "priceImpactPct": f"{given.price_impact:f}",
        "routePlan": [
            {
                "swapInfo": {
                    "ammKey": str(given.pool.pool.address),
                    "label": LABEL,
                    "inputMint": mint_in,
                    "outputMint": mint_out,
                    "inAmount": amount_in,
                    "outAmount": amount_out,
                },
                "percent": 100,
                "bps": BPS,
            }
        ],
        "computeBudgetInstructions": [_instruction(set_compute_unit_price(COMPUTE_UNIT_PRICE_MICRO_LAMPORTS))],
        "setupInstructions": [],
        "swapInstruction": _instruction(swap_instruction(given)),
        "cleanupInstruction": None,
        "otherInstructions": [],
        "tipInstruction": None,
        "addressesByLookupTableAddress": None,
        "blockhashWithMetadata": {
            "blockhash": list(blockhash),
            "lastValidBlockHeight": last_valid_block_height,
            "fetchedAt": {"secs_since_epoch": now_s, "nanos_since_epoch": now_ns},
        },
    }


def _instruction(instruction: Instruction) -> Json:
    accounts: list[Json] = [
        {"pubkey": str(meta.pubkey), "isWritable": meta.is_writable, "isSigner": meta.is_signer}
        for meta in instruction.accounts
    ]
    data = base64.b64encode(bytes(instruction.data)).decode()
    return {"programId": str(instruction.program_id), "accounts": accounts, "data": data}
