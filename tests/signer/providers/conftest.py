"""Every provider's stand-in, started once; each test gets it right and leaves it right."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import pytest_asyncio
from xorj_localnet.hsm import HOW_TO_GET, find_softhsm, provision
from xorj_signer.providers import KeyProvider
from xorj_signer.providers.settings import load_provider_settings, open_checked

from tests.parts import require_part
from tests.signer.providers.aws import AwsStandIn, aws_stand_in
from tests.signer.providers.azure import AzureStandIn, azure_stand_in
from tests.signer.providers.google import GoogleStandIn, google_stand_in
from tests.signer.providers.stand_ins import StandIn
from tests.signer.providers.token import LocalKey

NAMES = ("file", "pkcs11", "aws", "google", "azure")
Told: TypeAlias = Callable[[dict[str, str]], dict[str, str]]


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsStandIn]:
    with aws_stand_in(tmp_path_factory.mktemp("aws")) as stand_in:
        yield stand_in


@pytest.fixture(scope="session")
def google() -> Iterator[GoogleStandIn]:
    with google_stand_in() as stand_in:
        yield stand_in


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureStandIn]:
    with azure_stand_in(tmp_path_factory.mktemp("azure")) as stand_in:
        yield stand_in


@pytest.fixture(scope="session")
def pkcs11(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKey]:
    """A SoftHSM token with a key, for the PKCS#11 module of this process."""
    softhsm = find_softhsm()
    require_part("softhsm", softhsm, HOW_TO_GET)
    made = provision(tmp_path_factory.mktemp("hsm"), softhsm)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", made.settings["SOFTHSM2_CONF"])
        yield LocalKey(made)


@pytest.fixture
def file(tmp_path: Path) -> LocalKey:
    return LocalKey(provision(tmp_path, None))


@pytest.fixture(params=NAMES)
def stand_in(request: pytest.FixtureRequest) -> Iterator[StandIn]:
    """Each provider in turn."""
    found: StandIn = request.getfixturevalue(request.param)
    yield found
    found.act(None)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Sets the signer's environment to exactly these settings."""

    def tell(settings: dict[str, str]) -> dict[str, str]:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        return settings

    return tell


@pytest_asyncio.fixture
async def key(stand_in: StandIn, told: Told) -> AsyncIterator[KeyProvider]:
    """The provider's key, opened as the service opens it."""
    opened = await open_checked(load_provider_settings(told(stand_in.settings)))
    yield opened
    stand_in.act(None)
    await opened.close()
