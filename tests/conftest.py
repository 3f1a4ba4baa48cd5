"""What holds for every run of the tests.

1. A run has a temporary directory of its own: runs beside each other do not take rights from each other's databases,
   which belong to another user when root tests. It is removed after a run that passed.
2. Generated cases have no deadline of their own: busy machines are no defects. `pytest-timeout` bounds each test.
"""

import shutil
import tempfile

import pytest
from hypothesis import settings

settings.register_profile("xorj", deadline=None)
settings.load_profile("xorj")

_OWN = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    if config.option.basetemp is None:
        config.stash[_OWN] = tempfile.mkdtemp(prefix="xorj-tests-")
        config.option.basetemp = config.stash[_OWN]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    own = session.config.stash.get(_OWN, None)
    if own is not None and exitstatus == pytest.ExitCode.OK:
        shutil.rmtree(own, ignore_errors=True)
