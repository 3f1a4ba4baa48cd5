//! `bot_trade`: lends an amount to the trade authority, lets it swap, takes everything back, then judges by balances.
//!
//! Dust in the trade authority's accounts goes to the vault before anything is measured, so that what the vault lost and
//! gained is what the trade spent and received, transfer fees included.
//!
//! Re-entrancy: the runtime lets no program call back into one that is already on the stack, the swap holds no signature
//! that any instruction here would accept, and the vault's sequence is read again after the swap.

use pinocchio::{
    Address, ProgramResult,
    cpi::{Seed, Signer},
    error::ProgramError,
    sysvars::{Sysvar, clock::Clock},
};
use rules::{BotTrade, Moved, Refusal};
use tokens::{SYSTEM, Transfer, balance_of, refused, transfer};

use crate::{
    Call,
    event::{emit, tag},
    hash::accounts_hash,
    keeper::{authority_place, program_place},
    limits::Allowance,
    parties::{Parties, Snapshot, check_associated, parties_of, snapshot, tradable},
    state::{VAULT_SEED, Vault, check_config, check_trade_authority, config, vault},
    swap::{Swap, call_swap, token_accounts},
};

/// data: rules::BotTrade; accounts: see Parties, then the swap instruction's accounts in its order.
#[inline(never)]
pub fn bot_trade(call: &mut Call) -> ProgramResult {
    let trade = BotTrade::parse(call.data).map_err(refused)?;
    // Flags of a call from another program would not be those of the message that was hashed and signed.
    if unsafe { stack_height() } != 1 {
        return Err(refused(Refusal::CalledByAnotherProgram));
    }
    let parties = parties_of(call.accounts)?;
    let slot = Clock::get()?.slot;
    let vault = permit(call.program_id, &parties, &trade, slot)?;
    let mints = [parties.mint_in.address(), parties.mint_out.address()];
    let allowance = Allowance::of(&parties.vault.try_borrow()?, slot, &mints).map_err(refused)?;
    if accounts_hash(call.accounts) != *trade.accounts_hash {
        return Err(refused(Refusal::AccountsHashMismatch));
    }
    let found = snapshot(&parties)?;
    check_associated(&parties, &allowance.bumps)?;
    let decimals = tradable(&parties)?;
    let within_reach = token_accounts(parties.swap_accounts, &parties.hands(), 0)?;
    let before = if take_home(&parties, &vault, &decimals)? { snapshot(&parties)? } else { found };
    allowance.check(trade.amount_in_max, before.vault_in.amount).map_err(refused)?;
    exchange(&parties, &trade, &vault, &decimals)?;
    if token_accounts(parties.swap_accounts, &parties.hands(), within_reach)? != 0 {
        return Err(refused(Refusal::ForeignTradeAccount));
    }
    take_home(&parties, &vault, &decimals)?;
    let after = snapshot(&parties)?;
    let moved = judge(&trade, &parties, &before, &after)?;
    if Vault::load(call.program_id, parties.vault)?.trade_seq != vault.trade_seq {
        return Err(refused(Refusal::VaultChangedDuringSwap));
    }
    report(&parties, &trade, &moved, slot);
    let mut data = call.accounts[1].try_borrow_mut()?;
    allowance.count(&mut data, moved.spent, before.vault_in.amount).map_err(refused)?;
    record(&mut data, &trade, &moved, slot);
    Ok(())
}

/// Who may trade, in which order, and through which program.
#[inline(never)]
fn permit(program_id: &Address, p: &Parties, trade: &BotTrade, slot: u64) -> Result<Vault, ProgramError> {
    check_config(program_id, p.config)?;
    let vault = Vault::load(program_id, p.vault)?;
    let config = p.config.try_borrow()?;
    if config[config::PAUSED] != 0 {
        return Err(refused(Refusal::Paused));
    }
    if !vault.enabled {
        return Err(refused(Refusal::BotDisabled));
    }
    let authority = authority_place(&config, p.bot_authority.address().as_array());
    if !p.bot_authority.is_signer() || authority.is_none() {
        return Err(refused(Refusal::WrongBotAuthority));
    }
    trade.check_order(vault.trade_seq, slot).map_err(refused)?;
    let program = p.swap_program.address().as_ref();
    if program_place(&config, program).is_none() || program == [0; 32] {
        return Err(refused(Refusal::SwapProgramNotAllowed));
    }
    check_trade_authority(program_id, p.vault.address(), &vault, p.trade_authority.address())?;
    Ok(vault)
}

