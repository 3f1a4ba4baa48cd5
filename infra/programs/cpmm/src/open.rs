//! Opening a fee tier and a pool on a local chain.

use pinocchio::{
    AccountView, Address, ProgramResult,
    cpi::{Seed, Signer},
    error::ProgramError,
};
use rules::u64_at;
use tokens::{Mint, NewAccount, Transfer, create_account, initialize_token_account, is_token_program, transfer};

use crate::{
    Call, Refusal, refused,
    state::{
        AMM_CONFIG_SEED, AUTHORITY_SEED, FEE_RATE_ONE, OBSERVATION_SEED, POOL_SEED, POOL_VAULT_SEED, amm_config, check,
        pool,
    },
};

const TOKEN_ACCOUNT_LEN: usize = 165;

/// data: index u16 | trade_fee_rate u64; accounts: payer (signer, w), amm config (w), system program
#[inline(never)]
pub fn create_amm_config(call: &mut Call) -> ProgramResult {
    let [payer, account, _system] = &mut *call.accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    if call.data.len() != 10 {
        return Err(refused(Refusal::InvalidInput));
    }
    let index = u16::from_le_bytes([call.data[0], call.data[1]]);
    let fee_rate = u64_at(call.data, 2).map_err(tokens::refused)?;
    if fee_rate >= FEE_RATE_ONE {
        return Err(refused(Refusal::InvalidInput));
    }
    let index_seed = index.to_be_bytes();
    let (address, bump) = Address::find_program_address(&[AMM_CONFIG_SEED, &index_seed], call.program_id);
    if account.address() != &address || !account.is_data_empty() {
        return Err(refused(Refusal::InvalidInput));
    }
    let bump = [bump];
    let seeds = [Seed::from(AMM_CONFIG_SEED), Seed::from(&index_seed), Seed::from(&bump)];
    let new = NewAccount { payer, account, owner: call.program_id, len: amm_config::LEN };
    create_account(&new, &[Signer::from(&seeds)])?;
    let mut data = account.try_borrow_mut()?;
    data[..8].copy_from_slice(&amm_config::TAG);
    data[amm_config::BUMP] = bump[0];
    data[amm_config::INDEX..amm_config::INDEX + 2].copy_from_slice(&index.to_le_bytes());
    data[amm_config::TRADE_FEE_RATE..amm_config::TRADE_FEE_RATE + 8].copy_from_slice(&fee_rate.to_le_bytes());
    data[amm_config::PROTOCOL_OWNER..amm_config::PROTOCOL_OWNER + 32].copy_from_slice(payer.address().as_ref());
    Ok(())
}

/// One token of the new pool.
struct Side<'a> {
    vault: &'a AccountView,
    mint: &'a AccountView,
    program: &'a AccountView,
    source: &'a AccountView,
    amount: u64,
}

/// What both sides need of the pool.
struct Opening<'a> {
    program_id: &'a Address,
    creator: &'a AccountView,
    authority: &'a AccountView,
    pool: &'a Address,
}

