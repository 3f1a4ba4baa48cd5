//! Changes of the configuration that wait: scheduled by the admin, applied by anybody once due.
//!
//! 1. Nothing that makes more possible takes effect before the delay has passed since it was scheduled.
//! 2. The guardian may cancel each change once. When the admin schedules the same change again, only the admin can
//!    still cancel it: a stolen guardian key holds nobody hostage.
//! 3. A change is judged when it is scheduled and again when it is applied.
//! 4. A pause is not lifted while something that loosens the configuration waits, so that resuming and applying it never
//!    fit in one transaction: whoever pauses has a delay more after it has been applied.

use pinocchio::{
    Address, ProgramResult,
    error::ProgramError,
    sysvars::{Sysvar, clock::Clock},
};
use rules::{CHANGE_LEN, Change, DELAY_S_MIN, Moment, Refusal, loosens, u64_at};
use tokens::refused;

use crate::{
    Call,
    event::{emit, tag},
    initialize::is_never_a_swap_program,
    keeper::{Keeper, authority_place, check_admin, keeper, program_place},
    state::{check_config, config},
    wrong_accounts,
};

const WAITING: u8 = 1;
/// Cancelled by the guardian; remembered so that it happens once.
const VETOED: u8 = 2;

const VETO_SPENT: usize = 1;
const DUE_UNIX_S: usize = 8;
const DUE_SLOT: usize = 16;
const CHANGE: usize = 24;

/// data: change [41]; accounts: admin (signer), config (w)
#[inline(never)]
pub fn schedule(call: &mut Call) -> ProgramResult {
    let [admin, account] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    check_length(call.data)?;
    check_config(call.program_id, account)?;
    let mut data = account.try_borrow_mut()?;
    check_admin(&data, admin)?;
    let change = Change::parse(call.data).map_err(refused)?;
    check_applicable(call.program_id, &data, &change)?;
    let now = now()?;
    let due = now.after(u64_at(&data, config::DELAY_S).map_err(refused)?).map_err(refused)?;
    let at = match find(&data, call.data) {
        Some(at) if data[at] == WAITING && !now.lapses(due_of(&data, at)?) => {
            return Err(refused(Refusal::AlreadyScheduled));
        }
        Some(at) => at,
        None => empty_place(&data)?,
    };
    let veto_spent = u8::from(data[at] == VETOED) | data[at + VETO_SPENT];
    data[at] = WAITING;
    data[at + VETO_SPENT] = veto_spent;
    data[at + DUE_UNIX_S..at + DUE_SLOT].copy_from_slice(&due.unix_s.to_le_bytes());
    data[at + DUE_SLOT..at + CHANGE].copy_from_slice(&due.slot.to_le_bytes());
    data[at + CHANGE..at + CHANGE + CHANGE_LEN].copy_from_slice(call.data);
    let fields: [&[u8]; 4] = [call.data, &due.unix_s.to_le_bytes(), &due.slot.to_le_bytes(), &[veto_spent]];
    emit(&tag::CHANGE_SCHEDULED, &fields);
    Ok(())
}

/// data: change [41]; accounts: admin or guardian (signer), config (w)
#[inline(never)]
pub fn cancel(call: &mut Call) -> ProgramResult {
    let [authority, account] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    check_length(call.data)?;
    check_config(call.program_id, account)?;
    let mut data = account.try_borrow_mut()?;
    let keeper = keeper(&data, authority)?;
    let at = find(&data, call.data).ok_or(refused(Refusal::NotScheduled))?;
    match keeper {
        Keeper::Admin => clear(&mut data, at),
        Keeper::Guardian if data[at] != WAITING => return Err(refused(Refusal::NotScheduled)),
        Keeper::Guardian if data[at + VETO_SPENT] != 0 => return Err(refused(Refusal::VetoSpent)),
        Keeper::Guardian => data[at] = VETOED,
    }
    let vetoed = [u8::from(keeper == Keeper::Guardian)];
    emit(&tag::CHANGE_CANCELLED, &[authority.address().as_ref(), call.data, &vetoed]);
    Ok(())
}

/// data: change [41]; accounts: config (w)
///
/// Anybody may apply what is due. A new admin signs for itself instead: `accept_admin`.
#[inline(never)]
pub fn apply(call: &mut Call) -> ProgramResult {
    let [account] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    check_length(call.data)?;
    check_config(call.program_id, account)?;
    let mut data = account.try_borrow_mut()?;
    let change = Change::parse(call.data).map_err(refused)?;
    if let Change::SetAdmin(_) = change {
        return Err(refused(Refusal::InvalidChange));
    }
    take_due(&mut data, call.data)?;
    check_applicable(call.program_id, &data, &change)?;
    let changes = u64_at(&data, config::CHANGES).map_err(refused)?;
    let changes = match change {
        Change::AddBotAuthority(_) => {
            let at = authority_place_for_new(&data)?;
            data[at..at + 2].copy_from_slice(&[config::KIND_ED25519, config::STATE_ACTIVE]);
            data[at + config::AUTHORITY_KEY..at + config::AUTHORITY_KEY + 33].copy_from_slice(&call.data[2..35]);
            changes + 1
        }
        Change::AllowProgram(program) => {
            let at = program_place(&data, &[0; 32]).ok_or(refused(Refusal::NoPlace))?;
            data[at..at + 32].copy_from_slice(&program);
            changes + 1
        }
        Change::SetGuardian(key) => {
            data[config::GUARDIAN..config::SWAP_PROGRAMS].copy_from_slice(&key);
            changes
        }
        Change::LowerDelay(delay_s) => {
            data[config::DELAY_S..config::CHANGES].copy_from_slice(&delay_s.to_le_bytes());
            changes
        }
        Change::Unpause(_) => {
            data[config::PAUSED] = 0;
            changes
        }
        Change::SetAdmin(_) => return Err(refused(Refusal::InvalidChange)),
    };
    data[config::CHANGES..config::CHANGES_AT_PAUSE].copy_from_slice(&changes.to_le_bytes());
    emit(&tag::CHANGE_APPLIED, &[call.data, &changes.to_le_bytes()]);
    Ok(())
}

