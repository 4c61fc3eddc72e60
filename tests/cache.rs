//! `learn --cache`: features that are kept.

use std::fs;

use crate::program::{DEMO, Scene};

#[test]
fn a_cache_keeps_features_of_photos_whatever_they_are_called() {
    let scene = Scene::with_photos(&["birds", "fish"], 3);
    let cache = scene.path("features");
    let with_cache = ["--cache", cache.to_str().expect("UTF-8")];
    scene.learn(&with_cache).succeeds();
    let (head, features) = (fs::read(scene.head()).unwrap(), fs::read(&cache).unwrap());
    // As without one; and a second time from the cache alone.
    scene.learn(&["--force"]).succeeds();
    assert_eq!(fs::read(scene.head()).unwrap(), head);
    scene.learn(&["--force", with_cache[0], with_cache[1]]).succeeds();
    assert_eq!((fs::read(scene.head()).unwrap(), fs::read(&cache).unwrap()), (head, features.clone()));
    // A new name changes nothing, a new photo adds one record.
    let bird = fs::read_dir(scene.photos().join("birds")).unwrap().next().unwrap().unwrap().path();
    fs::rename(&bird, bird.with_file_name("another.jpg")).unwrap();
    scene.learn(&["--force", with_cache[0], with_cache[1]]).succeeds();
    assert_eq!(fs::read(&cache).unwrap(), features);
    scene.copy(format!("{DEMO}/new/birds/crowned_crane.jpg"), "birds/crane.jpg");
    scene.learn(&["--force", with_cache[0], with_cache[1]]).succeeds();
    let longer = fs::read(&cache).unwrap();
    assert!(longer.starts_with(&features) && longer.len() == features.len() + 36 + 4 * 1280);
}

#[test]
fn files_of_features_that_are_none_or_of_another_trunk() {
    let scene = Scene::with_photos(&["birds", "fish"], 5);
    let cache = scene.path("features");
    let args = ["--cache", cache.to_str().unwrap()];
    fs::write(&cache, "a shopping list").unwrap();
    scene.learn(&args).refuses(&["features: this is no file of features", "--cache"]);
    assert_eq!(fs::read(&cache).unwrap(), b"a shopping list");
    fs::remove_file(&cache).unwrap();
    scene.learn(&args).succeeds();
    let before = fs::read(&cache).unwrap();
    scene
        .learn(&[args[0], args[1], "--force", "--cut", "gap"])
        .refuses(&["features: these features are of another trunk"]);
    assert_eq!(fs::read(&cache).unwrap(), before);
    // What cannot be written is seen before the photos are read.
    let nowhere = scene.path("nowhere/features");
    scene
        .learn(&["--force", "--cache", nowhere.to_str().unwrap()])
        .refuses(&["nowhere: no such folder", "make it first"]);
    let pipe = scene.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    scene.learn(&["--force", "--cache", pipe.to_str().unwrap()]).refuses(&["pipe: is no file"]);
    // The head would go over the features.
    let head = fs::read(scene.head()).unwrap();
    let folder = scene.path(".");
    fs::write(scene.head(), &before).unwrap();
    let same = folder.join("test.graft");
    scene.learn(&["--force", "--cache", same.to_str().unwrap()]).refuses(&["cannot be the head file too"]);
    assert_eq!(fs::read(scene.head()).unwrap(), before);
    // A disk that is full when the work is done: the head is what counts.
    #[cfg(target_os = "linux")]
    {
        fs::remove_file(scene.head()).unwrap();
        let args = [
            "learn",
            scene.photos().to_str().unwrap(),
            "-o",
            scene.head().to_str().unwrap(),
            "--cache",
            cache.to_str().unwrap(),
        ]
        .map(str::to_owned);
        fs::remove_file(&cache).unwrap();
        assert!(before.len() > head.len() + 1024, "{} {}", before.len(), head.len());
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", head.len() / 512 + 1);
        let run = std::process::Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_topgraft")])
            .args(args)
            .output()
            .unwrap();
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert!(stderr.contains("features: the features cannot be kept"), "{stderr}");
        assert_eq!((run.status.code(), fs::read(scene.head()).unwrap() == head), (Some(1), true), "{stderr}");
    }
}
