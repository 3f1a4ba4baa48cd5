"""The client says what the program and its published interface say."""

import base64
import hashlib
import json
import math
import os
import random
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from solders.instruction import Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from xorj_core.policy import trade_instruction
from xorj_core.solana_message import Account as CoreAccount
from xorj_solana import cpmm, vault
from xorj_solana.programs import LOCAL_CPMM_PROGRAM
from xorj_solana.tokens import MalformedAccount, parse_mint, parse_token_account
from xorj_solana.vault.accounts import CONFIG_LEN, VAULT_LEN

from tests.programs.svm_world import (
    DELAY_S,
    FEE_RATE_PPM,
    PROGRAM,
    TOKEN,
    World,
    account_of,
    empty_world,
    initialize,
    trading_world,
)

PROGRAMS = Path(__file__).resolve().parents[2] / "infra" / "programs"
IDL: dict[str, Any] = json.loads((PROGRAMS / "idl" / "vault.json").read_text())
TYPES = {entry["name"]: entry["type"]["fields"] for entry in IDL["types"]}
SIZES = {"u8": 1, "bool": 1, "u16": 2, "u32": 4, "u64": 8, "pubkey": 32}
EMPTY_VEC = 4


def size_of(kind: Any) -> int:
    """Bytes of an IDL type; of a list without elements where the length varies."""
    if isinstance(kind, str):
        return SIZES[kind]
    if "vec" in kind:
        return EMPTY_VEC
    if "array" in kind:
        element, count = kind["array"]
        return size_of(element) * int(count)
    return sum(size_of(field["type"]) for field in TYPES[kind["defined"]["name"]])


def built(world: World) -> dict[str, Instruction]:
    owner = world.owner.pubkey()
    source = account_of(owner, world.place_in)
    place = world.place_in
    admin, config_change = world.admin.pubkey(), vault.AllowProgram(PROGRAM)
    return {
        "initialize": initialize(world),
        "set_paused": vault.set_paused(PROGRAM, authority=world.admin.pubkey(), paused=True),
        "schedule": vault.schedule(PROGRAM, admin=admin, change=config_change),
        "cancel": vault.cancel(PROGRAM, authority=admin, change=config_change),
        "apply": vault.apply(PROGRAM, change=config_change),
        "accept_admin": vault.accept_admin(PROGRAM, new_admin=owner),
        "retire_authority": vault.retire_authority(PROGRAM, authority=admin, key=owner),
        "remove_program": vault.remove_program(PROGRAM, authority=admin, removed=owner),
        "raise_delay": vault.raise_delay(PROGRAM, admin=admin, delay_s=DELAY_S + 1),
        "open_vault": vault.open_vault(PROGRAM, owner=owner),
        "open_mint": vault.open_mint(PROGRAM, owner=owner, place=place),
        "close_mint": vault.close_mint(PROGRAM, owner=owner, place=place),
        "set_limits": vault.set_limits(PROGRAM, owner=owner, limits=vault.Limits(1, 2, 3, 4, ())),
        "deposit": vault.deposit(PROGRAM, owner=owner, source=source, place=place, amount=1),
        "withdraw": vault.withdraw(PROGRAM, owner=owner, destination=source, place=place, amount=1),
        "enable_bot": vault.enable_bot(PROGRAM, owner=owner),
        "disable_bot": vault.disable_bot(PROGRAM, authority=owner, vault=world.vault_address),
        "bot_trade": world.trade_instruction(world.order(TOKEN, 1), world.swap(TOKEN)),
    }


