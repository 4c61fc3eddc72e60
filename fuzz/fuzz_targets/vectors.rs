//! Files of word vectors as GloVe, word2vec (text and binary) and fastText write them, gzipped or not: any bytes give words with
//! finite numbers or an error, in bounded memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use topgraft::words::VectorReader;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut reader) = VectorReader::new("fuzz", bytes) else { return };
    let dims = reader.dims();
    while let Ok(Some((word, row))) = reader.next() {
        assert!(!word.is_empty() && row.len() == dims && row.iter().all(|x| x.is_finite()));
    }
});
