//! The owner's limits on a vault's trades: set by the owner, checked and counted by `bot_trade`.
//!
//! 1. A new vault's limits are zero and list no mint, so nothing can be traded before the owner has set them.
//! 2. Within any stretch of `window_slots`, the shares of one mint's balance that trades spend sum up to the turnover
//!    limit at most. So whoever holds the bot's key destroys no larger share of the vault's value in that time.

use pinocchio::{AccountView, Address, ProgramResult};
use rules::{BPS, Refusal, Used, array_at, is_zero, share_bps, u64_at, window_of};
use tokens::{find_associated, refused};

use crate::{
    Call,
    event::{emit, tag},
    state::{Vault, vault},
    wrong_accounts,
};

/// trade share max u16 bps | turnover max u16 bps | slots between trades u32 | window slots u64: as the vault holds them.
const NUMBERS: usize = 16;
const MINTS_AT: usize = NUMBERS + 4;

const USED_BEFORE: usize = 32;
const USED: usize = 34;
/// Bump of the vault's token account for the mint, 0 until `open_mint` has found it: trades do not search.
const BUMP: usize = 36;

/// data: NUMBERS | count u32 | count x mint [32]; accounts: owner (signer), vault (w)
///
/// Replaces all limits, and forgets the turnover counted so far, but not the bumps of mints that stay listed.
#[inline(never)]
pub fn set_limits(call: &mut Call) -> ProgramResult {
    let [owner, account] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    let count = u32::from_le_bytes(array_at(call.data, NUMBERS).map_err(refused)?) as usize;
    if count > vault::MINT_COUNT {
        return Err(refused(Refusal::InvalidLimits));
    }
    if call.data.len() != MINTS_AT + (count << 5) {
        return Err(refused(Refusal::MalformedData));
    }
    Vault::load(call.program_id, account)?.check_owner(owner)?;
    let mints = &call.data[MINTS_AT..];
    check_numbers(call.data)?;
    check_mints(mints)?;
    let mut data = account.try_borrow_mut()?;
    data[vault::TRADE_SHARE_MAX..vault::WINDOW].copy_from_slice(&call.data[..NUMBERS]);
    replace_mints(&mut data, mints);
    drop(data);
    emit(&tag::LIMITS_SET, &[account.address().as_ref(), call.data]);
    Ok(())
}

#[inline(never)]
fn replace_mints(data: &mut [u8], mints: &[u8]) {
    let mut old = [0; vault::MINTS_END];
    old.copy_from_slice(&data[..vault::MINTS_END]);
    data[vault::WINDOW..vault::MINTS_END].fill(0);
    let (mut rest, mut at) = (mints, vault::MINTS);
    while let Some((mint, others)) = rest.split_first_chunk::<32>() {
        data[at..at + 32].copy_from_slice(mint);
        data[at + BUMP] = place_of(&old, mint).map_or(0, |old_at| old[old_at + BUMP]);
        (rest, at) = (others, at + vault::MINT_LEN);
    }
}

/// Keeps what a trade needs of the address of the vault's token account; of a mint that is not listed, nothing.
#[inline(never)]
pub fn remember_bump(account: &mut AccountView, mint: &Address, token_program: &Address) -> ProgramResult {
    let Some(place) = place_of(&*account.try_borrow()?, mint.as_array()) else {
        return Ok(());
    };
    let (_, bump) = find_associated(account.address(), token_program, mint);
    account.try_borrow_mut()?[place + BUMP] = bump;
    Ok(())
}

fn check_numbers(data: &[u8]) -> ProgramResult {
    let bps = |at: usize| array_at(data, at).map(u16::from_le_bytes).map(u64::from).map_err(refused);
    let window_slots = u64_at(data, 8).map_err(refused)?;
    if bps(0)? > BPS || bps(2)? > BPS || window_slots == 0 {
        return Err(refused(Refusal::InvalidLimits));
    }
    Ok(())
}

#[inline(never)]
fn check_mints(mints: &[u8]) -> ProgramResult {
    let mut rest = mints;
    while let Some((mint, others)) = rest.split_first_chunk::<32>() {
        if is_zero(mint) || others.chunks_exact(32).any(|other| other == mint) {
            return Err(refused(Refusal::InvalidLimits));
        }
        rest = others;
    }
    Ok(())
}

