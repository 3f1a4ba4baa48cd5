"""A chain in this process (the real Solana virtual machine) with both programs, two mints, one pool and one funded vault.

Everything an honest trade needs is built through the programs' own instructions; only mints and first balances are set.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
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
from xorj_solana.programs import LOCAL_CPMM_PROGRAM, LOCAL_VAULT_PROGRAM, SPL_TOKEN
from xorj_solana.tokens import associated_token_address, mint_data, parse_token_account, token_account_data

BUILT = Path(__file__).resolve().parents[2] / "infra" / "programs" / "built"
PROGRAM = LOCAL_VAULT_PROGRAM
FEE_RATE_PPM = 2_500
SLOT = 1_000
RENT = 10_000_000


class Refused(AssertionError):
    """A transaction that failed; `failure` says which program refused with which number."""

    def __init__(self, result: FailedTransactionMetadata) -> None:
        self.logs = result.meta().logs()
        self.failure = vault.find_failure(self.logs)
        super().__init__(f"{result.err()}: {self.logs}")


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
    mint_in: Pubkey
    mint_out: Pubkey
    pool: cpmm.Pool | None = None
    compute: dict[str, int] = field(default_factory=dict)

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

    def set_token_account(self, address: Pubkey, mint: Pubkey, owner: Pubkey, amount: int) -> None:
        data = token_account_data(mint=mint, owner=owner, amount=amount)
        self.svm.set_account(address, Account(RENT, data, SPL_TOKEN))

    def fund(self, wallet: Pubkey, mint: Pubkey, amount: int) -> Pubkey:
        """Gives a wallet its associated token account with `amount` base units; returns the account."""
        address = associated_token_address(wallet, mint)
        self.set_token_account(address, mint, wallet, amount)
        return address

    def balance(self, address: Pubkey) -> int:
        account = self.svm.get_account(address)
        assert account is not None, f"{address} does not exist"
        return parse_token_account(account.data).amount

    def holding(self, wallet: Pubkey, mint: Pubkey) -> int:
        return self.balance(associated_token_address(wallet, mint))

    def vault_state(self) -> vault.Vault:
        account = self.svm.get_account(self.vault_address)
        assert account is not None
        return vault.parse_vault(account.data)

    def config(self) -> vault.Config:
        account = self.svm.get_account(vault.config_address(PROGRAM))
        assert account is not None
        return vault.parse_config(account.data)

    def reserves(self) -> tuple[int, int]:
        """(in, out) of the pool for a trade from `mint_in` to `mint_out`."""
        assert self.pool is not None
        paid, bought = self.pool.sides(self.mint_in)
        return self.balance(paid.vault), self.balance(bought.vault)

    def quote(self, amount_in: int) -> int:
        return cpmm.swap_base_input_out(*self.reserves(), amount_in, FEE_RATE_PPM)

    def swap(self, amount_in: int, minimum_amount_out: int = 0, *, trade_authority: Pubkey | None = None) -> Instruction:
        """The pool's swap between the trade authority's accounts."""
        assert self.pool is not None
        payer = trade_authority or self.trade_authority
        return cpmm.swap_base_input(
            self.pool,
            payer=payer,
            input_account=associated_token_address(payer, self.mint_in),
            output_account=associated_token_address(payer, self.mint_out),
            mint_in=self.mint_in,
            amount_in=amount_in,
            minimum_amount_out=minimum_amount_out,
        )

    def order(self, amount_in_max: int, amount_out_min: int, **changed: int) -> vault.TradeOrder:
        """The vault's next order, expiring in 100 slots, with the given fields changed."""
        order = vault.TradeOrder(
            seq=self.vault_state().trade_seq + 1,
            intent_id=bytes(range(32)),
            amount_in_max=amount_in_max,
            amount_out_min=amount_out_min,
            expiry_slot=self.svm.get_clock().slot + 100,
        )
        return replace(order, **changed)

    def trade(self, order: vault.TradeOrder, swap: Instruction, *, signer: Keypair | None = None) -> MessageV0:
        """A complete message: compute limit and trade, accounts hash filled in."""
        bot = signer or self.bot
        instruction = vault.bot_trade(
            PROGRAM,
            vault=self.vault_address,
            bot_authority=bot.pubkey(),
            order=order,
            place_in=vault.MintPlaces(self.mint_in),
            place_out=vault.MintPlaces(self.mint_out),
            swap=swap,
        )
        return self.planned([set_compute_unit_limit(400_000), instruction], bot)

    def planned(self, instructions: Sequence[Instruction], payer: Keypair) -> MessageV0:
        message = MessageV0.try_compile(payer.pubkey(), instructions, [], self.svm.latest_blockhash())
        return vault.with_accounts_hash(message, PROGRAM, {})


