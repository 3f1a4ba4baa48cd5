"""The rules of the tree hold, and each rule catches a planted violation."""

from pathlib import Path

import pytest

from tests.architecture import rules
from tests.architecture.rules import Package
from tests.architecture.test_signer_closure import SDK_MODULES

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = rules.packages(ROOT)
MODULES = [module for package in PACKAGES for module in package.modules]
CORE = next(p for p in PACKAGES if p.name == "xorj_core")


def planted(folder: Path, name: str, text: str) -> Package:
    module = folder / name / "planted.py"
    module.parent.mkdir()
    module.write_text(text)
    return Package(name, (module,))


def test_all_rooms_are_here() -> None:
    assert {p.name for p in PACKAGES} == set(rules.ALLOWED)


def test_imports_follow_the_layers() -> None:
    assert rules.forbidden_imports(PACKAGES) == []


@pytest.mark.parametrize(
    ("package", "text"),
    [
        ("xorj_signer", "import xorj_solana"),
        ("xorj_signer", "def f():\n    from xorj_service.run import run_service"),
        ("xorj_core", "from xorj_log import topics"),
        ("xorj_log", "import xorj_halt.guard"),
        ("xorj_executor", "from xorj_signer.request import sign"),
        ("xorj_stranger", "import json"),
        ("xorj_log", "from . import topics"),
    ],
)
def test_a_planted_import_is_caught(tmp_path: Path, package: str, text: str) -> None:
    assert len(rules.forbidden_imports([planted(tmp_path, package, text)])) == 1


def test_core_is_pure() -> None:
    assert rules.impurities(CORE) == []


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "def f():\n    import random",
        "from os import environ",
        "import solders",
        "async def f(): ...",
        "rate = 0.5",
        "def f(a, b): return a / b",
        "print('x')",
        "def f(): return open('x')",
    ],
)
def test_a_planted_impurity_is_caught(tmp_path: Path, text: str) -> None:
    assert len(rules.impurities(planted(tmp_path, "xorj_core", text))) == 1


def test_modules_and_functions_are_short() -> None:
    assert rules.too_long([*MODULES, *sorted((ROOT / "tests").rglob("*.py"))]) == []


def test_a_planted_long_module_and_function_are_caught(tmp_path: Path) -> None:
    long_module = planted(tmp_path, "a", "x = 1\n" * 401).modules
    long_function = planted(tmp_path, "b", "def f():\n" + "    x = 1\n" * 60).modules
    assert len(rules.too_long([*long_module, *long_function])) == 2


def test_every_module_says_what_it_owns(tmp_path: Path) -> None:
    assert rules.without_docstring(MODULES) == []
    assert len(rules.without_docstring(list(planted(tmp_path, "a", "x = 1").modules))) == 1


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_a_package_imports_only_what_it_declares(package: Package) -> None:
    modules = tuple(module for module in package.modules if module not in SDK_MODULES)
    assert rules.undeclared_imports(Package(package.name, modules), package.name.replace("_", "-")) == []
