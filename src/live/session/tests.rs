//! The loop on a camera that a test makes up, and a trunk of plain pixels.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use image::Rgb;

use super::*;
use crate::learn::Model;
use crate::store::{Limits, SampleStore};
use crate::trunk::Trunk;

/// What the camera is pointed at: bright on the left, at the top, on the right, or in moving squares; and noise that differs in every frame.
#[derive(Clone, Default)]
struct Scene {
    what: Arc<AtomicUsize>,
    frames: Arc<AtomicU64>,
    is_over: Arc<AtomicUsize>,
}

impl Scene {
    fn show(&self, what: usize) {
        self.what.store(what, Ordering::SeqCst);
    }
}

impl Frames for Scene {
    fn next(&mut self, _: Duration) -> Next {
        if self.is_over.load(Ordering::SeqCst) > 0 {
            return Next::Over;
        }
        thread::sleep(Duration::from_millis(3));
        let number = self.frames.fetch_add(1, Ordering::SeqCst);
        let what = self.what.load(Ordering::SeqCst);
        let image = RgbImage::from_fn(64, 64, |x, y| {
            let squares = ((x + number as u32) / 8 + y / 8).is_multiple_of(2);
            let bright = [x < 24, y < 24, x >= 40, squares][what];
            let noise = (x * 7 + y * 13 + number as u32 * 29) % 61;
            Rgb([((if bright { 190 } else { 20 }) + noise) as u8; 3])
        });
        Next::Frame(Frame { image, number, time: SystemTime::now() })
    }

    fn recycle(&mut self, _: Frame) {}

    fn events(&mut self) -> Vec<Event> {
        Vec::new()
    }

    fn counts(&self) -> Counts {
        Counts { captured: self.frames.load(Ordering::SeqCst), dropped: 0, damaged: 0 }
    }

    fn name(&self) -> String {
        "scene".to_owned()
    }
}

fn settings() -> SessionSettings {
    SessionSettings {
        smoothing: SmoothingSettings { frames: 3, ..SmoothingSettings::default() },
        teaching: TeachingSettings { every: 0.0, settle: 0.05 },
        keep: KeepSettings { every: 0.0, ..KeepSettings::default() },
        ..SessionSettings::default()
    }
}

fn start(folder: &Path, settings: SessionSettings) -> (Scene, Session) {
    let scene = Scene::default();
    let store = SampleStore::open_or_create(&folder.join("x.store")).expect("opens");
    let teacher = Teacher::new(store, Arc::new(Trunk::pixels(8)), Limits::default()).expect("opens");
    let session = Session::start(scene.clone(), Mind::Teacher(Box::new(teacher)), settings).expect("starts");
    (scene, session)
}

/// The first that is seen of which this holds.
#[track_caller]
fn wait(session: &Session, mut holds: impl FnMut(&Seen) -> bool) -> Arc<Seen> {
    let (start, mut number) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(60) {
        match session.newer(number, Duration::from_secs(1)) {
            Newer::Value(newer, seen) if holds(&seen) => {
                let _ = newer;
                return seen;
            }
            Newer::Value(newer, _) => number = newer,
            Newer::Waiting => {}
            Newer::Over => panic!("it is over: {:?}", session.events()),
        }
    }
    panic!("never: {:?}", session.events());
}

/// A frame that was taken after this was called.
fn wait_frame(session: &Session) -> Arc<Seen> {
    let now = SystemTime::now();
    wait(session, |seen| seen.time >= now)
}

