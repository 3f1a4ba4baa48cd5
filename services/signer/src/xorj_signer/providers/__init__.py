"""The port to a key: what every provider promises, and the closed list of what may go wrong with one.

1. A provider has one key. It never looks for another: who signs is named by the settings, down to the key's version.
2. `sign` may be given up at any await: the answer that comes late is dropped, and the next call works.
3. Every call to the world outside ends by itself within `CALL_S_MAX`, with a `ProviderFailed` that says what kind.
4. Whoever uses a signature verifies it first (`checked.py`); a provider is trusted with the key, not with the answer.
"""

from enum import Enum
from typing import Protocol

CALL_S_MAX = 3.0
"""Seconds after which a provider gives up one call, whatever its SDK would do."""
CONNECT_S_MAX = 1.0
"""How much of it may pass before there is a connection."""
DETAIL_CHARACTERS_MAX = 500


class KeyKind(Enum):
    """What kind of key, and so what a signature over a message is."""

    ED25519 = "ed25519"
    """Public key 32 bytes; signature 64 bytes (RFC 8032, over the message itself)."""
    P256 = "p256"
    """Public key 33 bytes, a compressed point; signature 64 bytes r||s, low-S, ECDSA over the message's SHA-256."""


class ProviderFault(Enum):
    """What is wrong with a key; each is told apart on the log, because the cures differ."""

    MISCONFIGURED = "misconfigured"
    """What the settings name is not there or not of the right kind."""
    UNREACHABLE = "unreachable"
    """The device or service is gone, or answers that it cannot work now."""
    TIMEOUT = "timeout"
    THROTTLED = "throttled"
    """A quota is used up."""
    DENIED = "denied"
    """The credentials, PIN or permissions do not suffice."""
    KEY_DISABLED = "key_disabled"
    """The key is disabled, expired, deleted, or waits for its deletion."""
    WRONG_KEY = "wrong_key"
    """Another public key, or another version, than the settings name."""
    MALFORMED = "malformed"
    """An answer of the wrong length or form, or damaged on its way."""
    WRONG_SIGNATURE = "wrong_signature"
    """Well-formed, but not this key's signature over this message."""
    MESSAGE_TOO_LONG = "message_too_long"
    """The provider cannot sign a message of this length."""


class ProviderFailed(Exception):
    """The key is missing, unreachable or did not sign; the text names what was looked for."""

    def __init__(self, detail: str, fault: ProviderFault = ProviderFault.UNREACHABLE) -> None:
        super().__init__(detail if len(detail) <= DETAIL_CHARACTERS_MAX else detail[:DETAIL_CHARACTERS_MAX] + "…")
        self.fault = fault


class KeyProvider(Protocol):
    """One key. Whoever signs verifies what comes back."""

    @property
    def name(self) -> str:
        """The provider's name as settings and TradeSigned state it."""

    @property
    def kind(self) -> KeyKind:
        """What kind of key it is."""

    def public_key(self) -> bytes:
        """32 bytes (Ed25519) or 33 (P-256), read from the provider when it was opened."""

    async def sign(self, message: bytes) -> bytes:
        """64 bytes, as the key's kind says. Raises `ProviderFailed`."""

    async def check(self) -> bytes:
        """Ask the provider again, past every cache: is the key usable, of its kind, of its version? Its public key now.

        Raises `ProviderFailed`. Whether it is the expected key is for the caller to compare (`checked.py`).
        """

    async def close(self) -> None:
        """Give back sessions, connections and threads; never waits for a device that hangs."""
