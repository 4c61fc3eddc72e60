//! Captures from real programs: `ffmpeg` as it is installed, and stand-ins for `rpicam-vid` that write what it writes.
//!
//! What is waited for has a minute to come, so that a slow machine is no failure.

mod http;
mod rtsp;
mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use support::{DEADLINE, MOMENT, OPTIONS, Watched, check, ffmpeg, has_ffmpeg, jpeg, number, picture, quick};
use support::{raw_pictures, stand_in};
use tempfile::TempDir;
use topgraft::live::camera::{Camera, CameraError, EventKind, Next, RpicamCodec, Settings, Source};

#[test]
fn raw_frames_of_rpicam_vid_have_their_colours() {
    if !has_ffmpeg("raw_frames_of_rpicam_vid_have_their_colours") {
        return;
    }
    let (folder, settings) = stand_in(&format!(
        r#"{OPTIONS}
[ "$codec,$width,$height,$camera,$hflip" = yuv420,640,480,1,1 ] || exit 1
while :; do for i in 0 1 2; do cat "$here/frame_$i.yuv"; sleep 0.02; done; done"#
    ));
    raw_pictures(folder.path(), 3);
    let mut watched = Watched::start("rpicam:1", Settings { hflip: true, ..settings });
    check(&watched.frame(), "rpicam-yuv420");
    // No new memory is needed once it runs.
    let mut places: Vec<_> = (0..30)
        .map(|_| {
            let frame = watched.frame();
            let place = frame.image.as_ptr();
            watched.camera.recycle(frame);
            place
        })
        .collect();
    places.sort();
    places.dedup();
    assert!(places.len() <= 6, "{} buffers", places.len());
    assert_eq!(watched.events, [EventKind::Started]);
}

#[test]
fn jpegs_of_rpicam_vid_are_decoded_and_damaged_ones_reported() {
    let (folder, settings) = stand_in(&format!(
        r#"{OPTIONS}
[ "$codec,$quality,$width" = mjpeg,90,600 ] || exit 1
while :; do cat "$here/good.jpg" "$here/cut.jpg" "$here/good.jpg"; sleep 0.02; done"#
    ));
    let good = jpeg(&picture(77));
    fs::write(folder.path().join("good.jpg"), &good).unwrap();
    fs::write(folder.path().join("cut.jpg"), &good[..good.len() / 2]).unwrap();
    // Raw frames of this width have padding.
    let settings = Settings { width: 600, ..settings };
    let refused = Camera::start(&"rpicam".parse().unwrap(), settings.clone()).err().unwrap().to_string();
    assert!(refused.contains("give a multiple of 128, such as 640, or choose mjpeg"), "{refused}");
    let mut watched = Watched::start("rpicam", Settings { rpicam_codec: RpicamCodec::Mjpeg, ..settings });
    let frame = watched.frame();
    assert_eq!(number(&frame.image), 77);
    check(&frame, "rpicam-mjpeg");
    watched.event("a damaged frame", |event| matches!(event, EventKind::Damaged { .. }));
    assert!(watched.camera.counts().damaged > 0);
}

#[test]
fn who_is_slow_gets_the_newest_frame_and_no_queue_grows() {
    if !has_ffmpeg("who_is_slow_gets_the_newest_frame_and_no_queue_grows") {
        return;
    }
    let (folder, settings) = stand_in(
        r#"for round in 1 2 3 4 5 6 7 8 9 10; do for i in $(seq 0 39); do cat "$here/frame_$i.yuv"; done; done
exec sleep 1000"#,
    );
    raw_pictures(folder.path(), 40);
    let mut watched = Watched::start("rpicam", settings);
    watched.wait("400 frames", |watched| {
        thread::sleep(MOMENT);
        (watched.camera.counts().captured == 400).then_some(())
    });
    // The last one may still be on its way.
    let mut last = watched.frame();
    while last.number < 399 {
        last = watched.frame();
    }
    assert_eq!((last.number, number(&last.image)), (399, 39));
    assert!(matches!(watched.camera.next(Duration::ZERO), Next::Nothing));
    // So nothing is kept for later.
    assert!(watched.camera.counts().dropped >= 390, "{:?}", watched.camera.counts());
}

