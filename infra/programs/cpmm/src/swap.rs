//! `swap_base_input`: exact input, output by the constant product.

use pinocchio::{
    AccountView, ProgramResult,
    cpi::{Seed, Signer},
    error::ProgramError,
};
use rules::{ceil_mul_div, u64_at};
use tokens::{Mint, Transfer, balance_of, transfer};

use crate::{
    Call, Refusal, refused,
    state::{AUTHORITY_SEED, FEE_RATE_ONE, amm_config, check, pool},
};

/// data: amount_in u64 | minimum_amount_out u64
/// accounts: payer (signer), authority, amm config, pool state (w), input account (w), output account (w), input vault
/// (w), output vault (w), input token program, output token program, input mint, output mint, observation (w)
#[inline(never)]
pub fn swap_base_input(call: &mut Call) -> ProgramResult {
    let [
        payer,
        authority,
        amm,
        state,
        input,
        output,
        vault_in,
        vault_out,
        program_in,
        program_out,
        mint_in,
        mint_out,
        observation,
        ..,
    ] = &*call.accounts
    else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    if call.data.len() != 16 {
        return Err(refused(Refusal::InvalidInput));
    }
    let amount_in = u64_at(call.data, 0).map_err(tokens::refused)?;
    let minimum_out = u64_at(call.data, 8).map_err(tokens::refused)?;
    check(call.program_id, state, &pool::TAG, pool::LEN)?;
    check(call.program_id, amm, &amm_config::TAG, amm_config::LEN)?;
    let data = state.try_borrow()?;
    let is = |at: usize, account: &AccountView| &data[at..at + 32] == account.address().as_ref();
    if !is(pool::AMM_CONFIG, amm) || !is(pool::OBSERVATION, observation) {
        return Err(refused(Refusal::InvalidInput));
    }
    let side = |vault: usize, mint: usize, program: usize, accounts: [&AccountView; 3]| {
        is(vault, accounts[0]) && is(mint, accounts[1]) && is(program, accounts[2])
    };
    let zero_side = |accounts| side(pool::VAULT_0, pool::MINT_0, pool::PROGRAM_0, accounts);
    let one_side = |accounts| side(pool::VAULT_1, pool::MINT_1, pool::PROGRAM_1, accounts);
    let (paying, paid) = ([vault_in, mint_in, program_in], [vault_out, mint_out, program_out]);
    if !(zero_side(paying) && one_side(paid)) && !(one_side(paying) && zero_side(paid)) {
        return Err(refused(Refusal::InvalidVault));
    }
    let bump = [data[pool::AUTHORITY_BUMP]];
    let fee_rate = u64_at(&amm.try_borrow()?, amm_config::TRADE_FEE_RATE).map_err(tokens::refused)?;
    let amount_out = quote(balance_of(vault_in)?, balance_of(vault_out)?, amount_in, fee_rate)?;
    if amount_out < minimum_out {
        return Err(refused(Refusal::ExceededSlippage));
    }
    let pay = Transfer {
        token_program: program_in.address(),
        from: input,
        mint: mint_in,
        to: vault_in,
        authority: payer,
        amount: amount_in,
        decimals: Mint::read(mint_in, program_in.address())?.decimals,
    };
    transfer(&pay, &[])?;
    let give = Transfer {
        token_program: program_out.address(),
        from: vault_out,
        mint: mint_out,
        to: output,
        authority,
        amount: amount_out,
        decimals: Mint::read(mint_out, program_out.address())?.decimals,
    };
    transfer(&give, &[Signer::from(&[Seed::from(AUTHORITY_SEED), Seed::from(&bump)])])
}

/// fee = ceil(in x rate / 1e6); out = reserve_out - ceil(reserve_in x reserve_out / (reserve_in + in - fee)).
#[inline(never)]
fn quote(reserve_in: u64, reserve_out: u64, amount_in: u64, fee_rate: u64) -> Result<u64, ProgramError> {
    if amount_in == 0 {
        return Err(refused(Refusal::ZeroTradingTokens));
    }
    if reserve_in == 0 || reserve_out == 0 {
        return Err(refused(Refusal::EmptySupply));
    }
    let too_much = refused(Refusal::InvalidInput);
    let fee = ceil_mul_div(amount_in, fee_rate, FEE_RATE_ONE).ok_or(too_much.clone())?;
    let net = amount_in.checked_sub(fee).ok_or(too_much.clone())?;
    let grown = reserve_in.checked_add(net).ok_or(too_much.clone())?;
    let kept = ceil_mul_div(reserve_in, reserve_out, grown).ok_or(too_much)?;
    match reserve_out.saturating_sub(kept) {
        0 => Err(refused(Refusal::ZeroTradingTokens)),
        out => Ok(out),
    }
}
