"""Draws the next action with the model in view: mostly lawful or unlawful in one thing, so that every rule is met."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final

from tests.programs.fuzz import actions as a
from tests.programs.fuzz.choice import Chooser, chance, pick
from tests.programs.model import U64_MAX, Evil, Holder, LimitsModel, Model, Place
from tests.programs.model_config import DELAY_S_MAX, GRACE_S, Change, Kind, Now

KEYS: Final = 8
ADMIN, GUARDIAN, BOT, OWNER_A, OWNER_B, STRANGER, HEIR, SECOND_BOT = range(KEYS)
OWNERS: Final = (OWNER_A, OWNER_B, STRANGER)
MINTS: Final = 4
PLAIN_A, PLAIN_B, WITH_FEE, FORBIDDEN = range(MINTS)
SWAPS: Final = 2
PROGRAMS: Final = 4  # two swap programs, SPL Token, the vault program itself
CONFUSIONS: Final = 24
TRADE_ACCOUNTS: Final = 13


class Mood(Enum):
    """What a sequence is mostly about, so that rare states of one part are reached too."""

    ANYTHING = "anything"
    KEEPERS = "admin and guardian at work"
    TRADES = "trades and limits"


def draw_mood(chooser: Chooser) -> Mood:
    return pick(chooser, (Mood.ANYTHING, Mood.ANYTHING, Mood.ANYTHING, Mood.KEEPERS, Mood.TRADES))


def draw(chooser: Chooser, mood: Mood, model: Model, now: Now) -> a.Step:
    """One step; one in 30 lacks its signature."""
    repair = _repair(chooser, model, now) if chance(chooser, 8 if mood is Mood.KEEPERS else 25) else None
    if repair is not None:
        return repair
    kinds = _KINDS_BY_MOOD[mood]
    at = chooser.below(sum(weight for weight, _ in kinds))
    for weight, make in kinds:
        if at < weight:
            action = make(chooser, model, now)
            if isinstance(action, a.Signed) and chance(chooser, 3):
                return a.Unsigned(action)
            return action
        at -= weight
    raise AssertionError("the weights cover every draw")


def _anybody(chooser: Chooser) -> int:
    return chooser.below(KEYS)


def _keeper(chooser: Chooser, model: Model) -> int:
    """Admin mostly, guardian often, anybody sometimes."""
    at = chooser.below(10)
    return model.config.admin if at < 6 else model.config.guardian if at < 9 else _anybody(chooser)


def _whose(chooser: Chooser) -> int:
    return pick(chooser, (OWNER_A, OWNER_A, OWNER_B, STRANGER))


def _owner(chooser: Chooser) -> tuple[int, int]:
    """(signer, owner of the vault): the same nine times of ten."""
    owner = _whose(chooser)
    return (_anybody(chooser) if chance(chooser, 10) else owner), owner


def _warp(chooser: Chooser, model: Model, now: Now) -> a.Warp:
    if model.config.proposals and chance(chooser, 50):
        # To the edges of a proposal's time, by the clock and by slots apart.
        proposal = pick(chooser, list(model.config.proposals.values()))
        slots = proposal.due_slot - now.slot + pick(chooser, (0, -1, 100))
        seconds = proposal.due_unix_s - now.unix_s + pick(chooser, (0, -1, GRACE_S, GRACE_S + 1))
        return a.Warp(max(slots, 0), max(seconds, 0))
    delay = model.config.delay_s
    spans = (1, 2, delay - 1, delay, delay + 1, 7, 50, 300, GRACE_S, GRACE_S + delay + 1)
    slots = pick(chooser, spans[:8])
    return a.Warp(max(slots, 0), max(pick(chooser, spans) if chance(chooser, 30) else slots, 0))


def _set_paused(chooser: Chooser, model: Model, now: Now) -> a.SetPaused:
    paused = chance(chooser, 15 if model.config.paused else 50)
    signer = model.config.admin if model.config.paused and chance(chooser, 80) else _keeper(chooser, model)
    return a.SetPaused(signer, paused=paused)


def _missing(model: Model) -> list[Change]:
    """Changes without which nothing trades."""
    config = model.config
    missing = []
    if not config.authorities:
        missing.append(Change(Kind.ADD_BOT_AUTHORITY, BOT))
    if not config.programs:
        missing.append(Change(Kind.ALLOW_PROGRAM, 0))
    if config.paused and config.changes != config.changes_at_pause:
        missing.append(Change(Kind.UNPAUSE, config.changes))
    return missing


def _repair(chooser: Chooser, model: Model, now: Now) -> a.Action | None:
    """What brings trading back, a step at a time; None when nothing stands in its way."""
    config = model.config
    missing = _missing(model)
    if not missing:
        return a.SetPaused(config.admin, paused=False) if config.paused else None
    change = pick(chooser, missing)
    proposal = config.proposals.get(change)
    if proposal is None or proposal.vetoed or proposal.has_lapsed(now):
        return a.Schedule(config.admin, change)
    if now.unix_s < proposal.due_unix_s or now.slot < proposal.due_slot:
        return a.Warp(max(proposal.due_slot - now.slot, 0), max(proposal.due_unix_s - now.unix_s, 0))
    return a.Apply(change)


def _change(chooser: Chooser, model: Model) -> Change:
    """One that trading waits for, one that was proposed, or any, sense or nonsense."""
    missing = _missing(model)
    if missing and chance(chooser, 60):
        return pick(chooser, missing)
    if model.config.proposals and chance(chooser, 60):
        return pick(chooser, list(model.config.proposals))
    kind = pick(chooser, list(Kind))
    match kind:
        case Kind.ADD_BOT_AUTHORITY | Kind.SET_GUARDIAN | Kind.SET_ADMIN:
            return Change(kind, _anybody(chooser))
        case Kind.ALLOW_PROGRAM:
            return Change(kind, chooser.below(PROGRAMS))
        case Kind.LOWER_DELAY:
            return Change(kind, pick(chooser, (0, 1, 2, model.config.delay_s - 1, model.config.delay_s)))
        case Kind.UNPAUSE:
            return Change(kind, max(model.config.changes - chooser.below(2), 0))


def _schedule(chooser: Chooser, model: Model, now: Now) -> a.Schedule:
    return a.Schedule(_keeper(chooser, model), _change(chooser, model))


def _cancel(chooser: Chooser, model: Model, now: Now) -> a.Cancel:
    signer = model.config.guardian if chance(chooser, 60) else _keeper(chooser, model)
    return a.Cancel(signer, _change(chooser, model))


def _apply(chooser: Chooser, model: Model, now: Now) -> a.Apply:
    return a.Apply(_change(chooser, model))


def _accept_admin(chooser: Chooser, model: Model, now: Now) -> a.AcceptAdmin:
    proposed = [change.value for change in model.config.proposals if change.kind is Kind.SET_ADMIN]
    return a.AcceptAdmin(pick(chooser, proposed) if proposed and chance(chooser, 80) else _anybody(chooser))


def _retire(chooser: Chooser, model: Model, now: Now) -> a.RetireAuthority:
    listed = sorted(model.config.authorities)
    return a.RetireAuthority(
        _keeper(chooser, model), pick(chooser, listed) if listed and chance(chooser, 40) else STRANGER
    )


def _remove(chooser: Chooser, model: Model, now: Now) -> a.RemoveProgram:
    listed = sorted(model.config.programs)
    program = pick(chooser, listed) if listed and chance(chooser, 40) else chooser.below(PROGRAMS)
    return a.RemoveProgram(_keeper(chooser, model), program)


def _raise(chooser: Chooser, model: Model, now: Now) -> a.RaiseDelay:
    delay = model.config.delay_s
    return a.RaiseDelay(_keeper(chooser, model), pick(chooser, (delay + 1, delay + 3, delay, 0, DELAY_S_MAX + 1)))


def _open_vault(chooser: Chooser, model: Model, now: Now) -> a.OpenVault:
    return a.OpenVault(_whose(chooser))


def _open_mint(chooser: Chooser, model: Model, now: Now) -> a.OpenMint:
    return a.OpenMint(*_owner(chooser), chooser.below(MINTS))


def _close_mint(chooser: Chooser, model: Model, now: Now) -> a.CloseMint:
    return a.CloseMint(*_owner(chooser), chooser.below(MINTS))


def _amount(chooser: Chooser, balance: int) -> int:
    """Round a balance: its edges, parts of it, nothing, everything there is."""
    parts = (balance // 10, balance // 2, balance, 1, 0, balance + 1, max(balance - 1, 0), U64_MAX, 1_000)
    return min(pick(chooser, parts), U64_MAX)


def _deposit(chooser: Chooser, model: Model, now: Now) -> a.Deposit:
    signer, owner = _owner(chooser)
    mint = chooser.below(MINTS)
    balance = model.money.balances.get(Place(Holder.WALLET, signer, mint), 0)
    return a.Deposit(signer, owner, mint, _amount(chooser, balance))


def _withdraw(chooser: Chooser, model: Model, now: Now) -> a.Withdraw:
    signer, owner = _owner(chooser)
    mint = chooser.below(MINTS)
    balance = model.money.balances.get(Place(Holder.VAULT, owner, mint), 0)
    return a.Withdraw(signer, owner, mint, _amount(chooser, balance), pick(chooser, OWNERS))


def _enable(chooser: Chooser, model: Model, now: Now) -> a.EnableBot:
    return a.EnableBot(*_owner(chooser))


def _disable(chooser: Chooser, model: Model, now: Now) -> a.DisableBot:
    signer, owner = _owner(chooser)
    return a.DisableBot(_keeper(chooser, model) if chance(chooser, 50) else signer, owner)


def _set_limits(chooser: Chooser, model: Model, now: Now) -> a.SetLimits:
    signer, owner = _owner(chooser)
    mints = tuple(mint for mint in range(MINTS) if not chance(chooser, 8))
    if chance(chooser, 5):
        mints += (0,)
    odd = chance(chooser, 15)
    limits = LimitsModel(
        share_bps=pick(chooser, (1, 0, 10_001, 10_000) if odd else (10_000, 5_000, 2_500, 1_000)),
        turnover_bps=pick(chooser, (1, 0, 10_001, 10_000) if odd else (10_000, 9_000, 5_000)),
        slots_between=pick(chooser, (1, 5, 2**32 - 1)) if chance(chooser, 15) else 0,
        window_slots=pick(chooser, (0, 1, U64_MAX) if odd else (50, 7, 300)),
        mints=mints,
    )
    return a.SetLimits(signer, owner, limits)


def _dust(chooser: Chooser, model: Model, now: Now) -> a.Dust:
    return a.Dust(
        to_hand=chooser.below(2) == 0,
        owner=_whose(chooser),
        mint=chooser.below(MINTS),
        amount=pick(chooser, (1, 1_000, 10**6)),
    )


def _trade(chooser: Chooser, model: Model, now: Now) -> a.Trade:
    """Lawful in everything that is not drawn to be wrong."""

    def wrong() -> bool:
        return chance(chooser, 4)

    enabled = [owner for owner, vault in model.vaults.items() if vault.enabled]
    owner = pick(chooser, enabled) if enabled and not wrong() else _whose(chooser)
    mint_in, mint_out = _pair(chooser, model, owner)
    if wrong():
        mint_in, mint_out = chooser.below(MINTS), chooser.below(MINTS)
    authorities = sorted(model.config.authorities)
    programs = sorted(model.config.programs)
    balance = sum(model.money.balances.get(Place(h, owner, mint_in), 0) for h in (Holder.VAULT, Holder.HAND))
    minimum = 0 if wrong() else pick(chooser, (1_000, 10**6, 7))
    return a.Trade(
        signer=_anybody(chooser) if wrong() or not authorities else pick(chooser, authorities),
        owner=owner,
        mint_in=mint_in,
        mint_out=mint_out,
        program=chooser.below(PROGRAMS) if wrong() or not programs else pick(chooser, programs),
        seq_offset=pick(chooser, (-1, 1, 2**62)) if wrong() else 0,
        amount=_trade_amount(chooser, model, owner, balance),
        minimum=minimum,
        expiry_ahead=pick(chooser, (-1, 301, 10**6)) if wrong() else pick(chooser, (100, 0, 300)),
        taken=pick(chooser, list(a.Taken)) if chance(chooser, 20) else a.Taken.ALL,
        given=pick(chooser, (minimum, max(minimum - 1, 0), 0)) if chance(chooser, 35) else minimum + minimum // 20 + 5,
        evil=pick(chooser, list(Evil)) if chance(chooser, 12) else Evil.NOTHING,
        hash_is_right=not wrong(),
        confusion=a.Confusion(chooser.below(TRADE_ACCOUNTS), chooser.below(CONFUSIONS)) if wrong() else None,
    )


def _pair(chooser: Chooser, model: Model, owner: int) -> tuple[int, int]:
    """A mint that the vault holds and one that it may hold, where there are any."""
    vault = model.vaults.get(owner)
    listed = [mint for mint in (vault.limits.mints if vault else ()) if Place(Holder.HAND, owner, mint) in
              model.money.balances]  # fmt: skip
    held = [mint for mint in listed if model.money.balances.get(Place(Holder.VAULT, owner, mint))]
    pairs = [(paid, bought) for paid in held for bought in listed if paid != bought]
    return pick(chooser, pairs) if pairs else pick(chooser, ((0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)))


def _trade_amount(chooser: Chooser, model: Model, owner: int, balance: int) -> int:
    """Near the owner's limits, as often as not."""
    vault = model.vaults.get(owner)
    if vault is None or chance(chooser, 15):
        return _amount(chooser, balance)
    limits = vault.limits
    if chance(chooser, 50):
        return balance * pick(chooser, (100, 10, limits.share_bps // 2)) // 10_000
    bps = pick(chooser, (limits.share_bps, limits.turnover_bps, limits.turnover_bps // 2))
    return max(balance * bps // 10_000 + pick(chooser, (0, 1, -1)), 0)


_Make = Callable[[Chooser, Model, Now], a.Action]
_KINDS: Final[tuple[tuple[int, _Make], ...]] = (
    (44, _trade), (9, _warp), (3, _set_paused), (6, _schedule), (3, _cancel), (6, _apply), (2, _accept_admin),
    (1, _retire), (1, _remove), (1, _raise), (1, _open_vault), (3, _open_mint), (1, _close_mint), (5, _deposit),
    (3, _withdraw), (5, _enable), (1, _disable), (4, _set_limits), (3, _dust),
)  # fmt: skip
_KINDS_BY_MOOD: Final[Mapping[Mood, tuple[tuple[int, _Make], ...]]] = {
    Mood.ANYTHING: _KINDS,
    Mood.KEEPERS: (
        (30, _schedule), (8, _cancel), (12, _apply), (4, _accept_admin), (3, _retire), (3, _remove), (3, _raise),
        (8, _set_paused), (6, _warp), (3, _trade),
    ),
    Mood.TRADES: (
        (60, _trade), (12, _warp), (6, _set_limits), (5, _open_mint), (6, _deposit), (3, _dust), (3, _enable),
    ),
}  # fmt: skip
