//! Against heads of all samples at once, round trips, and damage.

mod data;

use topgraft_core::head::Kind;
use topgraft_core::random::SplitMix64;

use super::*;
use crate::store::Featured;
use data::{Data, small};

const TRUNK_DIM: usize = 1280;

/// A class that was seen, goes and comes back is no new one for who has seen it.
#[test]
fn what_was_seen_is_remembered() {
    let data = small();
    let all = data.part(|_| true);
    let without = data.part(|sample| data.labels[sample] != 0);
    let seen = without.remembering(&all);
    assert_eq!((seen.classes(), seen.counts()), (all.classes(), all.counts()));
    let first = (0..data.labels.len()).find(|sample| data.labels[*sample] == 0).expect("has one");
    let back = data.part(|sample| sample != first);
    assert!(back.gives_away(&without, 2).is_empty());
    assert_eq!(back.gives_away(&seen, 2), [all.classes()[0].as_str()]);
    assert_eq!(Statistics::parse(&seen.to_bytes()).expect("sound"), seen);
}

#[test]
fn the_head_of_three_devices_is_that_of_all_samples() {
    // From 20 samples in all to 300 a device.
    for (n, n_classes) in [(20, 2), (60, 5), (300, 3), (900, 4)] {
        let data = Data::new(n, n_classes, TRUNK_DIM, n as u64);
        let model = Statistics::merge(&data.devices()).expect("alike").model(StatisticsHead::Lda).expect("fits");
        assert_eq!((model.labels.as_slice(), model.kind), (data.classes.as_slice(), Kind::Lda));
        let (difference, largest) = data.difference(&model);
        assert!(difference <= 1e-4 * largest, "{n} samples: {difference} of {largest}");
        // And what the file holds of it is a head.
        let bytes = model.to_bytes().expect("fits");
        assert_eq!(Model::parse(&bytes).expect("sound"), model);
        // Of means alone.
        let means = Statistics::merge(&data.devices()).expect("alike").model(StatisticsHead::Prototype).expect("fits");
        assert_eq!(means.kind, Kind::Prototype);
        let (difference, _) = data.difference(&means);
        assert!(difference <= 1e-6, "{n} samples: {difference}");
    }
}

#[test]
fn more_samples_than_features_agree_too() {
    let data = Data::new(90, 3, 20, 1);
    let (difference, largest) =
        data.difference(&Statistics::merge(&data.devices()).expect("alike").model(StatisticsHead::Lda).expect("fits"));
    assert!(difference <= 1e-4 * largest, "{difference} of {largest}");
}

#[test]
fn the_order_does_not_matter_to_any_bit() {
    let data = Data::new(40, 4, 50, 3);
    let [a, b, c] = data.devices();
    let expected = Statistics::merge([&a, &b, &c]).expect("alike").to_bytes();
    for order in [[&a, &c, &b], [&b, &a, &c], [&b, &c, &a], [&c, &a, &b], [&c, &b, &a]] {
        assert_eq!(Statistics::merge(order).expect("alike").to_bytes(), expected);
    }
    assert_eq!(Statistics::merge([&a]).expect("one").to_bytes(), a.to_bytes());
}

#[test]
fn merging_adds_counts_and_means() {
    let data = small();
    let merged = Statistics::merge(&data.devices()).expect("alike");
    let all = data.part(|_| true);
    assert_eq!((merged.classes(), merged.counts(), merged.n_samples()), (all.classes(), all.counts(), 24));
    for class in 0..3 {
        let near = merged.mean(class).iter().zip(all.mean(class)).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(near, "class {class}");
    }
    let near = merged.scatter.iter().zip(&all.scatter).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(near, "{:?} {:?}", merged.scatter, all.scatter);
}

#[test]
fn the_shrinkage_in_the_file_is_that_of_core() {
    for data in [small(), Data::new(60, 3, 400, 2)] {
        let model = data.part(|_| true).model(StatisticsHead::Lda).expect("fits");
        let (difference, largest) = data.difference(&model);
        assert!(difference <= 1e-4 * largest && model.l2 > 0.0 && model.l2 <= 1.0, "{difference} {}", model.l2);
    }
    // One sample a class has no scatter: nothing but the identity is left.
    let trunk = Trunk::rows(2);
    let classes = ["a".to_owned(), "b".to_owned()];
    let made = Statistics::of_rows(&trunk, Scaling::L2, &classes, &[0, 1], &[1.0, 0.0, 0.0, 1.0]).expect("samples");
    assert_eq!(made.model(StatisticsHead::Lda).expect("fits").l2, 1.0);
}

