"""Checkpoints and signed notes; numbers are the module's invariants."""

import base64
from dataclasses import replace

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from xorj_core.checkpoint import (
    Checkpoint,
    CheckpointRefused,
    KeyType,
    NoteKey,
    NoteSignature,
    SignedCheckpoint,
    cosigned_at_s,
    message_of,
    parse_checkpoint,
    parse_key,
    parse_signatures,
    signature_of,
)

ROOT = bytes(range(32))
CHECKPOINT = Checkpoint("log.example/1", 20852163, ROOT)
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
PUBLIC = PRIVATE.public_key().public_bytes_raw()
LOG = NoteKey("log.example/1", KeyType.ED25519, PUBLIC)
WITNESS = NoteKey("witness.example/w1", KeyType.COSIGNATURE_V1, PUBLIC)


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def signed(checkpoint: Checkpoint = CHECKPOINT) -> SignedCheckpoint:
    line = signature_of(LOG, PRIVATE.sign(message_of(checkpoint, LOG.type)))
    return SignedCheckpoint(checkpoint, (line,))


def cosigned(time_s: int = 1_700_000_000) -> SignedCheckpoint:
    line = signature_of(WITNESS, PRIVATE.sign(message_of(CHECKPOINT, WITNESS.type, time_s)), time_s)
    return signed().with_signatures([line])


def test_1_the_bytes_are_those_of_the_format() -> None:
    root = base64.b64encode(ROOT).decode()
    assert CHECKPOINT.body() == f"log.example/1\n20852163\n{root}\n".encode()
    assert signed().note().startswith(CHECKPOINT.body() + "\n— log.example/1 ".encode())
    message = message_of(CHECKPOINT, KeyType.COSIGNATURE_V1, 1_700_000_000)
    assert message == b"cosignature/v1\ntime 1700000000\n" + CHECKPOINT.body()


def test_1_a_checkpoint_that_cannot_be_written_is_refused() -> None:
    for bad in (Checkpoint("", 1, ROOT), Checkpoint("a\nb", 1, ROOT), Checkpoint("a", -1, ROOT)):
        with pytest.raises(CheckpointRefused):
            bad.body()
    with pytest.raises(CheckpointRefused):
        Checkpoint("a", 1, ROOT[:31]).body()


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_a_note_and_its_bytes_agree_both_ways(size: int, root: bytes) -> None:
    note = signed(Checkpoint("log.example/1", size, root)).note()
    assert parse_checkpoint(note).note() == note


def damaged_notes() -> list[bytes]:
    good = signed().note()
    text = good.decode()
    root = base64.b64encode(ROOT).decode()
    return [
        b"",
        good[:-1],
        good + b"\n",
        good.replace(b"\n\n", b"\n"),
        good.replace(b"20852163", b"020852163"),
        good.replace(b"20852163", b"-1"),
        good.replace(b"20852163", b"9999999999999999999"),
        good.replace(b"20852163", "２".encode()),
        text.replace(root, root[:-1]).encode(),
        text.replace(root, root + "=").encode(),
        text.replace(root, root[:-2] + "9=").encode(),
        text.replace(f"{root}\n", f"{root}\nextension\n").encode(),
        text.replace("— ", "- ").encode(),
        text.replace("— log", "—  log").encode(),
        text.replace("log.example/1", "log example").encode(),
        text.replace("\n— log.example/1", "\n— log+1").encode(),
        text.replace("log.example/1\n", "log\x01\n").encode(),
        good.replace(b"log", b"\xff\xfe"),
        CHECKPOINT.body() + b"\n" + "— log.example/1 AAAA\n".encode(),
        CHECKPOINT.body() + b"\n" + signed().signatures[0].line().encode() * 2 + b"\n",
        CHECKPOINT.body() + b"\n" + (signed().signatures[0].line() + "\n").encode() * 65,
        CHECKPOINT.body() + b"\n" + b"x" * 70_000,
    ]


@pytest.mark.parametrize("note", damaged_notes(), ids=range(len(damaged_notes())))
def test_2_a_note_that_is_not_as_the_format_says_is_refused(note: bytes) -> None:
    with pytest.raises(CheckpointRefused):
        parse_checkpoint(note)


@given(st.binary(max_size=300))
def test_2_garbage_is_refused_and_nothing_else_happens(note: bytes) -> None:
    with pytest.raises(CheckpointRefused):
        parse_checkpoint(note)


def test_3_a_key_counts_only_under_its_own_name_and_kind() -> None:
    assert signed().signed_by(LOG, verify).key_id == LOG.key_id
    for other in (replace(LOG, name="other"), replace(LOG, type=KeyType.COSIGNATURE_V1), replace(LOG, public_key=ROOT)):
        assert other.key_id != LOG.key_id
        with pytest.raises(CheckpointRefused, match="not signed by"):
            signed().signed_by(other, verify)


def test_3_a_cosignature_is_found_beside_the_logs_own_and_names_its_time() -> None:
    note = parse_checkpoint(cosigned(1_700_000_001).note())
    assert cosigned_at_s(note.signed_by(WITNESS, verify)) == 1_700_000_001
    assert note.signed_by(LOG, verify)
    assert note.with_signatures(note.signatures) == note


def test_4_a_known_keys_signature_must_verify() -> None:
    for moved in (replace(CHECKPOINT, size=1), replace(CHECKPOINT, origin="b"), replace(CHECKPOINT, root=bytes(32))):
        with pytest.raises(CheckpointRefused, match="not its own"):
            SignedCheckpoint(moved, signed().signatures).signed_by(LOG, verify)
    line = signed().signatures[0]
    short = NoteSignature(line.name, line.key_id, line.signature[:-1])
    with pytest.raises(CheckpointRefused):
        SignedCheckpoint(CHECKPOINT, (line, short)).signed_by(LOG, verify)
    stamped = cosigned().signatures[1]
    later = replace(stamped, signature=b"\xff" * 8 + stamped.signature[8:])
    with pytest.raises(CheckpointRefused):
        SignedCheckpoint(CHECKPOINT, (later,)).signed_by(WITNESS, verify)


def test_a_key_and_its_text_agree_both_ways() -> None:
    assert parse_key(str(LOG)) == LOG
    assert parse_key(str(WITNESS)) == WITNESS
    name, key_id, encoded = str(LOG).split("+", 2)
    for bad in ("", name, f"{name}+00000000+{encoded}", f"{name}+{key_id}+{encoded[:-4]}", f"+{key_id}+{encoded}"):
        with pytest.raises(CheckpointRefused):
            parse_key(bad)


def test_the_key_id_of_a_published_example_is_the_one_it_was_published_with() -> None:
    # The Go checksum database's key, as its documentation gives it.
    assert parse_key("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8").key_id.hex() == "033de0ae"


def test_signature_lines_are_read_alone() -> None:
    lines = "".join(f"{one.line()}\n" for one in cosigned().signatures)
    assert parse_signatures(lines) == cosigned().signatures
    with pytest.raises(CheckpointRefused):
        parse_signatures("")
