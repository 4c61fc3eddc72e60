//! Round trips, and a damaged file for each way to be wrong.

use super::*;
use crate::crc::crc32;
use crate::head::{Head, Kind, Nearest};
use crate::kernel::Kernels;
use crate::preprocess::{Preprocess, PreprocessError};
use crate::scaler::Scaler;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

const PARAMETERS: [f32; 8] = [1.0, -2.0, 3.5, 0.0, 1e-20, -1e20, 0.25, -0.25];

fn contents() -> Contents<'static> {
    Contents {
        fingerprint: core::array::from_fn(|i| i as u8),
        backbone: "efficientnet_lite0",
        cut: "features",
        preprocess: Preprocess::IMAGENET,
        labels: &["ants", "Bienen \u{1f41d}"],
        scaler: Scaler::Standard { mean: &[0.5, 0.25, -1.0], scale: &[1.0, 2.0, -3.0] },
        head: Head::new(2, 3, PARAMETERS.as_slice()).expect("shape").into(),
        kind: Kind::Softmax,
        l2: 0.01,
        evaluation: Some(Evaluation { folds: 5, n_samples: 20, correct: 18, majority: 12 }),
        calibration: None,
        rejection: None,
        producer: "topgraft test",
    }
}

/// Contents with the chunks that came later.
fn calibrated() -> Contents<'static> {
    let calibration = Calibration { temperature: 0.75, ece_before: 0.125, ece_after: 0.0625 };
    let rejection = Rejection {
        steps: [0.01, 0.0].as_slice(),
        means: [127, -128, 0, 1, 2, 3].as_slice(),
        scale: 0.5,
        threshold: -2.5,
        rate: 0.05,
        auroc: Some(0.875),
    };
    Contents { calibration: Some(calibration), rejection: Some(rejection), ..contents() }
}

/// Three samples of three features; the labels are filled up with two bytes.
const ROWS: [u16; 9] = [0x3c00, 0, 0x8000, 0x7bff, 0xfbff, 1, 0x4248, 0x2e66, 0xc000];

/// Contents with samples in the place of weights.
fn nearest(head: &Nearest<[f32; 3], [u16; 9], [u16; 3]>) -> Contents<'_> {
    Contents { kind: Kind::Nearest, head: head.as_slices().into(), ..calibrated() }
}

fn samples() -> Nearest<[f32; 3], [u16; 9], [u16; 3]> {
    Nearest::new(Kernels::detect(), [2, 3], 2, ROWS, [1, 0, 1], [0.0; 3]).expect("sound")
}

fn file_of(contents: &Contents<'_>) -> Vec<u8> {
    let mut file = vec![0xaa; contents.encoded_len().expect("fits")];
    contents.emit(&mut file).expect("fits");
    file
}

/// The file with `edit` done to it, its length and checksum made right again.
fn edited(edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    edited_of(&calibrated(), edit)
}

fn edited_of(contents: &Contents<'_>, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut file = file_of(contents);
    file.truncate(file.len() - CRC_CHUNK_LEN);
    edit(&mut file);
    let len = (file.len() + CRC_CHUNK_LEN) as u32;
    file[12..16].copy_from_slice(&len.to_le_bytes());
    let crc = crc32(&[&file]);
    file.extend([*b"CRC ", 4u32.to_le_bytes(), crc.to_le_bytes(), [0; 4]].as_flattened());
    file
}

/// Where the payload of a chunk starts.
fn payload_at(file: &[u8], tag: &[u8; 4]) -> usize {
    8 + file.windows(4).position(|window| window == tag).expect("is there")
}

#[track_caller]
fn assert_refused(expected: ParseError, edit: impl FnOnce(&mut Vec<u8>)) {
    assert_eq!(Graft::parse(&edited(edit)).expect_err("damaged"), expected);
    assert!(std::format!("{expected}").len() > 10);
}

