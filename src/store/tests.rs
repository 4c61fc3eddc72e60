//! Tests of the store as a whole: what is done, undone, merged, limited, damaged.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;

const TRUNK: [u8; 32] = [7; 32];

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn store(&self) -> SampleStore {
        SampleStore::open_or_create(&self.path("x.store")).expect("opens")
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_700_000_000_123)
}

/// Teaches photos, which are any bytes to the store.
fn teach(store: &mut SampleStore, class: &str, photos: &[&str]) -> Vec<i64> {
    let new = |photo: &&'static str| NewSample {
        photo: photo.as_bytes(),
        class,
        source: "test",
        time: now(),
        features: None,
    };
    let photos: Vec<&'static str> = photos.iter().map(|photo| &*photo.to_string().leak()).collect();
    let samples: Vec<_> = photos.iter().map(new).collect();
    let taught = store.teach(&samples, &format!("teach {class}"), None, None).expect("teaches").taught;
    taught.iter().map(Taught::id).collect()
}

/// `class:number,number class:number`
fn state(store: &SampleStore) -> String {
    let mut state = String::new();
    for sample in store.samples().expect("lists") {
        match state.rsplit(' ').next().is_some_and(|last| last.starts_with(&format!("{}:", sample.class))) {
            true => state += &format!(",{}", sample.id),
            false => state += &format!(" {}:{}", sample.class, sample.id),
        }
    }
    state.trim_start().to_owned()
}

#[test]
fn what_was_taught_is_there_after_opening_again() {
    let folder = Folder::new();
    let mut store = folder.store();
    let ids = teach(&mut store, "cat", &["a", "b"]);
    store.put_features(&[(ids[1], Features { trunk: TRUNK, numbers: &[1.0, -2.5] })]).expect("keeps");
    drop(store);
    let store = SampleStore::open(&folder.path("x.store")).expect("opens");
    let samples = store.samples().expect("lists");
    let [a, b] = samples.as_slice() else { panic!("{samples:?}") };
    assert_eq!((a.class.as_str(), a.source.as_str(), a.time, a.bytes), ("cat", "test", now(), 1));
    assert_eq!(store.photo(b.id).expect("is there"), b"b");
    let featured = store.features(TRUNK, 2).expect("reads");
    assert_eq!((featured.ids, featured.rows), (vec![b.id], vec![1.0, -2.5]));
    assert_eq!(store.without_features(TRUNK).expect("reads"), [a.id]);
    assert_eq!(store.without_features([8; 32]).expect("reads"), [a.id, b.id], "of another trunk there are none");
    assert_eq!(
        std::fs::read_dir(folder.0.path()).expect("a folder").count(),
        3,
        "the store, its log, its shared memory"
    );
    drop(store);
    assert_eq!(std::fs::read_dir(folder.0.path()).expect("a folder").count(), 1, "one file, once it is closed");
}

#[test]
fn a_photo_is_a_sample_once_and_the_last_word_holds() {
    let folder = Folder::new();
    let mut store = folder.store();
    let id = teach(&mut store, "cat", &["a"])[0];
    let again = NewSample { photo: b"a", class: "cat", source: "", time: now(), features: None };
    assert_eq!(store.teach(&[again], "", None, None).expect("teaches").taught, [Taught::Known { id }]);
    let other = NewSample { class: "dog", ..again };
    assert_eq!(
        store.teach(&[other], "", None, None).expect("teaches").taught,
        [Taught::Moved { id, from: "cat".into() }]
    );
    assert_eq!(state(&store), "dog:1");
    store.remove(&[id]).expect("removes");
    assert_eq!(store.teach(&[again], "", None, None).expect("teaches").taught, [Taught::New { id }]);
    assert_eq!(state(&store), "cat:1");
}

