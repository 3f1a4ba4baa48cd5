"""A chain in this process (the real Solana virtual machine): both programs, two mints, a pool and a funded vault.

Everything an honest trade needs is built through the programs' own instructions; only mints and first balances are set.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from solders.account import Account
from solders.compute_budget import set_compute_unit_limit
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, TransactionMetadata
from xorj_solana import cpmm, vault
from xorj_solana.deploy import deployment
from xorj_solana.programs import LOCAL_CPMM_PROGRAM, LOCAL_VAULT_PROGRAM, WRAPPED_SOL
from xorj_solana.tokens import associated_token_address, mint_data, parse_token_account, token_account_data
from xorj_solana.vault import MintPlaces

BUILT = Path(__file__).resolve().parents[2] / "infra" / "programs" / "built"
PROGRAM = LOCAL_VAULT_PROGRAM
FEE_RATE_PPM = 2_500
SLOT = 1_000
DELAY_S = 3_600
RENT = 10_000_000
TOKEN = 10**6


class Refused(AssertionError):
    """A transaction that failed; `failure` says which program refused with which number."""

    def __init__(self, result: FailedTransactionMetadata) -> None:
        self.logs = result.meta().logs()
        self.failure = vault.find_failure(self.logs)
        super().__init__(f"{result.err()}: {self.logs}")

    def vault_error(self) -> vault.VaultError | None:
        return None if self.failure is None else self.failure.vault_error(PROGRAM)


@dataclass(slots=True)
class World:
    """The chain and the keys of everyone in it."""

    svm: LiteSVM
    upgrade_authority: Keypair
    admin: Keypair
    guardian: Keypair
    bot: Keypair
    owner: Keypair
    market_maker: Keypair
    place_in: MintPlaces
    place_out: MintPlaces
    opened_pool: cpmm.Pool | None = None
    compute: dict[str, int] = field(default_factory=dict)

    @property
    def pool(self) -> cpmm.Pool:
        assert self.opened_pool is not None, "open_pool comes first"
        return self.opened_pool

    @property
    def vault_address(self) -> Pubkey:
        return vault.vault_address(PROGRAM, self.owner.pubkey())

    @property
    def trade_authority(self) -> Pubkey:
        return vault.trade_authority_address(PROGRAM, self.vault_address)

    def send(
        self, instructions: Sequence[Instruction], signers: Sequence[Keypair], *, name: str = ""
    ) -> TransactionMetadata:
        """Executes, the first signer paying; raises `Refused`. `name` records the compute units used."""
        message = MessageV0.try_compile(signers[0].pubkey(), instructions, [], self.svm.latest_blockhash())
        return self.send_message(message, signers, name=name)

    def send_message(self, message: MessageV0, signers: Sequence[Keypair], *, name: str = "") -> TransactionMetadata:
        result = self.svm.send_transaction(VersionedTransaction(message, list(signers)))
        self.svm.expire_blockhash()
        if isinstance(result, FailedTransactionMetadata):
            raise Refused(result)
        if name:
            self.compute[name] = result.compute_units_consumed()
        return result

    def set_token_account(self, address: Pubkey, place: MintPlaces, owner: Pubkey, amount: int) -> None:
        native = place.mint == WRAPPED_SOL
        data = token_account_data(mint=place.mint, owner=owner, amount=amount)
        if native:
            data = data[:109] + struct.pack("<IQ", 1, RENT) + data[121:]
        lamports = RENT + amount if native else RENT
        self.svm.set_account(address, Account(lamports, data, place.token_program))

    def fund(self, wallet: Pubkey, place: MintPlaces, amount: int) -> Pubkey:
        """Gives a wallet its associated token account with `amount` base units; returns the account."""
        address = account_of(wallet, place)
        self.set_token_account(address, place, wallet, amount)
        return address

    def add_dust(self, address: Pubkey, place: MintPlaces, amount: int) -> None:
        """Raises a token account's balance, as anybody may by sending tokens there."""
        account = self.account(address)
        data = account.data[:64] + struct.pack("<Q", self.balance(address) + amount) + account.data[72:]
        lamports = account.lamports + (amount if place.mint == WRAPPED_SOL else 0)
        self.svm.set_account(address, Account(lamports, data, account.owner))

    def balance(self, address: Pubkey) -> int:
        account = self.account(address)
        return parse_token_account(account.data).amount

    def holding(self, wallet: Pubkey, place: MintPlaces) -> int:
        return self.balance(account_of(wallet, place))

    def trade_balances(self) -> tuple[int, ...]:
        """Of every account that a trade touches: vault in, out; trade authority in, out; pool in, out."""
        wallets = (self.vault_address, self.trade_authority)
        own = tuple(self.holding(wallet, place) for wallet in wallets for place in (self.place_in, self.place_out))
        return (*own, *self.reserves())

    def allow(self, program: Pubkey) -> None:
        """Writes one more swap program into the configuration, which initialize would refuse."""
        address = vault.config_address(PROGRAM)
        account = self.account(address)
        data = account.data[:176] + bytes(program) + account.data[208:]
        self.svm.set_account(address, Account(account.lamports, data, account.owner))

    def account(self, address: Pubkey) -> Account:
        account = self.svm.get_account(address)
        assert account is not None, f"{address} does not exist"
        return account

    def vault_state(self) -> vault.Vault:
        account = self.account(self.vault_address)
        return vault.parse_vault(account.data)

    def config(self) -> vault.Config:
        account = self.account(vault.config_address(PROGRAM))
        return vault.parse_config(account.data)

    def reserves(self) -> tuple[int, int]:
        """(in, out) of the pool for a trade from `place_in` to `place_out`."""
        paid, bought = self.pool.sides(self.place_in.mint)
        return self.balance(paid.vault), self.balance(bought.vault)

    def quote(self, amount_in: int) -> int:
        return cpmm.swap_base_input_out(*self.reserves(), amount_in, FEE_RATE_PPM)

    def swap(self, amount_in: int, minimum_amount_out: int = 0) -> Instruction:
        """The pool's swap between the trade authority's accounts."""
        return cpmm.swap_base_input(
            self.pool,
            payer=self.trade_authority,
            input_account=account_of(self.trade_authority, self.place_in),
            output_account=account_of(self.trade_authority, self.place_out),
            mint_in=self.place_in.mint,
            amount_in=amount_in,
            minimum_amount_out=minimum_amount_out,
        )

    def order(self, amount_in_max: int, amount_out_min: int) -> vault.TradeOrder:
        """The vault's next order, expiring in 100 slots."""
        return vault.TradeOrder(
            seq=self.vault_state().trade_seq + 1,
            intent_id=bytes(range(32)),
            amount_in_max=amount_in_max,
            amount_out_min=amount_out_min,
            expiry_slot=self.svm.get_clock().slot + 100,
        )

    def trade_instruction(
        self, order: vault.TradeOrder, swap: Instruction, *, signer: Keypair | None = None
    ) -> Instruction:
        return vault.bot_trade(
            PROGRAM,
            vault=self.vault_address,
            bot_authority=(signer or self.bot).pubkey(),
            order=order,
            place_in=self.place_in,
            place_out=self.place_out,
            swap=swap,
        )

    def plan(self, order: vault.TradeOrder, swap: Instruction, *, signer: Keypair | None = None) -> MessageV0:
        """A complete message: compute limit and trade, accounts hash filled in."""
        return self.planned(self.trade_instruction(order, swap, signer=signer), signer or self.bot)

    def planned(self, trade: Instruction, payer: Keypair) -> MessageV0:
        instructions = [set_compute_unit_limit(400_000), trade]
        message = MessageV0.try_compile(payer.pubkey(), instructions, [], self.svm.latest_blockhash())
        return vault.with_accounts_hash(message, PROGRAM, {})


