"""The port to a key, and the adapters behind it. The settings name which one is used; nothing falls back."""

from typing import Protocol


class ProviderFailed(Exception):
    """The key is missing, unreachable or did not sign; the text names what was looked for."""


class KeyProvider(Protocol):
    """One Ed25519 key. Whoever signs verifies what comes back."""

    @property
    def name(self) -> str:
        """The provider's name as settings and TradeSigned state it."""

    def public_key(self) -> bytes:
        """32 bytes, read from the provider when it was opened."""

    async def sign(self, message: bytes) -> bytes:
        """64 bytes: the Ed25519 signature of the message itself, not of a hash. Raises `ProviderFailed`."""

    async def close(self) -> None:
        """Give back sessions and threads."""
