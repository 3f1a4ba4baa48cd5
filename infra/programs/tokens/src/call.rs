//! Calls to other programs. Each takes one struct: a BPF function has five register arguments at most.

use pinocchio::{
    AccountView, Address, ProgramResult,
    cpi::{Signer, invoke_signed},
    instruction::{InstructionAccount, InstructionView},
    sysvars::{Sysvar, rent::Rent},
};

use crate::{ASSOCIATED_TOKEN, SYSTEM};

pub struct Transfer<'a> {
    pub token_program: &'a Address,
    pub from: &'a AccountView,
    pub mint: &'a AccountView,
    pub to: &'a AccountView,
    pub authority: &'a AccountView,
    pub amount: u64,
    pub decimals: u8,
}

/// TransferChecked of SPL Token and Token-2022.
#[inline(never)]
pub fn transfer(t: &Transfer, signers: &[Signer]) -> ProgramResult {
    let mut data = [0; 10];
    data[0] = 12;
    data[1..9].copy_from_slice(&t.amount.to_le_bytes());
    data[9] = t.decimals;
    let accounts = [
        InstructionAccount::writable(t.from.address()),
        InstructionAccount::readonly(t.mint.address()),
        InstructionAccount::writable(t.to.address()),
        InstructionAccount::readonly_signer(t.authority.address()),
    ];
    let instruction = InstructionView { program_id: t.token_program, accounts: &accounts, data: &data };
    invoke_signed(&instruction, &[t.from, t.mint, t.to, t.authority], signers)
}

pub struct NewAccount<'a> {
    pub payer: &'a AccountView,
    pub account: &'a AccountView,
    pub owner: &'a Address,
    pub len: usize,
}

/// Funds, allocates and assigns a program-derived account.
///
/// In three steps, because the one-step CreateAccount refuses an address that holds lamports already, and anybody may
/// send some there beforehand.
#[inline(never)]
pub fn create_account(new: &NewAccount, signers: &[Signer]) -> ProgramResult {
    let missing = Rent::get()?.try_minimum_balance(new.len)?.saturating_sub(new.account.lamports());
    if missing > 0 {
        let mut data = [0; 12];
        data[0] = 2; // Transfer
        data[4..12].copy_from_slice(&missing.to_le_bytes());
        let accounts = [
            InstructionAccount::writable_signer(new.payer.address()),
            InstructionAccount::writable(new.account.address()),
        ];
        let instruction = InstructionView { program_id: &SYSTEM, accounts: &accounts, data: &data };
        invoke_signed(&instruction, &[new.payer, new.account], &[])?;
    }
    let accounts = [InstructionAccount::writable_signer(new.account.address())];
    let mut data = [0; 12];
    data[0] = 8; // Allocate
    data[4..12].copy_from_slice(&(new.len as u64).to_le_bytes());
    let instruction = InstructionView { program_id: &SYSTEM, accounts: &accounts, data: &data };
    invoke_signed(&instruction, &[new.account], signers)?;
    let mut data = [0; 36];
    data[0] = 1; // Assign
    data[4..36].copy_from_slice(new.owner.as_ref());
    let instruction = InstructionView { program_id: &SYSTEM, accounts: &accounts, data: &data };
    invoke_signed(&instruction, &[new.account], signers)
}

pub struct NewAssociated<'a> {
    pub payer: &'a AccountView,
    pub account: &'a AccountView,
    pub wallet: &'a AccountView,
    pub mint: &'a AccountView,
    pub system_program: &'a AccountView,
    pub token_program: &'a AccountView,
}

/// Creates an associated token account unless it exists.
#[inline(never)]
pub fn create_associated(new: &NewAssociated) -> ProgramResult {
    let accounts = [
        InstructionAccount::writable_signer(new.payer.address()),
        InstructionAccount::writable(new.account.address()),
        InstructionAccount::readonly(new.wallet.address()),
        InstructionAccount::readonly(new.mint.address()),
        InstructionAccount::readonly(new.system_program.address()),
        InstructionAccount::readonly(new.token_program.address()),
    ];
    let instruction = InstructionView { program_id: &ASSOCIATED_TOKEN, accounts: &accounts, data: &[1] };
    invoke_signed(
        &instruction,
        &[new.payer, new.account, new.wallet, new.mint, new.system_program, new.token_program],
        &[],
    )
}

/// InitializeAccount3 on an account of 165 bytes that the token program owns already.
#[inline(never)]
pub fn initialize_token_account(
    account: &AccountView,
    mint: &AccountView,
    owner: &Address,
    token_program: &Address,
) -> ProgramResult {
    let mut data = [0; 33];
    data[0] = 18;
    data[1..33].copy_from_slice(owner.as_ref());
    let accounts = [InstructionAccount::writable(account.address()), InstructionAccount::readonly(mint.address())];
    let instruction = InstructionView { program_id: token_program, accounts: &accounts, data: &data };
    invoke_signed(&instruction, &[account, mint], &[])
}