/// Lends `amount_in_max` to the trade authority and lets it swap.
#[inline(never)]
fn exchange(p: &Parties, trade: &BotTrade, vault: &Vault, decimals: &[u8; 2]) -> ProgramResult {
    let seeds = [Seed::from(VAULT_SEED), Seed::from(&vault.owner), Seed::from(&vault.bump)];
    let lend = Transfer {
        token_program: p.token_program_in.address(),
        from: p.vault_in,
        mint: p.mint_in,
        to: p.trade_in,
        authority: p.vault,
        amount: trade.amount_in_max,
        decimals: decimals[0],
    };
    transfer(&lend, &[Signer::from(&seeds)])?;
    let seeds = p.trade_authority_seeds(vault);
    let swap = Swap {
        program: p.swap_program.address(),
        accounts: p.swap_accounts,
        trade_authority: p.trade_authority.address(),
        route: trade.route,
    };
    call_swap(&swap, &Signer::from(&seeds))
}

/// Moves everything in the trade authority's two accounts to the vault's; says whether there was anything.
#[inline(never)]
fn take_home(p: &Parties, vault: &Vault, decimals: &[u8; 2]) -> Result<bool, ProgramError> {
    let seeds = p.trade_authority_seeds(vault);
    let home_in = Transfer {
        token_program: p.token_program_in.address(),
        from: p.trade_in,
        mint: p.mint_in,
        to: p.vault_in,
        authority: p.trade_authority,
        amount: balance_of(p.trade_in)?,
        decimals: decimals[0],
    };
    let home_out = Transfer {
        token_program: p.token_program_out.address(),
        from: p.trade_out,
        mint: p.mint_out,
        to: p.vault_out,
        authority: p.trade_authority,
        amount: balance_of(p.trade_out)?,
        decimals: decimals[1],
    };
    for sweep in [&home_in, &home_out] {
        if sweep.amount > 0 {
            transfer(sweep, &[Signer::from(&seeds)])?;
        }
    }
    Ok(home_in.amount > 0 || home_out.amount > 0)
}

/// State and lamports as they were, and what the vault's balances say the trade moved.
#[inline(never)]
fn judge(trade: &BotTrade, p: &Parties, before: &Snapshot, after: &Snapshot) -> Result<Moved, ProgramError> {
    if after.trade_in.amount != 0 || after.trade_out.amount != 0 {
        return Err(refused(Refusal::AccountStateChanged));
    }
    // The trade authority signs by its address alone; the swap must not have made an account of its own of it.
    if !p.trade_authority.owned_by(&SYSTEM) || !p.trade_authority.is_data_empty() {
        return Err(refused(Refusal::AccountStateChanged));
    }
    let pairs = [
        (&before.vault_in, &after.vault_in),
        (&before.vault_out, &after.vault_out),
        (&before.trade_in, &after.trade_in),
        (&before.trade_out, &after.trade_out),
    ];
    for (old, new) in pairs {
        if old.len != new.len {
            return Err(refused(Refusal::AccountStateChanged));
        }
        if new.lamports_beside_amount < old.lamports_beside_amount {
            return Err(refused(Refusal::LamportsLower));
        }
    }
    let lower = after.vault_lamports < before.vault_lamports
        || after.trade_authority_lamports < before.trade_authority_lamports;
    if lower {
        return Err(refused(Refusal::LamportsLower));
    }
    let moved =
        Moved::between(before.vault_in.amount, after.vault_in.amount, before.vault_out.amount, after.vault_out.amount);
    moved.check(trade).map_err(refused)?;
    Ok(moved)
}

fn record(data: &mut [u8], trade: &BotTrade, moved: &Moved, slot: u64) {
    data[vault::TRADE_SEQ..vault::LAST_TRADE].copy_from_slice(&trade.seq.to_le_bytes());
    let last = &mut data[vault::LAST_TRADE..vault::TRADE_SHARE_MAX];
    last[..8].copy_from_slice(&trade.seq.to_le_bytes());
    last[8..40].copy_from_slice(trade.intent_id);
    last[40..48].copy_from_slice(&moved.spent.to_le_bytes());
    last[48..56].copy_from_slice(&moved.received.to_le_bytes());
    last[56..].copy_from_slice(&slot.to_le_bytes());
}

#[inline(never)]
fn report(p: &Parties, trade: &BotTrade, moved: &Moved, slot: u64) {
    let fields: [&[u8]; 8] = [
        p.vault.address().as_ref(),
        &trade.seq.to_le_bytes(),
        trade.intent_id,
        p.mint_in.address().as_ref(),
        p.mint_out.address().as_ref(),
        &moved.spent.to_le_bytes(),
        &moved.received.to_le_bytes(),
        &slot.to_le_bytes(),
    ];
    emit(&tag::TRADE_EXECUTED, &fields);
}

#[cfg(target_arch = "bpf")]
unsafe fn stack_height() -> u64 {
    unsafe { pinocchio::syscalls::sol_get_stack_height() }
}

#[cfg(not(target_arch = "bpf"))]
unsafe fn stack_height() -> u64 {
    1
}
