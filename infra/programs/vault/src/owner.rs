//! Instructions of a vault's owner. None of them looks at the pause: it stops trades, not owners.

use pinocchio::{
    Address, ProgramResult,
    cpi::{Seed, Signer},
};
use rules::{Refusal, u64_at};
use tokens::{
    Mint, NewAccount, NewAssociated, Transfer, create_account, create_associated, is_token_program, refused, transfer,
};

use crate::{
    Call,
    state::{TRADE_AUTHORITY_SEED, VAULT_SEED, Vault, check_config, config, stamp_vault, vault},
    wrong_accounts,
};

/// accounts: owner (signer, w; pays), vault (w), system program
#[inline(never)]
pub fn open_vault(call: &mut Call) -> ProgramResult {
    let [owner, account, _system] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    check_no_data(call.data)?;
    if !owner.is_signer() {
        return Err(refused(Refusal::NotOwner));
    }
    let owner_key = *owner.address().as_array();
    let (address, bump) = Address::find_program_address(&[VAULT_SEED, &owner_key], call.program_id);
    if account.address() != &address {
        return Err(refused(Refusal::WrongVault));
    }
    if !account.is_data_empty() {
        return Err(refused(Refusal::AlreadyInitialized));
    }
    let (_, trade_authority_bump) =
        Address::find_program_address(&[TRADE_AUTHORITY_SEED, address.as_ref()], call.program_id);
    let bump = [bump];
    let seeds = [Seed::from(VAULT_SEED), Seed::from(&owner_key), Seed::from(&bump)];
    let new = NewAccount { payer: owner, account, owner: call.program_id, len: vault::LEN };
    create_account(&new, &[Signer::from(&seeds)])?;
    let mut data = account.try_borrow_mut()?;
    stamp_vault(&mut data);
    data[vault::BUMP] = bump[0];
    data[vault::TRADE_AUTHORITY_BUMP] = trade_authority_bump;
    data[vault::OWNER..vault::OWNER + 32].copy_from_slice(&owner_key);
    Ok(())
}

/// accounts: owner (signer, w; pays), vault, trade authority, mint, the vault's token account (w), the trade
/// authority's token account (w), token program, system program, associated token program
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
    Mint::read(mint, token_program.address())?;
    let mut new =
        NewAssociated { payer: owner, account: vault_token, wallet: account, mint, system_program, token_program };
    create_associated(&new)?;
    (new.account, new.wallet) = (trade_token, trade_authority);
    create_associated(&new)
}

/// `WrongTradeAuthority` unless `address` is the vault's trade authority.
pub fn check_trade_authority(
    program_id: &Address,
    vault_address: &Address,
    vault: &Vault,
    address: &Address,
) -> ProgramResult {
    let seeds: [&[u8]; 3] = [TRADE_AUTHORITY_SEED, vault_address.as_ref(), &vault.trade_authority_bump];
    match Address::create_program_address(&seeds, program_id) {
        Ok(derived) if &derived == address => Ok(()),
        _ => Err(refused(Refusal::WrongTradeAuthority)),
    }
}

/// data: amount u64; accounts: owner (signer), vault, source (w), the vault's token account (w), mint, token program
#[inline(never)]
pub fn deposit(call: &mut Call) -> ProgramResult {
    let amount = amount_of(call.data)?;
    let [owner, account, source, vault_token, mint, token_program] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    Vault::load(call.program_id, account)?.check_owner(owner)?;
    let token_program = check_token(token_program.address())?;
    let decimals = Mint::read(mint, token_program)?.decimals;
    if vault_token.address() != &tokens::associated(account.address(), token_program, mint.address()) {
        return Err(refused(Refusal::WrongTokenAccount));
    }
    transfer(&Transfer { token_program, from: source, mint, to: vault_token, authority: owner, amount, decimals }, &[])
}

/// data: amount u64; accounts: owner (signer), vault, one of the vault's token accounts (w), destination (w), mint,
/// token program
///
/// Works while paused, and from every token account that the vault owns.
#[inline(never)]
pub fn withdraw(call: &mut Call) -> ProgramResult {
    let amount = amount_of(call.data)?;
    let [owner, account, vault_token, destination, mint, token_program] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    let vault = Vault::load(call.program_id, account)?;
    vault.check_owner(owner)?;
    let token_program = check_token(token_program.address())?;
    let decimals = Mint::read(mint, token_program)?.decimals;
    let seeds = [Seed::from(VAULT_SEED), Seed::from(&vault.owner), Seed::from(&vault.bump)];
    let order =
        Transfer { token_program, from: vault_token, mint, to: destination, authority: account, amount, decimals };
    transfer(&order, &[Signer::from(&seeds)])
}

fn check_token(address: &Address) -> Result<&Address, pinocchio::error::ProgramError> {
    if is_token_program(address) { Ok(address) } else { Err(refused(Refusal::WrongTokenProgram)) }
}

/// accounts: owner (signer), vault (w)
#[inline(never)]
pub fn enable_bot(call: &mut Call) -> ProgramResult {
    let [owner, account] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    check_no_data(call.data)?;
    Vault::load(call.program_id, account)?.check_owner(owner)?;
    account.try_borrow_mut()?[vault::ENABLED] = 1;
    Ok(())
}

/// accounts: owner, guardian or admin (signer), config, vault (w)
#[inline(never)]
pub fn disable_bot(call: &mut Call) -> ProgramResult {
    let [authority, configuration, account] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    check_no_data(call.data)?;
    check_config(call.program_id, configuration)?;
    let is_owner = Vault::load(call.program_id, account)?.check_owner(authority).is_ok();
    let is_keeper = {
        let data = configuration.try_borrow()?;
        let (admin, guardian) = data[config::ADMIN..config::SWAP_PROGRAMS].split_at(32);
        authority.is_signer() && (authority.address().as_ref() == admin || authority.address().as_ref() == guardian)
    };
    if !is_owner && !is_keeper {
        return Err(refused(Refusal::NotOwner));
    }
    account.try_borrow_mut()?[vault::ENABLED] = 0;
    Ok(())
}

fn amount_of(data: &[u8]) -> Result<u64, pinocchio::error::ProgramError> {
    if data.len() != 8 {
        return Err(refused(Refusal::MalformedData));
    }
    match u64_at(data, 0).map_err(refused)? {
        0 => Err(refused(Refusal::ZeroAmount)),
        amount => Ok(amount),
    }
}

fn check_no_data(data: &[u8]) -> ProgramResult {
    if data.is_empty() { Ok(()) } else { Err(refused(Refusal::MalformedData)) }
}