#[test]
fn everything_can_be_undone_back_to_nothing() {
    let folder = Folder::new();
    let mut store = folder.store();
    let mut states = vec![state(&store)];
    let steps: [&dyn Fn(&mut SampleStore); 6] = [
        &|store| drop(teach(store, "cat", &["a", "b"])),
        &|store| drop(teach(store, "dog", &["c"])),
        &|store| store.relabel(&[1, 3], "fox").expect("relabels"),
        &|store| assert_eq!(store.rename_class("fox", "cat").expect("renames"), 2),
        &|store| store.remove(&[2]).expect("removes"),
        &|store| assert_eq!(store.remove_class("cat").expect("removes"), 2),
    ];
    for step in steps {
        step(&mut store);
        states.push(state(&store));
    }
    assert_eq!(states, ["", "cat:1,2", "cat:1,2 dog:3", "cat:2 fox:1,3", "cat:1,2,3", "cat:1,3", ""]);
    let told = [
        "remove class cat",
        "remove 1 sample",
        "rename class fox to cat",
        "relabel 2 samples as fox",
        "teach dog",
        "teach cat",
    ];
    for (what, before) in told.iter().zip(states.iter().rev().skip(1)) {
        assert_eq!(store.undo().expect("undoes").what, *what);
        assert_eq!(state(&store), *before);
    }
    assert!(matches!(store.undo(), Err(SampleStoreError::NothingToUndo)));
    // And then something else.
    teach(&mut store, "owl", &["c"]);
    assert_eq!(state(&store), "owl:3");
    assert_eq!(store.undo().expect("undoes"), Undone { what: "teach owl".into(), samples: 1 });
    assert_eq!(state(&store), "");
}

/// Two programs that teach the same photos by turns, then both are undone; and more that comes after an undo.
#[test]
fn batches_that_overlap_are_undone_to_what_was_before() {
    let folder = Folder::new();
    let mut store = folder.store();
    teach(&mut store, "owl", &["4"]);
    let new = |photo: &'static str, class| NewSample {
        photo: photo.as_bytes(),
        class,
        source: "",
        time: now(),
        features: None,
    };
    let ants = store.teach(&[new("1", "ants")], "ants", None, None).expect("teaches").batch;
    let bees = store
        .teach(&[new("1", "bees"), new("2", "bees"), new("4", "bees")], "bees", None, None)
        .expect("teaches")
        .batch;
    store.teach(&[new("2", "ants"), new("3", "ants")], "ants", Some(ants), None).expect("teaches");
    store.teach(&[new("3", "bees")], "bees", Some(bees), None).expect("teaches");
    assert_eq!(state(&store), "ants:3 bees:1,2,4");
    assert_eq!(store.undo().expect("undoes").what, "bees");
    assert_eq!(state(&store), "ants:2,3,4 owl:1");
    // What goes on is undone by itself, and first.
    store.teach(&[new("5", "bees")], "more bees", Some(bees), None).expect("teaches");
    assert_eq!(store.undo().expect("undoes").what, "more bees");
    assert_eq!(store.undo().expect("undoes").what, "ants");
    assert_eq!(state(&store), "owl:1");
    // A batch that was forgotten is no end of it.
    let more = store.teach(&[new("6", "ants")], "more", None, None).expect("teaches").batch;
    store.compact().expect("compacts");
    store.teach(&[new("7", "ants")], "more", Some(more), None).expect("teaches");
    assert_eq!(store.undo().expect("undoes"), Undone { what: "more".into(), samples: 1 });
}

