//! Token accounts, read by offset. SPL Token and Token-2022 share the first 165 bytes.

use pinocchio::{AccountView, Address, address::address_eq, error::ProgramError};
use rules::{Refusal, array_at, u64_at};

use crate::{SPL_TOKEN, TOKEN_2022, refused};

const ACCOUNT_LEN: usize = 165;
/// Uninitialised 0, initialised 1, frozen 2.
const STATE: usize = 108;
const INITIALIZED: u8 = 1;

pub fn is_token_program(address: &Address) -> bool {
    address == &SPL_TOKEN || address == &TOKEN_2022
}

/// Base units in an account that is known, or about to be shown by the token program, to be a token account;
/// `WrongTokenAccount` when it is too short to be one.
pub fn balance_of(account: &AccountView) -> Result<u64, ProgramError> {
    u64_at(&account.try_borrow()?, 64).map_err(|_| refused(Refusal::WrongTokenAccount))
}

/// Whether a token account is `wallet`'s; None when the account is no token account, or none yet.
pub fn is_wallets(account: &AccountView, wallet: &Address) -> Result<Option<bool>, ProgramError> {
    // A swap takes many accounts; address_eq compares words where == calls the runtime.
    let owner = account.owner();
    if account.data_len() < ACCOUNT_LEN || !(address_eq(&owner, &SPL_TOKEN) || address_eq(&owner, &TOKEN_2022)) {
        return Ok(None);
    }
    let data = account.try_borrow()?;
    let held_by = Address::new_from_array(array_at(&data, 32).map_err(refused)?);
    Ok((data[STATE] != 0).then(|| address_eq(&held_by, wallet)))
}

/// A token account's state, as far as control over its funds depends on it.
#[derive(Clone, Copy)]
pub struct Holding {
    pub amount: u64,
    pub lamports_beside_amount: u64,
    pub len: usize,
    usable: bool,
}

impl Holding {
    /// Reads an account that must belong to `token_program`, hold `mint` and be `authority`'s; `WrongTokenAccount` otherwise.
    ///
    /// Wrapped SOL counts its amount as lamports, so `lamports_beside_amount` leaves that part out.
    #[inline(never)]
    pub fn read(
        account: &AccountView,
        token_program: &Address,
        mint: &Address,
        authority: &Address,
    ) -> Result<Self, ProgramError> {
        let wrong = refused(Refusal::WrongTokenAccount);
        if !account.owned_by(token_program) {
            return Err(wrong);
        }
        let data = account.try_borrow()?;
        if data.len() < ACCOUNT_LEN || &data[..32] != mint.as_ref() || &data[32..64] != authority.as_ref() {
            return Err(wrong);
        }
        let option = |at: usize| array_at::<4>(&data, at).map(u32::from_le_bytes).map_err(refused);
        let amount = u64_at(&data, 64).map_err(refused)?;
        let (delegate, native, close_authority) = (option(72)?, option(109)?, option(129)?);
        let held_as_lamports = if native == 0 { 0 } else { amount };
        Ok(Self {
            amount,
            lamports_beside_amount: account.lamports().saturating_sub(held_as_lamports),
            len: data.len(),
            usable: data[STATE] == INITIALIZED && delegate == 0 && close_authority == 0,
        })
    }

    /// Neither frozen nor under anybody's delegation or close authority.
    pub fn is_only_its_owners(&self) -> bool {
        self.usable
    }
}