#[test]
fn what_cannot_be_merged_names_both() {
    let of = |dim: u32, scaling| {
        let rows: Vec<f32> = (0..2 * dim).map(|x| x as f32 + 1.0).collect();
        Statistics::of_rows(&Trunk::rows(dim), scaling, &["a".to_owned()], &[0, 0], &rows).expect("samples")
    };
    let a = of(3, Scaling::L2);
    let text = Statistics::merge([&a, &of(4, Scaling::L2)]).expect_err("other trunks").to_string();
    assert!(text.contains("rows cut at 3 columns (") && text.contains("rows cut at 4 columns ("), "{text}");
    let text = Statistics::merge([&a, &of(3, Scaling::None)]).expect_err("other scalings").to_string();
    assert!(text.contains("scaling l2") && text.contains("scaling none"), "{text}");
    let mut longer = of(4, Scaling::L2);
    longer.trunk.fingerprint = a.trunk.fingerprint;
    assert!(matches!(Statistics::merge([&a, &longer]), Err(StatisticsError::FeatureDim { .. })));
    let mut other = a.clone();
    other.trunk.preprocess.width += 1;
    assert!(matches!(Statistics::merge([&a, &other]), Err(StatisticsError::Trunk { .. })));
    assert_eq!(Statistics::merge([]), Err(StatisticsError::Nothing));
    assert_eq!(a.model(StatisticsHead::Lda), Err(StatisticsError::TooFewClasses { class: "a".to_owned() }));
}

#[test]
fn what_is_no_set_of_samples_is_refused() {
    let trunk = Trunk::rows(2);
    let of = |scaling, class: &str, labels: &[u16], rows: &[f32]| {
        Statistics::of_rows(&trunk, scaling, &[class.to_owned()], labels, rows)
    };
    assert_eq!(of(Scaling::L2, "a", &[], &[]), Err(StatisticsError::Nothing));
    assert_eq!(of(Scaling::L2, "a", &[0, 1], &[1.0; 4]), Err(StatisticsError::Label { label: 1 }));
    assert!(matches!(of(Scaling::L2, "a/b", &[0], &[1.0; 2]), Err(StatisticsError::Name { .. })));
    assert!(matches!(of(Scaling::Standard, "a", &[0], &[1.0; 2]), Err(StatisticsError::OwnScaling { .. })));
    assert!(matches!(of(Scaling::None, "a", &[0], &[f32::NAN, 1.0]), Err(StatisticsError::Fit(_))));
    assert_eq!(of(Scaling::None, "a", &[0, 0], &[3e38, 0.0, -3e38, 0.0]), Err(StatisticsError::NotFinite));
    let names: Vec<String> = (0..=MAX_CLASSES).map(|class| format!("{class}")).collect();
    let labels: Vec<u16> = (0..=MAX_CLASSES as u16).collect();
    let many = Statistics::of_rows(&trunk, Scaling::L2, &names, &labels, &[1.0; 2 * (MAX_CLASSES + 1)]);
    assert_eq!(many, Err(StatisticsError::TooManyClasses { classes: MAX_CLASSES + 1 }));
    let wide = Statistics::of_rows(&Trunk::rows(3000), Scaling::L2, &["a".to_owned()], &[0], &[1.0; 3000]);
    assert_eq!(wide, Err(StatisticsError::TooLarge { feature_dim: 3000, classes: 1 }));
}

#[test]
fn numbers_of_no_samples_give_no_head() {
    let mut made = small().part(|_| true);
    // Far from positive semidefinite: beside the diagonal is more than on it.
    made.scatter[1] = 1e6;
    assert!(
        matches!(made.model(StatisticsHead::Lda), Err(StatisticsError::Fit(_))),
        "{:?}",
        made.model(StatisticsHead::Lda)
    );
}