#[test]
fn samples_go_back_to_those_of_any_head() {
    let folder = Folder::new();
    let mut store = folder.store();
    let mut versions = Vec::new();
    let keep = |store: &mut SampleStore| {
        let (revision, samples) = (store.revision().expect("reads"), store.samples().expect("lists").len());
        let file = format!("head {revision}");
        let version =
            store.save_head(file.as_bytes(), samples, revision, 10).expect("keeps").expect("is of these samples");
        assert_eq!(store.head(version).expect("is there"), file.as_bytes());
        (version, state(store))
    };
    teach(&mut store, "cat", &["a", "b"]);
    versions.push(keep(&mut store));
    teach(&mut store, "dog", &["c", "d"]);
    versions.push(keep(&mut store));
    store.undo().expect("undoes");
    store.relabel(&[1], "fox").expect("relabels");
    store.relabel(&[1], "owl").expect("relabels");
    versions.push(keep(&mut store));
    // To what was undone, to before it, to after it.
    for at in [1, 0, 2, 1, 1, 2] {
        let (version, wanted) = &versions[at];
        store.roll_back(*version).expect("rolls back");
        assert_eq!(state(&store), *wanted);
    }
    store.undo().expect("undoes");
    assert_eq!(state(&store), versions[1].1, "a roll back is undone like anything else");
    assert!(matches!(store.roll_back(99), Err(SampleStoreError::NoHead { version: 99 })));
    // A head of samples that have changed since is not kept.
    let revision = store.revision().expect("reads");
    teach(&mut store, "cat", &["z"]);
    assert_eq!(store.save_head(b"late", 4, revision, 10).expect("asks"), None);
    // The log is gone, and with it the way back.
    keep(&mut store);
    store.compact().expect("compacts");
    assert!(matches!(store.roll_back(1), Err(SampleStoreError::Forgotten { version: 1 })));
    let last = store.heads().expect("lists")[0].version;
    assert_eq!(store.roll_back(last).expect("is that of these samples"), 0);
    let keep = |store: &mut SampleStore, file: &str| {
        let revision = store.revision().expect("reads");
        store.save_head(file.as_bytes(), 1, revision, 10).expect("keeps")
    };
    let first = keep(&mut store, "0");
    assert_eq!(keep(&mut store, "0"), first, "of the same samples there is one");
    for i in 1..12 {
        keep(&mut store, &i.to_string());
    }
    let heads = store.heads().expect("lists");
    assert!(heads.len() == 10 && heads.iter().all(|head| head.has_samples));
}

#[test]
fn the_largest_class_makes_room_and_removed_samples_first() {
    let folder = Folder::new();
    let mut store = folder.store();
    teach(&mut store, "cat", &["1", "2", "3", "4", "5"]);
    teach(&mut store, "dog", &["6", "7", "8"]);
    store.remove(&[2]).expect("removes");
    let limits = Limits { samples: 7, bytes: 7, ..Limits::default() };
    let made = store.make_room(&limits).expect("makes room");
    assert_eq!(made, MadeRoom { removed: 1, samples: vec![] });
    assert!(matches!(store.undo().expect("the other things are known").what.as_str(), "teach dog"));
    teach(&mut store, "dog", &["6", "7", "8"]);
    let made = store.make_room(&Limits { samples: 5, ..limits }).expect("makes room");
    assert_eq!(made.samples, [(1, "cat".to_owned()), (3, "cat".to_owned())]);
    assert_eq!(state(&store), "cat:4,5 dog:6,7,8");
    store.make_room(&Limits { samples: 1, bytes: 1, ..limits }).expect("makes room");
    assert_eq!(state(&store), "cat:4,5 dog:7,8", "two of each are the least that a head can be measured with");
    let usage = store.usage().expect("reads");
    assert_eq!((usage.samples, usage.removed, usage.bytes), (4, 0, 4));
    // The log does not grow for ever, either.
    for i in 0..100 {
        teach(&mut store, "cat", &[&format!("photo {i}")]);
        if i % 10 == 0 {
            store.undo().expect("undoes");
        }
        store.make_room(&Limits { samples: 4, bytes: 40, ..limits }).expect("makes room");
    }
    let count = |table: &str| -> i64 {
        store.db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("counts")
    };
    assert!(count("batch") < 20 && count("change") < 20, "{} {}", count("batch"), count("change"));
}

