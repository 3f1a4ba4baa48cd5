//! The five memory functions that compiled code calls, as Solana syscalls.
//! Strong symbols: they win over compiler_builtins' weak ones, which are byte loops.
#![no_std]

#[cfg(target_arch = "bpf")]
mod bpf {
    unsafe extern "C" {
        fn sol_memmove_(to: *mut u8, from: *const u8, count: u64);
        fn sol_memset_(to: *mut u8, byte: u8, count: u64);
        fn sol_memcmp_(left: *const u8, right: *const u8, count: u64, order: *mut i32);
    }

    /// `memmove` too: the runtime's own memcpy aborts when both ranges are the same, which compiled code may ask for.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: u64) -> *mut u8 {
        unsafe { sol_memmove_(to, from, count) };
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: u64) -> *mut u8 {
        unsafe { sol_memmove_(to, from, count) };
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: u64) -> *mut u8 {
        unsafe { sol_memset_(to, byte as u8, count) };
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: u64) -> i32 {
        let mut order = 0;
        unsafe { sol_memcmp_(left, right, count, &mut order) };
        order
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: u64) -> i32 {
        unsafe { memcmp(left, right, count) }
    }
}
