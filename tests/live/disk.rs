//! Disks that are full, or read-only. They are small file systems in memory, which only root can mount.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use image::RgbImage;
use topgraft::learn::{TeachError, Teacher};
use topgraft::live::camera::{Counts, Event, Frame, Next};
use topgraft::live::{Frames, Mind, Newer, Session, SessionError, SessionSettings};
use topgraft::store::{Limits, SampleStore, SampleStoreError};
use topgraft::trunk::Trunk;

use super::{Bench, photos};
use crate::program::topgraft;

/// A file system of so many kilobytes.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount(kilobytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let options = format!("size={kilobytes}k");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        if !mounted {
            println!("skipped: only root can mount a small disk");
        }
        mounted.then_some(Self(folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read_only(&self) {
        let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(self.0.path()).status().expect("runs");
        assert!(remounted.success());
    }

    /// Takes all room that is left.
    fn fill(&self) {
        let mut length = 1 << 20;
        while length >= 512 {
            // What does not fit is cut off, and stays.
            let name =
                self.path(&format!("filler {length} {}", fs::read_dir(self.0.path()).expect("a folder").count()));
            if fs::write(name, vec![0; length]).is_err() {
                length /= 2;
            }
        }
    }

    fn make_room(&self) {
        for entry in fs::read_dir(self.0.path()).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.file_name().expect("a name").to_string_lossy().starts_with("filler") {
                fs::remove_file(path).expect("removes");
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// A frame of noise every time.
struct Noise(u64);

impl Frames for Noise {
    fn next(&mut self, _: Duration) -> Next {
        std::thread::sleep(Duration::from_millis(5));
        self.0 += 1;
        let number = self.0;
        let image = RgbImage::from_fn(200, 200, |x, y| {
            let noise = u64::from(x * 200 + y).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ number) >> 56;
            image::Rgb([noise as u8, (noise / 2) as u8, (number % 255) as u8])
        });
        Next::Frame(Frame { image, number, time: SystemTime::now() })
    }

    fn recycle(&mut self, _: Frame) {}

    fn events(&mut self) -> Vec<Event> {
        Vec::new()
    }

    fn counts(&self) -> Counts {
        Counts { captured: self.0, dropped: 0, damaged: 0 }
    }

    fn name(&self) -> String {
        "noise".into()
    }
}

fn session(path: &Path) -> Session {
    let store = SampleStore::open_or_create(path).expect("opens");
    let teacher = Teacher::new(store, Arc::new(Trunk::pixels(8)), Limits::default()).expect("opens");
    Session::start(Noise(0), Mind::Teacher(Box::new(teacher)), SessionSettings::default()).expect("starts")
}

/// Waits for two frames more.
fn sees(session: &Session) {
    let mut number = 0;
    for _ in 0..2 {
        match session.newer(number, Duration::from_secs(60)) {
            Newer::Value(newer, _) => number = newer,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_full_disk_ends_teaching_but_not_watching() {
    let Some(disk) = Disk::mount(4096) else { return };
    let path = disk.path("x.store");
    let session = session(&path);
    sees(&session);
    let mut ids = Vec::new();
    for class in ["cat", "dog", "cat", "dog"] {
        sees(&session);
        ids.push(session.teach(class).expect("there is room").taught.id());
    }
    disk.fill();
    let full = loop {
        sees(&session);
        match session.teach("cat") {
            // The log may have room of its own.
            Ok(lesson) => ids.push(lesson.taught.id()),
            Err(error) => break error,
        }
    };
    let is_full = |error: &SessionError| {
        matches!(error, SessionError::Teach(TeachError::Store(SampleStoreError::DiskFull { .. })))
    };
    assert!(is_full(&full), "{full}");
    assert!(full.to_string().contains("the disk is full; nothing was kept of this"), "{full}");
    // It sees as before, and knows what it knew.
    sees(&session);
    let known = session.with(|teacher| teacher.model().expect("a head").labels.clone()).expect("is alive");
    assert_eq!(known, ["cat", "dog"]);
    disk.make_room();
    sees(&session);
    ids.push(session.teach("owl").expect("there is room again").taught.id());
    drop(session);
    let store = SampleStore::open(&path).expect("opens");
    assert_eq!(store.check().expect("reads"), []);
    let mut there: Vec<i64> = store.samples().expect("reads").iter().map(|sample| sample.id).collect();
    there.sort_unstable();
    assert_eq!(there, ids);
}

#[test]
fn on_a_full_or_a_read_only_disk_the_head_that_is_there_is_used() {
    let Some(disk) = Disk::mount(8192) else { return };
    let path = disk.path("x.store");
    let bench = Bench::taught(&["fish", "birds"]);
    fs::copy(bench.store(), &path).expect("there is room");
    let store = path.to_str().unwrap();
    let teach =
        |from: &str| topgraft(["teach", "-s", store, "-c", "fruit", "--backbone", &bench.tiny(), "--from", from]);
    let watch = || {
        let run = topgraft(["watch", "-s", store, "--backbone", &bench.tiny(), "--from", &photos("fish"), "--json"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert_eq!(run.json_lines()[0]["probabilities"].as_object().unwrap().len(), 2);
    };
    disk.fill();
    let run = teach(&photos("fruit"));
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("x.store: "), "{}", run.stderr);
    watch();
    disk.make_room();
    disk.read_only();
    let run = teach(&photos("fruit"));
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("the store cannot be written; nothing was kept of this"), "{}", run.stderr);
    watch();
    let list = topgraft(["store", "list", "-s", store]).succeeds().stdout;
    assert!(list.contains("classes    2: birds 5, fish 5"), "{list}");
}