/// After an import, or with limits that became smaller: what comes takes the place of as much, never of more.
#[test]
fn new_samples_take_the_places_of_as_many_others() {
    let folder = Folder::new();
    let mut store = folder.store();
    let photos: Vec<String> = (10..30).map(|i| i.to_string()).collect();
    teach(&mut store, "cat", &photos.iter().map(String::as_str).collect::<Vec<_>>());
    let new = |photo: &'static [u8]| NewSample { photo, class: "dog", source: "", time: now(), features: None };
    // Far too many samples, far too many bytes: one sample of two bytes came, one of two bytes goes.
    for limits in [Limits { samples: 5, ..Limits::default() }, Limits { bytes: 10, ..Limits::default() }] {
        let photo: &'static [u8] = if limits.samples == 5 { b"30" } else { b"31" };
        let lessons = store.teach(&[new(photo)], "", None, Some(&limits)).expect("teaches");
        assert_eq!(lessons.made_room.samples.len(), 1, "{limits:?}");
        // What is there already needs no room.
        let known = store.teach(&[new(photo)], "", None, Some(&limits)).expect("teaches");
        assert_eq!(known.made_room, MadeRoom::default());
        let moved = NewSample { class: "fox", ..new(photo) };
        assert_eq!(store.teach(&[moved], "", None, Some(&limits)).expect("teaches").made_room, MadeRoom::default());
    }
    assert_eq!(state(&store).split(' ').next(), Some("cat:3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20"));
    // Two at a time, of which one was there.
    let limits = Limits { samples: 20, ..Limits::default() };
    let lessons = store.teach(&[new(b"31"), new(b"32")], "", None, Some(&limits)).expect("teaches");
    assert_eq!(lessons.made_room.samples, [(3, "cat".to_owned())]);
    assert_eq!(store.usage().expect("reads").samples, 20);
}

/// Pulling a card out, or `mv` under a program that runs: what is written would be gone without a word.
#[test]
fn a_store_that_was_moved_away_is_not_written() {
    let folder = Folder::new();
    let mut store = folder.store();
    teach(&mut store, "cat", &["a"]);
    std::fs::rename(folder.path("x.store"), folder.path("y.store")).expect("moves");
    let new = |photo| NewSample { photo, class: "cat", source: "", time: now(), features: None };
    let refused = store.teach(&[new(b"b")], "", None, None);
    assert!(matches!(&refused, Err(error @ SampleStoreError::Moved { .. }) if error.is_failure()), "{refused:?}");
    let other = SampleStore::open_or_create(&folder.path("x.store")).expect("another of that name");
    assert!(matches!(store.teach(&[new(b"b")], "", None, None), Err(SampleStoreError::Moved { .. })));
    drop(other);
}

#[test]
fn frames_wait_for_a_label_and_become_samples() {
    let folder = Folder::new();
    let mut store = folder.store();
    let numbers = [0.5, 1.5];
    let keep = |store: &mut SampleStore, photo: &str| {
        let features = Features { trunk: TRUNK, numbers: &numbers };
        let photo = photo.as_bytes();
        let frame = NewPending { photo, source: "camera", time: now(), guess: "cat", probability: 0.4, features };
        store.keep_pending(&frame, 3).expect("keeps")
    };
    assert_eq!(keep(&mut store, "a"), Some(1));
    assert_eq!(keep(&mut store, "a"), None, "it waits already");
    for photo in ["b", "c", "d"] {
        keep(&mut store, photo);
    }
    let waiting: Vec<i64> = store.pending().expect("lists").iter().map(|frame| frame.id).collect();
    assert_eq!(waiting, [2, 3, 4], "the oldest has gone");
    assert_eq!(store.pending_photo(3).expect("is there"), b"c");
    assert_eq!(store.pending_features(TRUNK, 2).expect("reads"), numbers.repeat(3));
    assert!(matches!(store.label_pending(&[2, 9], "dog"), Err(SampleStoreError::NoPending { id: 9 })));
    assert_eq!(store.label_pending(&[2, 4], "dog").expect("labels").len(), 2);
    assert_eq!(state(&store), "dog:1,2");
    assert_eq!(store.photo(1).expect("is there"), b"b");
    store.drop_pending(&[3]).expect("drops");
    assert!(store.pending().expect("lists").is_empty());
    assert_eq!(keep(&mut store, "b"), None, "it is a sample");
    store.undo().expect("undoes");
    assert_eq!(state(&store), "");
}

