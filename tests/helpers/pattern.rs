//! The bytes that `victim flood` writes and that the tests expect: every value occurs, no two blocks are alike.

/// Bytes `from..from + block.len()` of stream number `stream`.
pub(crate) fn fill(block: &mut [u8], from: u64, stream: u64) {
    for (at, byte) in (from..).zip(block) {
        let mixed = (at ^ (stream << 56)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        *byte = (mixed >> 47) as u8;
    }
}
