#!/bin/bash
# Builds vault.so and cpmm.so (SBPF v0), the same bytes wherever the repository lies.
#   build.sh [OUT [PROGRAM...]]   OUT defaults to built/, where the hashes are then rewritten too; `rogue`, the hostile
#                                 program of the tests, is only built when named: build.sh rogue/built rogue
# Needs cargo (any recent one drives the pinned rustc), python3, and network access the first time.
set -euo pipefail
PROGRAMS=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tools/env.sh
. "$PROGRAMS/tools/env.sh"
OUT=$(realpath -m "${1:-$PROGRAMS/built}")
NAMES=("${@:2}")
[ ${#NAMES[@]} -gt 0 ] || NAMES=(vault cpmm)
command -v cargo >/dev/null || { echo "programs: cargo is missing; any recent one will do" >&2; exit 1; }
"$PROGRAMS/tools/setup.sh"

# All of it is compiled from a copy in the toolchain directory, so that nothing is written into the sources.
WORK=$TOOLCHAIN/work
mkdir -p "$WORK"
exec 9>"$TOOLCHAIN/lock"
flock 9
for part in Cargo.toml rt rules tokens vault cpmm rogue; do
  rm -rf "${WORK:?}/$part"
  cp -R "$PROGRAMS/$part" "$WORK/$part"
done
python3 "$PROGRAMS/tools/crates.py" lock "$PROGRAMS/crates.txt" "$WORK/Cargo.lock"

RUSTC=$DEB_ROOT/usr/bin/rustc
CRATES=${CARGO_HOME:-$HOME/.cargo}/registry/src
SYSROOT=$(LD_LIBRARY_PATH=$DEB_LIB "$RUSTC" --print sysroot)/lib/rustlib/src/rust
flags=(
  -Ctarget-cpu=v2
  -Ctarget-feature=+allows-misaligned-mem-access # or every access to account data is done byte by byte
  -Zlocation-detail=none # no line numbers of panics, so that a comment does not change the bytes
  "-Clinker=$PROGRAMS/tools/linker.py"
  "--remap-path-prefix=$WORK=/programs"
  "--remap-path-prefix=$CRATES=/crates"
  "--remap-path-prefix=$(readlink -f "$SYSROOT")=/rust" # the library sources are reached by both names
  "--remap-path-prefix=$SYSROOT=/rust"
)
export RUSTC RUSTC_BOOTSTRAP=1 LD_LIBRARY_PATH=$DEB_LIB LLVM=$LLVM_HOME
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; echo "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS
unset RUSTFLAGS RUSTC_WRAPPER CARGO_BUILD_RUSTFLAGS
(cd "$WORK" && cargo build --quiet --release -Z build-std=core --target bpfel-unknown-none --target-dir "$WORK/target" \
  "${NAMES[@]/#/--package=}")
python3 "$PROGRAMS/tools/crates.py" check "$PROGRAMS/crates.txt" "$WORK/Cargo.lock"

mkdir -p "$OUT"
for program in "${NAMES[@]}"; do
  cp "$WORK/target/bpfel-unknown-none/release/lib$program.so" "$OUT/$program.so"
done
(cd "$OUT" && sha256sum "${NAMES[@]/%/.so}" > SHA256SUMS && cat SHA256SUMS)