#[test]
fn a_program_that_fails_is_started_again_and_its_words_are_kept() {
    let (_folder, settings) = stand_in(
        "echo 'ERROR: *** no cameras available, see http://me:secret@host/ ***' >&2
exit 255",
    );
    let mut watched = Watched::start("rpicam", settings);
    watched.event(
        "a longer pause",
        |event| matches!(event, EventKind::Restarting { after } if *after == Duration::from_millis(200)),
    );
    let lines: Vec<_> = watched.events[..2].iter().map(EventKind::to_string).collect();
    let ended = "ended: exit status: 255: ERROR: *** no cameras available, see http://me:***@host/ ***";
    assert_eq!(lines, [ended, "restarting in 0.05 s"]);
    assert!(matches!(watched.camera.next(Duration::ZERO), Next::Nothing));
}

#[test]
fn a_program_may_say_a_lot() {
    let (folder, settings) = stand_in(
        r#"head -c 1000000 /dev/zero | tr '\0' x >&2
while :; do cat "$here/good.jpg"; echo frame >&2; sleep 0.02; done"#,
    );
    fs::write(folder.path().join("good.jpg"), jpeg(&picture(5))).unwrap();
    let settings = Settings { rpicam_codec: RpicamCodec::Mjpeg, ..settings };
    let mut watched = Watched::start("rpicam", settings);
    assert_eq!(number(&watched.frame().image), 5);
}

#[test]
fn nothing_is_left_of_a_program_when_its_camera_is_dropped() {
    let scripts = [
        // Blocked, and without a frame.
        "echo $$ > $here/pids.new; mv $here/pids.new $here/pids; exec sleep 1000",
        // Deaf, with a child that is so too and has the pipe.
        "trap '' TERM; sleep 1000 & echo $$ $! > $here/pids.new; mv $here/pids.new $here/pids
while :; do sleep 1; done",
        // Writes without an end.
        "echo $$ > $here/pids.new; mv $here/pids.new $here/pids; exec cat /dev/zero",
    ];
    for script in scripts {
        let (folder, settings) = stand_in(script);
        let mut watched = Watched::start("rpicam", settings);
        let pids = watched.wait("the program", |_| {
            thread::sleep(MOMENT);
            fs::read_to_string(folder.path().join("pids")).ok()
        });
        let begin = Instant::now();
        drop(watched);
        assert!(begin.elapsed() < DEADLINE / 2);
        println!("dropped within {:?}", begin.elapsed());
        let gone = |pid: &str| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // What the program left is init's to reap.
            stat.is_empty() || stat.contains(") Z ")
        };
        let mut pids = pids.split_whitespace();
        let program = PathBuf::from(format!("/proc/{}", pids.next().unwrap()));
        assert!(!program.exists(), "{script}: a zombie, or still running");
        let begin = Instant::now();
        for pid in pids {
            while !gone(pid) {
                assert!(begin.elapsed() < DEADLINE, "{script}: its child still runs");
                thread::sleep(MOMENT);
            }
        }
    }
}

#[test]
fn mjpeg_over_http_is_captured() {
    if !has_ffmpeg("mjpeg_over_http_is_captured") {
        return;
    }
    let mut watched = Watched::start(&http::serve(10_000, drop), quick());
    check(&watched.frame(), "http");
    let first = watched.frame();
    assert!(watched.frame().number > first.number);
    assert_eq!(watched.events, [EventKind::Started]);
}

/// Not a server of ours: ffmpeg sends what it reads, as cameras on the network do.
#[test]
fn mjpeg_of_ffmpeg_is_captured() {
    if !has_ffmpeg("mjpeg_of_ffmpeg_is_captured") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    (0..20).for_each(|i| picture(i).save(folder.path().join(format!("{i}.png"))).unwrap());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/stream");
    let mut server = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-re", "-loop", "1", "-framerate", "10", "-i"])
        .arg(folder.path().join("%d.png"))
        .args(["-c:v", "mjpeg", "-q:v", "2", "-f", "mpjpeg", "-listen", "1", &url])
        .spawn()
        .unwrap();
    // It is asked again until it listens.
    let mut watched = Watched::start(&url, quick());
    check(&watched.frame(), "ffmpeg's mjpeg");
    let first = number(&watched.frame().image);
    while number(&watched.frame().image) == first {}
    server.kill().unwrap();
    server.wait().unwrap();
    watched.event("the end", |event| matches!(event, EventKind::Ended { .. }));
}

