//! Mints: decimals, and whether a bot may trade them.

use pinocchio::{AccountView, Address, error::ProgramError};
use rules::{Refusal, array_at};

use crate::{TOKEN_2022, refused};

const MINT_LEN: usize = 82;
/// Token-2022 puts extensions behind the length of a token account, after one byte that says what the account is.
const ACCOUNT_TYPE: usize = 165;
const EXTENSIONS: usize = 166;
const IS_MINT: u8 = 1;

/// Extensions under which tokens still belong to whoever holds them: TransferFeeConfig, whose fees show in balances;
/// metadata and group, pointers and contents. Every other one, and every one that is not known yet, is refused.
const HARMLESS: [u16; 7] = [1, 18, 19, 20, 21, 22, 23];

/// A mint of the token program that it was read for.
#[derive(Clone, Copy)]
pub struct Mint {
    pub decimals: u8,
}

impl Mint {
    /// Any mint: `WrongMint` unless owned by `token_program`, `UnsupportedMint` when it is not an initialised one.
    pub fn read(account: &AccountView, token_program: &Address) -> Result<Self, ProgramError> {
        if !account.owned_by(token_program) {
            return Err(refused(Refusal::WrongMint));
        }
        let data = account.try_borrow()?;
        let extended = data.len() > EXTENSIONS && data[ACCOUNT_TYPE] == IS_MINT && token_program == &TOKEN_2022;
        if (data.len() != MINT_LEN && !extended) || data[45] != 1 {
            return Err(refused(Refusal::UnsupportedMint));
        }
        Ok(Self { decimals: data[44] })
    }

    /// A mint that bots may trade: `UnsupportedMint` also when it carries an extension that is not harmless.
    #[inline(never)]
    pub fn tradable(account: &AccountView, token_program: &Address) -> Result<Self, ProgramError> {
        let mint = Self::read(account, token_program)?;
        let data = account.try_borrow()?;
        let mut rest = data.get(EXTENSIONS..).unwrap_or(&[]);
        // type u16 | length u16 | value; type 0 ends the list, and so do fewer than four bytes.
        while rest.len() >= 4 {
            let kind = u16::from_le_bytes(array_at(rest, 0).map_err(refused)?);
            let len = usize::from(u16::from_le_bytes(array_at(rest, 2).map_err(refused)?));
            if kind == 0 {
                break;
            }
            if !HARMLESS.contains(&kind) {
                return Err(refused(Refusal::UnsupportedMint));
            }
            rest = rest.get(4 + len..).ok_or(refused(Refusal::UnsupportedMint))?;
        }
        Ok(mint)
    }
}
