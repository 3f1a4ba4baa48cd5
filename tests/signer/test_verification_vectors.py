"""The signer's own tests of verification: the published vectors hold, and nothing that only looks right does.

Ed25519: RFC 8032, section 7.1. P-256: RFC 6979, section A.2.5 (SHA-256). Both schemes are deterministic, so that each
vector is also made anew from its secret: a mistyped one fails here.
"""

import hashlib
import os
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from xorj_halt.strict import verify_ed25519
from xorj_signer.verification import low_s, verify_p256

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
FIELD = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
SIGN_BIT = 1 << 255


@dataclass(frozen=True, slots=True)
class Vector:
    """One published Ed25519 signature."""

    name: str
    secret: str
    public: str
    message: bytes
    signature: str


MESSAGE_1023 = bytes.fromhex(
    "08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f54e9f77b1e355f6c50544"
    "e23fb1433ddf73be84d879de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b270b20329d658675fc6ea534e0810a4432"
    "826bf58c941efb65d57a338bbd2e26640f89ffbc1a858efcb8550ee3a5e1998bd177e93a7363c344fe6b199ee5d02e82d522c4feba15"
    "452f80288a821a579116ec6dad2b3b310da903401aa62100ab5d1a36553e06203b33890cc9b832f79ef80560ccb9a39ce767967ed628"
    "c6ad573cb116dbefefd75499da96bd68a8a97b928a8bbc103b6621fcde2beca1231d206be6cd9ec7aff6f6c94fcd7204ed3455c68c83"
    "f4a41da4af2b74ef5c53f1d8ac70bdcb7ed185ce81bd84359d44254d95629e9855a94a7c1958d1f8ada5d0532ed8a5aa3fb2d17ba70e"
    "b6248e594e1a2297acbbb39d502f1a8c6eb6f1ce22b3de1a1f40cc24554119a831a9aad6079cad88425de6bde1a9187ebb6092cf67bf"
    "2b13fd65f27088d78b7e883c8759d2c4f5c65adb7553878ad575f9fad878e80a0c9ba63bcbcc2732e69485bbc9c90bfbd62481d9089b"
    "eccf80cfe2df16a2cf65bd92dd597b0707e0917af48bbb75fed413d238f5555a7a569d80c3414a8d0859dc65a46128bab27af87a7131"
    "4f318c782b23ebfe808b82b0ce26401d2e22f04d83d1255dc51addd3b75a2b1ae0784504df543af8969be3ea7082ff7fc9888c144da2"
    "af58429ec96031dbcad3dad9af0dcbaaaf268cb8fcffead94f3c7ca495e056a9b47acdb751fb73e666c6c655ade8297297d07ad1ba5e"
    "43f1bca32301651339e22904cc8c42f58c30c04aafdb038dda0847dd988dcda6f3bfd15c4b4c4525004aa06eeff8ca61783aacec57fb"
    "3d1f92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34dff7310fdc82aebfd904b01e1dc54b2927094b2db68d6f903b68401adebf5a"
    "7e08d78ff4ef5d63653a65040cf9bfd4aca7984a74d37145986780fc0b16ac451649de6188a7dbdf191f64b5fc5e2ab47b57f7f7276c"
    "d419c17a3ca8e1b939ae49e488acba6b965610b5480109c8b17b80e1b7b750dfc7598d5d5011fd2dcc5600a32ef5b52a1ecc820e308a"
    "a342721aac0943bf6686b64b2579376504ccc493d97e6aed3fb0f9cd71a43dd497f01f17c0e2cb3797aa2a2f256656168e6c496afc5f"
    "b93246f6b1116398a346f1a641f3b041e989f7914f90cc2c7fff357876e506b50d334ba77c225bc307ba537152f3f1610e4eafe595f6"
    "d9d90d11faa933a15ef1369546868a7f3a45a96768d40fd9d03412c091c6315cf4fde7cb68606937380db2eaaa707b4c4185c32eddcd"
    "d306705e4dc1ffc872eeee475a64dfac86aba41c0618983f8741c5ef68d3a101e8a3b8cac60c905c15fc910840b94c00a0b9d0"
)

