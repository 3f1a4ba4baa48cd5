"""Events of the vault program. A log is a hint; the vault account is the proof."""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from solders.pubkey import Pubkey

TRADE_EXECUTED_DISCRIMINATOR: Final = hashlib.sha256(b"event:TradeExecuted").digest()[:8]
_LEN: Final = 168
_PREFIX: Final = "Program data: "


@dataclass(frozen=True, slots=True)
class TradeExecuted:
    """One trade as the program recorded it; amounts in base units."""

    vault: Pubkey
    seq: int
    intent_id: bytes
    mint_in: Pubkey
    mint_out: Pubkey
    amount_in: int
    amount_out: int
    slot: int


def parse_event(data: bytes) -> TradeExecuted | None:
    """None when the bytes are another event, or none."""
    if len(data) != _LEN or data[:8] != TRADE_EXECUTED_DISCRIMINATOR:
        return None

    def number(offset: int) -> int:
        return int.from_bytes(data[offset : offset + 8], "little")

    return TradeExecuted(
        vault=Pubkey(data[8:40]),
        seq=number(40),
        intent_id=data[48:80],
        mint_in=Pubkey(data[80:112]),
        mint_out=Pubkey(data[112:144]),
        amount_in=number(144),
        amount_out=number(152),
        slot=number(160),
    )


def find_trade_executed(logs: Iterable[str], program: Pubkey) -> TradeExecuted | None:
    """The event that `program` itself logged, whatever the programs it called logged in between."""
    stack: list[str] = []
    for line in logs:
        words = line.split()
        if len(words) >= 3 and words[0] == "Program" and words[2] == "invoke":
            stack.append(words[1])
        elif len(words) >= 3 and words[0] == "Program" and words[2] in ("success", "failed:") and stack:
            stack.pop()
        elif line.startswith(_PREFIX) and stack and stack[-1] == str(program):
            try:
                event = parse_event(base64.b64decode(line[len(_PREFIX) :], validate=True))
            except binascii.Error:
                continue
            if event is not None:
                return event
    return None
