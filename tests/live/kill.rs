//! A program that is killed while it teaches: what it has acknowledged is there, and nothing is half there.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use image::{Rgb, RgbImage};
use topgraft::learn::{Model, Teacher, settle};
use topgraft::store::{Limits, SampleStore};
use topgraft::topgraft_core::random::SplitMix64;
use topgraft::trunk::Trunk;
use topgraft::vision::encode_jpeg;

/// A photo of one of three classes, different for every number.
fn photo(number: u64) -> Vec<u8> {
    encode_jpeg(&RgbImage::from_fn(48, 48, |x, y| {
        let bright = [x < 16, y < 16, x >= 32][(number % 3) as usize];
        let noise = (u64::from(x) * 7 + u64::from(y) * 13 + number * 29) % 61;
        Rgb([(if bright { 180 } else { 20 } + noise) as u8, (number % 251) as u8, (number / 251 % 251) as u8])
    }))
}

const NAMES: [&str; 3] = ["left", "top", "right"];

fn teacher(path: &Path) -> Teacher {
    let store = SampleStore::open_or_create(path).expect("opens");
    Teacher::new(store, Arc::new(Trunk::pixels(8)), Limits { samples: 300, ..Limits::default() }).expect("opens")
}

/// The program that is killed. It says what it is about to do, and when it is acknowledged.
#[test]
#[ignore = "a part of the test below"]
fn teach_until_killed() {
    let path = std::env::var_os("TOPGRAFT_KILLED").expect("a store");
    let seed: u64 = std::env::var("TOPGRAFT_SEED").expect("a seed").parse().expect("a number");
    let mut teacher = teacher(Path::new(&path));
    let mut random = SplitMix64(seed);
    let mut out = std::io::stdout();
    let mut say = |line: String| {
        writeln!(out, "{line}").expect("is read");
        out.flush().expect("is read");
    };
    say("= ready".into());
    for turn in 0.. {
        let number = seed * 1000 + turn;
        let class = NAMES[(number % 3) as usize];
        say(format!("+ {number} {class}"));
        let lesson = teacher.teach(class, &photo(number), "test", SystemTime::now(), None).expect("teaches");
        say(format!("! {number} {class} {}", lesson.taught.id()));
        if random.unit() < 0.2 {
            let snapshot = teacher.snapshot().expect("reads");
            if snapshot.is_measurable() {
                let settled = settle(&snapshot, &Trunk::pixels(8)).expect("fits");
                teacher.settled(settled).expect("keeps");
            }
        }
        if random.unit() < 0.1 {
            let id = lesson.taught.id();
            say(format!("+ {number} moved"));
            teacher.relabel(&[id], "moved").expect("relabels");
            say(format!("! {number} moved {id}"));
        }
    }
}

/// `TOPGRAFT_KILLS` of them; 40 take some seconds.
#[test]
fn a_killed_program_loses_nothing_that_it_acknowledged() {
    let kills: u64 = std::env::var("TOPGRAFT_KILLS").map_or(40, |kills| kills.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.store");
    let mut random = SplitMix64(7);
    // By the photo's number: its sample and class, as acknowledged last; and what was asked for last.
    let mut acknowledged: HashMap<u64, (i64, String)> = HashMap::new();
    let mut total = 0;
    for round in 0..kills {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--ignored", "--exact", "--nocapture", "live::kill::teach_until_killed"])
            .env("TOPGRAFT_KILLED", &path)
            .env("TOPGRAFT_SEED", (round + 1).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        // The harness says something of its own first.
        while lines.next().expect("goes on").expect("UTF-8") != "= ready" {}
        let killer = std::thread::spawn({
            let wait = Duration::from_micros((random.unit() * 60_000.0) as u64);
            move || {
                std::thread::sleep(wait);
                child.kill().expect("is running");
                child.wait().expect("ends")
            }
        });
        let mut asked: Option<(u64, String)> = None;
        for line in lines {
            let line = line.expect("UTF-8");
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["+", number, class] => asked = Some((number.parse().expect("a number"), (*class).to_owned())),
                ["!", number, class, id] => {
                    let number = number.parse().expect("a number");
                    acknowledged.insert(number, (id.parse().expect("a number"), (*class).to_owned()));
                    (asked, total) = (None, total + 1);
                }
                // Killed while it wrote.
                _ => {}
            }
        }
        let ended = killer.join().expect("killed it");
        assert_eq!(ended.signal(), Some(9), "it ended by itself: {ended}");
        let store = SampleStore::open(&path).expect("opens after it was killed");
        let samples: HashMap<i64, String> =
            store.samples().expect("reads").into_iter().map(|sample| (sample.id, sample.class)).collect();
        let mut gone = 0;
        for (number, (id, class)) in &acknowledged {
            match samples.get(id) {
                // What was asked for last may be done or not, but it is not half done.
                Some(found) => assert!(
                    found == class || asked.as_ref().is_some_and(|(asked, new)| asked == number && new == found),
                    "sample {id} is {found}, not {class}"
                ),
                None => gone += 1,
            }
        }
        // It is known now whether that was done.
        if let Some((number, new)) = asked
            && let Some((id, class)) = acknowledged.get_mut(&number)
            && samples.get(id) == Some(&new)
        {
            *class = new;
        }
        // The limit of 300 lets the oldest go, nothing else does; the highest number says how many there ever were.
        let beyond = samples.keys().max().map_or(0, |most| most - 300).max(0);
        assert!(gone <= beyond, "round {round}: {gone} of {} are gone, and {beyond} had to", acknowledged.len());
        if round % 8 == 0 || round + 1 == kills {
            assert_eq!(store.check().expect("reads"), []);
            for (number, (id, _)) in acknowledged.iter().filter(|(_, (id, _))| samples.contains_key(id)) {
                assert_eq!(store.photo(*id).expect("is there"), photo(*number));
            }
        }
        if let Some((_, file)) = store.latest_head().expect("reads") {
            Model::parse(&file).expect("a whole head");
        }
        drop(store);
        let teacher = teacher(&path);
        if samples.values().collect::<std::collections::HashSet<_>>().len() >= 2 {
            assert!(teacher.model().is_some(), "the head of what is there");
        }
    }
    println!("{kills} kills, {total} acknowledged, none lost");
    assert!(total >= kills, "{total} of {kills}: it was killed too early to say anything");
}
