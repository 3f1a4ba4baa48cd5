//! Instructions of the administrator: the first configuration, and the pause.

use pinocchio::{
    AccountView, Address, ProgramResult,
    cpi::{Seed, Signer},
    error::ProgramError,
};
use rules::Refusal;
use tokens::{ASSOCIATED_TOKEN, NewAccount, SPL_TOKEN, TOKEN_2022, UPGRADEABLE_LOADER, create_account, refused};

use crate::{
    Call,
    state::{BOT_AUTHORITIES, CONFIG_SEED, SWAP_PROGRAMS, check_config, config, stamp_config},
    wrong_accounts,
};

const AUTHORITY_ARGUMENT_LEN: usize = 34;
const ARGUMENTS_LEN: usize = 64 + 32 * SWAP_PROGRAMS + AUTHORITY_ARGUMENT_LEN * BOT_AUTHORITIES;

/// data: admin [32] | guardian [32] | swap programs [4 x 32], zero for none | bot authorities [4 x (kind u8, key [33])]
/// accounts: payer (signer, w), upgrade authority (signer), config (w), this program, its program data, system program
///
/// Only the program's upgrade authority may call it, and only once: the address of the configuration is derived and the
/// account is never closed.
#[inline(never)]
pub fn initialize(call: &mut Call) -> ProgramResult {
    let [payer, authority, account, program, program_data, _system] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    if call.data.len() != ARGUMENTS_LEN {
        return Err(refused(Refusal::MalformedData));
    }
    check_upgrade_authority(call.program_id, authority, program, program_data)?;
    check_swap_programs(call.program_id, &call.data[64..64 + 32 * SWAP_PROGRAMS])?;
    let (address, bump) = Address::find_program_address(&[CONFIG_SEED], call.program_id);
    if account.address() != &address {
        return Err(refused(Refusal::WrongConfig));
    }
    if !account.is_data_empty() {
        return Err(refused(Refusal::AlreadyInitialized));
    }
    let bump = [bump];
    let seeds = [Seed::from(CONFIG_SEED), Seed::from(&bump)];
    let new = NewAccount { payer, account, owner: call.program_id, len: config::LEN };
    create_account(&new, &[Signer::from(&seeds)])?;
    let mut data = account.try_borrow_mut()?;
    stamp_config(&mut data);
    data[config::BUMP] = bump[0];
    write_arguments(&mut data, call.data)
}

/// The program account names its program data account, which names the upgrade authority.
fn check_upgrade_authority(
    program_id: &Address,
    authority: &AccountView,
    program: &AccountView,
    program_data: &AccountView,
) -> Result<(), ProgramError> {
    let refusal = refused(Refusal::NotUpgradeAuthority);
    if !authority.is_signer()
        || program.address() != program_id
        || !program.owned_by(&UPGRADEABLE_LOADER)
        || !program_data.owned_by(&UPGRADEABLE_LOADER)
    {
        return Err(refusal);
    }
    let (named, data) = (program.try_borrow()?, program_data.try_borrow()?);
    // Program: u32 2 | address of the program data. ProgramData: u32 3 | slot u64 | option u8 | authority.
    let is_program =
        named.len() >= 36 && named[..4] == [2, 0, 0, 0] && &named[4..36] == program_data.address().as_ref();
    let is_authority =
        data.len() >= 45 && data[..4] == [3, 0, 0, 0] && data[12] == 1 && &data[13..45] == authority.address().as_ref();
    if is_program && is_authority { Ok(()) } else { Err(refusal) }
}

/// None of them may be a program that does with a signature whatever it is told, nor this one.
#[inline(never)]
fn check_swap_programs(program_id: &Address, programs: &[u8]) -> ProgramResult {
    let never = [program_id, &SPL_TOKEN, &TOKEN_2022, &ASSOCIATED_TOKEN, &UPGRADEABLE_LOADER];
    if programs.chunks_exact(32).any(|entry| never.iter().any(|address| address.as_ref() == entry)) {
        return Err(refused(Refusal::InvalidConfiguration));
    }
    Ok(())
}

/// A swap program or bot authority listed twice, an admin or guardian of zero, or an unknown kind of key is refused.
#[inline(never)]
fn write_arguments(data: &mut [u8], arguments: &[u8]) -> ProgramResult {
    let invalid = refused(Refusal::InvalidConfiguration);
    let (admin_and_guardian, rest) = arguments.split_at(64);
    let (programs, authorities) = rest.split_at(32 * SWAP_PROGRAMS);
    if is_zero(&admin_and_guardian[..32]) || is_zero(&admin_and_guardian[32..]) || has_twins(programs, 32) {
        return Err(invalid);
    }
    if has_twins(authorities, AUTHORITY_ARGUMENT_LEN) {
        return Err(invalid);
    }
    data[config::ADMIN..config::SWAP_PROGRAMS].copy_from_slice(admin_and_guardian);
    data[config::SWAP_PROGRAMS..config::AUTHORITIES].copy_from_slice(programs);
    let mut at = config::AUTHORITIES;
    for argument in authorities.chunks_exact(AUTHORITY_ARGUMENT_LEN) {
        let (kind, key) = (argument[0], &argument[1..]);
        match kind {
            0 if is_zero(key) => {}
            // An Ed25519 key has 32 bytes; the place has room for a compressed P-256 key.
            config::KIND_ED25519 if !is_zero(&key[..32]) && key[32] == 0 => {
                data[at] = kind;
                data[at + 1] = config::STATE_ACTIVE;
                data[at + config::AUTHORITY_KEY..at + config::AUTHORITY_KEY + key.len()].copy_from_slice(key);
            }
            _ => return Err(invalid),
        }
        at += config::AUTHORITY_LEN;
    }
    Ok(())
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn has_twins(items: &[u8], len: usize) -> bool {
    items
        .chunks_exact(len)
        .enumerate()
        .any(|(at, item)| !is_zero(item) && items.chunks_exact(len).skip(at + 1).any(|other| other == item))
}

/// data: paused u8 (0 or 1); accounts: admin or guardian (signer), config (w)
///
/// Admin or guardian may pause; only the admin may lift the pause.
#[inline(never)]
pub fn set_paused(call: &mut Call) -> ProgramResult {
    let [authority, account] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    check_config(call.program_id, account)?;
    let &[paused @ (0 | 1)] = call.data else {
        return Err(refused(Refusal::MalformedData));
    };
    if !authority.is_signer() {
        return Err(refused(Refusal::NotAdmin));
    }
    let mut data = account.try_borrow_mut()?;
    let key = authority.address().as_ref();
    let is_admin = key == &data[config::ADMIN..config::ADMIN + 32];
    let is_guardian = key == &data[config::GUARDIAN..config::GUARDIAN + 32];
    if !is_admin && !(is_guardian && paused == 1) {
        return Err(refused(Refusal::NotAdmin));
    }
    data[config::PAUSED] = paused;
    Ok(())
}