RFC_8032 = (
    Vector(
        "empty",
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        b"",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    Vector(
        "one byte",
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        b"\x72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    Vector(
        "two bytes",
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        b"\xaf\x82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    Vector(
        "1023 bytes",
        "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
        MESSAGE_1023,
        "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350"
        "aa5371b1508f9f4528ecea23c436d94b5e8fcd4f681e30a6ac00a9704a188a03",
    ),
    Vector(
        "a hash",
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").digest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
)

P256_SECRET = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
P256_X = 0x60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6
P256_Y = 0x7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299
RFC_6979 = (
    (
        b"sample",
        0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
        0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
    ),
    (
        b"test",
        0xF1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367,
        0x019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083,
    ),
)
P256_KEY = bytes([2 + P256_Y % 2]) + P256_X.to_bytes(32)


def compact(r: int, s: int) -> bytes:
    return r.to_bytes(32) + s.to_bytes(32)


def signed() -> tuple[bytes, bytes, bytes]:
    """Key, message and signature of a fresh Ed25519 key."""
    key, message = Ed25519PrivateKey.generate(), os.urandom(40)
    return key.public_key().public_bytes_raw(), message, key.sign(message)


def p256_signed() -> tuple[bytes, bytes, bytes]:
    """The same with P-256, low S."""
    key, message = ec.generate_private_key(ec.SECP256R1()), os.urandom(40)
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
    public = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return public, message, low_s(compact(r, s))


@pytest.mark.parametrize("vector", RFC_8032, ids=lambda vector: vector.name)
def test_the_ed25519_vectors_of_rfc_8032_verify(vector: Vector) -> None:
    key, signature = bytes.fromhex(vector.public), bytes.fromhex(vector.signature)
    made = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector.secret))
    assert (made.public_key().public_bytes_raw(), made.sign(vector.message)) == (key, signature)
    assert verify_ed25519(key, vector.message, signature)
    assert not verify_ed25519(key, vector.message + b"\0", signature)
    assert not verify_ed25519(bytes.fromhex(RFC_8032[vector is RFC_8032[0]].public), vector.message, signature)


@pytest.mark.parametrize(("message", "r", "s"), RFC_6979, ids=["sample", "test"])
def test_the_p256_vectors_of_rfc_6979_verify_with_low_s_only(message: bytes, r: int, s: int) -> None:
    private = ec.derive_private_key(P256_SECRET, ec.SECP256R1())
    numbers = private.public_key().public_numbers()
    assert (numbers.x, numbers.y) == (P256_X, P256_Y)
    again = private.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))
    assert decode_dss_signature(again) == (r, s)
    low, high = compact(r, min(s, N - s)), compact(r, max(s, N - s))
    assert low_s(compact(r, s)) == low_s(low) == low_s(high) == low
    assert verify_p256(P256_KEY, message, low)
    assert not verify_p256(P256_KEY, message, high)
    assert not verify_p256(P256_KEY, message + b"\0", low)


def test_an_ed25519_signature_with_a_second_s_is_refused() -> None:
    key, message, signature = signed()
    s = int.from_bytes(signature[32:], "little")
    for other in (s + L, s + 2 * L, L, L - 1, 2**256 - 1, 2**255, 0):
        assert not verify_ed25519(key, message, signature[:32] + other.to_bytes(32, "little"))
    assert verify_ed25519(key, message, signature)


@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 96, 128])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    for key, message, signature in (signed(), p256_signed()):
        verify = verify_ed25519 if len(key) == 32 else verify_p256
        assert verify(key, message, signature)
        assert not verify(key, message, (signature * 2)[:length])


@pytest.mark.parametrize("length", [0, 1, 31, 33, 34, 64, 65])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    for key, message, signature in (signed(), p256_signed()):
        if length != len(key):
            verify = verify_ed25519 if len(key) == 32 else verify_p256
            assert not verify((key * 3)[:length], message, signature)


