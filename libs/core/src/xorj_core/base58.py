"""Addresses as Solana writes them: base58 of 32 bytes, in both directions, standard library only.

1. `address_bytes(address_text(key)) == key` for every 32-byte key.
2. Text that is not the one spelling of 32 bytes is refused.
"""

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_KEY_LEN = 32


def address_text(key: bytes) -> str:
    """The base58 text of a key; every leading zero byte is a `1`."""
    number, letters = int.from_bytes(key, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        letters = _ALPHABET[rest] + letters
    return "1" * (len(key) - len(key.lstrip(b"\0"))) + letters


def address_bytes(text: str) -> bytes:
    """The 32 bytes of an address; raises ValueError for anything else."""
    number = 0
    if not text or len(text) > 44:
        raise ValueError("an address has 32 to 44 letters")
    for letter in text:
        if letter not in _VALUES:
            raise ValueError(f"{letter!r} is no base58 letter")
        number = number * 58 + _VALUES[letter]
    if number >> (8 * _KEY_LEN):
        raise ValueError("an address has 32 bytes")
    key = number.to_bytes(_KEY_LEN, "big")
    if address_text(key) != text:
        raise ValueError("an address has 32 bytes")
    return key
