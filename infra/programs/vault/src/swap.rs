//! The call to the swap program, with the trade authority as its only signer.

use core::mem::MaybeUninit;

use pinocchio::{
    AccountView, Address, ProgramResult,
    cpi::{Signer, invoke_signed_with_bounds},
    instruction::{InstructionAccount, InstructionView},
};
use rules::Refusal;
use tokens::refused;

/// Most accounts a swap may take; with them the call's arrays just fit one stack frame.
pub const MAX_SWAP_ACCOUNTS: usize = 44;

pub struct Swap<'a> {
    pub program: &'a Address,
    pub accounts: &'a [AccountView],
    pub trade_authority: &'a Address,
    pub route: &'a [u8],
}

/// Passes the accounts on in their order with their writable flags; nobody but the trade authority signs, whoever
/// signed the transaction.
#[inline(never)]
pub fn call_swap(swap: &Swap, signer: &Signer) -> ProgramResult {
    let mut metas = [const { MaybeUninit::<InstructionAccount>::uninit() }; MAX_SWAP_ACCOUNTS];
    if swap.accounts.len() > MAX_SWAP_ACCOUNTS {
        return Err(refused(Refusal::WrongAccounts));
    }
    for (meta, account) in metas.iter_mut().zip(swap.accounts) {
        let signs = account.address() == swap.trade_authority;
        meta.write(InstructionAccount::new(account.address(), account.is_writable(), signs));
    }
    // The first accounts.len() places were written just above.
    let metas =
        unsafe { core::slice::from_raw_parts(metas.as_ptr().cast::<InstructionAccount>(), swap.accounts.len()) };
    invoke(&InstructionView { program_id: swap.program, accounts: metas, data: swap.route }, swap.accounts, signer)
}

#[inline(never)]
fn invoke(instruction: &InstructionView, accounts: &[AccountView], signer: &Signer) -> ProgramResult {
    invoke_signed_with_bounds::<MAX_SWAP_ACCOUNTS, AccountView>(instruction, accounts, core::slice::from_ref(signer))
}