def pass_time(world: World, seconds: int, slots: int | None = None) -> None:
    """Moves the chain's clock ahead by seconds, and by so many slots, or as many as seconds."""
    clock = world.svm.get_clock()
    clock.unix_timestamp += seconds
    clock.slot += seconds if slots is None else slots
    world.svm.set_clock(clock)


def account_of(wallet: Pubkey, place: MintPlaces) -> Pubkey:
    return associated_token_address(wallet, place.mint, place.token_program)


def labelled(label: str) -> bytes:
    return hashlib.sha256(label.encode()).digest()


def new_keypair(svm: LiteSVM, label: str) -> Keypair:
    """A key of this label, the same in every run so that compute units are; with 100 SOL."""
    keypair = Keypair.from_seed(labelled(label))
    svm.airdrop(keypair.pubkey(), 100_000_000_000)
    return keypair


USDC_LIKE = MintPlaces(Pubkey(labelled("mint with 6 decimals")))
TOKEN_LIKE = MintPlaces(Pubkey(labelled("mint with 9 decimals")))


def empty_world(*, place_in: MintPlaces = USDC_LIKE, place_out: MintPlaces = TOKEN_LIKE) -> World:
    """Both programs and mints, nothing initialised."""
    svm = LiteSVM().with_transaction_history(0).with_blockhash_check(check=False)
    svm.warp_to_slot(SLOT)
    roles = ("upgrade authority", "admin", "guardian", "bot", "owner", "market maker")
    upgrade_authority, admin, guardian, bot, owner, market_maker = (new_keypair(svm, role) for role in roles)
    for program, name in ((LOCAL_VAULT_PROGRAM, "vault"), (LOCAL_CPMM_PROGRAM, "cpmm")):
        elf = (BUILT / f"{name}.so").read_bytes()
        for address, account in deployment(program, elf, upgrade_authority.pubkey(), SLOT - 1):
            svm.set_account(address, account)
    for place, decimals in ((place_in, 6), (place_out, 9)):
        data = mint_data(authority=market_maker.pubkey(), decimals=decimals, supply=10**18)
        svm.set_account(place.mint, Account(RENT, data, place.token_program))
    return World(svm, upgrade_authority, admin, guardian, bot, owner, market_maker, place_in, place_out)


