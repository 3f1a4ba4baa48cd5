"""Ids derived from causes, so that doing a step twice gives the same id.

1. Every id is SHA-256 over a domain tag and length-prefixed parts: no two lists of parts share an encoding.
2. Nothing random and no clock goes into an id.
"""

import hashlib

TRADE_DOMAIN = "xorj.trade.v1"
DELTA_DOMAIN = "xorj.delta.v1"
INTENT_DOMAIN = "xorj.intent.v1"
FACT_DOMAIN = "xorj.fact.v1"


def digest(domain: str, *parts: bytes) -> bytes:
    """SHA-256 of the domain tag (u16 length) and each part (u32 length), big-endian; 32 bytes."""
    tag = domain.encode()
    hasher = hashlib.sha256(len(tag).to_bytes(2, "big") + tag)
    for part in parts:
        hasher.update(len(part).to_bytes(4, "big") + part)
    return hasher.digest()


def trade_id(vault: bytes, trade_seq: int) -> bytes:
    """The id of the trade with this sequence in this vault."""
    return digest(TRADE_DOMAIN, vault, trade_seq.to_bytes(8, "big"))


def delta_id(vault: bytes, trigger_fact_id: bytes, snapshot_slot: int) -> bytes:
    """The id of the comparison of a vault at a slot, asked for by a fact."""
    return digest(DELTA_DOMAIN, vault, trigger_fact_id, snapshot_slot.to_bytes(8, "big"))


def intent_id(trade: bytes, delta: bytes) -> bytes:
    """The id of one decision to trade: an expired intent is tried again from another delta, so under a new id."""
    return digest(INTENT_DOMAIN, trade, delta)
