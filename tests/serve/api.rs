//! What the page does, asked for by hand.

use serde_json::{Value, json};
use topgraft::learn::Model;
use topgraft::store::{Features, NewPending, SampleStore};

use super::{CLASSES, Served, photo};

fn count(state: &Value, class: &str) -> u64 {
    let classes = state["classes"].as_array().expect("an array");
    classes.iter().find(|known| known["name"] == class).map_or(0, |known| known["samples"].as_u64().expect("a count"))
}

#[test]
fn frames_are_taught_predicted_measured_and_nothing_is_lost_by_a_restart() {
    let served = Served::new(&[]);
    let empty = served.state();
    assert_eq!((&empty["can_teach"], &empty["classes"], &empty["undo"]), (&json!(true), &json!([]), &Value::Null));
    assert_eq!(empty["unmeasured"], "a head needs two classes");
    served.teach_all(3);
    let measured = served.until(|state| state["measured"].is_object());
    assert_eq!(measured["measured"]["samples"], 9);
    assert_eq!(measured["undo"], "teach tools");
    let seen = served.events().next("seen");
    let total: f64 =
        seen["classes"].as_array().unwrap().iter().map(|class| class["probability"].as_f64().unwrap()).sum();
    assert!((total - 1.0).abs() < 1e-3 && seen["classes"].as_array().unwrap().len() == 3, "{seen}");
    // Taken back, and again.
    let undone = served.json("POST", "/api/undo", &json!({})).is(200).json();
    assert_eq!(undone, json!({ "what": "teach tools", "samples": 1 }));
    assert_eq!(count(&served.state(), "tools"), 2);
    // A head is measured again; then back to the first.
    let later = served.until(|state| state["measured"]["samples"] == 8);
    let heads = served.get("/api/heads").is(200).json();
    let first = heads["heads"].as_array().unwrap().iter().find(|head| head["samples"] == 9).expect("is kept").clone();
    assert_ne!(later["measured"]["version"], first["version"]);
    let path = format!("/api/heads/{}/roll-back", first["version"]);
    assert_eq!(served.json("POST", &path, &json!({})).is(200).json(), json!({ "samples": 1 }));
    assert_eq!(count(&served.state(), "tools"), 3);
    // Downloads are what other commands read.
    served.until(|state| state["measured"]["samples"] == 9);
    let head = served.get("/api/download/head.graft").is(200);
    assert_eq!(head.header("content-disposition"), Some("attachment; filename=\"head.graft\""));
    assert_eq!(Model::parse(&head.body).expect("a head").labels, CLASSES);
    let version = served.get(&format!("/api/heads/{}/file", first["version"])).is(200);
    assert_eq!(Model::parse(&version.body).expect("a head").labels, CLASSES);
    assert!(served.get("/api/download/head.onnx").is(200).body.len() > 1000);
    let copy = served.path("copy.store");
    std::fs::write(&copy, served.get("/api/download/samples.store").is(200).body).expect("writes");
    let before = served.state();
    let samples = SampleStore::open(&copy).expect("a store").samples().expect("reads");
    assert_eq!(samples.len(), 9);
    assert_eq!(SampleStore::open(&copy).expect("a store").check().expect("reads"), []);
    let folder = served.folder.clone();
    assert!(served.end(), "it was asked to end");
    let again = Served::start(folder, Some("tiny"), &[]);
    let after = again.until(|state| state["measured"].is_object());
    for key in ["classes", "undo", "revision", "measured"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    assert_eq!(after["store"]["samples"], 9);
}

#[test]
fn a_hold_teaches_until_it_is_let_go_or_nobody_says_it_any_more() {
    let served = Served::new(&[]);
    let hold = |class: Value| served.json("PUT", "/api/hold", &json!({ "class": class })).is(204);
    served.show(1);
    hold(json!("flowers"));
    served.until(|state| {
        // As a page does.
        served.json("PUT", "/api/hold", &json!({ "class": "flowers", "renews": true })).is(204);
        count(state, "flowers") >= 2
    });
    hold(Value::Null);
    let mut events = served.events();
    events.until(|seen| seen["teaching"].is_null());
    let taught = count(&served.state(), "flowers");
    (0..10).for_each(|_| drop(events.next("seen")));
    assert_eq!(count(&served.state(), "flowers"), taught, "it was let go");
    // A page that is gone says nothing more.
    hold(json!("flowers"));
    events.until(|seen| !seen["teaching"].is_null());
    events.until(|seen| seen["teaching"].is_null());
    // All of one hold is undone together.
    served.json("POST", "/api/undo", &json!({})).is(200);
    assert_eq!(count(&served.state(), "flowers"), taught);
    served.json("POST", "/api/undo", &json!({})).is(200);
    assert_eq!(served.state()["classes"], json!([]));
    served.json("POST", "/api/undo", &json!({})).is(409);
}

/// Two pages.
#[test]
fn who_presses_last_holds_and_nobody_ends_what_another_one_holds() {
    let served = Served::new(&[]);
    served.show(0);
    let hold = |class: Value, holder: &str, renews: bool| {
        served.json("PUT", "/api/hold", &json!({ "class": class, "holder": holder, "renews": renews }))
    };
    hold(json!("one"), "a", false).is(204);
    hold(json!("other"), "b", false).is(204);
    hold(json!("one"), "a", true).is(409);
    hold(Value::Null, "a", false).is(204);
    let mut events = served.events();
    events.until(|seen| seen["teaching"]["class"] == "other");
    hold(Value::Null, "b", false).is(204);
    events.until(|seen| seen["teaching"].is_null());
    served.json("PUT", "/api/hold", &json!({})).is(400);
    served.json("PUT", "/api/hold", &json!(["one"])).is(400);
}

#[test]
fn samples_are_listed_looked_at_moved_removed_and_renamed() {
    let served = Served::new(&[]);
    served.teach_all(2);
    let list = |query: &str| served.get(&format!("/api/samples?{query}")).is(200).json();
    let birds = list("class=birds");
    let ids: Vec<i64> =
        birds["samples"].as_array().unwrap().iter().map(|sample| sample["id"].as_i64().unwrap()).collect();
    assert!(ids.len() == 2 && ids[0] > ids[1] && birds["more"] == false, "{birds}");
    assert_eq!(list("class=birds&limit=1")["more"], true);
    assert_eq!(list(&format!("class=birds&before={}", ids[0]))["samples"][0]["id"], ids[1]);
    assert_eq!(list("class=nobody")["samples"], json!([]));
    let picture = served.get(&format!("/api/samples/{}/photo", ids[0])).is(200);
    assert_eq!(picture.header("content-type"), Some("image/jpeg"));
    let small = served.get(&format!("/api/samples/{}/thumbnail", ids[0])).is(200);
    let small = topgraft::vision::decode(&small.body).expect("a JPEG");
    assert_eq!(small.width().max(small.height()), 128);
    // Moved to a class with a blank in its name, which is renamed in a path.
    served.json("PATCH", &format!("/api/samples/{}", ids[0]), &json!({ "class": "big birds" })).is(204);
    assert_eq!(count(&served.state(), "big birds"), 1);
    let renamed = served.json("PATCH", "/api/classes/big%20birds", &json!({ "name": "birds" })).is(200).json();
    assert_eq!((renamed, count(&served.state(), "birds")), (json!({ "samples": 1 }), 2));
    served.json("DELETE", &format!("/api/samples/{}", ids[1]), &json!({})).is(204);
    served.get(&format!("/api/samples/{}", ids[1])).is(405);
    assert_eq!(served.json("DELETE", "/api/classes/birds", &json!({})).is(200).json(), json!({ "samples": 1 }));
    assert_eq!(served.state()["classes"].as_array().unwrap().len(), 2);
    for (method, path) in [
        ("DELETE", "/api/samples/999"),
        ("DELETE", "/api/classes/birds"),
        ("GET", "/api/samples/999/photo"),
        ("GET", "/api/samples/x/photo"),
        ("GET", "/api/heads/999/file"),
        ("POST", "/api/heads/999/roll-back"),
        ("DELETE", "/api/pending/999"),
        ("GET", "/api/nothing"),
        ("GET", "/nothing"),
    ] {
        served.json(method, path, &json!({})).is(404);
    }
    served.json("PUT", "/api/state", &json!({})).is(405);
}

#[test]
fn photos_that_are_sent_are_taught_classified_and_imported() {
    let served = Served::new(&[]);
    let send = |path: &str, kind: &str, body: &[u8]| served.call("POST", path, &[("Content-Type", kind)], body);
    send("/api/classify", "image/jpeg", &photo()).is(409);
    served.teach_all(2);
    let taught = send("/api/samples?class=new%20ones", "image/jpeg", &photo()).is(201).json();
    assert_eq!(
        (&taught["taught"], &taught["samples"], &taught["class"]),
        (&json!("new"), &json!(1), &json!("new ones"))
    );
    let again = send("/api/samples?class=tools", "", &photo()).is(201).json();
    assert_eq!((&again["taught"], &again["id"]), (&json!("moved"), &taught["id"]));
    // One from a phone is kept smaller.
    let large = topgraft::vision::encode_jpeg(&image::RgbImage::from_pixel(3000, 1500, image::Rgb([9, 90, 200])));
    let large = send("/api/samples?class=blue", "image/jpeg", &large).is(201).json();
    let kept = served.get(&format!("/api/samples/{}/photo", large["id"])).is(200);
    assert_eq!(topgraft::vision::decode(&kept.body).expect("a photo").dimensions(), (1280, 640));
    let classified = send("/api/classify", "image/jpeg", &photo()).is(200).json();
    assert_eq!(classified["classes"].as_array().unwrap().len(), 4, "{classified}");
    send("/api/samples?class=tools", "image/jpeg", b"no photo").is(422);
    send("/api/samples?class=tools", "text/plain", &photo()).is(415);
    send("/api/samples", "image/jpeg", &photo()).is(400);
    // A zip, as Teachable Machine and `topgraft store export` make it.
    let archive = archive(&[("set/fish/a.jpg", &photo()), ("set/fish/b.jpg", b"broken"), ("set/notes.txt", b"x")]);
    let imported = send("/api/import", "application/zip", &archive).is(200).json();
    assert_eq!((&imported["new"], &imported["moved"]), (&json!(0), &json!(1)), "{imported}");
    assert!(imported["skipped"][0].as_str().unwrap().starts_with("the archive/set/fish/b.jpg: "), "{imported}");
    served.until(|state| count(state, "fish") == 1);
    send("/api/import", "application/zip", b"no archive").is(422);
}

/// Names and contents, not packed.
pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("begins");
        zip.write_all(content).expect("writes");
    }
    zip.finish().expect("ends").into_inner()
}

