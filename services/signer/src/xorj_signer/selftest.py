"""Tries a key as the service would use it, over bytes that no cluster could ever take for a transaction.

`xorj signer selftest` shows it; where only the signer is installed, `python -m xorj_signer.selftest` prints the same.

1. Every challenge is new, and every signature is verified before it counts.
2. The service's own settings, opening and checks are used; nothing else is read, nothing is published.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from xorj_signer.providers import KeyKind, KeyProvider, ProviderFailed, ProviderFault
from xorj_signer.providers.addresses import public_key_text
from xorj_signer.providers.challenge import CHALLENGE_BYTES, CHALLENGE_DOMAIN, challenge
from xorj_signer.providers.checked import check_key, sign_checked
from xorj_signer.providers.settings import ProviderSettings, load_provider_settings, open_key
from xorj_signer.settings import EXIT_USAGE, own_variables

QUOTA_HINTS = {
    "aws-kms": "AWS: about 1,000 ECC signatures a second for all keys of an account in a region",
    "google-kms": "Google Cloud: asymmetric operations with HSM keys are limited by project and region",
    "azure-keyvault": "Azure: 200 signatures a second for the HSM keys of a vault",
    "pkcs11": "the token's own speed; calls are made one after the other",
    "file": "none",
}


@dataclass(frozen=True, slots=True)
class Selftest:
    """What was found out about a key."""

    provider: str
    key_kind: KeyKind
    public_key: bytes
    expected: bytes | None
    asked: int
    latencies_us: Sequence[int]  # of the verified signatures that were asked for one after the other, sorted
    verified: int
    faults: Counter[ProviderFault]
    callers: int
    signatures_per_s: int  # verified ones, with that many callers at once

    @property
    def can_sign_trades(self) -> bool:
        """Whether the service would start with this key."""
        return self.key_kind is KeyKind.ED25519

    @property
    def passed(self) -> bool:
        """All signatures are there; those that a quota kept back are told, and no failure."""
        return self.verified > 0 and self.verified + self.faults[ProviderFault.THROTTLED] == self.asked

    def latency_us(self, percent: int) -> int | None:
        """The latency that `percent` of the signatures stayed within; None without any."""
        found = self.latencies_us
        return found[min(len(found) - 1, len(found) * percent // 100)] if found else None


async def selftest(settings: ProviderSettings, *, signatures: int, callers: int) -> Selftest:
    """Half of the signatures one after the other, half by `callers` at once.

    Raises `ProviderFailed` for a key that does not open, is unfit, or is not the expected one where one is set.
    """
    expected = None if settings.signer_public_key is None else settings.expected_public_key()
    key = await open_key(settings)
    try:
        await check_key(key, key.public_key() if expected is None else expected)
        faults: Counter[ProviderFault] = Counter()
        alone = signatures - signatures // 2
        latencies = sorted(await _sign_many(key, alone, faults))
        shares = [len(range(number, signatures // 2, callers)) for number in range(callers)]
        began = time.perf_counter_ns()
        together = sum(
            len(found) for found in await asyncio.gather(*(_sign_many(key, share, faults) for share in shares))
        )
        took_ns = max(1, time.perf_counter_ns() - began)
    finally:
        await key.close()
    return Selftest(
        provider=key.name,
        key_kind=key.kind,
        public_key=key.public_key(),
        expected=expected,
        asked=signatures,
        latencies_us=latencies,
        verified=len(latencies) + together,
        faults=faults,
        callers=callers,
        signatures_per_s=together * 1_000_000_000 // took_ns,
    )


def report(found: Selftest) -> dict[str, object]:
    """As one JSON object."""
    return {
        "passed": found.passed,
        "provider": found.provider,
        "key_kind": found.key_kind.value,
        "public_key": public_key_text(found.public_key),
        "expected_public_key": None if found.expected is None else public_key_text(found.expected),
        "can_sign_trades": found.can_sign_trades,
        "challenge": {"bytes": CHALLENGE_BYTES, "domain_hex": CHALLENGE_DOMAIN.hex()},
        "signatures": {"asked": found.asked, "verified": found.verified},
        "faults": {fault.value: count for fault, count in sorted(found.faults.items(), key=lambda item: item[0].value)},
        "latency_us": {"p50": found.latency_us(50), "p99": found.latency_us(99)},
        "callers": found.callers,
        "signatures_per_s": found.signatures_per_s,
        "quota_hint": QUOTA_HINTS[found.provider],
    }


async def _sign_many(key: KeyProvider, count: int, faults: Counter[ProviderFault]) -> list[int]:
    """Latencies in µs of the verified signatures; what failed is counted."""
    latencies = []
    for _ in range(count):
        began = time.perf_counter_ns()
        try:
            await sign_checked(key, challenge())
        except ProviderFailed as error:
            faults[error.fault] += 1
        else:
            latencies.append((time.perf_counter_ns() - began) // 1000)
    return latencies


def main() -> int:
    """One JSON object on standard output. Exit code 0 passed, 1 not, 2 settings that cannot work."""
    try:
        settings = load_provider_settings(os.environ, own_variables())
        found = asyncio.run(selftest(settings, signatures=100, callers=8))
    except ProviderFailed as error:
        sys.stderr.write(f"{error.fault.value}: {error}\n")
        return EXIT_USAGE if error.fault is ProviderFault.MISCONFIGURED else 1
    sys.stdout.write(json.dumps(report(found)) + "\n")
    return 0 if found.passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