/// data: amount_0 u64 | amount_1 u64
/// accounts: creator (signer, w), authority, amm config, pool state (w), vault 0 (w), vault 1 (w), mint 0, mint 1, token
/// program 0, token program 1, creator's account 0 (w), creator's account 1 (w), system program; mint 0 < mint 1
#[inline(never)]
pub fn initialize(call: &mut Call) -> ProgramResult {
    let [
        creator,
        authority,
        amm,
        state,
        vault_0,
        vault_1,
        mint_0,
        mint_1,
        program_0,
        program_1,
        source_0,
        source_1,
        _system,
    ] = &mut *call.accounts
    else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    check(call.program_id, amm, &amm_config::TAG, amm_config::LEN)?;
    if call.data.len() != 16 || mint_0.address().as_ref() >= mint_1.address().as_ref() || !state.is_data_empty() {
        return Err(refused(Refusal::InvalidInput));
    }
    let places: [&[u8]; 4] = [POOL_SEED, amm.address().as_ref(), mint_0.address().as_ref(), mint_1.address().as_ref()];
    let (address, bump) = Address::find_program_address(&places, call.program_id);
    let (authority_address, authority_bump) = Address::find_program_address(&[AUTHORITY_SEED], call.program_id);
    if state.address() != &address || authority.address() != &authority_address {
        return Err(refused(Refusal::InvalidInput));
    }
    let bump = [bump];
    let seeds =
        [Seed::from(places[0]), Seed::from(places[1]), Seed::from(places[2]), Seed::from(places[3]), Seed::from(&bump)];
    create_account(
        &NewAccount { payer: creator, account: state, owner: call.program_id, len: pool::LEN },
        &[Signer::from(&seeds)],
    )?;
    let opening = Opening { program_id: call.program_id, creator, authority, pool: &address };
    let amount_0 = u64_at(call.data, 0).map_err(tokens::refused)?;
    let amount_1 = u64_at(call.data, 8).map_err(tokens::refused)?;
    let side_0 = Side { vault: vault_0, mint: mint_0, program: program_0, source: source_0, amount: amount_0 };
    let side_1 = Side { vault: vault_1, mint: mint_1, program: program_1, source: source_1, amount: amount_1 };
    let decimals = [fund(&opening, &side_0)?, fund(&opening, &side_1)?];
    let (observation, _) = Address::find_program_address(&[OBSERVATION_SEED, address.as_ref()], call.program_id);
    let keys: [(usize, &Address); 9] = [
        (pool::AMM_CONFIG, amm.address()),
        (pool::CREATOR, creator.address()),
        (pool::OBSERVATION, &observation),
        (pool::VAULT_0, vault_0.address()),
        (pool::MINT_0, mint_0.address()),
        (pool::PROGRAM_0, program_0.address()),
        (pool::VAULT_1, vault_1.address()),
        (pool::MINT_1, mint_1.address()),
        (pool::PROGRAM_1, program_1.address()),
    ];
    let mut data = state.try_borrow_mut()?;
    data[..8].copy_from_slice(&pool::TAG);
    for (at, key) in keys {
        data[at..at + 32].copy_from_slice(key.as_ref());
    }
    data[pool::AUTHORITY_BUMP] = authority_bump;
    data[pool::MINT_0_DECIMALS] = decimals[0];
    data[pool::MINT_1_DECIMALS] = decimals[1];
    Ok(())
}

/// Creates one side's token account, owned by the pool authority, and moves the first amount in; returns the decimals.
#[inline(never)]
fn fund(opening: &Opening, side: &Side) -> Result<u8, ProgramError> {
    if !is_token_program(side.program.address()) {
        return Err(refused(Refusal::NotSupportMint));
    }
    let places: [&[u8]; 3] = [POOL_VAULT_SEED, opening.pool.as_ref(), side.mint.address().as_ref()];
    let (address, bump) = Address::find_program_address(&places, opening.program_id);
    if side.vault.address() != &address {
        return Err(refused(Refusal::InvalidVault));
    }
    let bump = [bump];
    let seeds = [Seed::from(places[0]), Seed::from(places[1]), Seed::from(places[2]), Seed::from(&bump)];
    let token_program = side.program.address();
    create_account(
        &NewAccount { payer: opening.creator, account: side.vault, owner: token_program, len: TOKEN_ACCOUNT_LEN },
        &[Signer::from(&seeds)],
    )?;
    initialize_token_account(side.vault, side.mint, opening.authority.address(), token_program)?;
    let decimals = Mint::read(side.mint, token_program)?.decimals;
    let first = Transfer {
        token_program,
        from: side.source,
        mint: side.mint,
        to: side.vault,
        authority: opening.creator,
        amount: side.amount,
        decimals,
    };
    transfer(&first, &[])?;
    Ok(decimals)
}