#[test]
fn what_was_written_is_read() {
    let no_scaler = Contents { scaler: Scaler::None, evaluation: None, ..contents() };
    let l2_scaler = Contents { scaler: Scaler::L2, ..contents() };
    let centred = Contents { scaler: Scaler::CentredL2 { mean: &[0.5, -2.0, 0.0] }, ..contents() };
    let calibrated = calibrated();
    let not_measured =
        Contents { rejection: calibrated.rejection.map(|r| Rejection { auroc: None, ..r }), ..calibrated };
    for contents in [contents(), no_scaler, l2_scaler, centred, calibrated, not_measured] {
        let file = file_of(&contents);
        let graft = Graft::parse(&file).expect("sound");
        assert_eq!(*graft.fingerprint(), contents.fingerprint);
        assert_eq!((graft.backbone(), graft.cut()), (contents.backbone, contents.cut));
        assert_eq!(graft.preprocess(), contents.preprocess);
        assert_eq!(graft.labels().collect::<Vec<_>>(), contents.labels);
        assert_eq!((graft.n_classes(), graft.feature_dim(), graft.l2()), (2, 3, 0.01));
        assert_eq!(graft.parameters().iter().collect::<Vec<_>>(), PARAMETERS);
        assert_eq!(graft.evaluation(), contents.evaluation);
        assert_eq!(graft.producer(), Some("topgraft test"));
        assert_eq!(graft.calibration(), contents.calibration);
        assert_eq!(graft.rejection().is_some(), contents.rejection.is_some());
        if let (Some(read), Some(written)) = (graft.rejection(), contents.rejection) {
            assert_eq!((read.steps.iter().collect::<Vec<_>>().as_slice(), read.means), (written.steps, written.means));
            assert_eq!((read.scale, read.threshold), (written.scale, written.threshold));
            assert_eq!((read.rate, read.auroc), (written.rate, written.auroc));
        }
        match (graft.scaler(), contents.scaler) {
            (Scaler::Standard { mean, scale }, Scaler::Standard { mean: m, scale: s }) => {
                assert_eq!(
                    (mean.iter().collect::<Vec<_>>(), scale.iter().collect::<Vec<_>>()),
                    (m.to_vec(), s.to_vec())
                );
            }
            (Scaler::CentredL2 { mean }, Scaler::CentredL2 { mean: m }) => {
                assert_eq!(mean.iter().collect::<Vec<_>>(), m.to_vec());
            }
            (Scaler::None, Scaler::None) | (Scaler::L2, Scaler::L2) => {}
            (read, written) => panic!("{read:?} {written:?}"),
        }
    }
}

#[test]
fn floats_are_read_in_place_where_they_are_aligned_and_copied_where_not() {
    let file = file_of(&contents());
    // Four copies, one at each address modulo 4.
    for shift in 0..4 {
        let mut padded = vec![0u64; file.len() / 8 + 2];
        // SAFETY: a u64 buffer is as good as bytes, and twice aligned.
        let bytes = unsafe { core::slice::from_raw_parts_mut(padded.as_mut_ptr().cast::<u8>(), padded.len() * 8) };
        bytes[shift..][..file.len()].copy_from_slice(&file);
        let parameters = Graft::parse(&bytes[shift..][..file.len()]).expect("sound").parameters();
        assert_eq!(parameters.as_slice(), (shift == 0).then_some(PARAMETERS.as_slice()));
        assert_eq!(parameters.iter().collect::<Vec<_>>(), PARAMETERS);
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let file = file_of(&calibrated());
    for bit in 0..file.len() * 8 {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Graft::parse(&damaged).is_err(), "bit {bit}");
    }
    for len in 0..file.len() {
        assert!(Graft::parse(&file[..len]).is_err(), "cut at {len}");
    }
    let longer = [file.as_slice(), &[0; 8]].concat();
    assert!(matches!(Graft::parse(&longer), Err(ParseError::Length { .. })));
}