#[test]
fn a_class_with_few_samples_stays_at_home() {
    let trunk = Trunk::rows(2);
    let classes = ["few", "many", "some"].iter().flat_map(|name| std::iter::repeat_n(name.to_string(), 4));
    let mut featured = Featured { ids: (0..12).collect(), classes: classes.collect(), ..Featured::default() };
    featured.rows = (0..24).map(|x| x as f32 + 1.0).collect();
    featured.classes[3] = "many".to_owned();
    let snapshot = Snapshot::new(featured, 1);
    let (made, withheld) = Statistics::of_at_least(&snapshot, &trunk, 4).expect("samples");
    assert_eq!((made.classes(), made.counts()), (["many".to_owned(), "some".to_owned()].as_slice(), [5, 4].as_slice()));
    assert_eq!(withheld, [("few".to_owned(), 3)]);
    // As if the others had never been there.
    let expected =
        Statistics::of_rows(&trunk, Scaling::L2, &snapshot.classes, &snapshot.labels[3..], &snapshot.rows[6..]);
    assert_eq!(Ok(&made), expected.as_ref());
    assert_eq!(Statistics::of(&snapshot, &trunk).expect("samples").counts(), [3, 5, 4]);
    let none = Statistics::of_at_least(&snapshot, &trunk, 6).expect_err("too few");
    assert_eq!(none, StatisticsError::TooFewSamples { least: 6, most: 5 });
}

#[test]
fn a_single_sample_that_came_or_went_is_seen_in_the_difference() {
    let data = small();
    let all = data.part(|_| true);
    let without = data.part(|sample| sample != 4);
    assert_eq!(all.gives_away(&without, 5), ["class 1"]);
    assert_eq!(without.gives_away(&all, 5), ["class 1"]);
    assert!(all.gives_away(&all, 5).is_empty());
    assert!(all.gives_away(&without, 1).is_empty());
    // And that is why: the difference is the sample.
    let mut row = data.rows[4 * 7..][..7].to_vec();
    Scaler::<Vec<f32>>::L2.apply(Kernels::detect(), &mut row);
    let told = all.sums[7..14].iter().zip(&without.sums[7..14]).map(|(a, b)| a - b);
    assert!(told.zip(&row).all(|(told, x)| (told - f64::from(*x)).abs() < 1e-12));
}

#[test]
fn bytes_survive_the_round_trip() {
    let mut random = SplitMix64(9);
    for _ in 0..40 {
        let (n_classes, dim) = (1 + random.below(5), 1 + random.below(30));
        let data = Data::new(n_classes + random.below(20), n_classes, dim, random.next());
        let scaling = if random.below(2) == 0 { Scaling::L2 } else { Scaling::None };
        let made =
            Statistics::of_rows(&data.trunk(), scaling, &data.classes, &data.labels, &data.rows).expect("samples");
        let bytes = made.to_bytes();
        assert!(Statistics::is_named_by(&bytes));
        assert_eq!(Statistics::parse(&bytes).as_ref(), Ok(&made));
        // No bytes are left, and none are missing.
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(Statistics::parse(&longer), Err(StatisticsFault::Length { .. })));
        let cut = random.below(bytes.len());
        assert!(Statistics::parse(&bytes[..cut]).is_err(), "{cut} bytes");
        let (at, bit) = (random.below(bytes.len()), random.below(8));
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << bit;
        assert!(Statistics::parse(&damaged).is_err(), "bit {bit} of byte {at}");
    }
}

