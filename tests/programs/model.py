"""A small model of the vault program, written from docs/vault-program.md and sharing no code with the program.

Owners, keys, mints and programs are small numbers. `Money` holds every balance of the modelled world, with transfer
fees; `VaultModel` one vault; `Model` answers what each instruction does. A refused instruction changes nothing.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from xorj_solana.vault import VaultError

from tests.programs.mints import TransferFee
from tests.programs.model_config import ConfigModel, Elsewhere, ModelRefusal, Now, require

U64_MAX: Final = 2**64 - 1
BPS: Final = 10_000
EXPIRY_SLOTS_MAX: Final = 300
MINTS_MAX: Final = 16


class Holder(Enum):
    """Whose token account: the vault's, its trade authority's (the hand), a wallet's, or a swap program's reserve."""

    VAULT = "vault"
    HAND = "hand"
    WALLET = "wallet"
    RESERVE = "reserve"


@dataclass(frozen=True, slots=True)
class Place:
    """One token account. `who` is the owner of the vault, the wallet's key, or the program."""

    holder: Holder
    who: int
    mint: int


@dataclass(frozen=True, slots=True)
class MintModel:
    """`fee` None for a mint that takes none; `tradable` False when it carries an extension that is refused."""

    fee: TransferFee | None = None
    tradable: bool = True

    def net(self, amount: int) -> int:
        return amount - (self.fee.of(amount) if self.fee else 0)


@dataclass(slots=True)
class Money:
    """Balances by place, and what fees withheld there; a place that is not listed does not exist."""

    mints: list[MintModel]
    balances: dict[Place, int]
    withheld: dict[Place, int] = field(default_factory=dict)

    def copy(self) -> "Money":
        return Money(self.mints, dict(self.balances), dict(self.withheld))

    def transfer(self, source: Place, target: Place, amount: int) -> None:
        """Refused elsewhere when an account is missing, or short."""
        exist = source in self.balances and target in self.balances
        require(exist and self.balances[source] >= amount, Elsewhere.ELSEWHERE)
        net = self.mints[source.mint].net(amount)
        self.balances[source] -= amount
        self.balances[target] += net
        if amount != net:
            self.withheld[target] = self.withheld.get(target, 0) + amount - net


@dataclass(frozen=True, slots=True)
class LimitsModel:
    """An owner's limits; all zero until set."""

    share_bps: int = 0
    turnover_bps: int = 0
    slots_between: int = 0
    window_slots: int = 0
    mints: tuple[int, ...] = ()

    def are_valid(self) -> bool:
        return (
            self.share_bps <= BPS
            and self.turnover_bps <= BPS
            and self.window_slots > 0
            and len(self.mints) <= MINTS_MAX
            and len(set(self.mints)) == len(self.mints)
        )


@dataclass(slots=True)
class VaultModel:
    """One vault. `used` holds per mint what was traded of it, in bps, in the window before and in the present one;
    `opened` the listed mints that were opened since."""

    enabled: bool = False
    seq: int = 0
    last: tuple[int, int, int] | None = None  # amount in, amount out, slot
    limits: LimitsModel = field(default_factory=LimitsModel)
    window: int = 0
    used: dict[int, tuple[int, int]] = field(default_factory=dict)
    opened: frozenset[int] = frozenset()

    def rolled(self, slot: int) -> tuple[int, dict[int, tuple[int, int]]]:
        """The window of `slot`, and the counts as they stand in it."""
        window = slot // max(self.limits.window_slots, 1)
        begun = window - self.window
        if begun == 0:
            return window, dict(self.used)
        if begun == 1:
            return window, {mint: (now, 0) for mint, (_, now) in self.used.items()}
        return window, {}


class Evil(Enum):
    """What a hostile swap does after its exchange."""

    NOTHING = "nothing"
    DELEGATE_IN = "leaves a delegate on the input hand"
    DELEGATE_OUT = "leaves a delegate on the output hand"
    CLOSER_IN = "leaves a close authority on the input hand"
    CLOSER_OUT = "leaves a close authority on the output hand"
    FROM_VAULT = "takes from the vault's own account"
    WRITE_CONFIG = "writes into the configuration"
    WRITE_VAULT = "writes into the vault"
    REENTER = "calls the vault program back"
    FAIL = "fails with a number of the vault program's"
    GROW_AUTHORITY = "allocates data in the trade authority's account"
    OTHER_HAND = "closes the hand of another mint for its rent"

    @property
    def refusal(self) -> VaultError | Elsewhere | None:
        match self:
            case Evil.NOTHING:
                return None
            case Evil.DELEGATE_IN | Evil.DELEGATE_OUT | Evil.CLOSER_IN | Evil.CLOSER_OUT | Evil.GROW_AUTHORITY:
                return VaultError.ACCOUNT_STATE_CHANGED
            case Evil.FROM_VAULT | Evil.WRITE_CONFIG | Evil.WRITE_VAULT | Evil.REENTER | Evil.FAIL | Evil.OTHER_HAND:
                return Elsewhere.ELSEWHERE


