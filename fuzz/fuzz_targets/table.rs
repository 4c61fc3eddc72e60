//! Tables of word vectors: any bytes open, and then give words and finite numbers or an error, or do not. The checksums are set
//! right first, so that what is behind them is reached.
#![no_main]

use std::fs;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use topgraft::words::{Limits, Vectors};

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    if bytes.len() >= 128 {
        bytes[..8].copy_from_slice(b"TGWORDS\x01");
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let row_len = match number(16) {
            0 => number(8).saturating_mul(4),
            1 => number(8).saturating_mul(2),
            _ => number(8).saturating_add(4),
        };
        if let Some(index) = bytes.get(number(12).saturating_mul(row_len.saturating_add(4)).saturating_add(128)..) {
            let crc = crc32fast::hash(index);
            bytes[64..68].copy_from_slice(&crc.to_le_bytes());
        }
        let crc = crc32fast::hash(&bytes[..68]);
        bytes[68..72].copy_from_slice(&crc.to_le_bytes());
    }
    let path = std::env::temp_dir().join(format!("topgraft-fuzz-{}.words", std::process::id()));
    fs::write(&path, &bytes).unwrap();
    if let Ok(vectors) = Vectors::open(Path::new(&path), &Limits { memory: 1 << 28, ..Limits::default() }) {
        let mut row = vec![0.0; vectors.dims()];
        for number in 0..vectors.len().min(64) {
            let word = vectors.word(number);
            assert!(vectors.find(word).is_none_or(|found| vectors.word(found) == word));
            if vectors.row(number, &mut row).is_ok() {
                assert!(row.iter().all(|x| x.is_finite()));
            }
        }
    }
});