def test_every_instruction_has_the_accounts_and_arguments_of_the_interface() -> None:
    world = trading_world()
    instructions = built(world)
    assert list(instructions) == [entry["name"] for entry in IDL["instructions"]]
    for entry in IDL["instructions"]:
        instruction = instructions[entry["name"]]
        assert list(instruction.data[:8]) == entry["discriminator"]
        assert instruction.data[:8] == hashlib.sha256(f"global:{entry['name']}".encode()).digest()[:8]
        wanted = [(account.get("signer", False), account.get("writable", False)) for account in entry["accounts"]]
        flags = [(meta.is_signer, meta.is_writable) for meta in instruction.accounts]
        if entry["name"] == "bot_trade":
            assert len(flags) == len(wanted) + 13
            flags = flags[: len(wanted)]
            route = int.from_bytes(instruction.data[104:108], "little")
            fixed = sum(size_of(argument["type"]) for argument in entry["args"][:-1])
            assert len(instruction.data) == 8 + fixed + 4 + route
        else:
            assert len(instruction.data) == 8 + sum(size_of(argument["type"]) for argument in entry["args"])
        assert flags == wanted, entry["name"]


def test_accounts_and_events_have_the_sizes_of_the_interface() -> None:
    for name, length in (("Config", CONFIG_LEN), ("Vault", VAULT_LEN)):
        assert 8 + sum(size_of(field["type"]) for field in TYPES[name]) == length
        discriminator = next(entry["discriminator"] for entry in IDL["accounts"] if entry["name"] == name)
        assert discriminator == list(hashlib.sha256(f"account:{name}".encode()).digest()[:8])


def sample(kind: Any) -> bytes:
    """Bytes that a field of this type may hold; every 41-byte array is a change."""
    if kind == {"array": ["u8", 41]}:
        return vault.encode_change(vault.LowerDelay(7))
    if kind == {"vec": "pubkey"}:
        return (2).to_bytes(4, "little") + bytes([5] * 64)
    if kind == {"array": ["u8", 33]}:
        return bytes([9] * 32) + b"\0"
    return (1).to_bytes(size_of(kind), "little")


def test_events_are_the_same_in_program_client_and_interface() -> None:
    source = (PROGRAMS / "vault" / "src" / "event.rs").read_text()
    in_program = {
        "".join(word.capitalize() for word in name.split("_")): [int(byte) for byte in tag.split(", ")]
        for name, tag in re.findall(r"pub const (\w+): \[u8; 8\] = \[([\d, ]+)\];", source)
    }
    assert {entry["name"]: entry["discriminator"] for entry in IDL["events"]} == in_program
    assert {kind.__name__ for kind in get_args(vault.Event)} == set(in_program)
    for name, tag in in_program.items():
        assert tag == list(hashlib.sha256(f"event:{name}".encode()).digest()[:8])
        data = bytes(tag) + b"".join(sample(field["type"]) for field in TYPES[name])
        assert type(vault.parse_event(data)).__name__ == name
        assert vault.parse_event(data[:-1]) is None
        assert vault.parse_event(data + b"\0") is None


def test_instructions_of_the_program_are_those_of_the_interface() -> None:
    source = (PROGRAMS / "vault" / "src" / "lib.rs").read_text()
    tags = re.findall(r"pub const (\w+): \[u8; 8\] = \[([\d, ]+)\];", source)
    in_program = {name.lower(): [int(byte) for byte in tag.split(", ")] for name, tag in tags}
    assert in_program == {entry["name"]: entry["discriminator"] for entry in IDL["instructions"]}
    assert all(f"tag::{name.upper()} =>" in source for name in in_program)


def test_constants_are_the_same_in_program_client_and_interface() -> None:
    rules = "".join((PROGRAMS / "rules" / "src" / name).read_text() for name in ("change.rs", "trade.rs"))
    in_program = {
        name: math.prod(int(factor.replace("_", "")) for factor in value.split(" * "))
        for name, value in re.findall(r"pub const (\w+): u64 = ([\d_ *]+);", rules)
    }
    assert {entry["name"]: int(entry["value"]) for entry in IDL["constants"]} == in_program
    assert {name: getattr(vault, name) for name in in_program} == in_program
    state = (PROGRAMS / "vault" / "src" / "state.rs").read_text()
    assert f"pub const MINT_COUNT: usize = {vault.MINTS_MAX};" in state
    assert f"pub const LEN: usize = {CONFIG_LEN};" in state
    assert f"pub const LEN: usize = {VAULT_LEN};" in state


