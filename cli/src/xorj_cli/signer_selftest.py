"""`xorj signer selftest`: tries the key that the environment names, as the signer would use it."""

import os
from typing import Any

from rich.progress import Progress, SpinnerColumn, TextColumn
from xorj_signer.providers import ProviderFailed, ProviderFault
from xorj_signer.providers.settings import load_provider_settings
from xorj_signer.selftest import report, selftest
from xorj_signer.settings import own_variables

from xorj_cli.output import Exit, Failure, stderr, stdout

_HINTS = {
    ProviderFault.MISCONFIGURED: "docs/interfaces.md lists each provider's settings",
    ProviderFault.WRONG_KEY: "do not change XORJ_SIGNER_PUBLIC_KEY to fit: docs/runbooks/signer-keys.md",
    ProviderFault.DENIED: "credentials, role or PIN do not suffice",
    ProviderFault.KEY_DISABLED: "docs/runbooks/signer-keys.md",
}
_EXITS = {ProviderFault.MISCONFIGURED: Exit.USAGE, ProviderFault.WRONG_KEY: Exit.CHECK_FAILED}


async def signer_selftest(signatures: int, callers: int) -> tuple[dict[str, Any], Exit]:
    """The report, and 0 if every signature came and verified. Raises Failure."""
    progress = Progress(SpinnerColumn(), TextColumn("{task.description}"), console=stderr, transient=True)
    with progress:
        progress.add_task(f"{signatures} signatures")
        try:
            settings = load_provider_settings(os.environ, own_variables())
            found = await selftest(settings, signatures=signatures, callers=callers)
        except ProviderFailed as error:
            hint = _HINTS.get(error.fault, "is the provider reachable from here, with these settings?")
            raise Failure(error.fault.value, str(error), hint, _EXITS.get(error.fault, Exit.CANNOT_TELL)) from error
    return report(found), Exit.OK if found.passed else Exit.CHECK_FAILED


def show_selftest(body: dict[str, Any]) -> None:
    """The report as text."""
    signatures, latency = body["signatures"], body["latency_us"]
    lines = (
        f"{body['provider']}: {body['key_kind']} key {body['public_key']}",
        "the expected key"
        if body["expected_public_key"] is not None
        else "no key is expected yet: set XORJ_SIGNER_PUBLIC_KEY once you have seen this one at the provider",
        f"{signatures['verified']} of {signatures['asked']} signatures verified",
        *(f"  {count} x {fault}" for fault, count in body["faults"].items()),
        f"one after the other: p50 {latency['p50']} µs, p99 {latency['p99']} µs",
        f"{body['callers']} callers: {body['signatures_per_s']} signatures a second",
        f"quota: {body['quota_hint']}",
        *(
            ()
            if body["can_sign_trades"]
            else ("this kind of key cannot sign trades: the signer does not start with it",)
        ),
    )
    for line in lines:
        stdout.print(line, markup=False)
