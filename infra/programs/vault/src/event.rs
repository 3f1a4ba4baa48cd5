//! Events: one `sol_log_data` entry per change of state, as the interface file lays them out.

/// The first eight bytes of sha256("event:<Name>").
pub mod tag {
    pub const CONFIG_INITIALIZED: [u8; 8] = [181, 49, 200, 156, 19, 167, 178, 91];
    pub const PAUSE_SET: [u8; 8] = [175, 57, 198, 136, 192, 66, 204, 73];
    pub const CHANGE_SCHEDULED: [u8; 8] = [204, 76, 7, 11, 15, 173, 202, 33];
    pub const CHANGE_CANCELLED: [u8; 8] = [139, 179, 97, 81, 214, 21, 119, 93];
    pub const CHANGE_APPLIED: [u8; 8] = [226, 1, 224, 100, 192, 110, 58, 24];
    pub const ADMIN_CHANGED: [u8; 8] = [232, 34, 31, 226, 62, 18, 19, 114];
    pub const AUTHORITY_RETIRED: [u8; 8] = [106, 46, 74, 133, 251, 0, 211, 174];
    pub const PROGRAM_REMOVED: [u8; 8] = [239, 63, 20, 35, 151, 73, 3, 161];
    pub const DELAY_RAISED: [u8; 8] = [136, 124, 84, 55, 41, 35, 127, 24];
    pub const VAULT_OPENED: [u8; 8] = [198, 250, 195, 25, 26, 107, 197, 16];
    pub const MINT_OPENED: [u8; 8] = [236, 206, 167, 132, 191, 2, 94, 32];
    pub const MINT_CLOSED: [u8; 8] = [221, 129, 105, 135, 52, 124, 245, 174];
    pub const DEPOSITED: [u8; 8] = [111, 141, 26, 45, 161, 35, 100, 57];
    pub const WITHDRAWN: [u8; 8] = [20, 89, 223, 198, 194, 124, 219, 13];
    pub const BOT_ENABLED: [u8; 8] = [123, 30, 216, 40, 228, 185, 230, 157];
    pub const BOT_DISABLED: [u8; 8] = [47, 165, 30, 21, 112, 201, 156, 247];
    pub const LIMITS_SET: [u8; 8] = [53, 198, 194, 145, 146, 149, 189, 127];
    pub const TRADE_EXECUTED: [u8; 8] = [41, 110, 64, 129, 60, 79, 179, 80];
}

/// The longest is LimitsSet with sixteen mints.
const EVENT_LEN_MAX: usize = 8 + 32 + 16 + 4 + 16 * 32;

/// Logs a tag and fields as one entry.
#[inline(never)]
pub fn emit(tag: &[u8; 8], fields: &[&[u8]]) {
    let mut event = [0; EVENT_LEN_MAX];
    event[..8].copy_from_slice(tag);
    let mut at = 8;
    for field in fields {
        event[at..at + field.len()].copy_from_slice(field);
        at += field.len();
    }
    log_data(&event[..at]);
}

#[cfg(target_arch = "bpf")]
fn log_data(bytes: &[u8]) {
    let slices = [bytes];
    unsafe { pinocchio::syscalls::sol_log_data(slices.as_ptr().cast(), 1) };
}

#[cfg(not(target_arch = "bpf"))]
fn log_data(_bytes: &[u8]) {}
