"""What a stand-in for a provider can do: be right, or be wrong in each of the ways that a real one may be."""

from enum import Enum
from typing import ClassVar, Protocol

from xorj_signer.providers import KeyKind, ProviderFault


class Wrong(Enum):
    """What is wrong with a provider, and what it must be called."""

    DOWN = ("down", ProviderFault.UNREACHABLE)
    BROKEN = ("broken", ProviderFault.UNREACHABLE)
    SLOW = ("slow", ProviderFault.TIMEOUT)
    THROTTLED = ("throttled", ProviderFault.THROTTLED)
    DENIED = ("denied", ProviderFault.DENIED)
    DISABLED = ("disabled", ProviderFault.KEY_DISABLED)
    GONE = ("gone", ProviderFault.WRONG_KEY)
    OTHER_KEY = ("answers for another key or version", ProviderFault.WRONG_KEY)
    SIGNATURE = ("wrong signature", ProviderFault.WRONG_SIGNATURE)
    LENGTH = ("signature of a wrong length", ProviderFault.MALFORMED)
    RUBBISH = ("rubbish instead of an answer", ProviderFault.MALFORMED)
    DAMAGED = ("damaged on the way back", ProviderFault.MALFORMED)
    DAMAGED_THERE = ("damaged on the way there", ProviderFault.MALFORMED)

    def __init__(self, text: str, fault: ProviderFault) -> None:
        self.text = text
        self.fault = fault


class StandIn(Protocol):
    """A provider that a test may bend; `settings` are what a signer is told to use it."""

    kind: KeyKind
    public_key: bytes
    settings: dict[str, str]
    ways: ClassVar[frozenset[Wrong]]
    """In which ways it can be wrong."""

    def act(self, wrong: Wrong | None) -> None:
        """From now on be wrong in this way, or right."""
