//! a * b / d through 128 bits, on 32-bit limbs.
//!
//! The target has no 128-bit multiplication or division routine, so neither `u128` nor `checked_mul` may appear in a
//! program; the host tests compare with `u128`.

const LOW: u64 = 0xffff_ffff;

/// Hundredths of a percent in the whole.
pub const BPS: u64 = 10_000;

/// floor(a * b / d); None when d is 0 or the result needs more than 64 bits.
pub const fn mul_div(a: u64, b: u64, d: u64) -> Option<u64> {
    let (high, low) = product(a, b);
    if high >= d {
        return None; // also d == 0
    }
    Some(if high == 0 { low / d } else { quotient(high, low, d) })
}

/// ceil(a * b / d); None when d is 0 or the result needs more than 64 bits.
pub const fn ceil_mul_div(a: u64, b: u64, d: u64) -> Option<u64> {
    let Some(floor) = mul_div(a, b, d) else { return None };
    // The remainder is below d, so its low 64 bits say whether it is zero.
    if a.wrapping_mul(b) == floor.wrapping_mul(d) { Some(floor) } else { floor.checked_add(1) }
}

/// The 128-bit product as (high, low), schoolbook on 32-bit halves.
const fn product(a: u64, b: u64) -> (u64, u64) {
    let (ah, al, bh, bl) = (a >> 32, a & LOW, b >> 32, b & LOW);
    let low = al.wrapping_mul(bl);
    let cross = ah.wrapping_mul(bl).wrapping_add(low >> 32); // below 2^64: (2^32-1)^2 + 2^32-1
    let middle = al.wrapping_mul(bh).wrapping_add(cross & LOW);
    let high = ah.wrapping_mul(bh).wrapping_add(cross >> 32).wrapping_add(middle >> 32);
    (high, (middle << 32) | (low & LOW))
}

/// (high:low) / d for high < d: long division by one normalised divisor, two 32-bit digits (Knuth, 4.3.1 D).
const fn quotient(high: u64, low: u64, d: u64) -> u64 {
    let shift = d.leading_zeros();
    let divisor = d << shift;
    let rest = if shift == 0 { high } else { (high << shift) | (low >> (64 - shift)) };
    let low = low << shift;
    let first = digit(rest, low >> 32, divisor);
    let rest = (rest << 32).wrapping_add(low >> 32).wrapping_sub(first.wrapping_mul(divisor));
    let second = digit(rest, low & LOW, divisor);
    (first << 32) | second
}

/// One 32-bit digit of (rest * 2^32 + next) / divisor, with the divisor's top bit set and rest < divisor.
const fn digit(rest: u64, next: u64, divisor: u64) -> u64 {
    let (top, bottom) = (divisor >> 32, divisor & LOW);
    let mut guess = rest / top;
    let mut left = rest % top;
    // The guess is too large by at most two.
    while guess > LOW || guess.wrapping_mul(bottom) > ((left << 32) | next) {
        guess -= 1;
        left += top;
        if left > LOW {
            break;
        }
    }
    guess
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGES: [u64; 11] = [0, 1, 2, 3, LOW, 1 << 32, (1 << 32) + 1, 1 << 63, (1 << 63) - 1, u64::MAX - 1, u64::MAX];

    fn agrees(a: u64, b: u64, d: u64) {
        let wide = a as u128 * b as u128;
        let fits = |q: u128| u64::try_from(q).ok();
        assert_eq!(mul_div(a, b, d), wide.checked_div(d as u128).and_then(fits), "{a} * {b} / {d}");
        if d != 0 {
            let floor = fits(wide / d as u128);
            assert_eq!(ceil_mul_div(a, b, d), floor.and_then(|_| fits(wide.div_ceil(d as u128))), "{a} * {b} / {d}");
        }
    }

    #[test]
    fn agrees_with_128_bits_on_edges() {
        for a in EDGES {
            for b in EDGES {
                EDGES.iter().for_each(|d| agrees(a, b, *d));
            }
        }
    }

    #[test]
    fn agrees_with_128_bits_at_random() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state >> (state % 61)
        };
        for _ in 0..200_000 {
            agrees(next(), next(), next());
        }
    }
}
