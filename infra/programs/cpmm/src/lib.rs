//! Constant-product pool of the local chain, with the interface, layouts and arithmetic of Raydium CPMM.
//!
//! For local chains only: it has no liquidity tokens, no fee accrual and no oracle. Callers cannot tell it from the real
//! one by `swap_base_input`. Invariants:
//! 1. Rounding is always against the trader, so reserve_0 x reserve_1 never falls.
//! 2. Tokens leave a pool only in exchange for a swap's input.
#![no_std]

mod open;
mod state;
mod swap;

use pinocchio::{AccountView, Address, ProgramResult, error::ProgramError};
use rt as _;

pinocchio::program_entrypoint!(process, 16);
pinocchio::no_allocator!();
pinocchio::nostd_panic_handler!();

struct Call<'a> {
    program_id: &'a Address,
    accounts: &'a mut [AccountView],
    data: &'a [u8],
}

/// Numbers of Raydium CPMM, where it has a fitting one.
#[repr(u32)]
#[derive(Clone, Copy)]
enum Refusal {
    InvalidOwner = 6001,
    EmptySupply = 6002,
    InvalidInput = 6003,
    ExceededSlippage = 6005,
    ZeroTradingTokens = 6006,
    NotSupportMint = 6007,
    InvalidVault = 6008,
}

fn refused(refusal: Refusal) -> ProgramError {
    ProgramError::Custom(refusal as u32)
}

/// First eight bytes of sha256("global:<name>").
mod tag {
    pub const CREATE_AMM_CONFIG: [u8; 8] = [137, 52, 237, 212, 215, 117, 108, 104];
    pub const INITIALIZE: [u8; 8] = [175, 175, 109, 31, 13, 152, 155, 237];
    pub const SWAP_BASE_INPUT: [u8; 8] = [143, 190, 90, 218, 196, 30, 51, 222];
}

fn process(program_id: &Address, accounts: &mut [AccountView], data: &[u8]) -> ProgramResult {
    let Some((tag, data)) = data.split_first_chunk::<8>() else {
        return Err(refused(Refusal::InvalidInput));
    };
    let mut call = Call { program_id, accounts, data };
    match *tag {
        tag::SWAP_BASE_INPUT => swap::swap_base_input(&mut call),
        tag::CREATE_AMM_CONFIG => open::create_amm_config(&mut call),
        tag::INITIALIZE => open::initialize(&mut call),
        _ => Err(refused(Refusal::InvalidInput)),
    }
}
