//! What the firmware carries and what it teaches itself, made on this CPU: the same bytes.

#[path = "../examples/fit_rows.rs"]
mod fit_rows;

use topgraft_core::format::{Contents, Graft};
use topgraft_core::head::{Head, Kind};
use topgraft_core::kernel::Kernels;
use topgraft_core::scaler::Scaler;
use topgraft_core::solver::sgd::{Descent, Settings};

const ROWS: &[u8] = include_bytes!("../../firmware/data/digits.rows");

#[test]
fn the_rows_give_the_bytes_of_the_head_that_is_shipped() {
    let file = fit_rows::fit(ROWS).expect("sound rows");
    assert!(file == include_bytes!("../../firmware/data/digits.graft"), "make it anew: see firmware/README.md");
}

/// As in firmware/src/bin/teach.rs.
#[test]
fn a_board_teaches_itself_the_head_that_this_cpu_does() {
    let settings = Settings { l2: 1e-3, rate: 1.0 };
    for kernels in Kernels::available() {
        let (features, labels) = fit_rows::samples(kernels, ROWS);
        let mut parameters = [0.0; 4 * 65];
        let mut head = Head::new(4, 64, &mut parameters[..]).expect("of this length");
        let mut descent = Descent::new(settings).expect("sound");
        for (row, label) in (0..10).flat_map(|_| features.chunks_exact(64).zip(&labels)) {
            descent.step(kernels, &mut head, row, *label, &mut [0.0; 4]).expect("sound");
        }
        let shipped = fit_rows::fit(ROWS).expect("sound rows");
        let shipped = Graft::parse(&shipped).expect("whole");
        let contents = Contents {
            fingerprint: *shipped.fingerprint(),
            backbone: "none",
            cut: "pixels",
            preprocess: shipped.preprocess(),
            labels: &shipped.labels().collect::<Vec<_>>(),
            scaler: Scaler::L2,
            head: Head::new(4, 64, &parameters[..]).expect("of this length").into(),
            kind: Kind::Softmax,
            l2: settings.l2,
            evaluation: None,
            calibration: None,
            rejection: None,
            producer: "firmware",
        };
        let mut file = vec![0; contents.encoded_len().expect("small")];
        contents.emit(&mut file).expect("of this length");
        let crc = u32::from_le_bytes(file[file.len() - 8..file.len() - 4].try_into().expect("four"));
        let line = format!("taught on the device: CRC-32 {crc:08x}");
        for board in [
            include_str!("../../firmware/expected/teach-m4f.txt"),
            include_str!("../../firmware/expected/teach-m7.txt"),
        ] {
            assert!(board.contains(&line), "{kernels:?}: {line}");
        }
    }
}
