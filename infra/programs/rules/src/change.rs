//! Changes of the configuration that wait, and when their wait is over.
//!
//! 1. A change waits for the delay on the clock and for as many slots as the delay has seconds, so that a chain that
//!    stood still and jumps ahead has not used up the wait.
//! 2. A change that nobody applied in time lapses: what was forgotten does not come to life later.

use crate::{Refusal, array_at, u64_at};

pub const DELAY_S_MIN: u64 = 1;
pub const DELAY_S_MAX: u64 = 14 * 86_400;
/// How long a change that is due may still be applied.
pub const GRACE_S: u64 = 7 * 86_400;

/// kind u8 | body [40]
pub const CHANGE_LEN: usize = 41;

/// Something that makes more possible than before, and therefore waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Ed25519, the only kind (1) that is built.
    AddBotAuthority([u8; 32]),
    AllowProgram([u8; 32]),
    SetGuardian([u8; 32]),
    SetAdmin([u8; 32]),
    LowerDelay(u64),
    /// Resumes trading under the configuration that so many changes have made.
    Unpause(u64),
}

impl Change {
    /// `MalformedData` on a wrong length; `InvalidChange` on an unknown kind, a zero key, or bytes that must be zero.
    pub fn parse(data: &[u8]) -> Result<Self, Refusal> {
        if data.len() != CHANGE_LEN {
            return Err(Refusal::MalformedData);
        }
        let (change, end) = match data[0] {
            1 if data[1] == 1 => (Self::AddBotAuthority(array_at(data, 2)?), 34),
            2 => (Self::AllowProgram(array_at(data, 1)?), 33),
            3 => (Self::SetGuardian(array_at(data, 1)?), 33),
            4 => (Self::SetAdmin(array_at(data, 1)?), 33),
            5 => (Self::LowerDelay(u64_at(data, 1)?), 9),
            6 => (Self::Unpause(u64_at(data, 1)?), 9),
            _ => return Err(Refusal::InvalidChange),
        };
        let zero_key = end >= 33 && is_zero(&data[end - 32..end]);
        if zero_key || !is_zero(&data[end..]) { Err(Refusal::InvalidChange) } else { Ok(change) }
    }
}

/// Whether a change of this kind lets more be traded, or sooner, than before: what nobody may hold ready while he lifts a
/// pause.
pub fn loosens(kind: u8) -> bool {
    matches!(kind, 1 | 2 | 5)
}

pub fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// A moment as the chain's clock gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub unix_s: u64,
    pub slot: u64,
}

impl Moment {
    /// When a change that is scheduled now becomes due.
    pub fn after(self, delay_s: u64) -> Result<Self, Refusal> {
        let later = |from: u64| from.checked_add(delay_s).ok_or(Refusal::Overflow);
        Ok(Self { unix_s: later(self.unix_s)?, slot: later(self.slot)? })
    }

    /// Whether a change that became due at `due` may no longer be applied.
    pub fn lapses(self, due: Self) -> bool {
        self.unix_s > due.unix_s.saturating_add(GRACE_S)
    }

    /// `NotDue` before, `Lapsed` long after.
    pub fn check_due(self, due: Self) -> Result<(), Refusal> {
        if self.unix_s < due.unix_s || self.slot < due.slot {
            return Err(Refusal::NotDue);
        }
        if self.lapses(due) { Err(Refusal::Lapsed) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend(body);
        bytes.resize(CHANGE_LEN, 0);
        bytes
    }

    #[test]
    fn changes_read_back_and_leave_no_byte_unread() {
        let key = [7; 32];
        let with_kind = [&[1][..], &key].concat();
        let number = 9u64.to_le_bytes();
        let wanted = [
            (data(1, &with_kind), Change::AddBotAuthority(key), 34),
            (data(2, &key), Change::AllowProgram(key), 33),
            (data(3, &key), Change::SetGuardian(key), 33),
            (data(4, &key), Change::SetAdmin(key), 33),
            (data(5, &number), Change::LowerDelay(9), 9),
            (data(6, &number), Change::Unpause(9), 9),
        ];
        for (bytes, change, end) in wanted {
            assert_eq!(Change::parse(&bytes), Ok(change));
            assert_eq!(Change::parse(&bytes[..40]), Err(Refusal::MalformedData));
            for at in end..CHANGE_LEN {
                let mut longer = bytes.clone();
                longer[at] = 1;
                assert_eq!(Change::parse(&longer), Err(Refusal::InvalidChange), "{change:?} {at}");
            }
        }
    }

    #[test]
    fn zero_keys_and_unknown_kinds_are_no_changes() {
        let of_kind_2 = [&[2][..], &[7; 32]].concat();
        for bytes in
            [data(1, &[1]), data(2, &[]), data(3, &[]), data(4, &[]), data(0, &[]), data(7, &[]), data(1, &of_kind_2)]
        {
            assert_eq!(Change::parse(&bytes), Err(Refusal::InvalidChange));
        }
    }

    #[test]
    fn a_change_is_due_by_clock_and_by_slots_and_lapses_by_clock() {
        let now = Moment { unix_s: 1_000, slot: 50 };
        let due = now.after(60).unwrap();
        assert_eq!(due, Moment { unix_s: 1_060, slot: 110 });
        let at = |unix_s, slot| Moment { unix_s, slot }.check_due(due);
        assert_eq!(at(1_059, 500), Err(Refusal::NotDue));
        assert_eq!(at(99_999, 109), Err(Refusal::NotDue));
        assert_eq!(at(1_060, 110), Ok(()));
        assert_eq!(at(1_060 + GRACE_S, 500), Ok(()));
        assert_eq!(at(1_061 + GRACE_S, 500), Err(Refusal::Lapsed));
        assert_eq!(Moment { unix_s: u64::MAX, slot: 0 }.after(1), Err(Refusal::Overflow));
    }
}
