"""What comes with the signer: the reviewed lists, the locked files, and one SDK for one provider.

`services/signer/closure.txt` is the signer without a provider; `closure-EXTRA.txt` is what an extra adds.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture import rules
from tests.architecture.rules import Package

ROOT = Path(__file__).resolve().parents[2]
SIGNER = ROOT / "services/signer"
PROVIDERS = SIGNER / "src/xorj_signer/providers"
EXTRAS = {
    "pkcs11": (PROVIDERS / "pkcs11.py",),
    "aws": (PROVIDERS / "aws_kms.py",),
    "gcp": (PROVIDERS / "google_kms.py",),
    "azure": (PROVIDERS / "azure_keyvault.py", PROVIDERS / "azure_credential.py"),
}
SDK_MODULES = frozenset(module for modules in EXTRAS.values() for module in modules)
HTTP_CLIENTS = {"aiohttp", "botocore", "boto3", "httpx", "httpx2", "pycurl", "requests", "urllib3"}
BASE = rules.closure("xorj-signer")


def added(extra: str) -> set[str]:
    """What an extra brings beside the base."""
    return rules.closure(f"xorj-signer[{extra}]") - BASE


def locked(name: str) -> set[str]:
    """Distributions of a locked requirements file, by normalised name."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / f"requirements/{name}.txt").read_text(), re.M)
    return {re.sub(r"[-_.]+", "-", one).lower() for one in found}


def asked(name: str) -> set[str]:
    """What a requirements.in file asks for by itself."""
    lines = (ROOT / f"requirements/{name}.in").read_text().splitlines()
    return {line.split("#")[0].strip() for line in lines} - {"", "-r signer.in"}


def foreign(names: set[str]) -> set[str]:
    """Without the packages of this repository."""
    return {name for name in names if not name.startswith("xorj-")}


def test_the_signers_dependency_closure_is_the_reviewed_one() -> None:
    print(f"{len(BASE)} distributions in the signer's closure: {' '.join(sorted(BASE))}")  # noqa: T201
    reviewed = (SIGNER / "closure.txt").read_text().split()
    assert sorted(BASE) == reviewed, "a change to the signer's dependencies needs a review of closure.txt"


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_a_provider_adds_is_the_reviewed_list(extra: str) -> None:
    found = sorted(added(extra))
    print(f"{extra}: {len(found)} more: {' '.join(found)}")  # noqa: T201
    assert found == (SIGNER / f"closure-{extra}.txt").read_text().split()


def test_without_a_providers_sdk_there_is_no_http_client() -> None:
    assert BASE.isdisjoint(HTTP_CLIENTS)
    assert added("pkcs11").isdisjoint(HTTP_CLIENTS)
    assert not added("aws").isdisjoint(HTTP_CLIENTS)  # the check finds one where there is one


def test_the_locked_files_hold_the_closure_and_are_pinned_by_hash() -> None:
    project = tomllib.loads((SIGNER / "pyproject.toml").read_text())["project"]
    assert asked("signer") == foreign(set(project["dependencies"]))
    assert foreign(BASE) <= locked("signer")
    for extra in EXTRAS:
        assert asked(f"signer-{extra}") == set(project["optional-dependencies"][extra])
        assert foreign(BASE | added(extra)) <= locked(f"signer-{extra}")
    for path in sorted((ROOT / "requirements").glob("signer*.txt")):
        text = path.read_text()
        assert text.count("==") <= text.count("--hash=sha256:"), path.name
        assert "--index-url" not in text
        assert "://" not in text


def test_the_locked_files_agree_on_versions() -> None:
    everything = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements/dev.txt").read_text(), re.M))
    for path in sorted((ROOT / "requirements").glob("signer*.txt")):
        for name, version in re.findall(r"^([\w.-]+)==([\w.]+)", path.read_text(), re.M):
            assert everything[name] == version, f"{path.name}: {name}"


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_providers_module_imports_its_own_sdk_alone(extra: str) -> None:
    package = Package("xorj_signer", EXTRAS[extra])
    assert rules.undeclared_imports(package, f"xorj-signer[{extra}]") == []
    others = [other for other in EXTRAS if other != extra and extra not in ("gcp", "azure")]
    for other in others:
        assert rules.undeclared_imports(package, f"xorj-signer[{other}]"), other


def test_an_sdk_is_loaded_only_when_its_provider_is_named() -> None:
    program = (
        "import sys; import xorj_signer.__main__; "
        "print([n for n in ('pkcs11', 'botocore', 'google.cloud.kms', 'google.auth', 'azure', 'requests', 'urllib3')"
        " if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_a_planted_dependency_of_the_signer_is_caught(tmp_path: Path) -> None:
    graph = {"xorj-signer": ["grpcio"], "grpcio": ["left.pad"], "left-pad": []}
    assert rules.closure("xorj-signer", graph) == {"xorj-signer", "grpcio", "left-pad"}
    module = tmp_path / "planted.py"
    module.write_text("import httpx")
    assert len(rules.undeclared_imports(Package("xorj_signer", (module,)), "xorj-signer")) == 1