/// What the next trade of a vault may spend, and where its turnover is counted.
#[derive(Clone, Copy)]
pub struct Allowance {
    /// Where the mint that is spent and the one that is bought are listed.
    places: [usize; 2],
    /// Of the vault's token accounts for both.
    pub bumps: [u8; 2],
    used: Used,
    windows_begun: u64,
    trade_share_max: u16,
    turnover_max: u16,
}

impl Allowance {
    /// For a trade from the first mint to the second. `TooSoon` after the last trade; `MintNotAllowed` when a mint is not
    /// listed; `MintNotOpened` when it was not opened since.
    #[inline(never)]
    pub fn of(vault: &[u8], slot: u64, mints: &[&Address; 2]) -> Result<Self, Refusal> {
        let slots_between = u64::from(u32::from_le_bytes(array_at(vault, vault::SLOTS_BETWEEN)?));
        let last_slot = u64_at(vault, vault::LAST_TRADE_SLOT)?;
        let traded_before = u64_at(vault, vault::TRADE_SEQ)? != 0;
        if traded_before && slot.saturating_sub(last_slot) < slots_between {
            return Err(Refusal::TooSoon);
        }
        let places = [
            place_of(vault, mints[0].as_array()).ok_or(Refusal::MintNotAllowed)?,
            place_of(vault, mints[1].as_array()).ok_or(Refusal::MintNotAllowed)?,
        ];
        let bumps = places.map(|at| vault[at + BUMP]);
        if bumps.contains(&0) {
            return Err(Refusal::MintNotOpened);
        }
        let bps = |at: usize| array_at(vault, at).map(u16::from_le_bytes);
        let window = window_of(slot, u64_at(vault, vault::WINDOW_SLOTS)?);
        let windows_begun = window.saturating_sub(u64_at(vault, vault::WINDOW)?);
        let used = Used { before: bps(places[0] + USED_BEFORE)?, now: bps(places[0] + USED)? };
        Ok(Self {
            places,
            bumps,
            used: used.after(windows_begun),
            windows_begun,
            trade_share_max: bps(vault::TRADE_SHARE_MAX)?,
            turnover_max: bps(vault::TURNOVER_MAX)?,
        })
    }

    /// `InsufficientFunds`, `ShareExceeded` or `TurnoverExceeded` when `amount` of `balance` is too much.
    pub fn check(&self, amount: u64, balance: u64) -> Result<(), Refusal> {
        let share = share_bps(amount, balance).ok_or(Refusal::InsufficientFunds)?;
        if share > self.trade_share_max {
            return Err(Refusal::ShareExceeded);
        }
        if !self.used.permits(share, self.turnover_max) { Err(Refusal::TurnoverExceeded) } else { Ok(()) }
    }

    /// Counts what was spent of `balance`, moves the counts of every mint into the running window.
    #[inline(never)]
    pub fn count(&self, vault: &mut [u8], spent: u64, balance: u64) -> Result<(), Refusal> {
        if self.windows_begun > 0 {
            let window = u64_at(vault, vault::WINDOW)? + self.windows_begun;
            vault[vault::WINDOW..vault::MINTS].copy_from_slice(&window.to_le_bytes());
            for entry in vault[vault::MINTS..vault::MINTS_END].chunks_exact_mut(vault::MINT_LEN) {
                let used = |at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
                let used = Used { before: used(USED_BEFORE), now: used(USED) }.after(self.windows_begun);
                entry[USED_BEFORE..USED].copy_from_slice(&used.before.to_le_bytes());
                entry[USED..USED + 2].copy_from_slice(&used.now.to_le_bytes());
            }
        }
        let share = share_bps(spent, balance).ok_or(Refusal::TooMuchIn)?;
        let used = self.used.plus(share).now;
        vault[self.places[0] + USED..self.places[0] + BUMP].copy_from_slice(&used.to_le_bytes());
        Ok(())
    }
}

/// Where a mint's entry begins.
fn place_of(vault: &[u8], mint: &[u8; 32]) -> Option<usize> {
    let entries = vault[vault::MINTS..vault::MINTS_END].chunks_exact(vault::MINT_LEN);
    entries.enumerate().find(|(_, entry)| &entry[..32] == mint).map(|(n, _)| vault::MINTS + n * vault::MINT_LEN)
}
