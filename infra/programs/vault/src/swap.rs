//! The call to the swap program, with the trade authority as its only signer.

use core::mem::MaybeUninit;

use pinocchio::{
    AccountView, Address, ProgramResult,
    address::address_eq,
    cpi::{Signer, invoke_signed_with_bounds},
    error::ProgramError,
    instruction::{InstructionAccount, InstructionView},
};
use rules::Refusal;
use tokens::{is_wallets, refused};

/// Most accounts a swap may take; with them the call's arrays just fit one stack frame.
pub const MAX_SWAP_ACCOUNTS: usize = 44;

pub struct Swap<'a> {
    pub program: &'a Address,
    pub accounts: &'a [AccountView],
    pub trade_authority: &'a Address,
    pub route: &'a [u8],
}

/// The trade authority and the two token accounts that it lends to the swap.
pub struct Hands<'a> {
    pub trade_authority: &'a Address,
    pub trade_in: &'a Address,
    pub trade_out: &'a Address,
}

/// Which of the swap's writable accounts beside the known ones are token accounts, one bit each; `ForeignTradeAccount`
/// when one of them is the trade authority's and not one of its two hands.
///
/// The swap has the trade authority's signature and could close, delegate or give away any account of it within reach.
/// So none but the two is, and none may come into being that was not there before.
#[inline(never)]
pub fn token_accounts(accounts: &[AccountView], hands: &Hands, known: u64) -> Result<u64, ProgramError> {
    let mut found = 0;
    if accounts.len() > MAX_SWAP_ACCOUNTS {
        return Err(refused(Refusal::WrongAccounts));
    }
    let is_asked = |at: usize, account: &AccountView| account.is_writable() && known & (1 << at) == 0;
    for (at, account) in accounts.iter().enumerate().filter(|(at, account)| is_asked(*at, account)) {
        match is_wallets(account, hands.trade_authority)? {
            Some(true) if account.address() != hands.trade_in && account.address() != hands.trade_out => {
                return Err(refused(Refusal::ForeignTradeAccount));
            }
            Some(_) => found |= 1 << at,
            None => {}
        }
    }
    Ok(found)
}

/// Passes the accounts on in their order with their writable flags; nobody but the trade authority signs, whoever
/// signed the transaction.
#[inline(never)]
pub fn call_swap(swap: &Swap, signer: &Signer) -> ProgramResult {
    let mut metas = [const { MaybeUninit::<InstructionAccount>::uninit() }; MAX_SWAP_ACCOUNTS];
    for (meta, account) in metas.iter_mut().zip(swap.accounts) {
        let signs = address_eq(account.address(), swap.trade_authority);
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
