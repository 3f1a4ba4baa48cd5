//! The owner's limits as arithmetic: what share of a balance an amount is, and how much of it moved lately.
//!
//! Turnover is counted per mint in shares of the balance at the time of each trade, in the running window and the one
//! before it. Any stretch of one window's length touches at most two windows, so what both hold together bounds the
//! turnover of every such stretch; docs/adr/0011 has the proof that this bounds the loss too.

use crate::{ceil_mul_div, math::BPS};

/// Hundredths of a percent of `balance` that `amount` is, rounded up; None when it is more than the whole.
pub fn share_bps(amount: u64, balance: u64) -> Option<u16> {
    if amount > balance {
        return None;
    }
    // At most 10,000, because the amount is not above the balance.
    ceil_mul_div(amount, BPS, balance).map(|share| share as u16)
}

/// The window that a slot lies in; windows of no length count as windows of one slot.
pub fn window_of(slot: u64, window_slots: u64) -> u64 {
    slot / if window_slots == 0 { 1 } else { window_slots }
}

/// Shares of one mint's balance that trades spent, in bps: in the window before the running one, and in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    pub before: u16,
    pub now: u16,
}

impl Used {
    /// What is still counted when `windows` windows have begun since.
    pub fn after(self, windows: u64) -> Self {
        match windows {
            0 => self,
            1 => Self { before: self.now, now: 0 },
            _ => Self { before: 0, now: 0 },
        }
    }

    pub fn permits(self, share: u16, turnover_max: u16) -> bool {
        u32::from(self.before) + u32::from(self.now) + u32::from(share) <= u32::from(turnover_max)
    }

    /// Never wraps: `permits` held for at least this share, and limits are at most 10,000.
    pub fn plus(self, share: u16) -> Self {
        Self { before: self.before, now: self.now.saturating_add(share) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up_and_never_more_than_the_whole() {
        assert_eq!(share_bps(1, 10_000), Some(1));
        assert_eq!(share_bps(1, u64::MAX), Some(1));
        assert_eq!(share_bps(2_500, 10_000), Some(2_500));
        assert_eq!(share_bps(25_001, 100_000), Some(2_501));
        assert_eq!(share_bps(u64::MAX, u64::MAX), Some(10_000));
        assert_eq!(share_bps(u64::MAX - 1, u64::MAX), Some(10_000));
        assert_eq!(share_bps(2, 1), None);
        assert_eq!(share_bps(1, 0), None);
        assert_eq!(share_bps(0, 0), None);
    }

    #[test]
    fn a_count_leaves_after_the_window_that_follows_its_own() {
        let used = Used { before: 100, now: 200 };
        assert_eq!(used.after(0), used);
        assert_eq!(used.after(1), Used { before: 200, now: 0 });
        assert_eq!(used.after(2), Used { before: 0, now: 0 });
        assert_eq!(used.after(u64::MAX), Used { before: 0, now: 0 });
        assert!(used.permits(700, 1_000) && !used.permits(701, 1_000));
        assert_eq!(used.plus(5), Used { before: 100, now: 205 });
    }

    #[test]
    fn windows_are_counted_from_slot_zero() {
        assert_eq!([0, 9, 10, 19].map(|slot| window_of(slot, 10)), [0, 0, 1, 1]);
        assert_eq!(window_of(7, 0), 7);
        assert_eq!(window_of(u64::MAX, u64::MAX), 1);
    }
}
