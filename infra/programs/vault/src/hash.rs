//! One hash over all accounts of a trade: which, in which order, with which privileges.
//!
//! The planner computed it from what it resolved; a lookup table that loads anything else fails here.

use pinocchio::AccountView;
use tokens::sha256;

const DOMAIN: &[u8] = b"xorj.accounts.v1";
const HEAD: usize = DOMAIN.len() + 2;
const ENTRY: usize = 33;
pub const MAX_ACCOUNTS: usize = 64;

/// sha256(domain | count u16 | count x (address [32] | flags u8: 1 signer, 2 writable)), little-endian.
///
/// The flags are those that the runtime shows, that is, after merging with the rest of the message.
#[inline(never)]
pub fn accounts_hash(accounts: &[AccountView]) -> [u8; 32] {
    let mut bytes = [0; HEAD + ENTRY * MAX_ACCOUNTS];
    bytes[..DOMAIN.len()].copy_from_slice(DOMAIN);
    bytes[DOMAIN.len()..HEAD].copy_from_slice(&(accounts.len() as u16).to_le_bytes());
    let mut len = HEAD;
    for (account, entry) in accounts.iter().zip(bytes[HEAD..].chunks_exact_mut(ENTRY)) {
        entry[..32].copy_from_slice(account.address().as_ref());
        entry[32] = u8::from(account.is_signer()) | (u8::from(account.is_writable()) << 1);
        len += ENTRY;
    }
    sha256(&[&bytes[..len]])
}
