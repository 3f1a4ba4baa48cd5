//! Places in the two accounts, as Raydium CPMM lays them out; what is not named stays zero.

use pinocchio::{AccountView, Address, error::ProgramError};

use crate::{Refusal, refused};

pub const AUTHORITY_SEED: &[u8] = b"vault_and_lp_mint_auth_seed";
pub const AMM_CONFIG_SEED: &[u8] = b"amm_config";
pub const POOL_SEED: &[u8] = b"pool";
pub const POOL_VAULT_SEED: &[u8] = b"pool_vault";
pub const OBSERVATION_SEED: &[u8] = b"observation";

/// Fee rates are in millionths of the input.
pub const FEE_RATE_ONE: u64 = 1_000_000;

pub mod amm_config {
    pub const TAG: [u8; 8] = [218, 244, 33, 104, 203, 203, 43, 111];
    pub const LEN: usize = 236;
    pub const BUMP: usize = 8;
    pub const INDEX: usize = 10;
    pub const TRADE_FEE_RATE: usize = 12;
    pub const PROTOCOL_OWNER: usize = 44;
}

pub mod pool {
    pub const TAG: [u8; 8] = [247, 237, 227, 245, 215, 195, 222, 70];
    pub const LEN: usize = 637;
    pub const AMM_CONFIG: usize = 8;
    pub const CREATOR: usize = 40;
    pub const VAULT_0: usize = 72;
    pub const VAULT_1: usize = 104;
    pub const MINT_0: usize = 168;
    pub const MINT_1: usize = 200;
    pub const PROGRAM_0: usize = 232;
    pub const PROGRAM_1: usize = 264;
    pub const OBSERVATION: usize = 296;
    pub const AUTHORITY_BUMP: usize = 328;
    pub const MINT_0_DECIMALS: usize = 331;
    pub const MINT_1_DECIMALS: usize = 332;
}

/// `InvalidOwner` unless the account is this program's and of the kind that `tag` and `len` say.
pub fn check(program_id: &Address, account: &AccountView, tag: &[u8; 8], len: usize) -> Result<(), ProgramError> {
    if !account.owned_by(program_id) || account.data_len() != len || &account.try_borrow()?[..8] != tag {
        return Err(refused(Refusal::InvalidOwner));
    }
    Ok(())
}