def small_order_points() -> list[int]:
    """Encodings of the eight points whose order divides 8, found by their equation and not from a table.

    On -x² + y² = 1 + d x² y²: y = 0, 1 and -1 give the orders 4, 1 and 2; doubling to y = 0 means x² = -y², which
    gives d y⁴ + 2 y² - 1 = 0, solved here for y².
    """
    d = -121665 * pow(121666, P - 2, P) % P
    ys = {0, 1, P - 1}
    root = square_root((1 + d) % P)
    for sign in (1, -1):
        y_squared = (-1 + sign * root) * pow(d, P - 2, P) % P
        if pow(y_squared, (P - 1) // 2, P) == 1:
            y = square_root(y_squared)
            ys |= {y, P - y}
    assert len(ys) == 5
    return [y | sign for y in sorted(ys) for sign in (0, SIGN_BIT)]


def square_root(value: int) -> int:
    root = pow(value, (P + 3) // 8, P)
    if root * root % P != value % P:
        root = root * pow(2, (P - 1) // 4, P) % P
    assert root * root % P == value % P
    return root


@pytest.mark.parametrize("point", small_order_points(), ids=hex)
def test_keys_and_commitments_of_small_order_are_refused(point: int) -> None:
    """With such a key the zero signature holds for every message, or for one in eight."""
    encoded = point.to_bytes(32, "little")
    key, message, signature = signed()
    assert not verify_ed25519(key, message, encoded + signature[32:])
    for number in range(16):
        assert not verify_ed25519(encoded, bytes([number]), encoded + bytes(32))
        assert not verify_ed25519(encoded, bytes([number]), (1).to_bytes(32, "little") + bytes(32))


@pytest.mark.parametrize("y", [P, P + 1, P + 2, P + 18, SIGN_BIT - 1])
@pytest.mark.parametrize("sign", [0, SIGN_BIT])
def test_encodings_that_are_not_canonical_are_refused(y: int, sign: int) -> None:
    encoded = (y | sign).to_bytes(32, "little")
    key, message, signature = signed()
    assert not verify_ed25519(encoded, message, signature)
    assert not verify_ed25519(key, message, encoded + signature[32:])


def test_what_is_no_point_of_the_curve_is_refused() -> None:
    key, message, signature = signed()
    found = 0
    for y in range(2, 60):
        d = -121665 * pow(121666, P - 2, P) % P
        x_squared = (y * y - 1) * pow(d * y * y + 1, P - 2, P) % P
        if pow(x_squared, (P - 1) // 2, P) == P - 1:
            found += 1
            encoded = y.to_bytes(32, "little")
            assert not verify_ed25519(encoded, message, signature)
            assert not verify_ed25519(key, message, encoded + signature[32:])
    assert found > 10


@given(st.integers(0, 63), st.integers(1, 255))
def test_any_other_byte_in_a_signature_is_refused(at: int, mask: int) -> None:
    for key, message, signature in (signed(), p256_signed()):
        bent = bytearray(signature)
        bent[at] ^= mask
        verify = verify_ed25519 if len(key) == 32 else verify_p256
        assert not verify(key, message, bytes(bent))


@given(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80))
def test_no_bytes_raise_or_verify(key: bytes, message: bytes, signature: bytes) -> None:
    assert not verify_ed25519(key, message, signature)
    assert not verify_p256(key, message, signature)


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (0, 0), (N, 1), (1, N), (N - 1, N - 1), (2**256 - 1, 1)])
def test_p256_numbers_out_of_range_are_refused(r: int, s: int) -> None:
    assert not verify_p256(P256_KEY, b"sample", compact(r, s))


def test_a_p256_key_that_is_no_compressed_point_is_refused() -> None:
    _, r, s = RFC_6979[1]
    signature = compact(r, s)
    assert verify_p256(P256_KEY, b"test", signature)
    x, y = P256_X.to_bytes(32), P256_Y.to_bytes(32)
    others = [bytes([first]) + x for first in (0, 1, 4, 5, 6, 7, 255)] + [bytes([5 - P256_KEY[0]]) + x]
    others += [b"\x04" + x + y, x, P256_KEY + b"\0", bytes(33), b"\x02" + FIELD.to_bytes(32), b"\x02" + b"\xff" * 32]
    for other in others:
        assert not verify_p256(other, b"test", signature)