def new_keypair(svm: LiteSVM) -> Keypair:
    keypair = Keypair()
    svm.airdrop(keypair.pubkey(), 100_000_000_000)
    return keypair


def empty_world(*, slot: int = SLOT) -> World:
    """Both programs and mints, nothing initialised."""
    svm = LiteSVM().with_transaction_history(0)
    svm.warp_to_slot(slot)
    upgrade_authority, admin, guardian, bot, owner, market_maker = (new_keypair(svm) for _ in range(6))
    for program, name in ((LOCAL_VAULT_PROGRAM, "vault"), (LOCAL_CPMM_PROGRAM, "cpmm")):
        elf = (BUILT / f"{name}.so").read_bytes()
        for address, account in deployment(program, elf, upgrade_authority.pubkey(), slot - 1):
            svm.set_account(address, account)
    mints = Pubkey.new_unique(), Pubkey.new_unique()
    for mint, decimals in zip(mints, (6, 9), strict=True):
        data = mint_data(authority=market_maker.pubkey(), decimals=decimals, supply=10**18)
        svm.set_account(mint, Account(RENT, data, SPL_TOKEN))
    return World(svm, upgrade_authority, admin, guardian, bot, owner, market_maker, *mints)


def initialize(world: World) -> Instruction:
    return vault.initialize(
        PROGRAM,
        payer=world.admin.pubkey(),
        upgrade_authority=world.upgrade_authority.pubkey(),
        admin=world.admin.pubkey(),
        guardian=world.guardian.pubkey(),
        swap_programs=[LOCAL_CPMM_PROGRAM],
        bot_authorities=[world.bot.pubkey()],
    )


def open_pool(world: World, reserve_in: int, reserve_out: int) -> None:
    maker = world.market_maker
    world.fund(maker.pubkey(), world.mint_in, 10 * reserve_in)
    world.fund(maker.pubkey(), world.mint_out, 10 * reserve_out)
    config = cpmm.amm_config_address(LOCAL_CPMM_PROGRAM, 0)
    create = cpmm.create_amm_config(
        LOCAL_CPMM_PROGRAM, payer=maker.pubkey(), index=0, fee_rate_ppm=FEE_RATE_PPM
    )
    opening = cpmm.initialize_pool(
        LOCAL_CPMM_PROGRAM,
        creator=maker.pubkey(),
        amm_config=config,
        first=cpmm.Liquidity(world.mint_in, reserve_in),
        second=cpmm.Liquidity(world.mint_out, reserve_out),
    )
    world.send([create], [maker], name="cpmm create_amm_config")
    world.send([opening], [maker], name="cpmm initialize")
    address = cpmm.pool_address(LOCAL_CPMM_PROGRAM, config, world.mint_in, world.mint_out)
    account = world.svm.get_account(address)
    assert account is not None
    world.pool = cpmm.parse_pool(address, LOCAL_CPMM_PROGRAM, account.data)


def open_owner_vault(world: World, amount: int) -> None:
    """Opens the owner's vault for both mints, deposits `amount` of `mint_in`, enables the bot."""
    owner = world.owner
    source = world.fund(owner.pubkey(), world.mint_in, amount)
    world.send([vault.open_vault(PROGRAM, owner=owner.pubkey())], [owner], name="open_vault")
    for mint in (world.mint_in, world.mint_out):
        place = vault.MintPlaces(mint)
        world.send([vault.open_mint(PROGRAM, owner=owner.pubkey(), place=place)], [owner], name="open_mint")
    place = vault.MintPlaces(world.mint_in)
    world.send(
        [vault.deposit(PROGRAM, owner=owner.pubkey(), source=source, place=place, amount=amount)], [owner], name="deposit"
    )
    world.send([vault.enable_bot(PROGRAM, owner=owner.pubkey())], [owner], name="enable_bot")


def trading_world() -> World:
    """Ready to trade: 5,000 tokens of `mint_in` (6 decimals) in the vault, a pool of 1,000,000 against 10,000 (9)."""
    world = empty_world()
    world.send([initialize(world)], [world.admin, world.upgrade_authority], name="initialize")
    open_pool(world, 1_000_000 * 10**6, 10_000 * 10**9)
    open_owner_vault(world, 5_000 * 10**6)
    return world


def packed_u64(value: int) -> bytes:
    return struct.pack("<Q", value)
