//! Tables of labelled texts, .tsv and .csv: any bytes give texts with labels or an error.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use topgraft::learn::Texts;

fuzz_target!(|bytes: &[u8]| {
    for ending in ["tsv", "csv"] {
        let path = std::env::temp_dir().join(format!("topgraft-fuzz-{}.{ending}", std::process::id()));
        fs::write(&path, bytes).unwrap();
        if let Ok(texts) = Texts::open(&path) {
            assert_eq!(texts.texts.len(), texts.dataset.samples.len());
            assert!(texts.texts.iter().all(|text| !text.trim().is_empty()));
        }
    }
});
