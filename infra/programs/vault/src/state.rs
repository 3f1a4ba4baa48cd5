//! Layout of the two accounts that the program owns. Only this program can write them, and it creates each kind only
//! at its derived address, so owner and discriminator identify them.
//!
//! 1. The first 56 bytes of a vault mean the same in every version, so that its owner gets the money out whichever
//!    version of the program is deployed.
//! 2. Trading and limits demand exactly this version and length.

use pinocchio::{AccountView, Address, error::ProgramError};
use rules::{Refusal, array_at, u64_at};
use tokens::{derived, refused};

pub const CONFIG_SEED: &[u8] = b"config";
pub const VAULT_SEED: &[u8] = b"vault";
pub const TRADE_AUTHORITY_SEED: &[u8] = b"trade-authority";

pub const VERSION: u8 = 1;

/// First eight bytes of sha256("account:Config") and sha256("account:Vault").
const CONFIG_TAG: [u8; 8] = [155, 12, 170, 224, 30, 250, 204, 130];
const VAULT_TAG: [u8; 8] = [211, 8, 232, 43, 2, 152, 117, 119];

/// tag | version u8 | bump u8 | paused u8 | reserved [5] | admin | guardian | swap programs [4 x 32]
/// | bot authorities [4 x (kind u8, state u8, reserved [14], key [40])] | delay_s u64 | changes u64
/// | changes at pause u64 | reserved [56] | proposals [6 x (state u8, veto spent u8, reserved [6], due unix_s u64,
/// due slot u64, change [41], reserved [7])] | reserved [80]
pub mod config {
    pub const LEN: usize = 1024;
    pub const BUMP: usize = 9;
    pub const PAUSED: usize = 10;
    pub const ADMIN: usize = 16;
    pub const GUARDIAN: usize = 48;
    pub const SWAP_PROGRAMS: usize = 80;
    pub const SWAP_PROGRAM_COUNT: usize = 4;
    pub const AUTHORITIES: usize = 208;
    pub const AUTHORITY_COUNT: usize = 4;
    pub const AUTHORITY_LEN: usize = 56;
    pub const AUTHORITY_KEY: usize = 16;
    /// The authority signs the transaction itself with an Ed25519 key.
    pub const KIND_ED25519: u8 = 1;
    pub const STATE_ACTIVE: u8 = 1;
    pub const DELAY_S: usize = 432;
    pub const CHANGES: usize = 440;
    pub const CHANGES_AT_PAUSE: usize = 448;
    pub const PROPOSALS: usize = 512;
    pub const PROPOSAL_COUNT: usize = 6;
    pub const PROPOSAL_LEN: usize = 72;
}

/// tag | version u8 | bump u8 | trade authority bump u8 | enabled u8 | reserved [4] | owner | trade_seq u64
/// | last trade (seq u64, intent_id [32], amount_in u64, amount_out u64, slot u64) | trade share max u16 bps
/// | turnover max u16 bps | slots between trades u32 | window slots u64 | window u64
/// | mints [16 x (mint, used before u16 bps, used u16 bps, bump u8, reserved [3])] | reserved [112]
pub mod vault {
    pub const LEN: usize = 896;
    /// What every version of a vault begins with.
    pub const LEN_OF_EVERY_VERSION: usize = 56;
    pub const BUMP: usize = 9;
    pub const TRADE_AUTHORITY_BUMP: usize = 10;
    pub const ENABLED: usize = 11;
    pub const OWNER: usize = 16;
    pub const TRADE_SEQ: usize = 48;
    pub const LAST_TRADE: usize = 56;
    pub const LAST_TRADE_SLOT: usize = 112;
    pub const TRADE_SHARE_MAX: usize = 120;
    pub const TURNOVER_MAX: usize = 122;
    pub const SLOTS_BETWEEN: usize = 124;
    pub const WINDOW_SLOTS: usize = 128;
    pub const WINDOW: usize = 136;
    pub const MINTS: usize = 144;
    pub const MINT_COUNT: usize = 16;
    pub const MINT_LEN: usize = 40;
    pub const MINTS_END: usize = MINTS + MINT_COUNT * MINT_LEN;
}

/// Writes tag and version into a new account.
pub fn stamp_config(data: &mut [u8]) {
    data[..8].copy_from_slice(&CONFIG_TAG);
    data[8] = VERSION;
}

pub fn stamp_vault(data: &mut [u8]) {
    data[..8].copy_from_slice(&VAULT_TAG);
    data[8] = VERSION;
}

/// `WrongConfig` unless this is the program's configuration account.
pub fn check_config(program_id: &Address, account: &AccountView) -> Result<(), ProgramError> {
    check(program_id, account, &CONFIG_TAG, config::LEN).map_err(|()| refused(Refusal::WrongConfig))
}

/// `WrongVault` unless this is a vault of this program, of this version.
pub fn check_vault(program_id: &Address, account: &AccountView) -> Result<(), ProgramError> {
    check(program_id, account, &VAULT_TAG, vault::LEN).map_err(|()| refused(Refusal::WrongVault))
}

fn check(program_id: &Address, account: &AccountView, tag: &[u8; 8], len: usize) -> Result<(), ()> {
    if !account.owned_by(program_id) || account.data_len() != len {
        return Err(());
    }
    let data = account.try_borrow().map_err(|_| ())?;
    if &data[..8] == tag && data[8] == VERSION { Ok(()) } else { Err(()) }
}

/// What is needed of a vault to act for it.
#[derive(Clone, Copy)]
pub struct Vault {
    pub bump: [u8; 1],
    pub trade_authority_bump: [u8; 1],
    pub enabled: bool,
    pub owner: [u8; 32],
    pub trade_seq: u64,
}

impl Vault {
    /// `WrongVault` unless this is a vault of this program, of this version.
    pub fn load(program_id: &Address, account: &AccountView) -> Result<Self, ProgramError> {
        check_vault(program_id, account)?;
        Self::load_any_version(program_id, account)
    }

    /// `WrongVault` unless this is a vault of this program; for what an owner may always do.
    pub fn load_any_version(program_id: &Address, account: &AccountView) -> Result<Self, ProgramError> {
        let data = account.try_borrow()?;
        if !account.owned_by(program_id) || data.len() < vault::LEN_OF_EVERY_VERSION || data[..8] != VAULT_TAG {
            return Err(refused(Refusal::WrongVault));
        }
        Ok(Self {
            bump: [data[vault::BUMP]],
            trade_authority_bump: [data[vault::TRADE_AUTHORITY_BUMP]],
            enabled: data[vault::ENABLED] == 1,
            owner: array_at(&data, vault::OWNER).map_err(refused)?,
            trade_seq: u64_at(&data, vault::TRADE_SEQ).map_err(refused)?,
        })
    }

    /// `NotOwner` unless `signer` is the owner and signs.
    pub fn check_owner(&self, signer: &AccountView) -> Result<(), ProgramError> {
        if signer.is_signer() && signer.address().as_array() == &self.owner {
            Ok(())
        } else {
            Err(refused(Refusal::NotOwner))
        }
    }
}

/// `WrongTradeAuthority` unless `address` is the vault's trade authority.
pub fn check_trade_authority(
    program_id: &Address,
    vault_address: &Address,
    vault: &Vault,
    address: &Address,
) -> Result<(), ProgramError> {
    let bump = &vault.trade_authority_bump;
    let expected = derived(&[TRADE_AUTHORITY_SEED, vault_address.as_ref(), bump, program_id.as_ref()]);
    if &expected == address { Ok(()) } else { Err(refused(Refusal::WrongTradeAuthority)) }
}
