"""Every provider's stand-in, started once; each test gets it right and leaves it right."""

from collections.abc import AsyncIterator, Callable, Iterator
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


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> LocalKey:
    return LocalKey(provision(tmp_path_factory.mktemp("file"), None))


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


class OpenKeys:
    """One open key for each provider; opening one costs more than most tests."""

    def __init__(self) -> None:
        self._open: dict[str, KeyProvider] = {}

    async def of(self, stand_in: StandIn) -> KeyProvider:
        """The key, opened as the service opens it."""
        name = stand_in.settings["XORJ_SIGNER_PROVIDER"]
        if name not in self._open:
            with pytest.MonkeyPatch.context() as patch:
                for variable, value in stand_in.settings.items():
                    patch.setenv(variable, value)
                self._open[name] = await open_checked(load_provider_settings(stand_in.settings))
        return self._open[name]

    async def close(self) -> None:
        for key in self._open.values():
            await key.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keys() -> AsyncIterator[OpenKeys]:
    """Shared by the tests of a module."""
    opened = OpenKeys()
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="module")
async def key(stand_in: StandIn, keys: OpenKeys) -> KeyProvider:
    """Each provider's key in turn."""
    return await keys.of(stand_in)