CHANGES: tuple[vault.Change, ...] = (
    vault.AddBotAuthority(PROGRAM),
    vault.AllowProgram(PROGRAM),
    vault.SetGuardian(PROGRAM),
    vault.SetAdmin(PROGRAM),
    vault.LowerDelay(2**63),
    vault.Unpause(3),
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
def test_a_change_reads_back_and_no_other_bytes_are_it(change: vault.Change) -> None:
    data = vault.encode_change(change)
    assert vault.parse_change(data) == change
    for wrong in (data[:-1], data + b"\0", b"\x07" + data[1:], data[:-1] + b"\x01"):
        with pytest.raises(vault.InvalidChange):
            vault.parse_change(wrong)
    assert {type(one) for one in CHANGES} == set(get_args(vault.Change))


def test_errors_are_the_same_in_program_client_and_interface() -> None:
    source = (PROGRAMS / "rules" / "src" / "refusal.rs").read_text()
    in_program = {int(code): name for name, code in re.findall(r"^    (\w+) = (\d+),$", source, re.MULTILINE)}
    in_client = {int(error): "".join(word.capitalize() for word in error.name.split("_")) for error in vault.VaultError}
    assert in_client == in_program
    assert [(entry["code"], entry["name"], entry["msg"]) for entry in IDL["errors"]] == [
        (int(error), in_client[error], vault.ERRORS[error]) for error in vault.VaultError
    ]


def test_limits_are_those_of_the_program() -> None:
    trade = (PROGRAMS / "rules" / "src" / "trade.rs").read_text()
    swap = (PROGRAMS / "vault" / "src" / "swap.rs").read_text()
    assert f"MAX_EXPIRY_SLOTS: u64 = {vault.MAX_EXPIRY_SLOTS};" in trade
    assert f"MAX_SWAP_ACCOUNTS: usize = {vault.MAX_SWAP_ACCOUNTS};" in swap


def test_the_signers_own_hash_and_reader_agree_with_the_client() -> None:
    world = trading_world()
    message = world.plan(world.order(TOKEN, 1), world.swap(TOKEN))
    resolved = vault.message_accounts(message, {})
    core = [CoreAccount(bytes(meta.pubkey), meta.is_signer, meta.is_writable) for meta in resolved]
    trade = message.instructions[1]
    picked = [core[index] for index in trade.accounts]
    assert trade_instruction.accounts_hash(picked) == trade.data[72:104]
    assert trade.data[72:104] == vault.accounts_hash_of_message(message, 1, {})


def test_a_message_without_exactly_one_trade_has_no_accounts_hash_to_fill() -> None:
    world = trading_world()
    trade = world.trade_instruction(world.order(TOKEN, 1), world.swap(TOKEN))
    for instructions in ([initialize(world)], [trade, trade]):
        message = MessageV0.try_compile(world.bot.pubkey(), instructions, [], world.svm.latest_blockhash())
        with pytest.raises(vault.InvalidInstruction):
            vault.with_accounts_hash(message, PROGRAM, {})


def test_parsers_refuse_what_is_not_theirs() -> None:
    world = trading_world()
    config = world.account(vault.config_address(PROGRAM)).data
    state = world.account(world.vault_address).data
    token = world.account(account_of(world.vault_address, world.place_in)).data
    mint = world.account(world.place_in.mint).data
    parsers = {config: vault.parse_config, state: vault.parse_vault, token: parse_token_account, mint: parse_mint}
    for data, parse in parsers.items():
        parse(data)
        for other in parsers:
            if other != data:
                with pytest.raises(MalformedAccount):
                    parse(other)
        for cut in (b"", data[:7], data[:-1]):
            with pytest.raises(MalformedAccount):
                parse(cut)
    for version in (0, 2):
        with pytest.raises(MalformedAccount):
            vault.parse_vault(state[:8] + bytes([version]) + state[9:])


def test_an_event_of_another_program_is_not_taken_for_the_vaults() -> None:
    world = trading_world()
    logs = world.send_message(world.plan(world.order(TOKEN, 1), world.swap(TOKEN)), [world.bot]).logs()
    assert vault.find_trade_executed(logs, PROGRAM) is not None
    assert vault.find_trade_executed(logs, Pubkey.new_unique()) is None
    line = next(line for line in logs if line.startswith("Program data: "))
    other, end = Pubkey.new_unique(), f"Program {PROGRAM} success"
    inside = [f"Program {PROGRAM} invoke [1]", f"Program {other} invoke [2]", line, f"Program {other} success"]
    assert vault.find_trade_executed([*inside, end], PROGRAM) is None
    assert vault.find_trade_executed([*inside, line, end], PROGRAM) is not None


SAID = ("success", "failed: 1", f"invoke [{PROGRAM}]", f"{PROGRAM} invoke [1]", "success\n", "\nProgram x success",
        f"Program {PROGRAM} invoke [1]", "Program data: AAAA")  # fmt: skip


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("kind", ["log", "return", "data"])
def test_a_program_does_not_talk_itself_off_the_stack_to_forge_an_event(kind: str, said: str) -> None:
    """What a hostile swap writes into the log reads "Program log: ...", whatever it writes."""
    world = trading_world()
    logs = world.send_message(world.plan(world.order(TOKEN, 1), world.swap(TOKEN)), [world.bot]).logs()
    forged = base64.b64encode(vault.events.TRADE_EXECUTED_DISCRIMINATOR + bytes(160)).decode()
    at = next(at for at, line in enumerate(logs) if line.startswith(f"Program {LOCAL_CPMM_PROGRAM} invoke"))
    attacked = [*logs[: at + 1], f"Program {kind}: {said}", f"Program data: {forged}", *logs[at + 1 :]]
    assert list(vault.find_events(attacked, PROGRAM)) == list(vault.find_events(logs, PROGRAM))


def test_quotes_agree_with_the_pool_at_the_edges() -> None:
    for amount in (0, -1):
        with pytest.raises(cpmm.NoQuote):
            cpmm.swap_base_input_out(10**6, 10**6, amount, FEE_RATE_PPM)
    with pytest.raises(cpmm.NoQuote):
        cpmm.swap_base_input_out(10**12, 10**3, 5, FEE_RATE_PPM)
    seed = 7
    numbers = random.Random(seed)
    for _ in range(2_000):
        reserve_in, reserve_out = (numbers.randrange(10**3, 2 ** numbers.randrange(12, 63)) for _ in range(2))
        amount = numbers.randrange(1, reserve_in + 1)
        try:
            out = cpmm.swap_base_input_out(reserve_in, reserve_out, amount, FEE_RATE_PPM)
        except cpmm.NoQuote:
            continue
        fee = (amount * FEE_RATE_PPM + 999_999) // 1_000_000
        grown = reserve_in + amount - fee
        # The largest output for which the product does not fall.
        assert grown * (reserve_out - out) >= reserve_in * reserve_out > grown * (reserve_out - out - 1), f"seed {seed}"


def test_the_quote_is_that_of_a_recorded_swap() -> None:
    """Recorded AMM v4 swaps have the same curve once their own fee (ceil of 25 bps) is taken off the input."""
    directory = os.environ.get("XORJ_RECORDED_DATA")
    if not directory:
        pytest.skip("XORJ_RECORDED_DATA names no directory of recorded data")
    swaps = json.loads((Path(directory) / "raydium" / "math" / "ammv4_swaps.json").read_text())
    assert swaps
    for swap in swaps:
        to_coin = swap["direction"] == "pc2coin"
        reserves = (swap["pool_pc"], swap["pool_coin"]) if to_coin else (swap["pool_coin"], swap["pool_pc"])
        assert cpmm.swap_base_input_out(*reserves, swap["amount_in"], 2_500) == swap["amount_out"], swap["signature"]


def test_a_program_is_deployed_with_its_upgrade_authority() -> None:
    world = empty_world()
    head = world.account(PROGRAM)
    assert head.executable
    code = world.account(Pubkey(head.data[4:36]))
    assert code.data[13:45] == bytes(world.upgrade_authority.pubkey())
    assert code.data[45:49] == b"\x7fELF"
