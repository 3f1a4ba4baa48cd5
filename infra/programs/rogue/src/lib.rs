//! Swap program for tests that does whatever its data says, with every privilege it was handed: the worst that a
//! configured swap program, or a program that calls the vault program, can turn into. Never part of a deployment.
//!
//! data: bump of the address ["rogue"] u8, then acts one after another until the data ends (see `act`). An account is
//! named by its place in the instruction. A call is signed by ["rogue"] too, so that the program can own reserves and
//! trade honestly when told to.
#![no_std]

mod call;

use pinocchio::{AccountView, Address, ProgramResult, error::ProgramError};
use rt as _;

pinocchio::program_entrypoint!(process, 64);
pinocchio::no_allocator!();
pinocchio::nostd_panic_handler!();

const SEED: &[u8] = b"rogue";
const MALFORMED: ProgramError = ProgramError::InvalidInstructionData;

fn process(_program_id: &Address, accounts: &mut [AccountView], data: &[u8]) -> ProgramResult {
    let (bump, script) = data.split_first().ok_or(MALFORMED)?;
    let mut script = Script { left: script };
    while !script.left.is_empty() {
        act(*bump, accounts, &mut script)?;
    }
    Ok(())
}

/// What is left of the instruction's data.
struct Script<'a> {
    left: &'a [u8],
}

impl<'a> Script<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], ProgramError> {
        let (taken, left) = self.left.split_at_checked(len).ok_or(MALFORMED)?;
        self.left = left;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, ProgramError> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<usize, ProgramError> {
        let bytes = self.take(2)?;
        Ok(usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
    }

    fn u64(&mut self) -> Result<u64, ProgramError> {
        let bytes = self.take(8)?.first_chunk::<8>().ok_or(MALFORMED)?;
        Ok(u64::from_le_bytes(*bytes))
    }
}

/// One act:
/// 0 call: program u8, count u8, count x (account u8, flags u8: 1 signer, 2 writable), data length u16, data
/// 1 move lamports without asking: from u8, to u8, lamports u64
/// 2 write: account u8, offset u16, length u16, bytes
/// 3 resize: account u8, length u64
/// 4 assign: account u8, owner [32]
/// 5 log as an event: length u16, bytes
/// 6 fail with a number: code u64
/// 7 never end
fn act(bump: u8, accounts: &mut [AccountView], script: &mut Script) -> ProgramResult {
    match script.byte()? {
        0 => call::call(bump, accounts, script),
        1 => {
            let (from, to, lamports) = (script.byte()?, script.byte()?, script.u64()?);
            let source = account(accounts, from)?;
            source.set_lamports(source.lamports().wrapping_sub(lamports));
            let target = account(accounts, to)?;
            target.set_lamports(target.lamports().wrapping_add(lamports));
            Ok(())
        }
        2 => {
            let (place, offset, len) = (script.byte()?, script.u16()?, script.u16()?);
            let bytes = script.take(len)?;
            // Borrowing would refuse what the runtime is to be asked.
            let data = unsafe { account(accounts, place)?.borrow_unchecked_mut() };
            data.get_mut(offset..offset + len).ok_or(MALFORMED)?.copy_from_slice(bytes);
            Ok(())
        }
        3 => {
            let (place, len) = (script.byte()?, script.u64()?);
            unsafe { (*account(accounts, place)?.account_mut_ptr()).data_len = len };
            Ok(())
        }
        4 => {
            let (place, owner) = (script.byte()?, script.take(32)?);
            let owner = owner.first_chunk::<32>().ok_or(MALFORMED)?;
            account(accounts, place)?.assign(&Address::new_from_array(*owner));
            Ok(())
        }
        5 => {
            let len = script.u16()?;
            log_data(script.take(len)?);
            Ok(())
        }
        6 => Err(ProgramError::Custom(script.u64()? as u32)),
        7 => loop {
            core::hint::black_box(());
        },
        _ => Err(MALFORMED),
    }
}

fn account(accounts: &mut [AccountView], place: u8) -> Result<&mut AccountView, ProgramError> {
    accounts.get_mut(usize::from(place)).ok_or(ProgramError::NotEnoughAccountKeys)
}

#[cfg(target_arch = "bpf")]
fn log_data(bytes: &[u8]) {
    let slices = [bytes];
    unsafe { pinocchio::syscalls::sol_log_data(slices.as_ptr().cast(), 1) };
}

#[cfg(not(target_arch = "bpf"))]
fn log_data(_bytes: &[u8]) {}
