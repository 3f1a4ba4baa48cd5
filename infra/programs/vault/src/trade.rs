//! `bot_trade`: lends an amount to the trade authority, lets it swap, takes everything back, then judges by balances.
//!
//! Re-entrancy: the runtime lets no program call back into one that is already on the stack, the swap holds no signature
//! that any instruction here would accept, and the vault's sequence is read again after the swap.

use pinocchio::{
    AccountView, Address, ProgramResult,
    cpi::{Seed, Signer},
    error::ProgramError,
    sysvars::{Sysvar, clock::Clock},
};
use rules::{BotTrade, Moved, Refusal};
use tokens::{Holding, Mint, Transfer, associated, balance_of, is_token_program, refused, transfer};

use crate::{
    Call,
    hash::accounts_hash,
    owner::check_trade_authority,
    state::{TRADE_AUTHORITY_SEED, VAULT_SEED, Vault, check_config, config, vault},
    swap::{Swap, call_swap},
    wrong_accounts,
};

/// First eight bytes of sha256("event:TradeExecuted").
const EVENT_TAG: [u8; 8] = [41, 110, 64, 129, 60, 79, 179, 80];
const EVENT_LEN: usize = 8 + 32 + 8 + 32 + 32 + 32 + 8 + 8 + 8;

/// Accounts before the swap's own, in this order.
struct Parties<'a> {
    config: &'a AccountView,
    vault: &'a AccountView,
    bot_authority: &'a AccountView,
    trade_authority: &'a AccountView,
    vault_in: &'a AccountView,
    vault_out: &'a AccountView,
    trade_in: &'a AccountView,
    trade_out: &'a AccountView,
    mint_in: &'a AccountView,
    mint_out: &'a AccountView,
    token_program_in: &'a AccountView,
    token_program_out: &'a AccountView,
    swap_program: &'a AccountView,
    swap_accounts: &'a [AccountView],
}

/// Everything that must be the same after the trade, and the amounts to compare.
#[derive(Clone, Copy)]
struct Snapshot {
    vault_in: Holding,
    vault_out: Holding,
    trade_in: Holding,
    trade_out: Holding,
    vault_lamports: u64,
    trade_authority_lamports: u64,
}

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
    if accounts_hash(call.accounts) != *trade.accounts_hash {
        return Err(refused(Refusal::AccountsHashMismatch));
    }
    let before = snapshot(&parties)?;
    check_associated(&parties)?;
    let moved = exchange(&parties, &trade, &vault, &before)?;
    let after = snapshot(&parties)?;
    judge(&trade, &moved, &before, &after)?;
    if Vault::load(call.program_id, parties.vault)?.trade_seq != vault.trade_seq {
        return Err(refused(Refusal::VaultChangedDuringSwap));
    }
    emit(&parties, &trade, &moved, slot);
    record(&mut call.accounts[1], &trade, &moved, slot)
}

fn parties_of(accounts: &[AccountView]) -> Result<Parties<'_>, ProgramError> {
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
    let authorities =
        config[config::AUTHORITIES..].chunks_exact(config::AUTHORITY_LEN).take(crate::state::BOT_AUTHORITIES);
    let key = p.bot_authority.address().as_ref();
    let active = |entry: &[u8]| {
        entry[..2] == [config::KIND_ED25519, config::STATE_ACTIVE]
            && &entry[config::AUTHORITY_KEY..config::AUTHORITY_KEY + 32] == key
    };
    if !p.bot_authority.is_signer() || !authorities.into_iter().any(active) {
        return Err(refused(Refusal::WrongBotAuthority));
    }
    trade.check_order(vault.trade_seq, slot).map_err(refused)?;
    let program = p.swap_program.address().as_ref();
    let allowed = config[config::SWAP_PROGRAMS..config::AUTHORITIES].chunks_exact(32).any(|entry| entry == program);
    if !allowed || program == [0; 32] {
        return Err(refused(Refusal::SwapProgramNotAllowed));
    }
    check_trade_authority(program_id, p.vault.address(), &vault, p.trade_authority.address())?;
    Ok(vault)
}

