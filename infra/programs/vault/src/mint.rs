//! The two token accounts that a vault has per mint: opened and closed by the owner, who pays and gets the rent.

use pinocchio::{
    AccountView, Address, ProgramResult,
    cpi::{Seed, Signer},
};
use rules::Refusal;
use tokens::{
    Close, Mint, NewAssociated, Transfer, balance_of, close, create_associated, find_associated, is_token_program,
    refused, transfer,
};

use crate::{
    Call,
    event::{emit, tag},
    limits::remember_bump,
    state::{TRADE_AUTHORITY_SEED, VAULT_SEED, Vault, check_trade_authority},
    wrong_accounts,
};

/// accounts: owner (signer, w; pays), vault (w), trade authority, mint, the vault's token account (w), the trade
/// authority's token account (w), token program, system program, associated token program
///
/// Where the accounts exist already, only remembers their address for trades, if the owner's limits list the mint.
#[inline(never)]
pub fn open_mint(call: &mut Call) -> ProgramResult {
    let [owner, account, trade_authority, mint, vault_token, trade_token, token_program, system_program, _associated] =
        &mut *call.accounts
    else {
        return Err(wrong_accounts(()));
    };
    check_no_data(call.data)?;
    let vault = Vault::load(call.program_id, account)?;
    vault.check_owner(owner)?;
    check_trade_authority(call.program_id, account.address(), &vault, trade_authority.address())?;
    if !is_token_program(token_program.address()) {
        return Err(refused(Refusal::WrongTokenProgram));
    }
    Mint::tradable(mint, token_program.address())?;
    let mut new =
        NewAssociated { payer: owner, account: vault_token, wallet: account, mint, system_program, token_program };
    create_associated(&new)?;
    (new.account, new.wallet) = (trade_token, trade_authority);
    create_associated(&new)?;
    remember_bump(account, mint.address(), token_program.address())?;
    emit(&tag::MINT_OPENED, &[account.address().as_ref(), mint.address().as_ref()]);
    Ok(())
}

/// accounts: owner (signer, w; gets the rent), vault, trade authority, mint, the vault's token account (w), the trade
/// authority's token account (w), token program
///
/// Moves what lies in the trade authority's account to the vault's and closes it; closes the vault's too when that is
/// empty then. An account that does not exist is passed over.
#[inline(never)]
pub fn close_mint(call: &mut Call) -> ProgramResult {
    let [owner, account, trade_authority, mint, vault_token, trade_token, token_program] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    check_no_data(call.data)?;
    let vault = Vault::load_any_version(call.program_id, account)?;
    vault.check_owner(owner)?;
    check_trade_authority(call.program_id, account.address(), &vault, trade_authority.address())?;
    let token_program = check_token(token_program.address())?;
    if vault_token.address() != &find_associated(account.address(), token_program, mint.address()).0
        || trade_token.address() != &find_associated(trade_authority.address(), token_program, mint.address()).0
    {
        return Err(refused(Refusal::WrongTokenAccount));
    }
    let mut swept = 0;
    if !trade_token.is_data_empty() {
        let seeds = [
            Seed::from(TRADE_AUTHORITY_SEED),
            Seed::from(account.address().as_ref()),
            Seed::from(&vault.trade_authority_bump),
        ];
        let signer = Signer::from(&seeds);
        swept = balance_of(trade_token)?;
        if swept > 0 {
            let decimals = Mint::read(mint, token_program)?.decimals;
            let sweep = Transfer {
                token_program,
                from: trade_token,
                mint,
                to: vault_token,
                authority: trade_authority,
                amount: swept,
                decimals,
            };
            transfer(&sweep, core::slice::from_ref(&signer))?;
        }
        close(&Close { token_program, account: trade_token, rent_to: owner, authority: trade_authority }, &signer)?;
    }
    let closes_vault_token = !vault_token.is_data_empty() && balance_of(vault_token)? == 0;
    if closes_vault_token {
        let seeds = [Seed::from(VAULT_SEED), Seed::from(&vault.owner), Seed::from(&vault.bump)];
        let order = Close { token_program, account: vault_token, rent_to: owner, authority: account };
        close(&order, &Signer::from(&seeds))?;
    }
    report_closed(account, mint, closes_vault_token, swept);
    Ok(())
}

fn report_closed(vault: &AccountView, mint: &AccountView, vault_closed: bool, swept: u64) {
    let fields: [&[u8]; 4] =
        [vault.address().as_ref(), mint.address().as_ref(), &[u8::from(vault_closed)], &swept.to_le_bytes()];
    emit(&tag::MINT_CLOSED, &fields);
}

pub fn check_token(address: &Address) -> Result<&Address, pinocchio::error::ProgramError> {
    if is_token_program(address) { Ok(address) } else { Err(refused(Refusal::WrongTokenProgram)) }
}

pub fn check_no_data(data: &[u8]) -> ProgramResult {
    if data.is_empty() { Ok(()) } else { Err(refused(Refusal::MalformedData)) }
}