#[test]
fn each_damage_of_the_envelope_has_its_error() {
    let file = file_of(&contents());
    let parse = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut damaged = file.clone();
        edit(&mut damaged);
        Graft::parse(&damaged).expect_err("damaged")
    };
    assert_eq!(Graft::parse(b"").expect_err("empty"), ParseError::NotAGraft);
    assert_eq!(parse(&|f| f[0] = b'P'), ParseError::NotAGraft);
    assert_eq!(parse(&|f| f.truncate(20)), ParseError::TooShort { len: 20 });
    assert_eq!(parse(&|f| f[8] = 2), ParseError::Version { found: 2 });
    assert_eq!(parse(&|f| f[11] = 1), ParseError::Value { what: "a reserved byte of the header" });
    let (stated, found) = (file.len() as u32, file.len() - 8);
    assert_eq!(parse(&|f| f.truncate(found)), ParseError::Length { stated, found });
    assert!(matches!(parse(&|f| f[40] ^= 1), ParseError::Checksum { .. }));
    let crc_at = file.len() - CRC_CHUNK_LEN;
    assert_eq!(parse(&|f| f[crc_at] = b'X'), ParseError::Missing { chunk: "CRC" });
}

#[test]
fn tags_are_shown_as_text() {
    let error = ParseError::ChunkLength { chunk: *b"LABL" };
    assert_eq!(error.to_string(), "chunk LABL has a wrong length");
    let error = ParseError::Unknown { chunk: *b"A\x1b\0Z" };
    assert_eq!(error.to_string(), "chunk A\\x1b\\x00Z is unknown to this version");
}

#[test]
fn every_kind_of_head_survives_the_bytes() {
    for kind in Kind::LINEAR {
        let contents = Contents { kind, ..contents() };
        let mut file = vec![0; contents.encoded_len().expect("fits")];
        contents.emit(&mut file).expect("fits");
        assert_eq!(Graft::parse(&file).expect("sound").kind(), kind);
    }
}