#[test]
fn a_connection_that_is_closed_is_made_again() {
    if !has_ffmpeg("a_connection_that_is_closed_is_made_again") {
        return;
    }
    let mut watched = Watched::start(&http::serve(10, drop), quick());
    while number(&watched.frame().image) < 2 {}
    let [EventKind::Started, EventKind::Ended { how, .. }, EventKind::Restarting { after }, ..] = &watched.events[..]
    else {
        panic!("{:?}", watched.events);
    };
    assert_eq!((how.as_str(), *after), ("exit status: 0", Duration::from_millis(50)));
}

#[test]
fn a_connection_that_stands_still_is_made_again() {
    if !has_ffmpeg("a_connection_that_stands_still_is_made_again") {
        return;
    }
    let stand_still = |stream| {
        thread::sleep(2 * DEADLINE);
        drop(stream);
    };
    let stall = Duration::from_secs(3);
    let mut watched = Watched::start(&http::serve(20, stand_still), Settings { stall, ..quick() });
    while number(&watched.frame().image) < 2 {}
    let at = watched.events.iter().position(|event| *event == EventKind::Stalled { after: stall }).unwrap();
    assert!(matches!(watched.events[at + 1], EventKind::Restarting { .. }), "{:?}", watched.events);
}

#[test]
fn a_server_that_is_not_there_is_named_without_its_password() {
    if !has_ffmpeg("a_server_that_is_not_there_is_named_without_its_password") {
        return;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut watched = Watched::start(&format!("http://me:secret@127.0.0.1:{port}/"), quick());
    let ended = watched.event("the end", |event| matches!(event, EventKind::Ended { .. })).to_string();
    assert!(ended.contains("exit status: 1") && ended.contains("refused") && !ended.contains("secret"), "{ended}");
}

#[test]
fn an_rtsp_stream_is_captured_and_a_server_that_stops_asked_again() {
    if !has_ffmpeg("an_rtsp_stream_is_captured_and_a_server_that_stops_asked_again") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let stream = folder.path().join("stream.h264");
    video(&folder, &["-c:v", "libx264", "-g", "5", "-bf", "0", "-profile:v", "baseline", "-f", "h264"], &stream);
    let mut watched = Watched::start(&rtsp::serve(fs::read(stream).unwrap()), quick());
    check(&watched.frame(), "rtsp");
    watched.event("a second connection", |event| matches!(event, EventKind::Restarting { .. }));
    check(&watched.frame(), "rtsp");
}

/// Twenty pictures as a video, ten a second.
fn video(folder: &TempDir, args: &[&str], output: &Path) {
    (0..20).for_each(|i| picture(i).save(folder.path().join(format!("{i}.png"))).unwrap());
    let pictures = folder.path().join("%d.png");
    let input = ["-framerate", "10", "-i", pictures.to_str().unwrap(), "-pix_fmt", "yuv420p"];
    ffmpeg(&[&input, args].concat(), output);
}

#[test]
fn a_video_is_played_to_its_end() {
    if !has_ffmpeg("a_video_is_played_to_its_end") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("-y film.mp4");
    video(&folder, &["-c:v", "mpeg4", "-q:v", "2"], &file);
    let mut watched = Watched::start(file.to_str().unwrap(), quick());
    let frames = watched.rest();
    check(&frames[0], "video");
    let numbers: Vec<_> = frames.iter().map(|frame| number(&frame.image)).collect();
    assert!(numbers.is_sorted() && numbers.last() == Some(&19), "{numbers:?}");
    let ended = EventKind::Ended { how: "exit status: 0".to_owned(), last_line: None };
    assert_eq!(watched.events, [EventKind::Started, ended]);
    // Again and again.
    let mut watched = Watched::start(file.to_str().unwrap(), Settings { repeat: true, ..quick() });
    while number(&watched.frame().image) < 15 {}
    while number(&watched.frame().image) > 5 {}
    // No video.
    fs::write(folder.path().join("text.mp4"), "dear diary").unwrap();
    let mut watched = Watched::start(folder.path().join("text.mp4").to_str().unwrap(), quick());
    assert!(watched.rest().is_empty());
    let ended = watched.event("the end", |event| matches!(event, EventKind::Ended { .. })).to_string();
    assert!(ended.starts_with("ended: exit status: ") && ended.contains("Invalid data"), "{ended}");
}

#[test]
fn a_folder_is_played_once_or_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    (1..4).for_each(|i| fs::write(folder.path().join(format!("{i}.jpg")), jpeg(&picture(i))).unwrap());
    fs::write(folder.path().join("2a.jpg"), "dear diary").unwrap();
    let source = folder.path().to_str().unwrap();
    let mut watched = Watched::start(source, Settings { fps: 5.0, ..quick() });
    let frames = watched.rest();
    check(&frames[0], "folder");
    assert_eq!(number(&frames.last().unwrap().image), 3);
    assert_eq!(frames.last().unwrap().number, 3, "counted with the damaged one");
    let damaged = watched.event("damage", |event| matches!(event, EventKind::Damaged { .. })).to_string();
    assert!(damaged.contains("2a.jpg"), "{damaged}");
    let mut watched = Watched::start(source, Settings { fps: 50.0, repeat: true, ..quick() });
    while watched.frame().number < 20 {}
}