@dataclass(frozen=True, slots=True)
class TradeModel:
    """One order and what the swap will do with it; amounts in base units, `taken` and `given` before fees."""

    signer: int
    owner: int
    mint_in: int
    mint_out: int
    program: int
    seq: int
    amount_in_max: int
    amount_out_min: int
    expiry_slot: int
    taken: int
    given: int
    evil: Evil = Evil.NOTHING
    hash_is_right: bool = True

    @property
    def other_mint(self) -> int:
        """The first that is not traded."""
        return next(mint for mint in range(3) if mint not in (self.mint_in, self.mint_out))


@dataclass(slots=True)
class Model:
    """The whole of it; `vaults` by owner."""

    config: ConfigModel
    money: Money
    vaults: dict[int, VaultModel] = field(default_factory=dict)

    def vault_of(self, owner: int) -> VaultModel:
        vault = self.vaults.get(owner)
        if vault is None:
            raise ModelRefusal(VaultError.WRONG_VAULT)
        return vault

    def owned(self, signer: int, owner: int) -> VaultModel:
        vault = self.vault_of(owner)
        require(signer == owner, VaultError.NOT_OWNER)
        return vault

    def open_vault(self, owner: int) -> None:
        require(owner not in self.vaults, VaultError.ALREADY_INITIALIZED)
        self.vaults[owner] = VaultModel()

    def open_mint(self, signer: int, owner: int, mint: int) -> None:
        vault = self.owned(signer, owner)
        require(self.money.mints[mint].tradable, VaultError.UNSUPPORTED_MINT)
        if mint in vault.limits.mints:
            vault.opened |= {mint}
        for holder in (Holder.VAULT, Holder.HAND):
            self.money.balances.setdefault(Place(holder, owner, mint), 0)

    def close_mint(self, signer: int, owner: int, mint: int) -> None:
        self.owned(signer, owner)
        vault, hand = (Place(holder, owner, mint) for holder in (Holder.VAULT, Holder.HAND))
        money = self.money.copy()
        if hand in money.balances:
            if money.balances[hand]:
                money.transfer(hand, vault, money.balances[hand])
            self._close(money, hand)
        if money.balances.get(vault) == 0:
            self._close(money, vault)
        self.money = money

    @staticmethod
    def _close(money: Money, place: Place) -> None:
        """The token program refuses to close an account that still holds withheld fees."""
        require(not money.withheld.get(place), Elsewhere.ELSEWHERE)
        del money.balances[place]

    def deposit(self, signer: int, owner: int, mint: int, amount: int) -> None:
        require(amount > 0, VaultError.ZERO_AMOUNT)
        self.owned(signer, owner)
        require(self.money.mints[mint].tradable, VaultError.UNSUPPORTED_MINT)
        target = Place(Holder.VAULT, owner, mint)
        require(target in self.money.balances, VaultError.WRONG_TOKEN_ACCOUNT)
        self.money.transfer(Place(Holder.WALLET, signer, mint), target, amount)

    def withdraw(self, signer: int, owner: int, mint: int, amount: int, target: int) -> None:
        require(amount > 0, VaultError.ZERO_AMOUNT)
        self.owned(signer, owner)
        source = Place(Holder.VAULT, owner, mint)
        if amount == U64_MAX:
            require(source in self.money.balances, VaultError.WRONG_TOKEN_ACCOUNT)
            amount = self.money.balances[source]
            require(amount > 0, VaultError.ZERO_AMOUNT)
        self.money.transfer(source, Place(Holder.WALLET, target, mint), amount)

    def enable(self, signer: int, owner: int) -> None:
        self.owned(signer, owner).enabled = True

    def disable(self, signer: int, owner: int) -> None:
        vault = self.vault_of(owner)
        require(signer in (owner, self.config.guardian, self.config.admin), VaultError.NOT_OWNER)
        vault.enabled = False

    def set_limits(self, signer: int, owner: int, limits: LimitsModel) -> None:
        """Forgets the turnover so far, not which of the mints are open."""
        vault = self.owned(signer, owner)
        require(limits.are_valid(), VaultError.INVALID_LIMITS)
        vault.limits, vault.window, vault.used = limits, 0, {}
        vault.opened &= frozenset(limits.mints)

    def trade(self, t: TradeModel, now: Now) -> None:
        """In the order in which the program refuses."""
        vault = self.vault_of(t.owner)
        self._permit(vault, t, now)
        require(t.hash_is_right, VaultError.ACCOUNTS_HASH_MISMATCH)
        money = self.money.copy()
        held_in, held_out, hand_in, hand_out = (
            Place(holder, t.owner, mint) for holder in (Holder.VAULT, Holder.HAND) for mint in (t.mint_in, t.mint_out)
        )
        for place in (held_in, held_out, hand_in, hand_out):
            require(place in money.balances, VaultError.WRONG_TOKEN_ACCOUNT)
        require(t.mint_in != t.mint_out, VaultError.WRONG_MINT)
        require(all(money.mints[mint].tradable for mint in (t.mint_in, t.mint_out)), VaultError.UNSUPPORTED_MINT)
        if t.evil is Evil.OTHER_HAND:
            other = Place(Holder.HAND, t.owner, t.other_mint)
            require(other not in money.balances, VaultError.FOREIGN_TRADE_ACCOUNT)
        self._sweep(money, t.owner, t.mint_in, t.mint_out)
        before_in, before_out = money.balances[held_in], money.balances[held_out]
        require(before_in >= t.amount_in_max, VaultError.INSUFFICIENT_FUNDS)
        window, used = self._check_limits(vault, t, before_in, now)
        money.transfer(held_in, hand_in, t.amount_in_max)
        self._swap(money, t)
        self._sweep(money, t.owner, t.mint_in, t.mint_out)
        if t.evil.refusal is not None:
            raise ModelRefusal(t.evil.refusal)
        spent = max(before_in - money.balances[held_in], 0)
        received = max(money.balances[held_out] - before_out, 0)
        require(spent <= t.amount_in_max, VaultError.TOO_MUCH_IN)
        require(received >= t.amount_out_min, VaultError.TOO_LITTLE_OUT)
        old, new = used.get(t.mint_in, (0, 0))
        used[t.mint_in] = (old, new + share_bps(spent, before_in))
        vault.seq, vault.last, vault.window, vault.used = t.seq, (spent, received, now.slot), window, used
        self.money = money

    def _permit(self, vault: VaultModel, t: TradeModel, now: Now) -> None:
        require(not self.config.paused, VaultError.PAUSED)
        require(vault.enabled, VaultError.BOT_DISABLED)
        require(t.signer in self.config.authorities, VaultError.WRONG_BOT_AUTHORITY)
        require(t.seq == vault.seq + 1, VaultError.WRONG_SEQUENCE)
        require(now.slot <= t.expiry_slot, VaultError.EXPIRED)
        require(t.expiry_slot - now.slot <= EXPIRY_SLOTS_MAX, VaultError.EXPIRY_TOO_FAR)
        require(t.amount_in_max > 0 and t.amount_out_min > 0, VaultError.ZERO_AMOUNT)
        require(t.program in self.config.programs, VaultError.SWAP_PROGRAM_NOT_ALLOWED)
        if vault.last is not None:
            require(now.slot >= vault.last[2] + vault.limits.slots_between, VaultError.TOO_SOON)
        listed = vault.limits.mints
        require(t.mint_in in listed and t.mint_out in listed, VaultError.MINT_NOT_ALLOWED)
        require({t.mint_in, t.mint_out} <= vault.opened, VaultError.MINT_NOT_OPENED)

    @staticmethod
    def _check_limits(
        vault: VaultModel, t: TradeModel, balance: int, now: Now
    ) -> tuple[int, dict[int, tuple[int, int]]]:
        share = share_bps(t.amount_in_max, balance)
        require(share <= vault.limits.share_bps, VaultError.SHARE_EXCEEDED)
        window, used = vault.rolled(now.slot)
        require(sum(used.get(t.mint_in, (0, 0))) + share <= vault.limits.turnover_bps, VaultError.TURNOVER_EXCEEDED)
        return window, used

    @staticmethod
    def _swap(money: Money, t: TradeModel) -> None:
        hand_in, hand_out = (Place(Holder.HAND, t.owner, mint) for mint in (t.mint_in, t.mint_out))
        if t.taken:
            money.transfer(hand_in, Place(Holder.RESERVE, t.program, t.mint_in), t.taken)
        if t.given:
            money.transfer(Place(Holder.RESERVE, t.program, t.mint_out), hand_out, t.given)
        if t.evil.refusal is Elsewhere.ELSEWHERE:
            raise ModelRefusal(Elsewhere.ELSEWHERE)

    @staticmethod
    def _sweep(money: Money, owner: int, *mints: int) -> None:
        for mint in mints:
            hand = Place(Holder.HAND, owner, mint)
            if money.balances[hand]:
                money.transfer(hand, Place(Holder.VAULT, owner, mint), money.balances[hand])


def share_bps(amount: int, balance: int) -> int:
    """Rounded up, so that no trade counts as nothing."""
    return -(-amount * BPS // balance)
