"""The fuzzer's world: the same small numbers as the model's, as keys and accounts on a virtual machine.

Two vaults are open, one of them trading; two hostile programs stand ready, one of them allowed; four mints: two of SPL
Token, one of Token-2022 with a transfer fee, one with a permanent delegate, which no vault may trade.
"""

import struct
from dataclasses import dataclass
from typing import Final

from solders.account import Account
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata
from xorj_solana import vault
from xorj_solana.deploy import deployment
from xorj_solana.programs import LOCAL_VAULT_PROGRAM, SPL_TOKEN, TOKEN_2022
from xorj_solana.tokens import associated_token_address, mint_data, token_account_data
from xorj_solana.vault import MintPlaces, VaultError

from tests.programs import rogue
from tests.programs.fuzz.generate import ADMIN, BOT, FORBIDDEN, GUARDIAN, KEYS, OWNER_A, OWNER_B, OWNERS, SWAPS
from tests.programs.mints import Extension, TransferFee, fee_mint, set_mint
from tests.programs.model import Holder, LimitsModel, MintModel, Model, Money, Place
from tests.programs.model_config import ConfigModel, Elsewhere, Now
from tests.programs.svm_world import BUILT, RENT, SLOT, labelled

PROGRAM: Final = LOCAL_VAULT_PROGRAM
FEE: Final = TransferFee(rate_bps=137, fee_max=50_000)
DELAY_S: Final = 10
START: Final = Now(slot=SLOT, unix_s=1_700_000_000)
FUNDS: Final = 10**9
STUCK: Final = 777
LIMITS: Final = LimitsModel(share_bps=5_000, turnover_bps=9_000, slots_between=0, window_slots=50, mints=(0, 1, 2))

KEYRING: Final = tuple(Keypair.from_seed(labelled(f"fuzz key {index}")) for index in range(KEYS))
ADDRESSES: Final = tuple(keypair.pubkey() for keypair in KEYRING)
NUMBERS: Final = {address: index for index, address in enumerate(ADDRESSES)}
PAYER: Final = Keypair.from_seed(labelled("fuzz payer")).pubkey()
UPGRADE: Final = Keypair.from_seed(labelled("fuzz upgrade authority")).pubkey()
PROGRAMS: Final = (Pubkey(labelled("rogue 0")), Pubkey(labelled("rogue 1")), SPL_TOKEN, PROGRAM)
RESERVES: Final = tuple(Pubkey.find_program_address([b"rogue"], program) for program in PROGRAMS[:SWAPS])
VAULTS: Final = {owner: vault.vault_address(PROGRAM, ADDRESSES[owner]) for owner in OWNERS}
HANDS: Final = {owner: vault.trade_authority_address(PROGRAM, address) for owner, address in VAULTS.items()}
CONFIG: Final = vault.config_address(PROGRAM)
DECIMALS: Final = (6, 9, 6, 6)
PLACES: Final = (
    MintPlaces(Pubkey(labelled("fuzz mint a"))),
    MintPlaces(Pubkey(labelled("fuzz mint b"))),
    MintPlaces(Pubkey(labelled("fuzz mint with fee")), TOKEN_2022),
    MintPlaces(Pubkey(labelled("fuzz mint with delegate")), TOKEN_2022),
)


def wallet_of(place: Place) -> Pubkey:
    match place.holder:
        case Holder.VAULT:
            return VAULTS[place.who]
        case Holder.HAND:
            return HANDS[place.who]
        case Holder.WALLET:
            return ADDRESSES[place.who]
        case Holder.RESERVE:
            return RESERVES[place.who][0]


_ALL_PLACES: Final = (
    *(Place(holder, who, mint) for holder in (Holder.VAULT, Holder.HAND, Holder.WALLET)
      for who in OWNERS for mint in range(len(PLACES))),
    *(Place(Holder.RESERVE, who, mint) for who in range(SWAPS) for mint in range(len(PLACES))),
)  # fmt: skip
TOKEN_ACCOUNTS: Final = {
    place: associated_token_address(wallet_of(place), PLACES[place.mint].mint, PLACES[place.mint].token_program)
    for place in _ALL_PLACES
}
# What a trade's accounts are confused with.
POOL: Final = (
    CONFIG, *VAULTS.values(), *HANDS.values(), *ADDRESSES[:4], PROGRAMS[1], SPL_TOKEN, TOKEN_2022, PLACES[0].mint,
    PLACES[1].mint, PLACES[2].mint, *(TOKEN_ACCOUNTS[Place(holder, who, mint)] for holder in (Holder.VAULT, Holder.HAND)
                                      for who in (OWNER_A, OWNER_B) for mint in (0, 1)),
)  # fmt: skip


