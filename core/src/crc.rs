//! The checksum of head files and of what is stored in flash.

/// CRC-32 (ISO 3309, as in PNG and gzip) of `parts`, one after another; four bits at a time: the table of 64 bytes suits a
/// microcontroller.
pub(crate) fn crc32(parts: &[&[u8]]) -> u32 {
    const TABLE: [u32; 16] = {
        let mut table = [0; 16];
        let mut i = 0;
        while i < 16 {
            let (mut crc, mut bit) = (i as u32, 0);
            while bit < 4 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    let step = |crc: u32, nibble: u32| (crc >> 4) ^ TABLE[((crc ^ nibble) & 15) as usize];
    let bytes = parts.iter().copied().flatten();
    !bytes.fold(!0, |crc, byte| step(step(crc, u32::from(*byte)), u32::from(*byte >> 4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_and_that_of_an_empty_png_chunk() {
        assert_eq!(crc32(&[b"123456789"]), 0xcbf4_3926);
        assert_eq!(crc32(&[b"IE", b"", b"ND"]), 0xae42_6082);
    }
}
