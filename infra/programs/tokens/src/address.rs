//! Addresses of the runtime's own programs, and the associated token address.

use pinocchio::Address;

/// 11111111111111111111111111111111
pub const SYSTEM: Address = Address::new_from_array([0; 32]);

/// TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA
pub const SPL_TOKEN: Address = Address::new_from_array([
    6, 221, 246, 225, 215, 101, 161, 147, 217, 203, 225, 70, 206, 235, 121, 172, 28, 180, 133, 237, 95, 91, 55, 145,
    58, 140, 245, 133, 126, 255, 0, 169,
]);

/// TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb
pub const TOKEN_2022: Address = Address::new_from_array([
    6, 221, 246, 225, 238, 117, 143, 222, 24, 66, 93, 188, 228, 108, 205, 218, 182, 26, 252, 77, 131, 185, 13, 39, 254,
    189, 249, 40, 216, 161, 139, 252,
]);

/// ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL
pub const ASSOCIATED_TOKEN: Address = Address::new_from_array([
    140, 151, 37, 143, 78, 36, 137, 241, 187, 61, 16, 41, 20, 142, 13, 131, 11, 90, 19, 153, 218, 255, 16, 132, 4, 142,
    123, 216, 219, 233, 248, 89,
]);

/// BPFLoaderUpgradeab1e11111111111111111111111
pub const UPGRADEABLE_LOADER: Address = Address::new_from_array([
    2, 168, 246, 145, 78, 136, 161, 176, 226, 16, 21, 62, 247, 99, 174, 43, 0, 194, 185, 61, 22, 193, 36, 210, 192, 83,
    122, 16, 4, 128, 0, 0,
]);

/// The one token account that `wallet` has for `mint` by convention, and its bump, which takes a search.
#[inline(never)]
pub fn find_associated(wallet: &Address, token_program: &Address, mint: &Address) -> (Address, u8) {
    Address::find_program_address(&[wallet.as_ref(), token_program.as_ref(), mint.as_ref()], &ASSOCIATED_TOKEN)
}

/// The same address when a search has found its bump.
#[inline(never)]
pub fn associated_at(wallet: &Address, token_program: &Address, mint: &Address, bump: u8) -> Address {
    derived(&[wallet.as_ref(), token_program.as_ref(), mint.as_ref(), &[bump], ASSOCIATED_TOKEN.as_ref()])
}

/// The address derived from seeds, bump and program, in this order, when a search has found the bump: without the check
/// that it is no public key, which costs more than everything else about it.
pub fn derived<const N: usize>(seeds: &[&[u8]; N]) -> Address {
    let mut parts: [&[u8]; 6] = [&[]; 6];
    parts[..N].copy_from_slice(seeds);
    parts[N] = b"ProgramDerivedAddress";
    Address::new_from_array(sha256(&parts[..N + 1]))
}

/// SHA-256 of the parts, one after the other.
#[cfg(target_arch = "bpf")]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = [0; 32];
    // Cannot fail: few slices, and the digest is ours.
    unsafe { pinocchio::syscalls::sol_sha256(parts.as_ptr().cast(), parts.len() as u64, digest.as_mut_ptr()) };
    digest
}

#[cfg(not(target_arch = "bpf"))]
pub fn sha256(_parts: &[&[u8]]) -> [u8; 32] {
    unreachable!("programs run on chain only")
}
