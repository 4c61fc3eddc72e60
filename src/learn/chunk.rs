//! Chunks of a head file that are this program's own affair: core's parser passes over them (core/FORMAT.md).

/// Bytes before the first chunk.
const HEADER_LEN: usize = 16;
/// Bytes of the last chunk, which holds the checksum.
const CRC_CHUNK_LEN: usize = 16;
/// What the length of a chunk, and of the file, is a multiple of.
const ALIGN: usize = 8;

/// Payload of the first chunk of that tag, in bytes that core's parser has passed; `None` if there is none.
pub(super) fn find(bytes: &[u8], tag: [u8; 4]) -> Option<&[u8]> {
    let mut rest = bytes.get(HEADER_LEN..bytes.len().checked_sub(CRC_CHUNK_LEN)?)?;
    loop {
        let (head, body) = rest.split_first_chunk::<8>()?;
        let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if head[..4] == tag {
            return body.get(..len);
        }
        rest = body.get(len.checked_next_multiple_of(ALIGN)?..)?;
    }
}

/// The file with one more chunk at its end, and a new checksum; `None` if it would be larger than 4 GiB.
pub(super) fn add(mut bytes: Vec<u8>, tag: [u8; 4], payload: &[u8]) -> Option<Vec<u8>> {
    bytes.truncate(bytes.len() - CRC_CHUNK_LEN);
    bytes.extend(tag);
    bytes.extend(u32::try_from(payload.len()).ok()?.to_le_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
    let len = u32::try_from(bytes.len() + CRC_CHUNK_LEN).ok()?;
    bytes[12..16].copy_from_slice(&len.to_le_bytes());
    let crc = crc32fast::hash(&bytes);
    bytes.extend(*b"CRC \x04\0\0\0");
    bytes.extend(crc.to_le_bytes());
    bytes.extend([0; 4]);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use topgraft_core::format::Graft;

    #[test]
    fn a_chunk_that_was_added_is_found_and_the_file_is_sound() {
        let golden = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden.graft")).expect("is there");
        for len in [0, 1, 8, 13] {
            let payload: Vec<u8> = (0..len).collect();
            let bytes = add(golden.clone(), *b"neck", &payload).expect("small");
            let graft = Graft::parse(&bytes).expect("sound");
            assert_eq!(graft.fingerprint(), Graft::parse(&golden).expect("sound").fingerprint());
            assert_eq!(find(&bytes, *b"neck"), Some(payload.as_slice()));
            assert_eq!(find(&bytes, *b"none"), None);
            assert_eq!(find(&bytes, *b"made"), find(&golden, *b"made"));
        }
        assert_eq!(find(&golden, *b"neck"), None);
        assert_eq!((find(&[], *b"neck"), find(&golden[..20], *b"neck")), (None, None));
    }
}