def initialize(world: World) -> Instruction:
    return vault.initialize(
        PROGRAM,
        payer=world.admin.pubkey(),
        upgrade_authority=world.upgrade_authority.pubkey(),
        admin=world.admin.pubkey(),
        guardian=world.guardian.pubkey(),
        swap_programs=[LOCAL_CPMM_PROGRAM],
        bot_authorities=[world.bot.pubkey()],
        delay_s=DELAY_S,
    )


def widest_limits(*mints: Pubkey) -> vault.Limits:
    """Whole balances of these mints, again in the second slot from now."""
    return vault.Limits(10_000, 10_000, 0, 1, mints)


def open_pool(world: World, reserve_in: int, reserve_out: int) -> None:
    maker = world.market_maker
    world.fund(maker.pubkey(), world.place_in, 10 * reserve_in)
    world.fund(maker.pubkey(), world.place_out, 10 * reserve_out)
    config = cpmm.amm_config_address(LOCAL_CPMM_PROGRAM, 0)
    create = cpmm.create_amm_config(LOCAL_CPMM_PROGRAM, payer=maker.pubkey(), index=0, fee_rate_ppm=FEE_RATE_PPM)
    opening = cpmm.initialize_pool(
        LOCAL_CPMM_PROGRAM,
        creator=maker.pubkey(),
        amm_config=config,
        first=cpmm.Liquidity(world.place_in.mint, reserve_in, world.place_in.token_program),
        second=cpmm.Liquidity(world.place_out.mint, reserve_out, world.place_out.token_program),
    )
    world.send([create], [maker], name="cpmm create_amm_config")
    world.send([opening], [maker], name="cpmm initialize")
    address = cpmm.pool_address(LOCAL_CPMM_PROGRAM, config, world.place_in.mint, world.place_out.mint)
    account = world.account(address)
    world.opened_pool = cpmm.parse_pool(address, LOCAL_CPMM_PROGRAM, account.data)


def open_owner_vault(world: World, amount: int) -> None:
    """Opens the vault for both mints with the widest limits, deposits `amount` of `place_in`, enables the bot."""
    owner = world.owner
    key = owner.pubkey()
    source = world.fund(key, world.place_in, amount)
    world.send([vault.open_vault(PROGRAM, owner=key)], [owner], name="open_vault")
    limits = widest_limits(world.place_in.mint, world.place_out.mint)
    world.send([vault.set_limits(PROGRAM, owner=key, limits=limits)], [owner], name="set_limits")
    for place in (world.place_in, world.place_out):
        world.send([vault.open_mint(PROGRAM, owner=key, place=place)], [owner], name="open_mint")
    deposit = vault.deposit(PROGRAM, owner=key, source=source, place=world.place_in, amount=amount)
    world.send([deposit], [owner], name="deposit")
    world.send([vault.enable_bot(PROGRAM, owner=key)], [owner], name="enable_bot")


def trading_world(*, place_in: MintPlaces = USDC_LIKE, place_out: MintPlaces = TOKEN_LIKE) -> World:
    """Ready to trade: 5,000 tokens of `place_in` (6 decimals) in the vault, a pool of 1,000,000 against 10,000 (9)."""
    world = empty_world(place_in=place_in, place_out=place_out)
    world.send([initialize(world)], [world.admin, world.upgrade_authority], name="initialize")
    open_pool(world, 1_000_000 * TOKEN, 10_000 * 10**9)
    open_owner_vault(world, 5_000 * TOKEN)
    return world