/// accounts: the proposed admin (signer), config (w)
#[inline(never)]
pub fn accept_admin(call: &mut Call) -> ProgramResult {
    let [admin, account] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    if !call.data.is_empty() {
        return Err(refused(Refusal::MalformedData));
    }
    check_config(call.program_id, account)?;
    if !admin.is_signer() {
        return Err(refused(Refusal::NotAdmin));
    }
    let mut change = [0; CHANGE_LEN];
    change[0] = 4;
    change[1..33].copy_from_slice(admin.address().as_ref());
    let mut data = account.try_borrow_mut()?;
    take_due(&mut data, &change)?;
    let mut before = [0; 32];
    before.copy_from_slice(&data[config::ADMIN..config::GUARDIAN]);
    data[config::ADMIN..config::GUARDIAN].copy_from_slice(admin.address().as_ref());
    emit(&tag::ADMIN_CHANGED, &[&before, admin.address().as_ref()]);
    Ok(())
}

fn check_length(data: &[u8]) -> ProgramResult {
    if data.len() == CHANGE_LEN { Ok(()) } else { Err(refused(Refusal::MalformedData)) }
}

fn now() -> Result<Moment, ProgramError> {
    let clock = Clock::get()?;
    // Before 1970 counts as 1970: the wait is then only longer.
    Ok(Moment { unix_s: u64::try_from(clock.unix_timestamp).unwrap_or(0), slot: clock.slot })
}

/// `InvalidChange` when the change would do nothing, or something that no configuration may hold.
#[inline(never)]
fn check_applicable(program_id: &Address, config: &[u8], change: &Change) -> ProgramResult {
    let number = |at: usize| u64_at(config, at).map_err(refused);
    let applicable = match change {
        Change::AddBotAuthority(key) => authority_place(config, key).is_none(),
        Change::AllowProgram(program) => {
            program_place(config, program).is_none() && !is_never_a_swap_program(program_id, program)
        }
        Change::SetGuardian(key) => key != &config[config::GUARDIAN..config::SWAP_PROGRAMS],
        Change::SetAdmin(key) => key != &config[config::ADMIN..config::GUARDIAN],
        Change::LowerDelay(delay_s) => {
            config[config::PAUSED] == 0 && *delay_s >= DELAY_S_MIN && *delay_s < number(config::DELAY_S)?
        }
        Change::Unpause(changes) => {
            config[config::PAUSED] == 1 && *changes == number(config::CHANGES)? && !loosening_waits(config)
        }
    };
    if applicable { Ok(()) } else { Err(refused(Refusal::InvalidChange)) }
}

fn places() -> impl Iterator<Item = usize> {
    (0..config::PROPOSAL_COUNT).map(|n| config::PROPOSALS + n * config::PROPOSAL_LEN)
}

/// Whether something is scheduled, be it lapsed, that lets more be traded once applied.
#[inline(never)]
pub fn loosening_waits(config: &[u8]) -> bool {
    places().any(|at| config[at] == WAITING && loosens(config[at + CHANGE]))
}

/// Where this change waits, or is remembered as vetoed.
fn find(config: &[u8], change: &[u8]) -> Option<usize> {
    places().find(|at| config[*at] != 0 && &config[at + CHANGE..at + CHANGE + CHANGE_LEN] == change)
}

fn empty_place(config: &[u8]) -> Result<usize, ProgramError> {
    places().find(|at| config[*at] == 0).ok_or(refused(Refusal::NoPlace))
}

fn authority_place_for_new(config: &[u8]) -> Result<usize, ProgramError> {
    let at = |n: usize| config::AUTHORITIES + n * config::AUTHORITY_LEN;
    (0..config::AUTHORITY_COUNT).map(at).find(|at| config[*at] == 0).ok_or(refused(Refusal::NoPlace))
}

fn due_of(config: &[u8], at: usize) -> Result<Moment, ProgramError> {
    let number = |offset: usize| u64_at(config, at + offset).map_err(refused);
    Ok(Moment { unix_s: number(DUE_UNIX_S)?, slot: number(DUE_SLOT)? })
}

/// Removes a change whose time has come; `NotScheduled`, `NotDue` or `Lapsed` otherwise.
#[inline(never)]
fn take_due(config: &mut [u8], change: &[u8]) -> ProgramResult {
    let at = find(config, change).filter(|at| config[*at] == WAITING).ok_or(refused(Refusal::NotScheduled))?;
    now()?.check_due(due_of(config, at)?).map_err(refused)?;
    clear(config, at);
    Ok(())
}

fn clear(config: &mut [u8], at: usize) {
    config[at..at + config::PROPOSAL_LEN].fill(0);
}
