"""The generated code that is committed is what the proto files give."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_generated_code_is_up_to_date(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "libs/contracts/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.generate(tmp_path / "xorj")

    def contents(folder: Path) -> dict[str, bytes]:
        files = [p for p in folder.rglob("*") if p.suffix in {".py", ".pyi"}]
        return {str(p.relative_to(folder)): p.read_bytes() for p in files}

    committed = contents(ROOT / "libs/contracts/src/xorj")
    fresh = contents(tmp_path / "xorj")
    assert fresh == committed, "run `make proto`"


def test_proto_holds_no_python() -> None:
    assert list((ROOT / "proto").rglob("*.py")) == []
