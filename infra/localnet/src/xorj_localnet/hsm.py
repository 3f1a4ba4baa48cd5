"""Owns the signing key of a local world: in a SoftHSM token where SoftHSM is installed, otherwise in a file.

`python -m xorj_localnet.hsm` makes the key inside a prepared token; it is its own process because the PKCS#11 module
reads where its tokens are once, from the environment.

1. A token's PIN is random and exists only in a file of mode 0600; no PIN that counts is ever an argument.
2. The key is made inside the token and marked as not extractable.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pkcs11
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pkcs11 import Attribute, KeyType, Mechanism
from xorj_core.base58 import address_text

from xorj_localnet.files import write_atomically, write_secret

MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
HOW_TO_GET = "install the package softhsm2"
TOKEN_LABEL = "xorj-local"  # noqa: S105 (a label)
KEY_LABEL = "xorj-bot"
_EC_PARAMS_ED25519 = bytes.fromhex("06032b6570")
_PROVISION_S_MAX = 30.0


class HsmFailed(Exception):
    """The token or the key could not be made."""


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A key that the signer can be given: its settings (`XORJ_SIGNER_…`) and its 32-byte public key."""

    provider: str
    public_key: bytes
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SoftHsm:
    """An installed SoftHSM."""

    utility: Path
    module: Path


def find_softhsm() -> SoftHsm | None:
    """The SoftHSM of this machine, if there is one."""
    utility = shutil.which("softhsm2-util")
    named = os.environ.get("XORJ_SOFTHSM_MODULE")
    module = next((path for path in map(Path, (named,) if named else MODULES) if path.exists()), None)
    return SoftHsm(Path(utility), module) if utility is not None and module is not None else None


def provision(directory: Path, softhsm: SoftHsm | None) -> SignerKey:
    """Makes a new signing key under `directory`, in a SoftHSM token or in a file. Raises HsmFailed."""
    directory.mkdir(parents=True, exist_ok=True)
    return _in_file(directory) if softhsm is None else _in_token(directory, softhsm)


def _in_file(directory: Path) -> SignerKey:
    private = Ed25519PrivateKey.generate()
    path = directory / "signer.seed"
    write_secret(path, private.private_bytes_raw().hex().encode())
    public_key = private.public_key().public_bytes_raw()
    settings = {
        "XORJ_SIGNER_PROVIDER": "file",
        "XORJ_SIGNER_PUBLIC_KEY": address_text(public_key),
        "XORJ_SIGNER_KEY_FILE": str(path),
    }
    return SignerKey("file", public_key, settings)


def _in_token(directory: Path, softhsm: SoftHsm) -> SignerKey:
    tokens = directory / "tokens"
    shutil.rmtree(tokens, ignore_errors=True)
    tokens.mkdir(mode=0o700)
    configuration = directory / "softhsm2.conf"
    write_atomically(configuration, f"directories.tokendir = {tokens}\nobjectstore.backend = file\n".encode())
    pin_file = directory / "pin"
    write_secret(pin_file, secrets.token_hex(16).encode())
    # These two go through an argument list; the process below replaces both before any key exists.
    first = secrets.token_hex(8)
    environment = {**os.environ, "SOFTHSM2_CONF": str(configuration)}
    arguments = ("--init-token", "--free", "--label", TOKEN_LABEL, "--pin", first, "--so-pin", first)
    _run((str(softhsm.utility), *arguments), environment)
    told = {"XORJ_HSM_MODULE": str(softhsm.module), "XORJ_HSM_PIN_FILE": str(pin_file), "XORJ_HSM_FIRST_PIN": first}
    answer = _run((sys.executable, "-m", "xorj_localnet.hsm"), {**environment, **told})
    public_key = bytes.fromhex(json.loads(answer)["public_key"])
    settings = {
        "XORJ_SIGNER_PROVIDER": "pkcs11",
        "XORJ_SIGNER_PUBLIC_KEY": address_text(public_key),
        "XORJ_SIGNER_PKCS11_MODULE": str(softhsm.module),
        "XORJ_SIGNER_PKCS11_TOKEN": TOKEN_LABEL,
        "XORJ_SIGNER_PKCS11_KEY": KEY_LABEL,
        "XORJ_SIGNER_PKCS11_PIN_FILE": str(pin_file),
        "SOFTHSM2_CONF": str(configuration),
    }
    return SignerKey("pkcs11", public_key, settings)


def _run(command: tuple[str, ...], environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_PROVISION_S_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HsmFailed(f"{Path(command[0]).name}: {error}") from error
    if done.returncode != 0:
        raise HsmFailed(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _make_key() -> bytes:
    """Replaces both first PINs, makes the key pair, and returns the public key."""
    first = os.environ["XORJ_HSM_FIRST_PIN"]
    pin = Path(os.environ["XORJ_HSM_PIN_FILE"]).read_text().strip()
    token = pkcs11.lib(os.environ["XORJ_HSM_MODULE"]).get_token(token_label=TOKEN_LABEL)
    with token.open(rw=True, so_pin=first) as officer:
        officer.init_pin(pin)
        officer.set_pin(first, secrets.token_hex(16))
    with token.open(rw=True, user_pin=pin) as session:
        parameters = session.create_domain_parameters(
            KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: _EC_PARAMS_ED25519}, local=True
        )
        public, private = parameters.generate_keypair(
            mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN, label=KEY_LABEL, store=True
        )
        if private[Attribute.EXTRACTABLE]:
            raise HsmFailed("the token made an extractable key")
        return bytes(public[Attribute.EC_POINT])[-32:]


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"public_key": _make_key().hex()}))
