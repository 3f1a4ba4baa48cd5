"""Owns which signer provider the local world names in the signer's settings.

1. PKCS#11 with SoftHSM where its module and its tool are found, a file key otherwise; XORJ_SIGNER_PROVIDER overrides.
2. The choice is made here and named to the signer, which never chooses or falls back by itself.
"""

import os
from dataclasses import dataclass
from enum import StrEnum

from xorj_localnet.hsm import SoftHsm, find_softhsm


class SignerProvider(StrEnum):
    """The providers a local world can use; the values are what XORJ_SIGNER_PROVIDER takes."""

    PKCS11 = "pkcs11"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """The provider, with the SoftHSM that it needs."""

    provider: SignerProvider
    softhsm: SoftHsm | None = None


class ProviderMissing(Exception):
    """The provider that was asked for is not on this machine."""


def choose_signer_provider() -> ProviderChoice:
    """The provider for a new world. Raises ProviderMissing when the one asked for is absent."""
    wanted = os.environ.get("XORJ_SIGNER_PROVIDER", "")
    found = find_softhsm()
    if wanted == SignerProvider.PKCS11 and found is None:
        raise ProviderMissing("XORJ_SIGNER_PROVIDER=pkcs11, but SoftHSM is not installed (Debian: softhsm2)")
    if wanted not in ("", *SignerProvider):
        raise ProviderMissing(f"XORJ_SIGNER_PROVIDER must be one of {', '.join(SignerProvider)}, not {wanted!r}")
    if found is not None and wanted != SignerProvider.FILE:
        return ProviderChoice(SignerProvider.PKCS11, found)
    return ProviderChoice(SignerProvider.FILE)
