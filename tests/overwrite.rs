//! `--force` writes over what was written before, never over what is read.

use std::fs;

use crate::program::{DATA, Scene, topgraft};

fn text(path: std::path::PathBuf) -> String {
    path.into_os_string().into_string().expect("UTF-8")
}

/// A scene of two classes with a head that was learned from them, and one of its photos.
fn learned() -> (Scene, String) {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    scene.learn(&["--head", "softmax"]).succeeds();
    let folder = fs::read_dir(scene.photos().join("birds")).expect("a folder");
    let photo = folder.map(|entry| entry.expect("an entry").path()).min().expect("a photo");
    (scene, text(photo))
}

#[test]
fn a_photo_that_is_learned_from_is_no_place_for_the_head() {
    let (scene, photo) = learned();
    let before = fs::read(&photo).expect("a photo");
    let photos = text(scene.photos());
    topgraft(["learn", &photos, "-o", &photo, "--force"]).refuses(&["cannot be the head file too"]);
    topgraft(["develop", "--source", &photos, "-o", &photo, "--force"]).refuses(&["cannot be the neck too"]);
    assert_eq!(fs::read(&photo).expect("a photo"), before);
}

#[cfg(feature = "report")]
#[test]
fn charts_and_reports_go_over_nothing_that_is_read() {
    let (scene, photo) = learned();
    let photos = text(scene.photos());
    let png = text(scene.path("photos/birds/zebra.png"));
    image::open(&photo).expect("a photo").save(&png).expect("saved");
    let probe = |chart: &str, more: &[&str]| {
        topgraft([&["probe", &photos, "--cut", "features", "--force", "--chart", chart], more].concat())
    };
    let before = fs::read(&png).expect("a photo");
    probe(&png, &[]).refuses(&["zebra.png: cannot be the chart too"]);
    assert_eq!(fs::read(&png).expect("a photo"), before);
    probe(&photo, &[]).refuses(&["give a name that ends in .png"]);
    probe(&text(scene.path("nowhere/c.png")), &[]).refuses(&["nowhere: no such folder", "make it first"]);
    let network = text(scene.path("net.png"));
    fs::copy(format!("{DATA}/tiny.onnx"), &network).expect("copied");
    probe(&network, &["--backbone", &network]).refuses(&["net.png: cannot be the chart too"]);
    assert_eq!(fs::read(&network).unwrap(), fs::read(format!("{DATA}/tiny.onnx")).unwrap());

    let out = scene.path("out");
    fs::create_dir(&out).expect("made");
    let head = text(out.join("confusion.png"));
    fs::copy(scene.head(), &head).expect("copied");
    topgraft(["eval", "-m", &head, &photos, "--report", &text(out), "--force"])
        .refuses(&["confusion.png: cannot be in the report too"]);
    assert_eq!(fs::read(&head).unwrap(), fs::read(scene.head()).unwrap());
}