#[track_caller]
fn wait_event(session: &Session, mut is_it: impl FnMut(&LiveEvent) -> bool) {
    let start = Instant::now();
    let mut others = Vec::new();
    while start.elapsed() < Duration::from_secs(60) {
        for event in session.events() {
            if is_it(&event) {
                return;
            }
            others.push(event);
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("never, but {others:?}");
}

const NAMES: [&str; 3] = ["left", "top", "right"];

fn teach_all(scene: &Scene, session: &Session, times: usize) {
    for _ in 0..times {
        for (what, name) in NAMES.iter().enumerate() {
            scene.show(what);
            wait_frame(session);
            session.teach(name).expect("teaches");
        }
    }
}

#[test]
fn what_is_taught_is_seen_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    // A head that was not measured calls nothing unknown.
    let teaching = TeachingSettings { every: 0.0, settle: 3600.0 };
    let (scene, session) = start(folder.path(), SessionSettings { teaching, ..settings() });
    assert!(wait_frame(&session).prediction.is_none(), "there is no head yet");
    teach_all(&scene, &session, 1);
    // The frame that was taught was looked at again, by the head that knows it.
    let Newer::Value(_, seen) = session.newer(0, Duration::ZERO) else { panic!("something is seen") };
    let prediction = seen.prediction.as_ref().expect("a head");
    assert_eq!(&seen.labels[usize::from(prediction.class())], "right");
    teach_all(&scene, &session, 7);
    for (what, name) in NAMES.iter().enumerate() {
        scene.show(what);
        wait(&session, |seen| seen.label.as_deref() == Some(name));
    }
    session.with(|teacher| teacher.remove(&[1])).expect("has a store").expect("removes");
    let count = session.with(|teacher| teacher.store().usage().expect("reads").samples).expect("has a store");
    assert_eq!(count, 23);
}

#[test]
fn a_class_that_is_held_is_undone_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scene, session) = start(folder.path(), settings());
    teach_all(&scene, &session, 2);
    scene.show(3);
    wait_frame(&session);
    session.hold(Some("squares"), "a");
    let seen = wait(&session, |seen| seen.teaching.as_ref().is_some_and(|(_, samples)| *samples >= 4));
    assert_eq!(seen.teaching.as_ref().expect("is held").0, "squares");
    session.hold(None, "b");
    assert!(session.is_held_by("a").expect("runs") && !session.is_held_by("b").expect("runs"));
    session.hold(None, "a");
    assert!(!session.is_held_by("a").expect("runs"));
    wait(&session, |seen| seen.teaching.is_none());
    assert_eq!(session.with(|teacher| teacher.store().classes()).expect("has").expect("reads").len(), 4);
    let undone = session.with(Teacher::undo).expect("has a store").expect("undoes");
    assert_eq!(undone.what, "teach squares");
    assert!(undone.samples >= 4);
    let labels = session.with(|teacher| teacher.model().expect("a head").labels.clone()).expect("has a store");
    assert_eq!(labels, ["left", "right", "top"]);
}

#[test]
fn the_head_is_measured_kept_and_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let head = folder.path().join("x.graft");
    let (scene, session) = start(folder.path(), SessionSettings { head: Some(head.clone()), ..settings() });
    teach_all(&scene, &session, 6);
    let of_all = |model: &Model| model.evaluation.is_some_and(|evaluation| evaluation.n_samples == 18);
    let mut written = None;
    wait_event(&session, |event| {
        written = matches!(event, LiveEvent::HeadWritten(_)).then(|| Model::open(&head).expect("is a head"));
        written.as_ref().is_some_and(of_all)
    });
    let model = written.expect("was waited for");
    let now = session.with(|teacher| teacher.model().expect("a head").clone()).expect("has a store");
    assert_eq!(*now, model);
    // The loop of another day has the same head at once. It may call what it has seen six times unknown.
    drop(session);
    let (scene, session) = start(folder.path(), settings());
    scene.show(1);
    wait(&session, |seen| {
        let class = seen.prediction.as_ref().map(|prediction| usize::from(prediction.class()));
        class.is_some_and(|class| seen.labels[class] == "top")
    });
}

#[test]
fn what_it_is_not_sure_of_waits_for_a_label_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scene, session) = start(folder.path(), settings());
    teach_all(&scene, &session, 8);
    wait_event(&session, |event| matches!(event, LiveEvent::Measured { samples: 24, .. }));
    scene.show(3);
    wait_event(&session, |event| matches!(event, LiveEvent::Kept { .. }));
    // Many more frames of the same are not kept.
    let now = wait_frame(&session).number;
    wait(&session, |seen| seen.number > now + 50);
    let pending = session.with(|teacher| teacher.store().pending()).expect("has a store").expect("reads");
    assert!(pending.len() <= 3, "{pending:?}");
    let ids: Vec<i64> = pending.iter().map(|frame| frame.id).collect();
    session.with(move |teacher| teacher.store_mut().label_pending(&ids, "squares")).expect("has").expect("labels");
    // Their features are made when there is time.
    wait(&session, |seen| *seen.labels == ["left", "right", "squares", "top"]);
}

