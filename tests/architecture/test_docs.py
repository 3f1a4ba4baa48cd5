"""The documentation names only what exists: links, paths, functions, settings, fields, decisions; each check catches a
planted violation.

Code is named as a path from the root, optionally with `#function` or `#Class.method`.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
import xorj
from google.protobuf.descriptor import Descriptor
from pydantic_settings import BaseSettings
from xorj_service.settings import ServiceSettings
from xorj_signer.providers.settings import PROVIDERS
from xorj_signer.settings import SignerSettings
from xorj_witness.settings import WitnessSettings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
INTERFACES = (ROOT / "docs/interfaces.md").read_text()
FOLDERS = "libs|services|infra|cli|proto|tests|docs|requirements"
SERVICES = ("ingestor", "reconciler", "executor", "auditor")
CODE = [ROOT / "tests/parts.py", *(p for room in ("services", "infra", "cli") for p in (ROOT / room).rglob("*.py"))]


def headings(text: str) -> set[str]:
    """Anchors of a page's headings, as they are made from their text."""
    found = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in found}


def broken_links(page: Path) -> list[str]:
    """Relative links of a page whose file or heading does not exist."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in headings(target.read_text())):
            broken.append(f"{page.name}: {link}")
    return broken


def missing_code(page: Path) -> list[str]:
    """Paths and functions that a page names in back quotes and that do not exist."""
    missing = []
    for span in re.findall(rf"`((?:{FOLDERS})/[\w./#-]*)`", page.read_text()):
        name, _, function = span.partition("#")
        path = ROOT / name
        wanted = function.rpartition(".")[2]
        if not path.exists() or (wanted and not re.search(rf"(def|class) {wanted}\b", path.read_text())):
            missing.append(f"{page.name}: {span}")
    return missing


def variables(settings: Iterable[type[BaseSettings]]) -> set[str]:
    """The environment variables of settings classes."""
    return {f"XORJ_{name.upper()}" for cls in settings for name in cls.model_fields}


def service_settings() -> list[type[BaseSettings]]:
    """The settings class of every service."""
    for name in SERVICES:
        importlib.import_module(f"xorj_{name}.settings")
    return [*ServiceSettings.__subclasses__(), SignerSettings, WitnessSettings, *PROVIDERS]


def named_variables(text: str) -> set[str]:
    """Every setting in a text; a name that goes on with an ellipsis is a pattern."""
    return set(re.findall(r"XORJ_[A-Z0-9_]*[A-Z0-9](?![A-Z0-9_…])", text))


def message_rows(descriptors: Mapping[str, Descriptor], prefix: str = "") -> Iterator[str]:
    """The row of the docs' table for each message, nested ones before the one they stand in."""
    for name, descriptor in descriptors.items():
        yield from message_rows(descriptor.nested_types_by_name, f"{prefix}{name}.")
        fields = ", ".join(f"{field.number} {field.name}" for field in descriptor.fields) or "none"
        yield f"| {descriptor.file.package} | {prefix}{name} | {fields} |"


def all_messages() -> set[str]:
    """Rows of all generated messages."""
    rows: set[str] = set()
    for module in pkgutil.walk_packages(xorj.__path__, "xorj."):
        if module.name.endswith("_pb2"):
            rows |= set(message_rows(importlib.import_module(module.name).DESCRIPTOR.message_types_by_name))
    return rows


def documented_messages(text: str) -> set[str]:
    """The rows of the table of messages."""
    return {line for line in text.splitlines() if re.match(r"\| xorj\.\w+\.v1 \| [\w.]+ \| (\d|none)", line)}


def missing_decisions(folder: Path) -> list[str]:
    """Decisions that the index does not list, and numbers that are left out."""
    index = (folder / "README.md").read_text()
    pages = sorted(page.name for page in folder.glob("[0-9]*.md"))
    numbers = {int(name[:4]) for name in pages}
    left_out = sorted(set(range(1, max(numbers) + 1)) - numbers)
    forgotten = [f"{name} is not in the index" for name in pages if f"]({name})" not in index]
    return [*forgotten, *(f"there is no decision {number}" for number in left_out)]


def test_links_lead_somewhere() -> None:
    assert [broken for page in PAGES for broken in broken_links(page)] == []


def test_named_code_exists() -> None:
    assert [missing for page in PAGES for missing in missing_code(page)] == []


@pytest.mark.parametrize("text", ["[a](no-such-page.md)", "[a](#nowhere)\n# Somewhere"])
def test_a_planted_broken_link_is_caught(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    assert len(broken_links(page)) == 1


@pytest.mark.parametrize("text", ["`libs/core/nothing.py`", "`libs/core/src/xorj_core/ids.py#no_such_function`"])
def test_a_planted_name_of_nothing_is_caught(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text + " `libs/core/src/xorj_core/ids.py#digest`")
    assert len(missing_code(page)) == 1


def test_every_setting_of_a_service_is_documented() -> None:
    settings = service_settings()
    assert len(settings) == len(SERVICES) + 2 + len(PROVIDERS)
    assert variables(settings) - named_variables(INTERFACES) == set()


def test_every_documented_setting_exists() -> None:
    known = variables(service_settings()) | named_variables("\n".join(p.read_text() for p in CODE))
    assert named_variables("\n".join(page.read_text() for page in PAGES)) - known == set()


def test_a_planted_setting_is_caught_on_both_sides() -> None:
    class Planted(BaseSettings):
        planted: int = 0

    assert variables([Planted]) - named_variables(INTERFACES) == {"XORJ_" + "PLANTED"}
    assert named_variables("`XORJ_NO" + "SUCH`, XORJ_PATTERN_…") == {"XORJ_NO" + "SUCH"}


def test_every_field_number_is_documented() -> None:
    messages = all_messages()
    assert len(messages) > 40
    assert documented_messages(INTERFACES) == messages


def test_a_planted_field_number_is_caught() -> None:
    planted = INTERFACES.replace("| 1 vault, 2 version, 3 reason,", "| 1 vault, 3 version, 2 reason,")
    assert len(documented_messages(planted) ^ all_messages()) == 2


def test_every_decision_is_in_the_index() -> None:
    assert missing_decisions(ROOT / "docs/adr") == []


def test_a_planted_decision_is_caught(tmp_path: Path) -> None:
    (tmp_path / "0001-here.md").write_text("# 1. Here")
    (tmp_path / "0003-forgotten.md").write_text("# 3. Forgotten")
    (tmp_path / "README.md").write_text("[1](0001-here.md)")
    assert missing_decisions(tmp_path) == ["0003-forgotten.md is not in the index", "there is no decision 2"]
