//! The head file: no bytes may make the parser or an accessor panic. `cargo fuzz run graft`
#![no_main]

use libfuzzer_sys::fuzz_target;
use topgraft_core::format::Graft;

fuzz_target!(|bytes: &[u8]| {
    parse(bytes);
    parse(&with_checksum(bytes));
});

fn parse(bytes: &[u8]) {
    if let Ok(graft) = Graft::parse(bytes) {
        assert_eq!(graft.labels().count(), graft.n_classes());
        match graft.samples() {
            None => assert_eq!(graft.parameters().len(), graft.n_classes() * (graft.feature_dim() + 1)),
            Some(samples) => {
                assert_eq!(samples.rows.len(), samples.labels.len() * graft.feature_dim());
                assert!(samples.labels.iter().all(|label| usize::from(label) < graft.n_classes()));
            }
        }
        if let Some(rejection) = graft.rejection() {
            assert_eq!(rejection.means.len(), graft.n_classes() * graft.feature_dim());
            assert_eq!(rejection.steps.len(), graft.n_classes());
        }
    }
}

/// The bytes with the right length and checksum, which the fuzzer would hardly ever guess.
fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    let mut file = bytes.to_vec();
    file.resize(file.len().next_multiple_of(8).max(16), 0);
    let len = file.len() as u32 + 16;
    file[12..16].copy_from_slice(&len.to_le_bytes());
    let crc = crc32fast::hash(&file);
    file.extend([*b"CRC ", 4u32.to_le_bytes(), crc.to_le_bytes(), [0; 4]].as_flattened());
    file
}
