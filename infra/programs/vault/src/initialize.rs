//! The first configuration, which only the program's upgrade authority can make.

use pinocchio::{
    AccountView, Address, ProgramResult,
    cpi::{Seed, Signer},
    error::ProgramError,
};
use rules::{DELAY_S_MAX, DELAY_S_MIN, Refusal, is_zero, u64_at};
use tokens::{
    ASSOCIATED_TOKEN, NewAccount, SPL_TOKEN, SYSTEM, TOKEN_2022, UPGRADEABLE_LOADER, create_account, refused,
};

use crate::{
    Call,
    event::{emit, tag},
    state::{CONFIG_SEED, config, stamp_config},
    wrong_accounts,
};

const AUTHORITY_ARGUMENT_LEN: usize = 34;
const PROGRAMS_END: usize = 64 + 32 * config::SWAP_PROGRAM_COUNT;
const AUTHORITIES_END: usize = PROGRAMS_END + AUTHORITY_ARGUMENT_LEN * config::AUTHORITY_COUNT;
const ARGUMENTS_LEN: usize = AUTHORITIES_END + 8;

/// data: admin [32] | guardian [32] | swap programs [4 x 32], zero for none | bot authorities [4 x (kind u8, key [33])]
/// | delay_s u64
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
    check_swap_programs(call.program_id, &call.data[64..PROGRAMS_END])?;
    let delay_s = u64_at(call.data, AUTHORITIES_END).map_err(refused)?;
    if !(DELAY_S_MIN..=DELAY_S_MAX).contains(&delay_s) {
        return Err(refused(Refusal::InvalidDelay));
    }
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
    data[config::DELAY_S..config::CHANGES].copy_from_slice(&delay_s.to_le_bytes());
    write_arguments(&mut data, &call.data[..AUTHORITIES_END])?;
    emit(&tag::CONFIG_INITIALIZED, &[&call.data[..64], &delay_s.to_le_bytes()]);
    Ok(())
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

fn check_swap_programs(program_id: &Address, programs: &[u8]) -> ProgramResult {
    if programs.chunks_exact(32).any(|entry| !is_zero(entry) && is_never_a_swap_program(program_id, entry)) {
        return Err(refused(Refusal::InvalidConfiguration));
    }
    Ok(())
}

/// Programs that do with a signature whatever they are told, and this one.
#[inline(never)]
pub fn is_never_a_swap_program(program_id: &Address, program: &[u8]) -> bool {
    let never = [program_id, &SYSTEM, &SPL_TOKEN, &TOKEN_2022, &ASSOCIATED_TOKEN, &UPGRADEABLE_LOADER];
    never.iter().any(|address| address.as_ref() == program)
}

/// A swap program or bot authority listed twice, an admin or guardian of zero, one key for both, or an unknown kind of key
/// is refused.
#[inline(never)]
fn write_arguments(data: &mut [u8], arguments: &[u8]) -> ProgramResult {
    let invalid = refused(Refusal::InvalidConfiguration);
    let (admin_and_guardian, rest) = arguments.split_at(64);
    let (programs, authorities) = rest.split_at(PROGRAMS_END - 64);
    let (admin, guardian) = admin_and_guardian.split_at(32);
    if is_zero(admin) || is_zero(guardian) || admin == guardian || has_twins(programs, 32) {
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

fn has_twins(items: &[u8], len: usize) -> bool {
    items
        .chunks_exact(len)
        .enumerate()
        .any(|(at, item)| !is_zero(item) && items.chunks_exact(len).skip(at + 1).any(|other| other == item))
}
