//! Instructions of a vault's owner. None of them looks at the pause: it stops trades, not owners. Withdrawing and
//! disabling work for a vault of any version.

use pinocchio::{
    Address, ProgramResult,
    cpi::{Seed, Signer},
};
use rules::{Refusal, u64_at};
use tokens::{Mint, NewAccount, Transfer, balance_of, create_account, refused, transfer, transfer_with};

use crate::{
    Call,
    event::{emit, tag},
    keeper::keeper,
    mint::{check_no_data, check_token},
    state::{TRADE_AUTHORITY_SEED, VAULT_SEED, Vault, check_config, stamp_vault, vault},
    wrong_accounts,
};

/// Stands for the whole balance in a withdrawal.
const EVERYTHING: u64 = u64::MAX;

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
    emit(&tag::VAULT_OPENED, &[address.as_ref(), &owner_key]);
    Ok(())
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
    let decimals = Mint::tradable(mint, token_program)?.decimals;
    if vault_token.address() != &tokens::find_associated(account.address(), token_program, mint.address()).0 {
        return Err(refused(Refusal::WrongTokenAccount));
    }
    let before = balance_of(vault_token)?;
    transfer(
        &Transfer { token_program, from: source, mint, to: vault_token, authority: owner, amount, decimals },
        &[],
    )?;
    // What arrived: a transfer fee is gone already. The source may be the vault's account itself by a mistake.
    let arrived = balance_of(vault_token)?.saturating_sub(before).to_le_bytes();
    emit(&tag::DEPOSITED, &[account.address().as_ref(), mint.address().as_ref(), &arrived]);
    Ok(())
}

/// data: amount u64, or EVERYTHING; accounts: owner (signer), vault, one of the vault's token accounts (w),
/// destination (w), mint, token program; then what the mint's transfer hook asks for
///
/// Works while paused or disabled, for every mint and version, and from every token account that the vault owns.
#[inline(never)]
pub fn withdraw(call: &mut Call) -> ProgramResult {
    let amount = amount_of(call.data)?;
    let [owner, account, vault_token, destination, mint, token_program, extras @ ..] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    let vault = Vault::load_any_version(call.program_id, account)?;
    vault.check_owner(owner)?;
    let token_program = check_token(token_program.address())?;
    let decimals = Mint::read(mint, token_program)?.decimals;
    let amount = match amount {
        EVERYTHING => balance_of(vault_token)?,
        amount => amount,
    };
    if amount == 0 {
        return Err(refused(Refusal::ZeroAmount));
    }
    let seeds = [Seed::from(VAULT_SEED), Seed::from(&vault.owner), Seed::from(&vault.bump)];
    let order =
        Transfer { token_program, from: vault_token, mint, to: destination, authority: account, amount, decimals };
    transfer_with(&order, extras, &[Signer::from(&seeds)])?;
    let fields: [&[u8]; 4] =
        [account.address().as_ref(), mint.address().as_ref(), destination.address().as_ref(), &amount.to_le_bytes()];
    emit(&tag::WITHDRAWN, &fields);
    Ok(())
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
    emit(&tag::BOT_ENABLED, &[account.address().as_ref()]);
    Ok(())
}

/// accounts: owner, guardian or admin (signer), config, vault (w)
#[inline(never)]
pub fn disable_bot(call: &mut Call) -> ProgramResult {
    let [authority, configuration, account] = &mut *call.accounts else {
        return Err(wrong_accounts(()));
    };
    check_no_data(call.data)?;
    let vault = Vault::load_any_version(call.program_id, account)?;
    // The owner needs no configuration to be there.
    if vault.check_owner(authority).is_err() {
        check_config(call.program_id, configuration)?;
        keeper(&configuration.try_borrow()?, authority).map_err(|_| refused(Refusal::NotOwner))?;
    }
    account.try_borrow_mut()?[vault::ENABLED] = 0;
    emit(&tag::BOT_DISABLED, &[account.address().as_ref(), authority.address().as_ref()]);
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
