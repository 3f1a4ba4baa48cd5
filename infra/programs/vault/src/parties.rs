//! The accounts of a trade: who stands where, and what their token accounts hold.

use pinocchio::{AccountView, cpi::Seed, error::ProgramError};
use rules::Refusal;
use tokens::{Holding, Mint, associated_at, is_token_program, refused};

use crate::{
    state::{TRADE_AUTHORITY_SEED, Vault},
    swap::Hands,
    wrong_accounts,
};

/// Accounts before the swap's own, in this order.
pub struct Parties<'a> {
    pub config: &'a AccountView,
    pub vault: &'a AccountView,
    pub bot_authority: &'a AccountView,
    pub trade_authority: &'a AccountView,
    pub vault_in: &'a AccountView,
    pub vault_out: &'a AccountView,
    pub trade_in: &'a AccountView,
    pub trade_out: &'a AccountView,
    pub mint_in: &'a AccountView,
    pub mint_out: &'a AccountView,
    pub token_program_in: &'a AccountView,
    pub token_program_out: &'a AccountView,
    pub swap_program: &'a AccountView,
    pub swap_accounts: &'a [AccountView],
}

impl<'a> Parties<'a> {
    pub fn trade_authority_seeds(&self, vault: &'a Vault) -> [Seed<'a>; 3] {
        [
            Seed::from(TRADE_AUTHORITY_SEED),
            Seed::from(self.vault.address().as_ref()),
            Seed::from(&vault.trade_authority_bump),
        ]
    }

    pub fn hands(&self) -> Hands<'a> {
        Hands {
            trade_authority: self.trade_authority.address(),
            trade_in: self.trade_in.address(),
            trade_out: self.trade_out.address(),
        }
    }
}

/// Everything that must be the same after the trade, and the amounts to compare.
#[derive(Clone, Copy)]
pub struct Snapshot {
    pub vault_in: Holding,
    pub vault_out: Holding,
    pub trade_in: Holding,
    pub trade_out: Holding,
    pub vault_lamports: u64,
    pub trade_authority_lamports: u64,
}

pub fn parties_of(accounts: &[AccountView]) -> Result<Parties<'_>, ProgramError> {
    let [
        config,
        vault,
        bot_authority,
        trade_authority,
        vault_in,
        vault_out,
        trade_in,
        trade_out,
        mint_in,
        mint_out,
        token_program_in,
        token_program_out,
        swap_program,
        swap_accounts @ ..,
    ] = accounts
    else {
        return Err(wrong_accounts(()));
    };
    Ok(Parties {
        config,
        vault,
        bot_authority,
        trade_authority,
        vault_in,
        vault_out,
        trade_in,
        trade_out,
        mint_in,
        mint_out,
        token_program_in,
        token_program_out,
        swap_program,
        swap_accounts,
    })
}

/// Reads the four token accounts; each must be its owner's alone.
#[inline(never)]
pub fn snapshot(p: &Parties) -> Result<Snapshot, ProgramError> {
    let (program_in, program_out) = (p.token_program_in.address(), p.token_program_out.address());
    if !is_token_program(program_in) || !is_token_program(program_out) {
        return Err(refused(Refusal::WrongTokenProgram));
    }
    let (mint_in, mint_out) = (p.mint_in.address(), p.mint_out.address());
    let (vault, trade_authority) = (p.vault.address(), p.trade_authority.address());
    let snapshot = Snapshot {
        vault_in: Holding::read(p.vault_in, program_in, mint_in, vault)?,
        vault_out: Holding::read(p.vault_out, program_out, mint_out, vault)?,
        trade_in: Holding::read(p.trade_in, program_in, mint_in, trade_authority)?,
        trade_out: Holding::read(p.trade_out, program_out, mint_out, trade_authority)?,
        vault_lamports: p.vault.lamports(),
        trade_authority_lamports: p.trade_authority.lamports(),
    };
    let all = [&snapshot.vault_in, &snapshot.vault_out, &snapshot.trade_in, &snapshot.trade_out];
    if all.iter().all(|holding| holding.is_only_its_owners()) {
        Ok(snapshot)
    } else {
        Err(refused(Refusal::AccountStateChanged))
    }
}

/// A bot must not hide proceeds in a second token account of the vault, so only its associated ones will do. What the trade
/// authority's two accounts hold goes home in any case, so any two of its own will do.
#[inline(never)]
pub fn check_associated(p: &Parties, bumps: &[u8; 2]) -> Result<(), ProgramError> {
    if p.mint_in.address() == p.mint_out.address() {
        return Err(refused(Refusal::WrongMint));
    }
    let sides = [
        (p.vault_in, p.token_program_in, p.mint_in, bumps[0]),
        (p.vault_out, p.token_program_out, p.mint_out, bumps[1]),
    ];
    for (account, token_program, mint, bump) in sides {
        if account.address() != &associated_at(p.vault.address(), token_program.address(), mint.address(), bump) {
            return Err(refused(Refusal::WrongTokenAccount));
        }
    }
    Ok(())
}

/// Decimals of the mint that is paid with and of the one that is bought; both must be mints that bots may trade.
#[inline(never)]
pub fn tradable(p: &Parties) -> Result<[u8; 2], ProgramError> {
    let paid = Mint::tradable(p.mint_in, p.token_program_in.address())?;
    let bought = Mint::tradable(p.mint_out, p.token_program_out.address())?;
    Ok([paid.decimals, bought.decimals])
}
