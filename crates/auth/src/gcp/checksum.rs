//! The checksum that Secret Manager sends along: CRC-32C (Castagnoli).

/// The checksum of some bytes. Payloads are 64 KiB at most, so bit by bit is quick enough.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (POLYNOMIAL & 0_u32.wrapping_sub(crc & 1)))
    };
    !bytes.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    /// The check value of the catalogue of CRCs, and examples of RFC 3720.
    #[test]
    fn known_values() {
        for (bytes, crc) in [
            (b"123456789".as_slice(), 0xe306_9283),
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (b"", 0),
        ] {
            assert_eq!(crc32c(bytes), crc);
        }
    }
}
