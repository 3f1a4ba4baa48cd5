#!/bin/bash
# Unpacks the pinned Rust and LLVM of debs.txt into the toolchain directory; installs nothing, needs no root.
set -euo pipefail
PROGRAMS=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=env.sh
. "$PROGRAMS/tools/env.sh"

pins=$(grep -v '^#' "$PROGRAMS/tools/debs.txt")
stamp=$(sha256sum <<<"$pins" | cut -d' ' -f1)
[ "$(cat "$TOOLCHAIN/ready" 2>/dev/null)" = "$stamp" ] && exit 0

for tool in apt-get dpkg sha256sum; do
  command -v "$tool" >/dev/null || { echo "programs: $tool is needed to fetch the pinned compiler (Debian 12 on amd64)" >&2; exit 1; }
done
work=$TOOLCHAIN/download
rm -rf "$work" "$DEB_ROOT"
mkdir -p "$work"
cd "$work"
# shellcheck disable=SC2046 # one word per package is wanted
if ! apt-get download $(awk '{print $1 "=" $2}' <<<"$pins"); then
  echo "programs: the pinned packages of tools/debs.txt could not be fetched. Run 'apt-get update' first; if the" >&2
  echo "programs: distribution has replaced these versions, pin the new ones and rebuild built/*.so with them." >&2
  exit 1
fi
awk '{print $3 "  " $4}' <<<"$pins" | sha256sum --check --quiet
for deb in ./*.deb; do dpkg -x "$deb" "$DEB_ROOT"; done
# rustc looks for libLLVM by the names that only the development package (50 MB) would bring.
mkdir -p "$LLVM_HOME/lib"
for name in libLLVM.so libLLVM-22.so libLLVM.so.22.1; do ln -sfn "$DEB_LIB/libLLVM.so.22.1" "$LLVM_HOME/lib/$name"; done
rm -rf "$work"
echo "$stamp" > "$TOOLCHAIN/ready"