#[test]
fn each_damage_of_a_chunk_has_its_error() {
    let set = |tag: &'static [u8; 4], offset: usize, bytes: &'static [u8]| {
        move |f: &mut Vec<u8>| {
            let at = payload_at(f, tag) + offset;
            f[at..at + bytes.len()].copy_from_slice(bytes);
        }
    };
    // Tag and length stand in the 8 bytes before the payload.
    let tag_of = |tag: &'static [u8; 4], new: &'static [u8; 4]| {
        move |f: &mut Vec<u8>| {
            let at = payload_at(f, tag) - 8;
            f[at..at + 4].copy_from_slice(new);
        }
    };
    let length_of = |tag: &'static [u8; 4], len: u32| {
        move |f: &mut Vec<u8>| {
            let at = payload_at(f, tag) - 4;
            f[at..at + 4].copy_from_slice(&len.to_le_bytes());
        }
    };
    for (tag, name) in [(b"TRNK", "TRNK"), (b"PREP", "PREP"), (b"LABL", "LABL"), (b"SCAL", "SCAL"), (b"HEAD", "HEAD")] {
        assert_refused(ParseError::Missing { chunk: name }, tag_of(tag, b"xxxx"));
        assert_refused(ParseError::ChunkLength { chunk: *tag }, length_of(tag, u32::MAX));
        assert_refused(ParseError::ChunkLength { chunk: *tag }, length_of(tag, 2));
    }
    assert_refused(ParseError::ChunkLength { chunk: *b"eval" }, length_of(b"eval", 12));
    assert_refused(ParseError::Unknown { chunk: *b"EVAL" }, tag_of(b"eval", b"EVAL"));
    for tag in [b"temp", b"reje"] {
        assert_refused(ParseError::ChunkLength { chunk: *tag }, length_of(tag, 4));
        assert_refused(ParseError::ChunkLength { chunk: *tag }, length_of(tag, u32::MAX));
    }
    assert_refused(ParseError::ChunkLength { chunk: *b"temp" }, length_of(b"temp", 16));
    let temperature = ParseError::Value { what: "the temperature" };
    assert_refused(temperature, set(b"temp", 0, &[0; 4]));
    assert_refused(temperature, set(b"temp", 0, &[1, 0, 0, 0]));
    assert_refused(temperature, set(b"temp", 0, &[0, 0, 0x80, 0x7f]));
    assert_refused(temperature, set(b"temp", 4, &[0, 0, 0xc0, 0x7f]));
    assert_refused(temperature, set(b"temp", 8, &[0, 0, 0, 0x40]));
    assert_refused(ParseError::Value { what: "kind of rejection" }, set(b"reje", 0, &[2]));
    let rejection = ParseError::Value { what: "what makes a sample unknown" };
    assert_refused(rejection, set(b"reje", 4, &[0; 4])); // scale
    assert_refused(rejection, set(b"reje", 8, &[0, 0, 0x80, 0xff])); // threshold
    assert_refused(rejection, set(b"reje", 12, &[0; 4])); // rate
    assert_refused(rejection, set(b"reje", 12, &[0, 0, 0x80, 0x3f]));
    assert_refused(rejection, set(b"reje", 16, &[0, 0, 0, 0xbf])); // AUROC
    assert_refused(rejection, set(b"reje", 20, &[0, 0, 0xc0, 0x7f])); // a step
    assert_refused(rejection, set(b"reje", 24, &[0, 0, 0x80, 0xbf]));
    assert_refused(ParseError::Text { what: "backbone name" }, set(b"TRNK", 34, &[0xff]));
    assert_refused(ParseError::Text { what: "label" }, set(b"LABL", 6, &[0xff]));
    assert_refused(ParseError::Text { what: "label" }, set(b"LABL", 4, &[0, 0]));
    assert_refused(ParseError::Text { what: "label" }, set(b"LABL", 6, b"\x1b"));
    assert_refused(ParseError::Preprocess(PreprocessError::UnknownCode("layout")), set(b"PREP", 4, &[7]));
    assert_refused(ParseError::Value { what: "kind of scaler" }, set(b"SCAL", 0, &[4]));
    // One row of numbers where there are two.
    assert_refused(ParseError::ChunkLength { chunk: *b"SCAL" }, set(b"SCAL", 0, &[3]));
    let centred = |f: &mut Vec<u8>| {
        let at = payload_at(f, b"SCAL");
        f[at] = 3;
        f[at - 4..at].copy_from_slice(&16u32.to_le_bytes());
        // Kind and mean are 16 bytes, a multiple of 8: the 12 of the scales and the padding go.
        f.drain(at + 16..at + 32);
    };
    assert!(matches!(Graft::parse(&edited(centred)).expect("sound").scaler(), Scaler::CentredL2 { .. }));
    assert_refused(ParseError::Value { what: "a mean of the scaler" }, |f| {
        centred(f);
        let at = payload_at(f, b"SCAL") + 12;
        f[at..at + 4].copy_from_slice(&[0, 0, 0x80, 0xff]);
    });
    assert_refused(ParseError::Value { what: "a mean of the scaler" }, set(b"SCAL", 4, &[0, 0, 0xc0, 0x7f]));
    assert_refused(ParseError::Value { what: "a scale of the scaler" }, set(b"SCAL", 16, &[0; 4]));
    assert_refused(ParseError::Value { what: "kind of head" }, set(b"HEAD", 0, &[5]));
    assert_refused(ParseError::Value { what: "number of classes" }, set(b"HEAD", 4, &[3]));
    assert_refused(ParseError::ChunkLength { chunk: *b"HEAD" }, set(b"HEAD", 8, &[4]));
    // On a 32-bit CPU such a head is larger than memory.
    let huge = match usize::BITS {
        32 => ParseError::Value { what: "feature_dim" },
        _ => ParseError::ChunkLength { chunk: *b"HEAD" },
    };
    assert_refused(huge, set(b"HEAD", 8, &[0xff; 4]));
    assert_refused(ParseError::Value { what: "L2 penalty" }, set(b"HEAD", 12, &[0; 4]));
    assert_refused(ParseError::Value { what: "a weight" }, set(b"HEAD", 16, &[0, 0, 0x80, 0x7f]));
    assert_refused(ParseError::Value { what: "the evaluation" }, set(b"eval", 8, &[200]));
    assert_refused(ParseError::Value { what: "the evaluation" }, set(b"eval", 0, &[0; 16]));
}

