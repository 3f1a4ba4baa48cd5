"""The rules of the tree as functions: each returns the violations it finds, so that a planted one can be shown."""

import ast
import importlib.metadata
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

LINES_MAX = 400
FUNCTION_LINES_MAX = 60

# Which of our packages each may import.
_SERVICE = {"xorj_core", "xorj_contracts", "xorj_log", "xorj_halt", "xorj_service", "xorj_solana", "xorj"}
ALLOWED: dict[str, set[str]] = {
    "xorj_core": set(),
    "xorj_contracts": {"xorj_core", "xorj"},
    "xorj_evidence": {"xorj_core", "xorj_contracts"},
    "xorj_log": {"xorj_core", "xorj_contracts"},
    "xorj_halt": {"xorj_core", "xorj_contracts", "xorj_log"},
    "xorj_solana": {"xorj_core"},
    "xorj_service": {"xorj_core", "xorj_contracts", "xorj_log"},
    "xorj_ingestor": _SERVICE,
    "xorj_reconciler": _SERVICE,
    "xorj_executor": _SERVICE,
    "xorj_auditor": _SERVICE,
    "xorj_witness": {"xorj_core", "xorj_halt", "xorj_service"},
    "xorj_signer": {"xorj_core", "xorj_contracts", "xorj_log", "xorj_halt", "xorj"},
    "xorj_localnet": {"xorj_auditor", "xorj_core", "xorj_contracts", "xorj_log", "xorj_solana", "xorj_halt"},
    "xorj_cli": _SERVICE | {"xorj_localnet", "xorj_auditor", "xorj_signer"},
}

# What makes a decision depend on anything but its arguments.
IMPURE_MODULES = {
    "asyncio", "ctypes", "datetime", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "select",
    "shutil", "signal", "socket", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "eval", "exec", "id", "__import__"}


@dataclass(frozen=True, slots=True)
class Package:
    """One installable package: its import name and its modules."""

    name: str
    modules: tuple[Path, ...]


def packages(root: Path) -> list[Package]:
    """Every package of the workspace; generated code (`xorj`) is not read."""
    found = [p for parent in ("libs", "services", "infra") for p in sorted((root / parent).glob("*/src/xorj_*"))]
    return [
        Package(p.name, tuple(sorted(p.rglob("*.py")))) for p in [*found, *sorted((root / "cli/src").glob("xorj_*"))]
    ]


def imports(module: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of every import, wherever it stands."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." if node.level else str(node.module)


def forbidden_imports(found: list[Package]) -> list[str]:
    """Imports of our own packages that the layering does not allow; a package without a rule is a violation too."""
    violations = []
    for package in found:
        if package.name not in ALLOWED:
            violations.append(f"{package.name}: no rule says what it may import")
            continue
        for module in package.modules:
            for line, name in imports(module):
                top = name.split(".")[0]
                if top == "":
                    violations.append(f"{module.name}:{line}: relative import")
                elif top.startswith("xorj") and top != package.name and top not in ALLOWED[package.name]:
                    violations.append(f"{module.name}:{line}: {package.name} imports {top}")
    return violations


def impurities(package: Package) -> list[str]:
    """What core does that a function of its arguments cannot: foreign or impure imports, calls, async, floats."""
    violations = []
    for module in package.modules:
        for line, name in imports(module):
            top = name.split(".")[0]
            if top != package.name and (top not in sys.stdlib_module_names or top in IMPURE_MODULES):
                violations.append(f"{module.name}:{line}: imports {name}")
        for node in ast.walk(ast.parse(module.read_text())):
            where = f"{module.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.AsyncFunctionDef | ast.Await):
                violations.append(f"{where}: async")
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
                violations.append(f"{where}: calls {node.func.id}")
            elif isinstance(node, ast.Constant) and isinstance(node.value, float):
                violations.append(f"{where}: float {node.value}")
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
                violations.append(f"{where}: true division")
    return violations


def too_long(modules: list[Path]) -> list[str]:
    """Modules and functions over their length."""
    violations = []
    for module in modules:
        text = module.read_text()
        lines = text.count("\n")
        if lines > LINES_MAX:
            violations.append(f"{module}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES_MAX:
                    violations.append(f"{module}:{node.lineno}: {node.name} has {length} lines")
    return violations


def without_docstring(modules: list[Path]) -> list[str]:
    """Modules whose head does not say what they own."""
    return [str(m) for m in modules if m.read_text().strip() and ast.get_docstring(ast.parse(m.read_text())) is None]


def requirements_of(distribution: str, extra: str = "") -> list[str]:
    """Names of what a distribution requires on this platform, an extra of a requirement in brackets behind it."""
    from packaging.requirements import Requirement

    required = [Requirement(text) for text in importlib.metadata.requires(distribution) or []]
    wanted = [r for r in required if r.marker is None or r.marker.evaluate({"extra": extra})]
    return [r.name for r in wanted] + [f"{r.name}[{part}]" for r in wanted for part in sorted(r.extras)]


def closure(distribution: str, requirements: Mapping[str, list[str]] | None = None) -> set[str]:
    """Every distribution that installing `distribution`, with or without `[extra]`, brings, by normalised name."""
    seen: set[str] = set()
    todo = [distribution]
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name not in seen:
            seen.add(name)
            bare, _, extra = name.removesuffix("]").partition("[")
            todo += requirements_of(bare, extra) if requirements is None else requirements.get(name, [])
            todo.append(bare)
    return {name for name in seen if "[" not in name}


def undeclared_imports(package: Package, distribution: str) -> list[str]:
    """Imports of a package that are neither the standard library nor in the closure of its declared requirements.

    `distribution` may end with an extra in brackets.
    """
    allowed = closure(distribution)
    owners = importlib.metadata.packages_distributions()
    violations = []
    for module in package.modules:
        for line, name in imports(module):
            top = name.split(".")[0]
            if top in sys.stdlib_module_names or top == package.name:
                continue
            names = {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners.get(top, [])}
            # Namespace packages (google.*) belong to many distributions: one allowed owner is enough.
            if top.startswith("xorj"):
                names = {"xorj-contracts"} if top == "xorj" else {top.replace("_", "-")}
            if not names & allowed:
                violations.append(f"{module.name}:{line}: {name} is not among the declared requirements")
    return violations
