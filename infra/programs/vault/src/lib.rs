//! Vault program: a bot trades inside a vault and can do nothing else with it.
//!
//! Invariants (docs/vault-program.md says more, tests/programs repeats the numbers):
//! 1. Only the owner's signature moves funds out of a vault; only `bot_trade` moves them within a trade.
//! 2. A swap never receives the vault's signature, only that of the vault's trade authority, whose token accounts are
//!    empty between trades.
//! 3. Each trade sequence of a vault succeeds at most once; `trade_seq` only grows, and vaults are never closed.
//! 4. What a trade spent and received is read from balances, never from what the swap says.
//! 5. Pausing and disabling stop trades, never withdrawals.
//! 6. What makes more possible waits out the delay; what makes less possible takes effect at once.
//! 7. In any stretch of a window's length, trades spend no larger share of a mint's balance than the owner allows.
#![no_std]

mod event;
mod hash;
mod initialize;
mod keeper;
mod limits;
mod mint;
mod owner;
mod parties;
mod proposal;
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
    pub const SCHEDULE: [u8; 8] = [149, 203, 229, 209, 47, 51, 221, 206];
    pub const CANCEL: [u8; 8] = [232, 219, 223, 41, 219, 236, 220, 190];
    pub const APPLY: [u8; 8] = [248, 243, 145, 24, 105, 50, 162, 225];
    pub const ACCEPT_ADMIN: [u8; 8] = [112, 42, 45, 90, 116, 181, 13, 170];
    pub const RETIRE_AUTHORITY: [u8; 8] = [15, 254, 8, 161, 221, 94, 182, 253];
    pub const REMOVE_PROGRAM: [u8; 8] = [153, 20, 253, 61, 214, 191, 254, 199];
    pub const RAISE_DELAY: [u8; 8] = [230, 158, 119, 52, 237, 248, 21, 209];
    pub const OPEN_VAULT: [u8; 8] = [181, 248, 228, 67, 6, 175, 37, 167];
    pub const OPEN_MINT: [u8; 8] = [100, 129, 101, 33, 167, 150, 111, 9];
    pub const CLOSE_MINT: [u8; 8] = [149, 251, 157, 212, 65, 181, 235, 129];
    pub const SET_LIMITS: [u8; 8] = [207, 50, 250, 67, 211, 33, 70, 91];
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
        tag::OPEN_MINT => mint::open_mint(&mut call),
        tag::CLOSE_MINT => mint::close_mint(&mut call),
        tag::SET_LIMITS => limits::set_limits(&mut call),
        tag::ENABLE_BOT => owner::enable_bot(&mut call),
        tag::DISABLE_BOT => owner::disable_bot(&mut call),
        tag::SET_PAUSED => keeper::set_paused(&mut call),
        tag::RETIRE_AUTHORITY => keeper::retire_authority(&mut call),
        tag::REMOVE_PROGRAM => keeper::remove_program(&mut call),
        tag::RAISE_DELAY => keeper::raise_delay(&mut call),
        tag::SCHEDULE => proposal::schedule(&mut call),
        tag::CANCEL => proposal::cancel(&mut call),
        tag::APPLY => proposal::apply(&mut call),
        tag::ACCEPT_ADMIN => proposal::accept_admin(&mut call),
        tag::INITIALIZE => initialize::initialize(&mut call),
        _ => Err(refused(Refusal::UnknownInstruction)),
    }
}

fn wrong_accounts<T>(_: T) -> ProgramError {
    refused(Refusal::WrongAccounts)
}