#[test]
fn merging_keeps_what_is_here_and_copies_what_is_not() {
    let folder = Folder::new();
    let mut here = folder.store();
    teach(&mut here, "cat", &["a", "b"]);
    let mut there = SampleStore::open_or_create(&folder.path("y.store")).expect("opens");
    let ids = teach(&mut there, "cat", &["a", "c"]);
    teach(&mut there, "dog", &["b", "d"]);
    there.put_features(&[(ids[1], Features { trunk: TRUNK, numbers: &[3.0] })]).expect("keeps");
    let merged = here.merge(&there).expect("merges");
    let conflicts = vec![(2, "cat".to_owned(), "dog".to_owned())];
    assert_eq!(merged, Merged { new: 2, known: 1, conflicts, damaged: vec![] });
    assert_eq!(state(&here), "cat:1,2,3 dog:4");
    assert_eq!(here.photo(3).expect("is there"), b"c");
    assert_eq!(here.features(TRUNK, 1).expect("reads").ids, [3]);
    assert_eq!(here.merge(&there).expect("merges").new, 0);
    here.undo().expect("undoes");
    assert_eq!(state(&here), "cat:1,2");
}

#[test]
fn names_that_no_class_can_have_are_refused() {
    let folder = Folder::new();
    let mut store = folder.store();
    for name in ["", " a", "a ", "unknown", "a/b", "a\\b", "..", ".git", "a\nb", "a\0", &"x".repeat(256)] {
        let sample = NewSample { photo: b"a", class: name, source: "", time: now(), features: None };
        let refused = store.teach(&[sample], "", None, None);
        assert!(matches!(refused, Err(SampleStoreError::ClassName { .. })), "{name:?}");
    }
    assert_eq!(store.usage().expect("reads").samples, 0);
    teach(&mut store, "Ärger & Co.", &["a"]);
    assert!(matches!(store.rename_class("cat", "dog"), Err(SampleStoreError::NoClass { .. })));
    assert!(matches!(store.relabel(&[1, 5], "dog"), Err(SampleStoreError::NoSample { id: 5 })));
    assert!(matches!(store.photo(5), Err(SampleStoreError::NoSample { id: 5 })));
    assert_eq!(state(&store), "Ärger & Co.:1", "all or nothing");
}

/// What opening a file says.
fn refused(path: &Path) -> String {
    SampleStore::open(path).map(drop).expect_err("is refused").to_string()
}

#[test]
fn files_that_are_no_stores_are_refused_and_stay_as_they_are() {
    let folder = Folder::new();
    assert!(refused(&folder.path("no")).contains("there is no such store"));
    assert!(refused(folder.0.path()).contains("is no store of samples"));
    let text = folder.path("text");
    std::fs::write(&text, "a text that is no database, longer than the header of one. ".repeat(20)).expect("writes");
    assert!(refused(&text).contains("is no store of samples"));
    // Another program's database.
    let other = folder.path("other.db");
    rusqlite::Connection::open(&other).expect("opens").execute_batch("CREATE TABLE x (y)").expect("creates");
    let before = std::fs::read(&other).expect("is there");
    assert!(refused(&other).contains("is no store of samples"));
    assert!(matches!(SampleStore::open_or_create(&other), Err(SampleStoreError::NotAStore { .. })));
    assert_eq!(std::fs::read(&other).expect("is there"), before);
    // A later version.
    drop(folder.store());
    let db = rusqlite::Connection::open(folder.path("x.store")).expect("opens");
    db.pragma_update(None, "user_version", 9).expect("writes");
    drop(db);
    let message = refused(&folder.path("x.store"));
    assert!(message.contains("a store of version 9, and this program knows those up to version 1"), "{message}");
    let nowhere = SampleStore::open_or_create(&folder.path("no/such/x.store")).expect_err("no folder");
    assert!(matches!(nowhere, SampleStoreError::Io { .. }), "{nowhere}");
}

