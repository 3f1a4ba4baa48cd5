"""Generates libs/contracts/src/xorj from proto/ (run by `make proto`; a test checks that it is up to date)."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROTO = Path(__file__).resolve().parents[2] / "proto"
TARGET = Path(__file__).resolve().parent / "src" / "xorj"


def generate(target: Path) -> None:
    """Write the generated package `xorj` to `target`; raises CalledProcessError when protoc refuses a file."""
    sources = sorted(str(p.relative_to(PROTO)) for p in PROTO.rglob("*.proto"))
    # protoc finds its plug-ins beside this interpreter.
    found_by = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    with tempfile.TemporaryDirectory() as out:
        options = [f"--python_out={out}", f"--mypy_out=quiet:{out}", f"-I{PROTO}"]
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options, *sources], check=True, env=found_by)
        grpc = [f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}", f"-I{PROTO}"]
        services = [s for s in sources if "service " in (PROTO / s).read_text()]
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *grpc, *services], check=True, env=found_by)
        package = Path(out) / "xorj"
        for folder in [package, *(p for p in package.rglob("*") if p.is_dir())]:
            (folder / "__init__.py").touch()
        (package / "py.typed").touch()
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(package, target)


if __name__ == "__main__":
    generate(TARGET)
