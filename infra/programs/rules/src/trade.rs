//! Arguments of `bot_trade` and the rules on them that need no account.

use crate::{Refusal, array_at, u64_at};

/// A trade must expire within this many slots, so that a signature that was never sent dies soon.
pub const MAX_EXPIRY_SLOTS: u64 = 300;

const ROUTE_AT: usize = 100;

/// seq u64 | intent_id [32] | amount_in_max u64 | amount_out_min u64 | expiry_slot u64 | accounts_hash [32] | route_len u32 | route
pub struct BotTrade<'a> {
    pub seq: u64,
    pub intent_id: &'a [u8],
    pub amount_in_max: u64,
    pub amount_out_min: u64,
    pub expiry_slot: u64,
    pub accounts_hash: &'a [u8],
    pub route: &'a [u8],
}

impl<'a> BotTrade<'a> {
    /// `MalformedData` unless the route is exactly as long as it says.
    pub fn parse(data: &'a [u8]) -> Result<Self, Refusal> {
        let route_len = u32::from_le_bytes(array_at(data, ROUTE_AT - 4)?) as usize;
        let route = data.get(ROUTE_AT..).ok_or(Refusal::MalformedData)?;
        if route.len() != route_len {
            return Err(Refusal::MalformedData);
        }
        Ok(Self {
            seq: u64_at(data, 0)?,
            intent_id: &data[8..40],
            amount_in_max: u64_at(data, 40)?,
            amount_out_min: u64_at(data, 48)?,
            expiry_slot: u64_at(data, 56)?,
            accounts_hash: &data[64..96],
            route,
        })
    }

    /// The sequence must be the vault's next one and the slot must lie in the bounded window before expiry.
    pub fn check_order(&self, trade_seq: u64, slot: u64) -> Result<(), Refusal> {
        if trade_seq.checked_add(1) != Some(self.seq) {
            return Err(Refusal::WrongSequence);
        }
        if slot > self.expiry_slot {
            return Err(Refusal::Expired);
        }
        if self.expiry_slot - slot > MAX_EXPIRY_SLOTS {
            return Err(Refusal::ExpiryTooFar);
        }
        if self.amount_in_max == 0 || self.amount_out_min == 0 {
            return Err(Refusal::ZeroAmount);
        }
        Ok(())
    }
}

/// Base units of one token that a balance lost and another gained over the swap.
#[derive(Clone, Copy)]
pub struct Moved {
    pub spent: u64,
    pub received: u64,
}

impl Moved {
    /// Losses below zero count as nothing spent, gains below zero as nothing received.
    pub fn between(in_before: u64, in_after: u64, out_before: u64, out_after: u64) -> Self {
        Self { spent: in_before.saturating_sub(in_after), received: out_after.saturating_sub(out_before) }
    }

    pub fn check(&self, trade: &BotTrade) -> Result<(), Refusal> {
        if self.spent > trade.amount_in_max {
            return Err(Refusal::TooMuchIn);
        }
        if self.received < trade.amount_out_min {
            return Err(Refusal::TooLittleOut);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(route_len: u32, route: &[u8]) -> Vec<u8> {
        let mut bytes = 7u64.to_le_bytes().to_vec();
        bytes.extend([9; 32]);
        for word in [500u64, 400, 1_000] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend([8; 32]);
        bytes.extend(route_len.to_le_bytes());
        bytes.extend(route);
        bytes
    }

    #[test]
    fn arguments_read_back_and_their_length_is_exact() {
        let bytes = data(3, b"abc");
        let trade = BotTrade::parse(&bytes).ok().unwrap();
        assert_eq!((trade.seq, trade.amount_in_max, trade.amount_out_min, trade.expiry_slot), (7, 500, 400, 1_000));
        assert_eq!((trade.intent_id, trade.accounts_hash, trade.route), (&[9; 32][..], &[8; 32][..], &b"abc"[..]));
        for len in [0, 99, 100, bytes.len() - 1] {
            assert!(BotTrade::parse(&bytes[..len]).is_err());
        }
        assert!(BotTrade::parse(&data(2, b"abc")).is_err());
        assert!(BotTrade::parse(&data(u32::MAX, b"abc")).is_err());
    }

    #[test]
    fn sequence_and_expiry_have_exact_edges() {
        let bytes = data(0, b"");
        let trade = BotTrade::parse(&bytes).ok().unwrap();
        assert_eq!(trade.check_order(6, 1_000), Ok(()));
        assert_eq!(trade.check_order(6, 700), Ok(()));
        assert_eq!(trade.check_order(6, 1_001), Err(Refusal::Expired));
        assert_eq!(trade.check_order(6, 699), Err(Refusal::ExpiryTooFar));
        assert_eq!(trade.check_order(7, 1_000), Err(Refusal::WrongSequence));
        assert_eq!(trade.check_order(5, 1_000), Err(Refusal::WrongSequence));
        assert_eq!(trade.check_order(u64::MAX, 1_000), Err(Refusal::WrongSequence));
    }

    #[test]
    fn balances_decide_what_moved() {
        let bytes = data(0, b"");
        let trade = BotTrade::parse(&bytes).ok().unwrap();
        assert_eq!(Moved::between(1_000, 500, 0, 400).check(&trade), Ok(()));
        assert_eq!(Moved::between(1_000, 499, 0, 400).check(&trade), Err(Refusal::TooMuchIn));
        assert_eq!(Moved::between(1_000, 500, 1, 400).check(&trade), Err(Refusal::TooLittleOut));
        assert_eq!(Moved::between(1_000, 1_100, 9, 3).check(&trade), Err(Refusal::TooLittleOut));
    }
}
