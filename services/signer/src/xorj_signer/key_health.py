"""Whether the key is still the one that was opened: asked again and again, past every cache, for as long as it serves.

1. What the provider says decides, not what is remembered: another key, another version or a disabled key is noticed
   within one period although nothing is signed.
2. A fault does not end the process: health says NOT_SERVING until the provider answers rightly again.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from xorj_signer.metrics import KEY_FAULTS, KEY_FIT
from xorj_signer.providers import KeyProvider, ProviderFailed, ProviderFault
from xorj_signer.providers.checked import check_key

RETRY_S = 1.0
"""How soon a key that failed is asked again, at the latest."""

log = structlog.get_logger()


async def watch_key(
    key: KeyProvider, expected: bytes, period_s: float, tell: Callable[[bool], Awaitable[None]]
) -> None:
    """Check every `period_s` seconds; `tell` whether the key serves, at each change. Runs until cancelled."""
    known: ProviderFault | None = None
    KEY_FIT.set(1)  # it was checked when it was opened
    while True:
        await asyncio.sleep(period_s if known is None else min(period_s, RETRY_S))
        try:
            await check_key(key, expected)
        except ProviderFailed as error:
            KEY_FIT.set(0)
            KEY_FAULTS.labels(error.fault.value).inc()
            if known is not error.fault:
                log.warning("key_unfit", provider=key.name, fault=error.fault.value, detail=str(error))
                await tell(False)  # noqa: FBT003 (the callback's only argument)
            known = error.fault
            continue
        KEY_FIT.set(1)
        if known is not None:
            log.info("key_fit_again", provider=key.name)
            await tell(True)  # noqa: FBT003
            known = None
