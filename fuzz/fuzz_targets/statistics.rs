//! Statistics that devices send each other: any bytes give statistics or an error, and sound ones a head or an error; what was read is
//! written so that it is read again. The length and the checksum are set right, too, so that what is behind them is reached. `cargo fuzz run statistics`
#![no_main]

use libfuzzer_sys::fuzz_target;
use topgraft::learn::{Statistics, StatisticsHead};

fuzz_target!(|bytes: &[u8]| {
    parse(bytes);
    parse(&with_checksum(bytes));
});

fn parse(bytes: &[u8]) {
    let Ok(statistics) = Statistics::parse(bytes) else { return };
    // Not the same bytes: those of a fraction that a squeezed photo has no use for are passed over.
    assert_eq!(Statistics::parse(&statistics.to_bytes()).as_ref(), Ok(&statistics));
    assert_eq!(statistics.classes().len(), statistics.counts().len());
    assert!((0..statistics.classes().len()).all(|class| statistics.mean(class).iter().all(|x| x.is_finite())));
    // A square of floats for each: no more than a fuzzer has time for.
    if statistics.trunk().feature_dim <= 64 {
        if let Ok(model) = statistics.model(StatisticsHead::Lda) {
            assert!(model.to_bytes().is_ok());
        }
        if let Ok(twice) = Statistics::merge([&statistics, &statistics]) {
            assert_eq!(twice.n_samples(), 2 * statistics.n_samples());
        }
    }
}

/// The bytes with the right magic, version, length and checksum, which the fuzzer would hardly ever guess.
fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    let mut file = bytes.to_vec();
    file.resize(file.len().max(92), 0);
    file[..10].copy_from_slice(b"\x89STATS\r\n\x01\x00");
    let len = file.len() as u32 + 4;
    file[12..16].copy_from_slice(&len.to_le_bytes());
    let crc = crc32fast::hash(&file);
    file.extend(crc.to_le_bytes());
    file
}
