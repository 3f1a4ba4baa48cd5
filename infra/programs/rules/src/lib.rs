//! Pure rules of the programs: what is refused, how trade arguments read, and 128-bit arithmetic on 64-bit limbs.
//! No Solana dependency, so the same code is tested on the host with `cargo test -p rules`.
#![cfg_attr(not(test), no_std)]

mod change;
mod limits;
mod math;
mod refusal;
mod trade;

pub use change::{CHANGE_LEN, Change, DELAY_S_MAX, DELAY_S_MIN, GRACE_S, Moment, is_zero, loosens};
pub use limits::{Used, share_bps, window_of};
pub use math::{BPS, ceil_mul_div, mul_div};
pub use refusal::Refusal;
pub use trade::{BotTrade, MAX_EXPIRY_SLOTS, Moved};

/// Little-endian u64 at `offset`; `MalformedData` when the data ends before it.
pub fn u64_at(data: &[u8], offset: usize) -> Result<u64, Refusal> {
    Ok(u64::from_le_bytes(array_at(data, offset)?))
}

/// `N` bytes at `offset`; `MalformedData` when the data ends before them.
pub fn array_at<const N: usize>(data: &[u8], offset: usize) -> Result<[u8; N], Refusal> {
    let tail = data.get(offset..).ok_or(Refusal::MalformedData)?;
    tail.first_chunk::<N>().copied().ok_or(Refusal::MalformedData)
}
