"""What an owner signs; the numbers are those of `owner_settings`' invariants."""

import dataclasses

from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.transaction import Transaction, VersionedTransaction
from xorj_core.facts import RiskProfile, SettingsChanged
from xorj_core.owner_settings import Deployment, has_owner_signed, is_vault_of, settings_statement
from xorj_halt.keys import verifies

PROGRAM = Pubkey(bytes([5]) * 32)
HERE = Deployment(genesis_hash=bytes([7]) * 32, vault_program=bytes(PROGRAM))
OWNER = Keypair()
VAULT = bytes(Pubkey.find_program_address([b"vault", bytes(OWNER.pubkey())], PROGRAM)[0])
UNSIGNED = SettingsChanged(
    vault=VAULT,
    owner=bytes(OWNER.pubkey()),
    version=3,
    profile=RiskProfile.CONSERVATIVE,
    enabled=True,
    slippage_bps_max=50,
    allowed_mints=(bytes([1]) * 32, bytes([2]) * 32),
    dead_band_bps=100,
    trade_value_micro_usd_min=10,
    trade_value_micro_usd_max=20,
    day_value_micro_usd_max=30,
    owner_signature=b"",
)
SIGNED = dataclasses.replace(
    UNSIGNED, owner_signature=bytes(OWNER.sign_message(settings_statement(UNSIGNED, HERE.genesis_hash)))
)
OTHER_VALUES = {
    "vault": bytes(32),
    "owner": bytes([9]) * 32,
    "version": 4,
    "profile": RiskProfile.MODERATE,
    "enabled": False,
    "slippage_bps_max": 51,
    "allowed_mints": (bytes([2]) * 32, bytes([1]) * 32),
    "dead_band_bps": 101,
    "trade_value_micro_usd_min": 11,
    "trade_value_micro_usd_max": 21,
    "day_value_micro_usd_max": 31,
    "owner_signature": bytes(64),
}


def test_1_changing_any_field_undoes_the_signature() -> None:
    assert has_owner_signed(SIGNED, HERE, verifies)
    for name in (field.name for field in dataclasses.fields(SettingsChanged)):
        changed = dataclasses.replace(SIGNED, **{name: OTHER_VALUES[name]})  # type: ignore[arg-type]
        assert not has_owner_signed(changed, HERE, verifies), name


def test_1_a_mint_more_or_less_is_another_statement() -> None:
    for mints in ((), SIGNED.allowed_mints[:1], (*SIGNED.allowed_mints, bytes([3]) * 32)):
        assert not has_owner_signed(dataclasses.replace(SIGNED, allowed_mints=mints), HERE, verifies)


def test_2_the_statement_is_text_and_no_transaction() -> None:
    statement = settings_statement(SIGNED, HERE.genesis_hash)
    assert statement.decode("ascii").replace("\n", "").isprintable()
    for parse in (Transaction.from_bytes, VersionedTransaction.from_bytes):
        try:
            parse(b"\x01" + bytes(64) + statement)
        except ValueError:
            continue
        raise AssertionError("the statement can be read as a transaction's message")


def test_3_settings_of_another_cluster_program_or_vault_do_not_count() -> None:
    assert not has_owner_signed(SIGNED, dataclasses.replace(HERE, genesis_hash=bytes(32)), verifies)
    assert not has_owner_signed(SIGNED, dataclasses.replace(HERE, vault_program=bytes([6]) * 32), verifies)
    stranger = Keypair()
    claimed = dataclasses.replace(UNSIGNED, owner=bytes(stranger.pubkey()))
    signature = bytes(stranger.sign_message(settings_statement(claimed, HERE.genesis_hash)))
    assert not has_owner_signed(dataclasses.replace(claimed, owner_signature=signature), HERE, verifies)


def test_3_a_vault_is_known_by_its_owner_whatever_its_bump() -> None:
    for _ in range(50):
        owner = Keypair().pubkey()
        vault, _bump = Pubkey.find_program_address([b"vault", bytes(owner)], PROGRAM)
        assert is_vault_of(bytes(vault), bytes(owner), bytes(PROGRAM))
        assert not is_vault_of(bytes(vault), VAULT, bytes(PROGRAM))
