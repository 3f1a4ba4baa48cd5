//! The act that calls another program.

use core::mem::MaybeUninit;

use pinocchio::{
    AccountView, ProgramResult,
    cpi::{Seed, Signer, invoke_signed_with_bounds},
    error::ProgramError,
    instruction::{InstructionAccount, InstructionView},
};

use crate::{SEED, Script};

const ACCOUNTS_MAX: usize = 40;

/// Passes on any accounts with any flags; the runtime says what it thinks of privileges that nobody granted.
#[inline(never)]
pub fn call(bump: u8, accounts: &[AccountView], script: &mut Script) -> ProgramResult {
    let (program, count) = (usize::from(script.byte()?), usize::from(script.byte()?));
    let program = accounts.get(program).ok_or(ProgramError::NotEnoughAccountKeys)?;
    let places = script.take(2 * count)?;
    let len = script.u16()?;
    let data = script.take(len)?;
    let mut metas = [const { MaybeUninit::<InstructionAccount>::uninit() }; ACCOUNTS_MAX];
    let mut views = [program; ACCOUNTS_MAX];
    if count > ACCOUNTS_MAX {
        return Err(ProgramError::InvalidInstructionData);
    }
    for (at, place) in places.chunks_exact(2).enumerate() {
        let view = accounts.get(usize::from(place[0])).ok_or(ProgramError::NotEnoughAccountKeys)?;
        metas[at].write(InstructionAccount::new(view.address(), place[1] & 2 != 0, place[1] & 1 != 0));
        views[at] = view;
    }
    // The first `count` places were written just above.
    let metas = unsafe { core::slice::from_raw_parts(metas.as_ptr().cast::<InstructionAccount>(), count) };
    let instruction = InstructionView { program_id: program.address(), accounts: metas, data };
    invoke(&instruction, &views[..count], bump)
}

#[inline(never)]
fn invoke(instruction: &InstructionView, views: &[&AccountView], bump: u8) -> ProgramResult {
    let bump = [bump];
    let seeds = [Seed::from(SEED), Seed::from(&bump)];
    invoke_signed_with_bounds::<ACCOUNTS_MAX, &AccountView>(instruction, views, &[Signer::from(&seeds)])
}
