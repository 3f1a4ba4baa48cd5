//! Who keeps the program: admin and guardian, and what each may do at once.

use pinocchio::{AccountView, ProgramResult, error::ProgramError};
use rules::{Refusal, array_at, u64_at};
use tokens::refused;

use crate::{
    Call,
    event::{emit, tag},
    proposal::loosening_waits,
    state::{check_config, config},
    wrong_accounts,
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    Admin,
    Guardian,
}

/// `NotAdmin` unless `signer` signs and is one of the two.
pub fn keeper(config: &[u8], signer: &AccountView) -> Result<Keeper, ProgramError> {
    let key = signer.address().as_ref();
    if !signer.is_signer() {
        return Err(refused(Refusal::NotAdmin));
    }
    if key == &config[config::ADMIN..config::GUARDIAN] {
        Ok(Keeper::Admin)
    } else if key == &config[config::GUARDIAN..config::SWAP_PROGRAMS] {
        Ok(Keeper::Guardian)
    } else {
        Err(refused(Refusal::NotAdmin))
    }
}

/// `NotAdmin` unless the admin signs.
pub fn check_admin(config: &[u8], signer: &AccountView) -> ProgramResult {
    match keeper(config, signer)? {
        Keeper::Admin => Ok(()),
        Keeper::Guardian => Err(refused(Refusal::NotAdmin)),
    }
}

/// data: paused u8 (0 or 1); accounts: admin or guardian (signer), config (w)
///
/// Either may pause; only the admin may lift the pause, and at once only when the configuration is still the one that
/// was paused and nothing waits that would loosen it. Otherwise `Change::Unpause` waits out the delay.
#[inline(never)]
pub fn set_paused(call: &mut Call) -> ProgramResult {
    let [authority, account] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    let &[paused @ (0 | 1)] = call.data else {
        return Err(refused(Refusal::MalformedData));
    };
    check_config(call.program_id, account)?;
    let mut data = account.try_borrow_mut()?;
    if keeper(&data, authority)? == Keeper::Guardian && paused == 0 {
        return Err(refused(Refusal::NotAdmin));
    }
    let before = data[config::PAUSED];
    let changes = config::CHANGES..config::CHANGES_AT_PAUSE;
    if paused == 1 && before == 0 {
        data.copy_within(changes, config::CHANGES_AT_PAUSE);
    } else if paused == 0 && before == 1 {
        let at_pause = u64_at(&data, config::CHANGES_AT_PAUSE).map_err(refused)?;
        if u64_at(&data, config::CHANGES).map_err(refused)? != at_pause || loosening_waits(&data) {
            return Err(refused(Refusal::UnpauseLocked));
        }
    }
    data[config::PAUSED] = paused;
    emit(&tag::PAUSE_SET, &[authority.address().as_ref(), &[before], &[paused]]);
    Ok(())
}

/// data: kind u8 | key [33]; accounts: admin or guardian (signer), config (w)
#[inline(never)]
pub fn retire_authority(call: &mut Call) -> ProgramResult {
    let [authority, account] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    if call.data.len() != 34 {
        return Err(refused(Refusal::MalformedData));
    }
    check_config(call.program_id, account)?;
    let mut data = account.try_borrow_mut()?;
    keeper(&data, authority)?;
    let is_ed25519 = call.data[0] == config::KIND_ED25519 && call.data[33] == 0;
    let at = match authority_place(&data, &array_at(call.data, 1).map_err(refused)?) {
        Some(at) if is_ed25519 => at,
        _ => return Err(refused(Refusal::NotActive)),
    };
    data[at..at + config::AUTHORITY_LEN].fill(0);
    emit(&tag::AUTHORITY_RETIRED, &[authority.address().as_ref(), call.data]);
    Ok(())
}

/// data: program [32]; accounts: admin or guardian (signer), config (w)
#[inline(never)]
pub fn remove_program(call: &mut Call) -> ProgramResult {
    let [authority, account] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    if call.data.len() != 32 {
        return Err(refused(Refusal::MalformedData));
    }
    check_config(call.program_id, account)?;
    let mut data = account.try_borrow_mut()?;
    keeper(&data, authority)?;
    let at = match program_place(&data, call.data) {
        Some(at) if call.data != [0; 32] => at,
        _ => return Err(refused(Refusal::NotActive)),
    };
    data[at..at + 32].fill(0);
    emit(&tag::PROGRAM_REMOVED, &[authority.address().as_ref(), call.data]);
    Ok(())
}

/// data: delay_s u64; accounts: admin (signer), config (w)
///
/// A longer delay holds for what is scheduled from now on.
#[inline(never)]
pub fn raise_delay(call: &mut Call) -> ProgramResult {
    let [admin, account] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    if call.data.len() != 8 {
        return Err(refused(Refusal::MalformedData));
    }
    check_config(call.program_id, account)?;
    let mut data = account.try_borrow_mut()?;
    check_admin(&data, admin)?;
    let before = u64_at(&data, config::DELAY_S).map_err(refused)?;
    let delay_s = u64_at(call.data, 0).map_err(refused)?;
    if delay_s <= before || delay_s > rules::DELAY_S_MAX {
        return Err(refused(Refusal::InvalidDelay));
    }
    data[config::DELAY_S..config::CHANGES].copy_from_slice(call.data);
    emit(&tag::DELAY_RAISED, &[&before.to_le_bytes(), call.data]);
    Ok(())
}

/// Where an active Ed25519 authority is listed.
pub fn authority_place(config: &[u8], key: &[u8; 32]) -> Option<usize> {
    let places = config[config::AUTHORITIES..config::DELAY_S].chunks_exact(config::AUTHORITY_LEN);
    let is_this = |entry: &[u8]| {
        entry[..2] == [config::KIND_ED25519, config::STATE_ACTIVE]
            && &entry[config::AUTHORITY_KEY..config::AUTHORITY_KEY + 32] == key
    };
    places.enumerate().find(|(_, entry)| is_this(entry)).map(|(n, _)| config::AUTHORITIES + n * config::AUTHORITY_LEN)
}

/// Where a swap program is listed; for the zero key, an empty place.
pub fn program_place(config: &[u8], program: &[u8]) -> Option<usize> {
    let places = config[config::SWAP_PROGRAMS..config::AUTHORITIES].chunks_exact(32);
    places.enumerate().find(|(_, entry)| *entry == program).map(|(n, _)| config::SWAP_PROGRAMS + n * 32)
}
