"""Owns the choice of loopback ports for a world.

1. A port chosen here lies below the range from which systems take ports for outgoing connections, so that a part
   which is restarted finds its port again.
2. "Free" is only true at the moment of the check: who starts a server tries another port when it was taken meanwhile.
"""

import os
import secrets
import socket

LOWEST, HIGHEST = 20_000, 32_000


class NoFreePort(Exception):
    """No port could be had, or the one asked for is taken."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def choose_port(wanted: int = 0, *, setting: str = "") -> int:
    """`wanted` if it is not 0 and free, otherwise any free one. Raises NoFreePort, naming the setting to change."""
    if wanted:
        if is_free(wanted):
            return wanted
        hint = f"; set {setting} to another port, or to 0 for any free one" if setting else ""
        raise NoFreePort(f"port {wanted} on 127.0.0.1 is in use by another program{hint}")
    for _ in range(200):
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        if is_free(port):
            return port
    raise NoFreePort(f"no free port between {LOWEST} and {HIGHEST} on 127.0.0.1")


def port_setting(name: str) -> int:
    """The port that the environment variable `name` asks for, 0 when it is unset. Raises NoFreePort on other text."""
    text = os.environ.get(name, "") or "0"
    if not text.isascii() or not text.isdigit() or int(text) > 65_535:
        raise NoFreePort(f"{name} must be a port number, or 0 for any free one; it is {text!r}")
    return int(text)


def accepts(port: int) -> bool:
    """Whether something listens on this loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