/// Not a test: a process that captures from its standard input, and writes the numbers that it sees.
#[test]
#[ignore = "is called by others"]
fn capture_standard_input() {
    let Ok(source) = std::env::var("CAMERA_TEST_SOURCE") else { return };
    let watched = Watched::start(&source, quick());
    loop {
        match watched.camera.next(MOMENT) {
            Next::Frame(frame) => println!("\nsaw {}", number(&frame.image)),
            Next::Nothing => {}
            Next::Over => break,
        }
    }
}

#[test]
fn standard_input_is_captured() {
    if !has_ffmpeg("standard_input_is_captured") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    raw_pictures(folder.path(), 3);
    let multipart = |i| [b"--frame\r\nContent-Type: image/jpeg\r\n\r\n", &jpeg(&picture(i))[..], b"\r\n"].concat();
    let raw = |i| fs::read(folder.path().join(format!("frame_{i}.yuv"))).unwrap();
    let streams: [(&str, [Vec<u8>; 3]); 2] =
        [("-", [0, 1, 2].map(multipart)), ("yuv420:640x480:-", [0, 1, 2].map(raw))];
    let name = format!("{}::capture_standard_input", module_path!());
    let name = name.split_once("::").unwrap().1;
    for (source, pictures) in streams {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--ignored", "--nocapture"])
            .env("CAMERA_TEST_SOURCE", source)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // Each is seen, as the next one is not sent before.
        for (i, picture) in pictures.iter().enumerate() {
            stdin.write_all(picture).unwrap();
            let seen = lines.find(|line| line.starts_with("saw")).unwrap();
            assert_eq!(seen, format!("saw {i}"), "{source}");
        }
        drop(stdin);
        assert!(child.wait().unwrap().success(), "{source}");
    }
}

#[test]
fn what_is_missing_is_an_error_at_once() {
    let nowhere = Settings { path: Some("/nowhere".into()), ..quick() };
    let start = |source: &str| Camera::start(&source.parse::<Source>().unwrap(), nowhere.clone()).err().unwrap();
    assert!(matches!(start("rpicam"), CameraError::Missing { package: "rpicam-apps", .. }));
    assert!(matches!(start("rtsp://me:secret@host/"), CameraError::Missing { package: "ffmpeg", .. }));
    assert!(matches!(start("no/such/film.mp4"), CameraError::Read { .. }));
    assert!(matches!(start("/dev/video987"), CameraError::Read { .. }));
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(start(folder.path().to_str().unwrap()), CameraError::EmptyFolder { .. }));
}

#[test]
fn a_device_that_is_no_camera_is_reported() {
    let mut watched = Watched::start("v4l2:/dev/null", quick());
    let ended = watched.event("the end", |event| matches!(event, EventKind::Ended { .. })).to_string();
    assert!(ended.contains("/dev/null"), "{ended}");
}
