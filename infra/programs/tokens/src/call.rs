//! Calls to other programs. Each takes one struct: a BPF function has five register arguments at most.

use pinocchio::{
    AccountView, Address, ProgramResult,
    cpi::{Signer, invoke_signed, invoke_signed_with_bounds},
    instruction::{InstructionAccount, InstructionView},
    sysvars::{Sysvar, rent::Rent},
};

use rules::Refusal;

use crate::{ASSOCIATED_TOKEN, SYSTEM, refused};

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

/// Most further accounts that a transfer takes along, for a transfer hook.
pub const MAX_TRANSFER_EXTRAS: usize = 12;

/// TransferChecked with the accounts behind it that the mint's transfer hook asks for; none of them signs.
#[inline(never)]
pub fn transfer_with(t: &Transfer, extras: &[AccountView], signers: &[Signer]) -> ProgramResult {
    if extras.is_empty() {
        return transfer(t, signers);
    }
    if extras.len() > MAX_TRANSFER_EXTRAS {
        return Err(refused(Refusal::WrongAccounts));
    }
    let mut data = [0; 10];
    data[0] = 12;
    data[1..9].copy_from_slice(&t.amount.to_le_bytes());
    data[9] = t.decimals;
    let mut metas = [const { InstructionAccount::readonly(&SYSTEM) }; 4 + MAX_TRANSFER_EXTRAS];
    let mut views = [t.from; 4 + MAX_TRANSFER_EXTRAS];
    metas[0] = InstructionAccount::writable(t.from.address());
    metas[1] = InstructionAccount::readonly(t.mint.address());
    metas[2] = InstructionAccount::writable(t.to.address());
    metas[3] = InstructionAccount::readonly_signer(t.authority.address());
    (views[1], views[2], views[3]) = (t.mint, t.to, t.authority);
    for (at, extra) in extras.iter().enumerate() {
        metas[4 + at] = InstructionAccount::new(extra.address(), extra.is_writable(), false);
        views[4 + at] = extra;
    }
    let len = 4 + extras.len();
    let instruction = InstructionView { program_id: t.token_program, accounts: &metas[..len], data: &data };
    invoke_signed_with_bounds::<{ 4 + MAX_TRANSFER_EXTRAS }, &AccountView>(&instruction, &views[..len], signers)
}

pub struct Close<'a> {
    pub token_program: &'a Address,
    pub account: &'a AccountView,
    pub rent_to: &'a AccountView,
    pub authority: &'a AccountView,
}

/// CloseAccount: the account's lamports go to `rent_to`.
#[inline(never)]
pub fn close(c: &Close, signer: &Signer) -> ProgramResult {
    let accounts = [
        InstructionAccount::writable(c.account.address()),
        InstructionAccount::writable(c.rent_to.address()),
        InstructionAccount::readonly_signer(c.authority.address()),
    ];
    let instruction = InstructionView { program_id: c.token_program, accounts: &accounts, data: &[9] };
    invoke_signed(&instruction, &[c.account, c.rent_to, c.authority], core::slice::from_ref(signer))
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