/// A photo of one colour, which differs from all others.
fn coloured(rgb: [u8; 3], number: u8) -> Vec<u8> {
    let noise = |x: u32, y: u32| ((x * 7 + y * 13 + u32::from(number) * 29) % 23) as u8;
    topgraft::vision::encode_jpeg(&image::RgbImage::from_fn(64, 64, |x, y| {
        image::Rgb(rgb.map(|level| level.saturating_add(noise(x, y))))
    }))
}

#[test]
fn samples_are_looked_through_and_what_is_in_the_wrong_class_is_found() {
    let served = Served::new(&[]);
    served.get("/api/review").is(409);
    let send = |class: &str, photo: &[u8]| {
        let path = format!("/api/samples?class={class}");
        served.call("POST", &path, &[("Content-Type", "image/jpeg")], photo).is(201).json()["id"].clone()
    };
    for number in 0..8 {
        send("red", &coloured([200, 20, 20], number));
        send("blue", &coloured([20, 20, 200], number));
    }
    let wrong = send("red", &coloured([20, 20, 200], 99));
    let found = served.get("/api/review").is(200).json();
    assert_eq!(found["revision"], served.state()["revision"]);
    let suspects = found["suspects"].as_array().unwrap();
    let suspect = suspects.iter().find(|suspect| suspect["id"] == wrong).unwrap_or_else(|| panic!("{found}"));
    assert_eq!((&suspect["class"], &suspect["predicted"]), (&json!("red"), &json!("blue")));
    assert!(!found["duplicates"].as_array().unwrap().is_empty(), "{found}");
    // As it is known then, at once; and anew after a change.
    assert_eq!(served.get("/api/review").is(200).json(), found);
    served.json("PATCH", &format!("/api/samples/{wrong}"), &json!({ "class": "blue" })).is(204);
    let mended = served.get("/api/review").is(200).json();
    assert!(!mended["suspects"].as_array().unwrap().iter().any(|suspect| suspect["id"] == wrong), "{mended}");
}