#[test]
fn samples_are_read_as_they_were_written_and_in_place() {
    let samples = samples();
    let contents = nearest(&samples);
    let file = file_of(&contents);
    for shift in 0..2 {
        let mut padded = vec![0u64; file.len() / 8 + 2];
        // SAFETY: a u64 buffer is as good as bytes, and four times aligned.
        let bytes = unsafe { core::slice::from_raw_parts_mut(padded.as_mut_ptr().cast::<u8>(), padded.len() * 8) };
        bytes[shift..][..file.len()].copy_from_slice(&file);
        let graft = Graft::parse(&bytes[shift..][..file.len()]).expect("sound");
        assert_eq!((graft.kind(), graft.l2(), graft.parameters().len()), (Kind::Nearest, 2.0, 0));
        assert_eq!((graft.n_classes(), graft.feature_dim()), (2, 3));
        let samples = graft.samples().expect("has some");
        assert_eq!((samples.k, samples.labels.len(), samples.rows.is_empty()), (2, 3, false));
        assert_eq!(samples.labels.iter().collect::<Vec<_>>(), [1, 0, 1]);
        assert_eq!(samples.rows.iter().collect::<Vec<_>>(), ROWS);
        assert_eq!(samples.rows.as_slice(), (shift == 0).then_some(ROWS.as_slice()));
    }
    assert_eq!(Graft::parse(&file_of(&calibrated())).expect("sound").samples(), None);
}

#[test]
fn each_damage_of_samples_has_its_error() {
    let samples = samples();
    let contents = nearest(&samples);
    let refused = |offset: usize, bytes: &[u8]| {
        let file = edited_of(&contents, |f| {
            let at = payload_at(f, b"NEAR") + offset;
            f[at..at + bytes.len()].copy_from_slice(bytes);
        });
        Graft::parse(&file).expect_err("damaged")
    };
    let value = |what| ParseError::Value { what };
    // Tag and length stand in the 8 bytes before the payload: kind, classes, features, k, samples, labels, rows.
    assert_eq!(refused(0, &[1]), value("kind of head"), "a linear kind");
    assert_eq!(refused(0, &[6]), value("kind of head"));
    assert_eq!(refused(4, &[3]), value("number of classes"));
    assert_eq!(refused(8, &[4]), ParseError::ChunkLength { chunk: *b"NEAR" });
    assert_eq!(refused(8, &[2]), ParseError::ChunkLength { chunk: *b"NEAR" });
    let huge = if usize::BITS == 32 { value("feature_dim") } else { ParseError::ChunkLength { chunk: *b"NEAR" } };
    assert_eq!(refused(8, &[0xff; 4]), huge);
    assert_eq!(refused(12, &[0]), value("number of neighbours"));
    assert_eq!(refused(12, &[4]), value("number of neighbours"));
    assert_eq!(refused(12, &[65, 0, 0, 0, 100]), value("number of neighbours"), "more than are ever asked");
    assert_eq!(refused(16, &[0]), value("number of neighbours"), "no samples");
    assert_eq!(refused(16, &[0xff; 4]), ParseError::ChunkLength { chunk: *b"NEAR" });
    assert_eq!(refused(22, &[2]), value("label of a sample"));
    assert_eq!(refused(26, &[1]), value("padding of the labels"));
    for bits in [0x7c00u16, 0xfc00, 0x7e00] {
        assert_eq!(refused(28 + 2 * 8, &bits.to_le_bytes()), value("a feature of a sample"));
    }
    let at = payload_at(&file_of(&contents), b"NEAR");
    for len in [2u8, 18, 44] {
        let file = edited_of(&contents, |f| f[at - 4] = len);
        assert!(Graft::parse(&file).is_err(), "a length of {len}");
    }
    let renamed = edited_of(&contents, |f| f[at - 8..at - 4].copy_from_slice(b"HEAD"));
    assert_eq!(Graft::parse(&renamed).expect_err("another kind"), value("kind of head"));
    let renamed = edited_of(&contents, |f| f[at - 8..at - 4].copy_from_slice(b"NEAX"));
    assert_eq!(Graft::parse(&renamed).expect_err("another chunk"), ParseError::Missing { chunk: "HEAD" });
}

#[test]
fn a_head_of_another_kind_than_is_said_is_refused() {
    let samples = samples();
    assert_eq!(Contents { kind: Kind::Lda, ..nearest(&samples) }.encoded_len(), Err(EmitError::Kind));
    assert_eq!(Contents { kind: Kind::Nearest, ..contents() }.encoded_len(), Err(EmitError::Kind));
}

