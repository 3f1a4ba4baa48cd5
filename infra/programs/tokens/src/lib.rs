//! What both programs share of the chain: token accounts as they are laid out, and the calls to the token,
//! associated-token and system programs.
#![no_std]

mod account;
mod address;
mod call;
mod mint;

pub use account::{Holding, balance_of, is_token_program, is_wallets};
pub use address::{
    ASSOCIATED_TOKEN, SPL_TOKEN, SYSTEM, TOKEN_2022, UPGRADEABLE_LOADER, associated_at, derived, find_associated,
    sha256,
};
pub use call::{
    Close, NewAccount, NewAssociated, Transfer, close, create_account, create_associated, initialize_token_account,
    transfer, transfer_with,
};
pub use mint::Mint;

use pinocchio::error::ProgramError;
use rules::Refusal;

/// A refusal as the error code that the transaction ends with.
pub fn refused(refusal: Refusal) -> ProgramError {
    ProgramError::Custom(refusal as u32)
}