@dataclass(slots=True)
class FuzzWorld:
    """One virtual machine without signature checks (an unsigned account is unsigned all the same) and its clock."""

    svm: LiteSVM
    now: Now

    def send(self, message: MessageV0) -> VaultError | Elsewhere | None:
        """How the transaction ended; None is success."""
        signatures = [Signature.default()] * message.header.num_required_signatures
        result = self.svm.send_transaction(VersionedTransaction.populate(message, signatures))
        if not isinstance(result, FailedTransactionMetadata):
            return None
        failure = vault.find_failure(result.meta().logs())
        error = None if failure is None else failure.vault_error(PROGRAM)
        return Elsewhere.ELSEWHERE if error is None else error

    def compile(self, instruction: Instruction) -> MessageV0:
        return MessageV0.try_compile(PAYER, [instruction], [], self.svm.latest_blockhash())

    def must(self, instruction: Instruction) -> None:
        outcome = self.send(self.compile(instruction))
        if outcome is not None:
            raise AssertionError(f"the world does not start: {outcome}")

    def warp(self, slots: int, seconds: int) -> None:
        self.now = Now(self.now.slot + slots, self.now.unix_s + seconds)
        clock = self.svm.get_clock()
        clock.slot, clock.unix_timestamp = self.now.slot, self.now.unix_s
        self.svm.set_clock(clock)


def limits_of(limits: LimitsModel) -> vault.Limits:
    return vault.Limits(
        trade_share_bps_max=limits.share_bps,
        turnover_bps_max=limits.turnover_bps,
        slots_between_min=limits.slots_between,
        window_slots=limits.window_slots,
        mints=tuple(PLACES[mint].mint for mint in limits.mints),
    )


def start(elf: bytes | None = None) -> tuple[FuzzWorld, Model]:
    """A fresh world and the model of it; `elf` is the vault program to try, the committed one by default."""
    svm = LiteSVM().with_transaction_history(0).with_blockhash_check(check=False).with_sigverify(False)  # noqa: FBT003
    svm.warp_to_slot(START.slot)
    world = FuzzWorld(svm, START)
    world.warp(0, 0)
    for key in (*ADDRESSES, PAYER, UPGRADE):
        svm.airdrop(key, 10**12)
    code = (BUILT / "vault.so").read_bytes() if elf is None else elf
    hostile = rogue.SO.read_bytes()
    for program, program_elf in ((PROGRAM, code), (PROGRAMS[0], hostile), (PROGRAMS[1], hostile)):
        for address, account in deployment(program, program_elf, UPGRADE, START.slot - 1):
            svm.set_account(address, account)
    svm.set_account(rogue.THIEF, Account(10**9, b"", Pubkey.default()))
    _set_mints(svm)
    money = Money([MintModel(), MintModel(), MintModel(FEE), MintModel(tradable=False)], {})
    _set_first_balances(svm, money)
    model = Model(ConfigModel(ADMIN, GUARDIAN, {0}, {BOT}, DELAY_S, frozenset({2, 3})), money)
    _open(world, model)
    return world, model


def _set_mints(svm: LiteSVM) -> None:
    authority = Pubkey(labelled("mint authority"))
    for place, decimals in zip(PLACES[:2], DECIMALS, strict=False):
        data = mint_data(authority=authority, decimals=decimals, supply=10**18)
        svm.set_account(place.mint, Account(RENT, data, SPL_TOKEN))
    fee_mint(svm, "fuzz mint with fee", FEE)
    set_mint(svm, "fuzz mint with delegate", {Extension.PERMANENT_DELEGATE: bytes(ADDRESSES[OWNER_A])})


def _set_first_balances(svm: LiteSVM, money: Money) -> None:
    """Wallets and reserves are rich; the first vault holds some of the mint that it may not trade."""
    rich = [place for place in _ALL_PLACES if place.holder in (Holder.WALLET, Holder.RESERVE)]
    for place in (*rich, Place(Holder.VAULT, OWNER_A, FORBIDDEN)):
        amount = STUCK if place.holder is Holder.VAULT else FUNDS if place.holder is Holder.WALLET else 10**15
        mint = PLACES[place.mint]
        data = token_account_data(mint=mint.mint, owner=wallet_of(place), amount=amount)
        if place.mint == 2:
            # Account type 2, then the extension TransferFeeAmount with nothing withheld.
            data += b"\x02" + struct.pack("<HHQ", 2, 8, 0)
        svm.set_account(TOKEN_ACCOUNTS[place], Account(RENT, data, mint.token_program))
        money.balances[place] = amount


def _open(world: FuzzWorld, model: Model) -> None:
    """Through the program's own instructions, and the model's."""
    initialize = vault.initialize(
        PROGRAM,
        payer=PAYER,
        upgrade_authority=UPGRADE,
        admin=ADDRESSES[ADMIN],
        guardian=ADDRESSES[GUARDIAN],
        swap_programs=[PROGRAMS[0]],
        bot_authorities=[ADDRESSES[BOT]],
        delay_s=DELAY_S,
    )
    world.must(initialize)
    for owner in (OWNER_A, OWNER_B):
        key = ADDRESSES[owner]
        world.must(vault.open_vault(PROGRAM, owner=key))
        model.open_vault(owner)
        world.must(vault.set_limits(PROGRAM, owner=key, limits=limits_of(LIMITS)))
        model.set_limits(owner, owner, LIMITS)
        for mint in range(3):
            place = PLACES[mint]
            world.must(vault.open_mint(PROGRAM, owner=key, place=place))
            model.open_mint(owner, owner, mint)
            source = TOKEN_ACCOUNTS[Place(Holder.WALLET, owner, mint)]
            amount = FUNDS // 10
            world.must(vault.deposit(PROGRAM, owner=key, source=source, place=place, amount=amount))
            model.deposit(owner, owner, mint, amount)
    world.must(vault.enable_bot(PROGRAM, owner=ADDRESSES[OWNER_A]))
    model.enable(OWNER_A, OWNER_A)
