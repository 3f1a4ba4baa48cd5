//! Vault program: a bot trades inside a vault and can do nothing else with it.
//!
//! Invariants (docs/vault-program.md says more, tests/programs repeats the numbers):
//! 1. Only the owner's signature moves funds out of a vault; only `bot_trade` moves them within a trade.
//! 2. A swap never receives the vault's signature, only that of the vault's trade authority, whose token accounts are
//!    empty between trades.
//! 3. Each trade sequence of a vault succeeds at most once; `trade_seq` only grows, and vaults are never closed.
//! 4. What a trade spent and received is read from balances, never from what the swap says.
//! 5. Pausing stops trades, never withdrawals.
#![no_std]

mod admin;
mod hash;
mod owner;
mod state;
mod swap;
mod trade;

use pinocchio::{AccountView, Address, ProgramResult, error::ProgramError};
use rt as _;
use rules::Refusal;
use tokens::refused;

pinocchio::program_entrypoint!(process, 64);
pinocchio::no_allocator!();
pinocchio::nostd_panic_handler!();

/// One instruction as the runtime handed it over. Handlers take it as their only argument and are not inlined, so that
/// each has a stack frame (4 KiB) of its own.
struct Call<'a> {
    program_id: &'a Address,
    accounts: &'a mut [AccountView],
    data: &'a [u8],
}

/// The first eight bytes of sha256("global:<name>").
mod tag {
    pub const INITIALIZE: [u8; 8] = [175, 175, 109, 31, 13, 152, 155, 237];
    pub const SET_PAUSED: [u8; 8] = [91, 60, 125, 192, 176, 225, 166, 218];
    pub const OPEN_VAULT: [u8; 8] = [181, 248, 228, 67, 6, 175, 37, 167];
    pub const OPEN_MINT: [u8; 8] = [100, 129, 101, 33, 167, 150, 111, 9];
    pub const DEPOSIT: [u8; 8] = [242, 35, 198, 137, 82, 225, 242, 182];
    pub const WITHDRAW: [u8; 8] = [183, 18, 70, 156, 148, 109, 161, 34];
    pub const ENABLE_BOT: [u8; 8] = [222, 129, 205, 59, 130, 161, 159, 172];
    pub const DISABLE_BOT: [u8; 8] = [68, 25, 52, 122, 104, 63, 57, 171];
    pub const BOT_TRADE: [u8; 8] = [188, 62, 136, 150, 78, 171, 231, 50];
}

fn process(program_id: &Address, accounts: &mut [AccountView], data: &[u8]) -> ProgramResult {
    let Some((tag, data)) = data.split_first_chunk::<8>() else {
        return Err(refused(Refusal::UnknownInstruction));
    };
    let mut call = Call { program_id, accounts, data };
    match *tag {
        tag::BOT_TRADE => trade::bot_trade(&mut call),
        tag::DEPOSIT => owner::deposit(&mut call),
        tag::WITHDRAW => owner::withdraw(&mut call),
        tag::OPEN_VAULT => owner::open_vault(&mut call),
        tag::OPEN_MINT => owner::open_mint(&mut call),
        tag::ENABLE_BOT => owner::enable_bot(&mut call),
        tag::DISABLE_BOT => owner::disable_bot(&mut call),
        tag::SET_PAUSED => admin::set_paused(&mut call),
        tag::INITIALIZE => admin::initialize(&mut call),
        _ => Err(refused(Refusal::UnknownInstruction)),
    }
}

fn wrong_accounts<T>(_: T) -> ProgramError {
    refused(Refusal::WrongAccounts)
}
