"""Owns the moment between fork and exec of a child of the local world: who it runs as and that it dies with its parent.

Run by file, not as a module, with an isolated interpreter: it must cost milliseconds and import nothing of ours.

1. The identity changes first and the parent-death signal is asked for afterwards: a change of identity clears it.
2. A parent that died before the request is noticed: the child then exits instead of running on as an orphan.
"""

import ctypes
import os
import platform
import signal
import sys

PR_SET_PDEATHSIG = 1
USAGE = "child.py PARENT_PID DEATH_SIGNAL USER_ID:GROUP_ID|- PROGRAM ARGUMENT..."


def become(arguments: list[str]) -> int:
    """Becomes the program, or returns an exit status that says why not."""
    if len(arguments) < 4:
        sys.stderr.write(f"usage: {USAGE}\n")
        return 2
    parent, death_signal, identity, *program = arguments
    if identity != "-":
        user, group = identity.split(":")
        os.setgroups([])
        os.setgid(int(group))
        os.setuid(int(user))
    if platform.system() == "Linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
            error = ctypes.get_errno()
            sys.stderr.write(f"cannot ask for the parent's death signal: {os.strerror(error)}\n")
            return 1
    if os.getppid() != int(parent):
        return 128 + signal.SIGHUP
    return os.execv(program[0], program)  # noqa: S606 - the whole purpose of this file


if __name__ == "__main__":
    sys.exit(become(sys.argv[1:]))
