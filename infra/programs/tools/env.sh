# Where the program toolchain lives; sourced by setup.sh and build.sh, which set PROGRAMS.
TOOLCHAIN=${XORJ_PROGRAM_TOOLS:-$(cd "$PROGRAMS/../.." && pwd)/.xorj/toolchain}
DEB_ROOT=$TOOLCHAIN/root
DEB_LIB=$DEB_ROOT/usr/lib/x86_64-linux-gnu
LLVM_HOME=$DEB_ROOT/usr/lib/llvm-22
