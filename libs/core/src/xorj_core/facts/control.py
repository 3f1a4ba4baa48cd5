"""The kill switch: topic control."""

from dataclasses import dataclass
from typing import ClassVar

from xorj_core.facts.common import HaltScope


@dataclass(frozen=True, slots=True)
class KillCommanded:
    """Stop. Counts whenever its signature is by a registered key, whatever else is true. The frame never changes."""

    CAUSE: ClassVar[tuple[str, ...]] = ("command_id",)

    command_id: bytes  # 16 random bytes
    scope: HaltScope
    vault: bytes  # only for the scope of one vault
    reason: str
    issued_at_us: int
    key_id: bytes  # first 8 bytes of SHA-256 of the public key
    signature: bytes  # Ed25519 over the canonical bytes of fields 1 to 6