/// Another trunk: the features are made anew while the camera is watched.
#[test]
fn another_trunk_makes_its_features_between_frames() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scene, session) = start(folder.path(), settings());
    teach_all(&scene, &session, 8);
    drop(session);
    let scene = Scene::default();
    let store = SampleStore::open(&folder.path().join("x.store")).expect("opens");
    let teacher = Teacher::new(store, Arc::new(Trunk::pixels(12)), Limits::default()).expect("opens");
    assert!(teacher.model().is_none() && teacher.missing().expect("reads").len() == 24);
    let session = Session::start(scene.clone(), Mind::Teacher(Box::new(teacher)), settings()).expect("starts");
    let mut left = Vec::new();
    wait_event(&session, |event| {
        left.extend(match event {
            LiveEvent::Extracted { left } => Some(*left),
            _ => None,
        });
        left.last() == Some(&0)
    });
    assert_eq!(left, [8, 0], "in two parts, each of which is kept");
    scene.show(1);
    wait(&session, |seen| {
        let class = seen.prediction.as_ref().map(|prediction| usize::from(prediction.class()));
        class.is_some_and(|class| seen.labels[class] == "top")
    });
}

#[test]
fn another_program_is_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scene, session) = start(folder.path(), settings());
    teach_all(&scene, &session, 1);
    let mut store = SampleStore::open(&folder.path().join("x.store")).expect("opens");
    store.rename_class("left", "west").expect("renames");
    wait_event(&session, |event| matches!(event, LiveEvent::Refreshed));
    scene.show(0);
    wait(&session, |seen| seen.labels.contains(&"west".to_owned()));
}

#[test]
fn a_head_without_a_store_teaches_nothing_and_an_end_is_an_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scene, session) = start(folder.path(), settings());
    teach_all(&scene, &session, 2);
    let model = session.with(|teacher| teacher.model().expect("a head").clone()).expect("has a store");
    drop(session);
    let classifier = Classifier::new(Model::clone(&model), Trunk::pixels(8)).expect("fits");
    let session = Session::start(scene.clone(), Mind::Fixed(Box::new(classifier)), settings()).expect("starts");
    scene.show(2);
    wait(&session, |seen| seen.label.is_some() && seen.labels.len() == 3);
    assert!(matches!(session.teach("left"), Err(SessionError::NoStore)));
    assert!(session.is_alive());
    scene.is_over.store(1, Ordering::SeqCst);
    let start = Instant::now();
    let mut number = 0;
    loop {
        match session.newer(number, Duration::from_secs(1)) {
            Newer::Value(newer, _) => number = newer,
            Newer::Over => break,
            Newer::Waiting => assert!(start.elapsed() < Duration::from_secs(60)),
        }
    }
}

/// A camera with a fault.
struct Faulty;

impl Frames for Faulty {
    fn next(&mut self, _: Duration) -> Next {
        panic!("of the test")
    }

    fn recycle(&mut self, _: Frame) {}

    fn events(&mut self) -> Vec<Event> {
        Vec::new()
    }

    fn counts(&self) -> Counts {
        Counts { captured: 0, dropped: 0, damaged: 0 }
    }

    fn name(&self) -> String {
        "faulty".to_owned()
    }
}

#[test]
fn a_panic_of_the_trunks_thread_ends_the_loop_and_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SampleStore::open_or_create(&folder.path().join("x.store")).expect("opens");
    let teacher = Teacher::new(store, Arc::new(Trunk::pixels(8)), Limits::default()).expect("opens");
    let session = Session::start(Faulty, Mind::Teacher(Box::new(teacher)), settings()).expect("starts");
    let start = Instant::now();
    while !matches!(session.newer(0, Duration::from_secs(1)), Newer::Over) {
        assert!(start.elapsed() < Duration::from_secs(60));
    }
    assert!(session.has_panicked() && !session.is_alive());
    assert!(matches!(session.teach("left"), Err(SessionError::Ended)));
}

#[test]
fn a_panic_in_work_ends_the_loop_and_hangs_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, session) = start(folder.path(), settings());
    let ended = session.with(|_| panic!("of the test"));
    assert!(matches!(ended, Err::<(), _>(SessionError::Ended)));
    let ended = session.with(|_| ());
    assert!(matches!(ended, Err(SessionError::Ended)));
    assert!(session.has_panicked() && !session.is_alive());
}