/// The bytes with another checksum, and the right length.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let len = bytes.len();
    bytes[12..16].copy_from_slice(&(len as u32).to_le_bytes());
    let crc = crc32fast::hash(&bytes[..len - 4]);
    bytes[len - 4..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn damage_behind_a_right_checksum_is_refused_or_leaves_sound_statistics() {
    let made = small().part(|_| true);
    let good = made.to_bytes();
    let mut random = SplitMix64(11);
    let mut refused = 0;
    for _ in 0..5000 {
        let mut bytes = good.clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = random.next() as u8;
        }
        if random.below(8) == 0 {
            bytes.truncate(100 + random.below(bytes.len() - 100));
        }
        match Statistics::parse(&sealed(bytes)) {
            Err(_) => refused += 1,
            Ok(read) => {
                assert_eq!(Statistics::parse(&read.to_bytes()).as_ref(), Ok(&read));
                // A head or an error, and no panic.
                let _ = read.model(StatisticsHead::Lda);
                let _ = Statistics::merge([&read, &made]);
            }
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn each_fault_has_its_own_message() {
    let good = small().part(|_| true).to_bytes();
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        Statistics::parse(&sealed(bytes)).expect_err("damaged").to_string()
    };
    let names = 92 + 2 + 4 + 2 + 9;
    let counts = names + 3 * 9;
    let sums = counts + 3 * 4;
    let scatter = sums + 3 * 7 * 8;
    assert_eq!(scatter + 28 * 4 + 4, good.len());
    let put = |at: usize, new: &'static [u8]| move |bytes: &mut Vec<u8>| bytes[at..][..new.len()].copy_from_slice(new);
    for (at, new, message) in [
        (0, b"x".as_slice(), "no statistics as"),
        (8, b"\x02", "statistics of version 2; this program reads version 1"),
        (10, b"\x02", "scaling of the features is out of range"),
        (11, b"\x01", "scaling of the features is out of range"),
        (52, b"\x09", "preprocessing has an unknown code"),
        (84, b"\0\0\0\0", "feature_dim is out of range"),
        (84, b"\x08", "instead of"),
        (84, b"\xff\xff\xff\xff", "feature_dim is out of range"),
        (88, b"\0", "number of classes is out of range"),
        (88, b"\x01\x01", "number of classes is out of range"),
        (94, b"\n", "the name of the backbone is empty"),
        (94, b"\xff", "a name is not UTF-8"),
        (names + 2, b"/", "it has a slash"),
        (names + 2 + 6, b"9", "the order of the classes is out of range"),
        (names + 9 + 2 + 6, b"0", "the order of the classes is out of range"),
        (counts, b"\0", "number of samples of a class is out of range"),
        (sums, b"\0\0\0\0\0\0\xf0\x7f", "a sum of features is out of range"),
        (sums, b"\0\0\0\0\0\0\x24\x40", "the length of the scaled features is out of range"),
        (scatter + 4, b"\0\0\xc0\x7f", "a number of the scatter is out of range"),
        (scatter, b"\0\0\x80\xbf", "the diagonal of the scatter is out of range"),
        (scatter + 7 * 4, b"\0\0\x80\xbf", "the diagonal of the scatter is out of range"),
    ] {
        let text = refused(&put(at, new));
        assert!(text.contains(message), "{at}: {text}");
    }
    let mut damaged = good.clone();
    damaged[sums] ^= 1;
    assert!(matches!(Statistics::parse(&damaged), Err(StatisticsFault::Checksum { .. })));
    assert_eq!(Statistics::parse(&good[..20]), Err(StatisticsFault::TooShort { len: 20 }));
    assert_eq!(Statistics::parse(&vec![0; MAX_BYTES + 1]), Err(StatisticsFault::TooLarge));
    assert_eq!(Statistics::parse(&[]), Err(StatisticsFault::NotStatistics));
}

#[test]
fn a_file_says_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.stats");
    assert!(matches!(Statistics::open(&path), Err(StatisticsFileError::Read { .. })));
    std::fs::write(&path, "mine").expect("writes");
    let text = Statistics::open(&path).expect_err("no statistics").to_string();
    assert!(text.contains("x.stats: no statistics"), "{text}");
    let made = small().part(|_| true);
    std::fs::write(&path, made.to_bytes()).expect("writes");
    assert_eq!(Statistics::open(&path).expect("sound"), made);
}

#[test]
fn a_union_forgets_what_was_sent_before() {
    let data = small();
    let [a, b, c] = data.devices();
    let union = |parts: &[(&str, &Statistics)]| {
        let mut union = Union::new(&data.trunk());
        for (node, part) in parts {
            assert_eq!(union.put(node, &part.to_bytes()), Ok(true));
        }
        union
    };
    let wanted = union(&[("a", &a), ("b", &b)]).model(StatisticsHead::Lda).expect("fits");
    let mut other = union(&[("b", &c), ("a", &b), ("c", &c)]);
    assert_eq!(other.put("b", &b.to_bytes()), Ok(true));
    assert_eq!(other.put("a", &a.to_bytes()), Ok(true));
    assert_eq!(other.put("a", &a.to_bytes()), Ok(false), "it knows that");
    assert_eq!(other.put("c", &[]), Ok(true));
    assert_eq!((other.put("c", &[]), other.remove("c")), (Ok(false), false));
    assert_eq!(other.revision(), 6);
    assert_eq!(other.nodes().map(|(node, _)| node).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(other.model(StatisticsHead::Lda).expect("fits"), wanted);
    assert_eq!(Union::new(&data.trunk()).model(StatisticsHead::Lda), Err(StatisticsError::Nothing));
}

#[test]
fn a_union_is_bounded_and_of_one_trunk() {
    let data = small();
    let [a, b, _] = data.devices();
    let bytes = a.to_bytes();
    let mut union = Union::new(&data.trunk());
    for node in ["", "a\nb", &"x".repeat(256)] {
        assert!(matches!(union.put(node, &bytes), Err(UnionError::Node { .. })), "{node}");
    }
    for node in 0..MAX_NODES {
        assert_eq!(union.put(&format!("node {node}"), &bytes), Ok(true));
    }
    assert!(matches!(union.put("one more", &bytes), Err(UnionError::Full { .. })));
    // One of those that are there may send anew; what is damaged changes nothing.
    assert_eq!(union.put("node 0", &b.to_bytes()), Ok(true));
    assert!(matches!(union.put("node 0", b"what?"), Err(UnionError::Parse { .. })));
    assert_eq!(union.nodes().next().expect("is there").1.counts(), b.counts());
    // What is sound, but of another trunk, says that the device has other samples now.
    let other = Data::new(6, 2, 8, 1).part(|_| true);
    let error = union.put("node 0", &other.to_bytes()).expect_err("another trunk");
    assert!(matches!(error, UnionError::Unlike { .. }) && error.to_string().contains("`node 0`"), "{error}");
    assert_eq!(union.nodes().len(), MAX_NODES - 1);
    // Classes of all together.
    let many = |from: usize| {
        let names: Vec<String> = (from..from + 200).map(|class| format!("{class:03}")).collect();
        let labels: Vec<u16> = (0..200).collect();
        Statistics::of_rows(&data.trunk(), Scaling::L2, &names, &labels, &[1.0; 200 * 7]).expect("samples")
    };
    assert_eq!(union.insert("node 1", many(0)), Ok(true));
    let source = StatisticsError::TooManyClasses { classes: 302 };
    assert_eq!(union.insert("node 2", many(100)), Err(UnionError::Unlike { node: "node 2".to_owned(), source }));
    // A device may call its network as it likes.
    let mut renamed = b.clone();
    renamed.trunk.backbone = "mine".to_owned();
    assert_eq!(union.insert("node 2", renamed), Ok(true));
    assert_eq!(union.model(StatisticsHead::Lda).expect("fits").backbone, "rows");
}

#[test]
fn a_device_measures_the_head_of_all_by_its_own_samples() {
    let data = Data::new(60, 3, 40, 8);
    let trunk = data.trunk();
    let devices = data.devices();
    let mut union = Union::new(&trunk);
    for (node, part) in ["a", "b", "c"].iter().zip(&devices) {
        union.insert(node, part.clone()).expect("alike");
    }
    // What device b has, as its store would give it.
    let mut wanted: Vec<usize> = (0..60).filter(|sample| (sample / 3) % 3 == 1).collect();
    wanted.sort_by_key(|sample| data.labels[*sample]);
    let snapshot = Snapshot::new(
        Featured {
            ids: (0..wanted.len() as i64).collect(),
            classes: wanted.iter().map(|sample| data.classes[usize::from(data.labels[*sample])].clone()).collect(),
            rows: wanted.iter().flat_map(|sample| &data.rows[sample * 40..][..40]).copied().collect(),
            damaged: Vec::new(),
        },
        1,
    );
    let (plain, measured) = (
        union.model(StatisticsHead::Lda).expect("fits"),
        union.measured("b", &snapshot, &trunk, StatisticsHead::Lda).expect("fits"),
    );
    let evaluation = measured.evaluation.expect("measured");
    assert_eq!((evaluation.n_samples, evaluation.folds), (21, 5));
    assert!(evaluation.correct >= 15, "{evaluation:?}");
    // Easy classes, all right, and still no certainty: 21 of 21 are about 22 of 23.
    let temperature = measured.calibration.expect("calibrated").temperature;
    assert!(temperature > 2.0, "{temperature}");
    assert_eq!(Model { evaluation: None, calibration: None, ..measured.clone() }, plain);
    assert_eq!(Model::parse(&measured.to_bytes().expect("fits")).expect("sound"), measured);
    // A sample has no say in what is said of it: labels that are all wrong are not learned by heart.
    let wrong = Snapshot { labels: snapshot.labels.iter().map(|label| (label + 1) % 3).collect(), ..snapshot.clone() };
    let of_wrong =
        union.measured("elsewhere", &wrong, &trunk, StatisticsHead::Lda).expect("fits").evaluation.expect("measured");
    assert!(of_wrong.correct < 6, "{of_wrong:?}");
    // Too few to leave any out.
    let few = Snapshot { labels: snapshot.labels[..4].to_vec(), rows: snapshot.rows[..160].to_vec(), ..snapshot };
    assert_eq!(union.measured("b", &few, &trunk, StatisticsHead::Lda).expect("fits"), plain);
}