#[test]
fn unknown_chunks_in_lower_case_are_passed_over() {
    let file = edited(|f| f.extend(*b"note\x03\0\0\0abc\0\0\0\0\0"));
    assert_eq!(Graft::parse(&file).expect("sound").cut(), "features");
    let dirty_padding = edited(|f| f.extend(*b"note\x03\0\0\0abc\0\0\0\0\x01"));
    assert_eq!(Graft::parse(&dirty_padding).expect_err("dirty"), ParseError::ChunkLength { chunk: *b"note" });
}

#[test]
fn random_chunks_never_panic() {
    let (mut state, samples) = (1u64, samples());
    for round in 0..40_000 {
        let contents = if round % 2 == 0 { calibrated() } else { nearest(&samples) };
        let file = edited_of(&contents, |f| {
            for _ in 0..3 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let at = HEADER_LEN + (state >> 33) as usize % (f.len() - HEADER_LEN);
                f[at] = (state >> 25) as u8;
            }
        });
        if let Ok(graft) = Graft::parse(&file) {
            assert_eq!(graft.labels().count(), graft.n_classes());
        }
    }
}

#[test]
fn contents_that_no_file_can_hold_are_refused() {
    let refused = |contents: Contents<'_>| contents.encoded_len().expect_err("wrong contents");
    let labels = ["one"];
    assert_eq!(refused(Contents { labels: &labels, ..contents() }), EmitError::Labels { labels: 1, n_classes: 2 });
    let scaler = Scaler::Standard { mean: &[0.0][..], scale: &[1.0][..] };
    assert_eq!(refused(Contents { scaler, ..contents() }), EmitError::Scaler);
    let scaler = Scaler::CentredL2 { mean: &[0.0; 4][..] };
    assert_eq!(refused(Contents { scaler, ..contents() }), EmitError::Scaler);
    assert_eq!(refused(Contents { cut: "", ..contents() }), EmitError::Text { what: "cut" });
    let long = "x".repeat(65_536);
    assert_eq!(refused(Contents { producer: &long, ..contents() }), EmitError::Text { what: "producer" });
    let calibration = Calibration { temperature: 0.0, ece_before: 0.0, ece_after: 0.0 };
    assert_eq!(refused(Contents { calibration: Some(calibration), ..contents() }), EmitError::Calibration);
    let rejection = calibrated().rejection.expect("has one");
    let refused_rejection = |rejection| refused(Contents { rejection: Some(rejection), ..contents() });
    for wrong in [
        Rejection { steps: &[0.01][..], ..rejection },
        Rejection { steps: &[0.01, -1.0][..], ..rejection },
        Rejection { means: &rejection.means[1..], ..rejection },
        Rejection { scale: 0.0, ..rejection },
        Rejection { threshold: f32::NAN, ..rejection },
        Rejection { rate: 1.0, ..rejection },
        Rejection { auroc: Some(1.5), ..rejection },
    ] {
        assert_eq!(refused_rejection(wrong), EmitError::Rejection);
    }
    let expected = contents().encoded_len().expect("fits");
    assert_eq!(contents().emit(&mut []), Err(EmitError::Buffer { expected, got: 0 }));
}

/// Files in the tree, so that a change of the format can't go unnoticed: one from before there were temperatures and unknown
/// samples, one with both, one of nearest neighbours. `TOPGRAFT_BLESS=1` writes them anew.
#[test]
fn the_golden_files_are_read_and_written_to_the_byte() {
    let samples = samples();
    for (name, contents) in [
        ("golden.graft", contents()),
        ("golden_calibrated.graft", calibrated()),
        ("golden_nearest.graft", nearest(&samples)),
    ] {
        let path = std::format!("{}/../tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
        let file = file_of(&contents);
        if std::env::var_os("TOPGRAFT_BLESS").is_some() {
            std::fs::write(&path, &file).expect("writes");
        }
        let golden = std::fs::read(&path).expect("is in the tree");
        assert_eq!(file, golden);
        let graft = Graft::parse(&golden).expect("sound");
        assert_eq!((graft.backbone(), graft.calibration()), ("efficientnet_lite0", contents.calibration));
    }
}