/// Reads the four token accounts; each must be its owner's alone.
#[inline(never)]
fn snapshot(p: &Parties) -> Result<Snapshot, ProgramError> {
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

/// A bot must not hide proceeds in a second token account of the vault, so only the associated ones will do.
#[inline(never)]
fn check_associated(p: &Parties) -> ProgramResult {
    if p.mint_in.address() == p.mint_out.address() {
        return Err(refused(Refusal::WrongMint));
    }
    let (program_in, program_out) = (p.token_program_in.address(), p.token_program_out.address());
    let (vault, trade_authority) = (p.vault.address(), p.trade_authority.address());
    if p.vault_in.address() != &associated(vault, program_in, p.mint_in.address())
        || p.vault_out.address() != &associated(vault, program_out, p.mint_out.address())
        || p.trade_in.address() != &associated(trade_authority, program_in, p.mint_in.address())
        || p.trade_out.address() != &associated(trade_authority, program_out, p.mint_out.address())
    {
        return Err(refused(Refusal::WrongTokenAccount));
    }
    Ok(())
}

/// Lends, swaps, sweeps; says what the swap itself took and gave, dust of the trade accounts left aside.
#[inline(never)]
fn exchange(p: &Parties, trade: &BotTrade, vault: &Vault, before: &Snapshot) -> Result<Moved, ProgramError> {
    let (program_in, program_out) = (p.token_program_in.address(), p.token_program_out.address());
    let decimals_in = Mint::read(p.mint_in, program_in)?.decimals;
    let decimals_out = Mint::read(p.mint_out, program_out)?.decimals;
    if before.vault_in.amount < trade.amount_in_max {
        return Err(refused(Refusal::InsufficientFunds));
    }
    let lent = before.trade_in.amount.checked_add(trade.amount_in_max).ok_or(refused(Refusal::Overflow))?;
    let vault_seeds = [Seed::from(VAULT_SEED), Seed::from(&vault.owner), Seed::from(&vault.bump)];
    let lend = Transfer {
        token_program: program_in,
        from: p.vault_in,
        mint: p.mint_in,
        to: p.trade_in,
        authority: p.vault,
        amount: trade.amount_in_max,
        decimals: decimals_in,
    };
    transfer(&lend, &[Signer::from(&vault_seeds)])?;

    let trade_seeds = [
        Seed::from(TRADE_AUTHORITY_SEED),
        Seed::from(p.vault.address().as_ref()),
        Seed::from(&vault.trade_authority_bump),
    ];
    let signer = Signer::from(&trade_seeds);
    let swap = Swap {
        program: p.swap_program.address(),
        accounts: p.swap_accounts,
        trade_authority: p.trade_authority.address(),
        route: trade.route,
    };
    call_swap(&swap, &signer)?;

    let (left, gained) = (balance_of(p.trade_in)?, balance_of(p.trade_out)?);
    let moved = Moved::between(lent, left, before.trade_out.amount, gained);
    let home_in = Transfer { from: p.trade_in, to: p.vault_in, authority: p.trade_authority, amount: left, ..lend };
    let home_out = Transfer {
        token_program: program_out,
        from: p.trade_out,
        mint: p.mint_out,
        to: p.vault_out,
        authority: p.trade_authority,
        amount: gained,
        decimals: decimals_out,
    };
    for sweep in [&home_in, &home_out] {
        if sweep.amount > 0 {
            transfer(sweep, core::slice::from_ref(&signer))?;
        }
    }
    Ok(moved)
}

/// State and lamports as they were; amounts by what the swap moved and, again, by what the vault ended with.
#[inline(never)]
fn judge(trade: &BotTrade, moved: &Moved, before: &Snapshot, after: &Snapshot) -> ProgramResult {
    if after.trade_in.amount != 0 || after.trade_out.amount != 0 {
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
    moved.check(trade).map_err(refused)?;
    let vault_moved =
        Moved::between(before.vault_in.amount, after.vault_in.amount, before.vault_out.amount, after.vault_out.amount);
    vault_moved.check(trade).map_err(refused)
}

fn record(account: &mut AccountView, trade: &BotTrade, moved: &Moved, slot: u64) -> ProgramResult {
    let mut data = account.try_borrow_mut()?;
    data[vault::TRADE_SEQ..vault::LAST_TRADE].copy_from_slice(&trade.seq.to_le_bytes());
    let last = &mut data[vault::LAST_TRADE..vault::LAST_TRADE + 64];
    last[..8].copy_from_slice(&trade.seq.to_le_bytes());
    last[8..40].copy_from_slice(trade.intent_id);
    last[40..48].copy_from_slice(&moved.spent.to_le_bytes());
    last[48..56].copy_from_slice(&moved.received.to_le_bytes());
    last[56..64].copy_from_slice(&slot.to_le_bytes());
    Ok(())
}

/// TradeExecuted: vault | seq | intent_id | mint_in | mint_out | amount_in | amount_out | slot
#[inline(never)]
fn emit(p: &Parties, trade: &BotTrade, moved: &Moved, slot: u64) {
    let mut event = [0; EVENT_LEN];
    let fields: [&[u8]; 9] = [
        &EVENT_TAG,
        p.vault.address().as_ref(),
        &trade.seq.to_le_bytes(),
        trade.intent_id,
        p.mint_in.address().as_ref(),
        p.mint_out.address().as_ref(),
        &moved.spent.to_le_bytes(),
        &moved.received.to_le_bytes(),
        &slot.to_le_bytes(),
    ];
    let mut at = 0;
    for field in fields {
        event[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    }
    log_data(&event);
}

#[cfg(target_arch = "bpf")]
fn log_data(bytes: &[u8]) {
    let slices = [bytes];
    unsafe { pinocchio::syscalls::sol_log_data(slices.as_ptr().cast(), 1) };
}

#[cfg(target_arch = "bpf")]
unsafe fn stack_height() -> u64 {
    unsafe { pinocchio::syscalls::sol_get_stack_height() }
}

#[cfg(not(target_arch = "bpf"))]
fn log_data(_bytes: &[u8]) {}

#[cfg(not(target_arch = "bpf"))]
unsafe fn stack_height() -> u64 {
    1
}