#[test]
fn damage_is_found_and_named() {
    let folder = Folder::new();
    let path = folder.path("x.store");
    let mut store = folder.store();
    let ids = teach(&mut store, "cat", &["a", "b"]);
    store.put_features(&[(ids[0], Features { trunk: TRUNK, numbers: &[1.0] })]).expect("keeps");
    assert_eq!(store.check().expect("reads"), []);
    let revision = store.revision().expect("reads");
    store.save_head(b"no head", 2, revision, 9).expect("keeps");
    store
        .db
        .execute_batch("UPDATE photo SET photo = x'00' WHERE sample = 2; UPDATE feature SET crc = 1;")
        .expect("writes");
    let faults = store.check().expect("reads");
    assert_eq!(faults, [Fault::Photo { id: 2 }, Fault::Features { id: 1 }, Fault::Head { version: 1 }]);
    assert!(matches!(store.photo(2), Err(SampleStoreError::DamagedPhoto { id: 2 })));
    let (count, skipped) = store.export(&folder.path("out")).expect("exports the other");
    assert_eq!((count, skipped.len()), (1, 1));
    let mut other = SampleStore::open_or_create(&folder.path("other")).expect("opens");
    assert_eq!(other.merge(&store).expect("merges the other").damaged, [2]);
    assert_eq!(store.features(TRUNK, 1).expect("reads").damaged, [1]);
    store.drop_features(TRUNK, &[1]).expect("drops");
    assert_eq!(store.without_features(TRUNK).expect("reads"), [1, 2], "damaged numbers are made anew");
    // Many samples, then a page that is not what it was.
    let photos: Vec<String> = (0..300).map(|i| format!("{i} ").repeat(300)).collect();
    teach(&mut store, "dog", &photos.iter().map(String::as_str).collect::<Vec<_>>());
    drop(store);
    let mut bytes = std::fs::read(&path).expect("is there");
    let pages = bytes.len() / 4096;
    assert!(pages > 50);
    let mut found = 0;
    for page in 1..pages {
        let saved = bytes[4096 * page..4096 * (page + 1)].to_vec();
        bytes[4096 * page..4096 * (page + 1)].fill(0xa5);
        std::fs::write(&path, &bytes).expect("writes");
        // Never a panic; an error or a fault, unless the page holds nothing.
        let told = SampleStore::open(&path).and_then(|store| {
            let listed = store.samples().and_then(|_| store.features(TRUNK, 1));
            assert!(listed.is_ok() || matches!(listed, Err(SampleStoreError::Damaged { .. })), "{listed:?}");
            store.check()
        });
        found += usize::from(told.map_or(true, |faults| !faults.is_empty()));
        bytes[4096 * page..4096 * (page + 1)].copy_from_slice(&saved);
    }
    assert_eq!(found, pages - 1);
}

#[test]
fn two_programs_write_by_turns() {
    let folder = Folder::new();
    drop(folder.store());
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let mut store = folder.store();
            scope.spawn(move || {
                for i in 0..10 {
                    teach(&mut store, &format!("class {thread}"), &[&format!("{thread} {i}")]);
                }
            });
        }
    });
    let store = folder.store();
    assert_eq!(store.classes().expect("lists").iter().map(|(_, count)| count).sum::<usize>(), 30);
    assert_eq!(store.revision().expect("reads"), 30);
}
