"""Parts that a test needs and a machine may lack: the test is skipped with its reason, or fails where required.

XORJ_REQUIRE lists, separated by commas, the parts whose absence is a failure.
"""

import os

import pytest


def required_parts() -> frozenset[str]:
    """The parts named in XORJ_REQUIRE."""
    return frozenset(part.strip() for part in os.environ.get("XORJ_REQUIRE", "").split(",") if part.strip())


def require_part(name: str, found: object, how_to_get: str) -> None:
    """Returns if `found` is true; otherwise skips the test, or fails it when XORJ_REQUIRE names the part."""
    if found:
        return
    reason = f"{name} not found: {how_to_get}"
    if name in required_parts():
        pytest.fail(f"{reason} (required by XORJ_REQUIRE)")
    pytest.skip(reason)