#[test]
fn frames_that_wait_get_a_label_or_are_dropped() {
    let folder = std::sync::Arc::new(tempfile::tempdir().expect("a folder"));
    let mut store = SampleStore::open_or_create(&folder.path().join("x.store")).expect("opens");
    for number in 0..2 {
        let features = Features { trunk: [7; 32], numbers: &[f32::from(number), 1.0] };
        let (photo, time) = (&coloured([9, 99, 9], number)[..], std::time::SystemTime::now());
        let frame = NewPending { photo, source: "camera", time, guess: "cat", probability: 0.4, features };
        store.keep_pending(&frame, 10).expect("keeps");
    }
    drop(store);
    let served = Served::start(folder, Some("tiny"), &[]);
    assert_eq!(served.state()["store"]["pending"], 2);
    let frames = served.get("/api/pending").is(200).json();
    assert_eq!((&frames["frames"][0]["id"], &frames["frames"][0]["guess"]), (&json!(2), &json!("cat")), "{frames}");
    assert_eq!(served.get("/api/pending/1/photo").is(200).header("content-type"), Some("image/jpeg"));
    served.json("PATCH", "/api/pending/1", &json!({ "class": "a dog" })).is(204);
    assert_eq!(served.state()["classes"], json!([{ "name": "a dog", "samples": 1 }]));
    served.json("DELETE", "/api/pending/2", &json!({})).is(204);
    served.json("DELETE", "/api/pending/2", &json!({})).is(404);
    served.json("PATCH", "/api/pending/1", &json!({ "class": "a dog" })).is(404);
    assert_eq!(served.get("/api/pending").is(200).json(), json!({ "frames": [] }));
    assert_eq!(served.state()["store"]["pending"], 0);
}

/// The picture as a browser gets it.
#[test]
fn the_live_picture_goes_on() {
    use std::io::{Read, Write};
    let served = Served::new(&[]);
    served.show(2);
    let frame = served.get("/api/frame.jpg").is(200);
    assert!(topgraft::vision::decode(&frame.body).is_ok());
    let mut stream = std::net::TcpStream::connect(&served.address).expect("listens");
    write!(stream, "GET /api/stream HTTP/1.1\r\nHost: {}\r\n\r\n", served.address).expect("is taken");
    let mut bytes = Vec::new();
    let starts = |bytes: &[u8]| bytes.windows(3).filter(|window| *window == [0xff, 0xd8, 0xff]).count();
    while starts(&bytes) < 4 {
        let mut more = [0; 65536];
        let length = stream.read(&mut more).expect("goes on");
        assert!(length > 0, "it ended");
        bytes.extend_from_slice(&more[..length]);
    }
    assert!(String::from_utf8_lossy(&bytes).contains("multipart/x-mixed-replace; boundary=topgraft-frame"));
}
