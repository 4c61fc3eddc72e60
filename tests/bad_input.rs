//! Wrong and hostile input: one clear line, exit code 2, nothing lost, nothing half-written.

use std::fs;

use crate::program::{DATA, DEMO, Scene, topgraft};

#[test]
fn folders_that_cannot_be_learned_from() {
    let scene = Scene::empty();
    scene.learn(&[]).refuses(&["photos: no class in it", "make one folder per class"]);
    scene.is_untouched();

    let missing = scene.path("nowhere");
    topgraft(["learn", missing.to_str().unwrap(), "-o", scene.head().to_str().unwrap()])
        .refuses(&["nowhere: no such folder", "one folder of photos per class"]);
    let file = format!("{DATA}/tiny.onnx");
    topgraft(["learn", &file, "-o", scene.head().to_str().unwrap()]).refuses(&["tiny.onnx: is a file"]);

    let one_class = Scene::with_photos(&["birds"], 3);
    one_class.learn(&[]).refuses(&["only one class, `birds`", "add a folder"]);
    one_class.is_untouched();

    let one_photo = Scene::with_photos(&["birds", "fish"], 2);
    one_photo.copy(format!("{DEMO}/new/tools/wrench.jpg"), "tools/wrench.jpg");
    one_photo.learn(&[]).refuses(&["class `tools` has 1 usable photo", "add photos"]);
    one_photo.is_untouched();
    fs::remove_file(one_photo.photos().join("tools/wrench.jpg")).unwrap();
    one_photo.learn(&[]).refuses(&["tools: no photo in this class", "remove the folder"]);

    let few = Scene::with_photos(&["birds", "fish"], 2);
    few.learn(&["--shots", "3"])
        .refuses(&["class `birds` has 2 usable photos, fewer than the 3 shots", "lower --shots"]);
    few.is_untouched();

    let loose = Scene::empty();
    loose.copy(format!("{DEMO}/new/tools/wrench.jpg"), "wrench.jpg");
    loose.learn(&[]).refuses(&["holds 1 photo but no class"]);
}

#[test]
fn photos_that_cannot_be_read_are_named_skipped_and_counted() {
    let scene = Scene::with_photos(&["birds", "tools"], 4);
    scene.copy(format!("{DATA}/formats/truncated.jpg"), "birds/cut_off.jpg");
    scene.copy(format!("{DATA}/formats/text.jpg"), "tools/text.jpg");
    scene.copy(format!("{DATA}/formats/empty.jpg"), "tools/empty.jpg");
    scene.copy(format!("{DATA}/formats/huge_header.png"), "tools/huge_header.png");
    let run = scene.learn(&["--json"]);
    assert_eq!(run.code, 2, "the exit code says so");
    let lines: Vec<_> = run.stderr.lines().collect();
    assert_eq!(lines.len(), 4, "{}", run.stderr);
    for (line, name) in lines.iter().zip(["cut_off.jpg", "empty.jpg", "huge_header.png", "text.jpg"]) {
        assert!(line.starts_with("topgraft: skipped ") && line.contains(name), "{line}");
    }
    let json = run.json();
    assert_eq!((json["n_samples"].as_u64(), json["skipped"].as_array().unwrap().len()), (Some(8), 4));
    assert!(json["skipped"][0]["error"].as_str().unwrap().contains("cut_off.jpg"));
    // The head was learned from the good ones and is the same as without the others.
    let head = fs::read(scene.head()).unwrap();
    let clean = Scene::with_photos(&["birds", "tools"], 4);
    clean.learn(&[]).succeeds();
    assert_eq!(fs::read(clean.head()).unwrap(), head);

    let text = scene.learn(&["--force"]);
    assert_eq!(text.code, 2);
    assert!(text.stdout.contains("4 of 12 photos could not be read"), "{}", text.stdout);

    let head = scene.head();
    let run = topgraft(["eval", "-m", head.to_str().unwrap(), scene.photos().to_str().unwrap(), "--json"]);
    assert_eq!((run.code, run.json()["skipped"].as_array().unwrap().len()), (2, 4));
    let run = topgraft(["classify", "-m", head.to_str().unwrap(), scene.photos().to_str().unwrap(), "--json"]);
    assert_eq!(run.code, 2);
    let errors = run.json_lines().iter().filter(|line| line["error"].is_string()).count();
    assert_eq!((run.json_lines().len(), errors), (12, 4));
}

#[test]
fn a_class_that_is_left_with_one_photo_is_refused_and_no_head_is_written() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    let photo = fs::read_dir(scene.photos().join("tools")).unwrap().next().unwrap().unwrap().path();
    fs::write(&photo, "not a photo").unwrap();
    let run = scene.learn(&[]);
    assert_eq!(run.code, 2);
    let lines: Vec<_> = run.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.stderr);
    assert!(lines[0].contains("skipped") && lines[1].contains("class `tools` has 1 usable photo"), "{}", run.stderr);
    scene.is_untouched();
}

#[test]
fn a_head_file_is_never_written_over_or_half_written() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    fs::write(scene.head(), "mine").unwrap();
    scene.learn(&[]).refuses(&["test.graft: is there already", "--force"]);
    assert_eq!(fs::read(scene.head()).unwrap(), b"mine");
    fs::remove_file(scene.head()).unwrap();

    let photos = scene.photos();
    let learn_to = |to: &str| topgraft(["learn", photos.to_str().unwrap(), "-o", scene.path(to).to_str().unwrap()]);
    learn_to("no/folder/x.graft").refuses(&["no/folder: no such folder"]);
    for name in ["foo/", "foo/."] {
        learn_to(name).refuses(&["foo/", "is the name of a folder; give the name of a file"]);
    }
    let photos_again = topgraft(["learn", photos.to_str().unwrap(), "-o", photos.to_str().unwrap(), "--force"]);
    photos_again.refuses(&["photos: is a folder"]);
    scene.is_untouched();
}

#[test]
fn folders_that_cannot_be_reviewed() {
    let scene = Scene::with_photos(&["birds"], 3);
    let review =
        |scene: &Scene, more: &[&str]| topgraft(["review", scene.photos().to_str().unwrap()].iter().chain(more));
    topgraft(["review", "/no/such/folder"]).refuses(&["/no/such/folder: no such folder"]);
    review(&scene, &[]).refuses(&["only one class, `birds`"]);
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    review(&scene, &["--cut", "feature"]).refuses(&["no layer feature"]);
    assert_eq!(review(&scene, &["--top", "0"]).code, 2);
    scene.copy(format!("{DATA}/formats/truncated.jpg"), "birds/cut_off.jpg");
    let run = review(&scene, &["--json"]);
    assert_eq!((run.code, run.json()["n_samples"].as_u64()), (2, Some(4)));
    assert!(run.json()["skipped"][0]["path"].as_str().unwrap().ends_with("cut_off.jpg"), "{}", run.stdout);
    assert!(run.stderr.starts_with("topgraft: skipped ") && run.stderr.lines().count() == 1, "{}", run.stderr);
    fs::write(scene.photos().join("tools").read_dir().unwrap().next().unwrap().unwrap().path(), "text").unwrap();
    let run = review(&scene, &[]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("class `tools` has 1 usable photo"), "{}", run.stderr);
}

#[test]
fn damaged_head_files() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    scene.learn(&[]).succeeds();
    let sound = fs::read(scene.head()).unwrap();
    let photo = format!("{DEMO}/new/birds/pigeon.jpg");
    let damaged = scene.path("damaged.graft");
    let damaged = damaged.to_str().unwrap();
    let classify = || topgraft(["classify", "-m", damaged, &photo]);

    classify().refuses(&["damaged.graft", "No such file", "topgraft learn"]);
    fs::write(damaged, &sound[..sound.len() / 2]).unwrap();
    classify().refuses(&["damaged.graft: cut off", "teach it again"]);
    topgraft(["inspect", damaged]).refuses(&["damaged.graft: cut off"]);
    topgraft(["eval", "-m", damaged, DEMO]).refuses(&["damaged.graft: cut off"]);
    let mut flipped = sound.clone();
    flipped[sound.len() / 2] ^= 0x10;
    fs::write(damaged, &flipped).unwrap();
    classify().refuses(&["damaged.graft: damaged: its checksum"]);
    fs::write(damaged, "hello").unwrap();
    classify().refuses(&["damaged.graft: not a head file"]);
    fs::write(damaged, "").unwrap();
    classify().refuses(&["damaged.graft: not a head file"]);
    topgraft(["inspect", DATA]).refuses(&[DATA]);
}

#[test]
fn a_head_on_the_wrong_trunk() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    scene.learn(&[]).succeeds();
    let (head, tiny) = (scene.head(), format!("{DATA}/tiny.onnx"));
    let photo = format!("{DEMO}/new/birds/pigeon.jpg");
    let words = [
        "test.graft: the head was taught on backbone `efficientnet_lite0` cut at `features`",
        "this `tiny` is another network",
        "--backbone",
    ];
    topgraft(["classify", "-m", head.to_str().unwrap(), "--backbone", &tiny, &photo]).refuses(&words);
    topgraft(["eval", "-m", head.to_str().unwrap(), "--backbone", &tiny, DEMO]).refuses(&["no class of that name"]);
    let new = format!("{DEMO}/new");
    let mut of_two = Scene::with_photos(&["birds", "tools"], 2).photos();
    of_two.clone_from(&scene.photos());
    topgraft(["eval", "-m", head.to_str().unwrap(), "--backbone", &tiny, of_two.to_str().unwrap()]).refuses(&words);
    topgraft(["eval", "-m", head.to_str().unwrap(), &new])
        .refuses(&["fish: the head knows no class of that name, only birds, tools"]);
}

#[test]
fn files_that_are_no_network_and_layers_that_are_not_there() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    let text = scene.path("model.onnx");
    fs::write(&text, "this is not a network").unwrap();
    let text = text.to_str().unwrap();
    scene.learn(&["--backbone", text]).refuses(&["model.onnx", "not an ONNX network"]);
    topgraft(["layers", text]).refuses(&["model.onnx", "not an ONNX network"]);
    let tiny = fs::read(format!("{DATA}/tiny.onnx")).unwrap();
    fs::write(text, &tiny[..tiny.len() / 2]).unwrap();
    topgraft(["layers", text]).refuses(&["model.onnx", "not an ONNX network"]);
    topgraft(["layers", "/no/such/model.onnx"]).refuses(&["/no/such/model.onnx"]);
    topgraft(["layers", &format!("{DATA}/tiny_two_inputs.onnx")]).refuses(&["2 inputs"]);
    fs::remove_file(text).unwrap();
    topgraft(["layers", &format!("{DATA}/golden.graft")])
        .refuses(&["golden.graft is not an ONNX network: it is a head file (.graft); give that as -m HEAD.graft"]);

    scene.learn(&["--cut", "feature"]).refuses(&["no layer feature", "nearest names are features"]);
    scene.learn(&["--cut", "b1_expnd"]).refuses(&["no layer b1_expnd", "b1_expand"]);
    scene.is_untouched();
}

#[test]
fn wrong_usage() {
    for (args, words) in [
        (&["learn"][..], &["required arguments", "--output <HEAD.graft>", "<PHOTOS>", "--help"][..]),
        (&["classify", "x.jpg"], &["--model <HEAD.graft>"]),
        (&["unknown"], &["unrecognized subcommand 'unknown'"]),
        (&["lern", "x"], &["'lern'; some similar subcommands exist: 'layers', 'learn'"]),
        (&["learn", "x", "-o", "y", "--shots", "1"], &["'1' for '--shots <N>'"]),
        (&["learn", "x", "-o", "y", "--unknown-rate", "50"], &["from 0 to below 50"]),
        (&["learn", "x", "-o", "y", "--unknown-rate", "-1"], &["from 0 to below 50"]),
        (&["learn", "x", "-o", "y", "--unknown-rate", "NaN"], &["from 0 to below 50"]),
        (&["learn", "x", "-o", "y", "--max-memory", "-1"], &["from 1 to 9000T"]),
        (&["learn", "x", "-o", "y", "--class-weights", "a=1e30"], &["from 0.0001 to 10000"]),
    ] {
        topgraft(args).refuses(words);
    }
    let help = topgraft(["learn", "--help"]).succeeds();
    assert!(help.stdout.contains("Usage: topgraft learn"), "{}", help.stdout);
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    scene.learn(&[]).succeeds();
    let run =
        topgraft(["classify", "-m", scene.head().to_str().unwrap(), "/no/photo.jpg", scene.path("").to_str().unwrap()]);
    assert_eq!(run.code, 2);
    assert_eq!(run.stdout.lines().count(), 4, "the folder's photos are classified all the same");
    assert!(run.stderr.contains("/no/photo.jpg") && run.stderr.lines().count() == 1, "{}", run.stderr);
}

#[test]
fn a_name_of_several_layers_is_no_cut() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    let run = scene.learn(&["--backbone", &format!("{DATA}/tiny_same_names.onnx"), "--cut", "op"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("has 7 layers named op; cut at one of them by its output: conv1, relu1, conv2 ..."));
    scene.is_untouched();
}

#[cfg(target_os = "linux")]
#[test]
fn a_standard_error_that_cannot_be_written_loses_no_work() {
    use std::process::Command;
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    scene.copy(format!("{DATA}/formats/truncated.jpg"), "birds/cut_off.jpg");
    let run = |args: &[&str]| {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        Command::new(env!("CARGO_BIN_EXE_topgraft")).args(args).stderr(full).output().unwrap()
    };
    let (photos, head, tiny) = (scene.photos(), scene.head(), format!("{DATA}/tiny.onnx"));
    let (photos, head) = (photos.to_str().unwrap(), head.to_str().unwrap());
    // A warning, then a photo that is skipped.
    let learned = run(&["learn", photos, "-o", head, "--backbone", &tiny]);
    assert_eq!(learned.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&learned.stdout).contains("written"));
    assert_eq!(run(&["classify", "-m", head, "--backbone", &tiny, photos]).status.code(), Some(2));
    assert_eq!(run(&["inspect", "/no/such.graft"]).status.code(), Some(2));
}

#[cfg(unix)]
#[test]
fn control_characters_in_names_are_escaped_for_people_and_exact_in_json() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    let name = "pi\n\u{1b}[31mgeon.jpg";
    let photo = scene.path(name);
    let photo = photo.to_str().unwrap();
    fs::copy(format!("{DEMO}/new/birds/pigeon.jpg"), photo).unwrap();
    scene.learn(&[]).succeeds();
    let head = scene.head();
    let head = head.to_str().unwrap();
    let text = topgraft(["classify", "-m", head, photo]).succeeds().stdout;
    assert!(text.contains("pi\\n\\u{1b}[31mgeon.jpg: birds") && text.lines().count() == 1, "{text}");
    assert_eq!(topgraft(["classify", "-m", head, photo, "--json"]).succeeds().json()["path"], photo);
    fs::write(photo, "not a photo").unwrap();
    let run = topgraft(["classify", "-m", head, photo]);
    assert!(run.stderr.contains("pi\\n\\u{1b}[31mgeon.jpg") && run.stderr.lines().count() == 1, "{}", run.stderr);
    topgraft(["inspect", photo]).refuses(&["pi\\n\\u{1b}[31mgeon.jpg: not a head file"]);

    // A layer's name: the node `relu1` of tiny.onnx.
    let network = scene.path("network.onnx");
    let mut bytes = fs::read(format!("{DATA}/tiny.onnx")).unwrap();
    let at = bytes.windows(7).position(|bytes| bytes == b"\x1a\x05relu1").unwrap();
    bytes[at + 2..at + 7].copy_from_slice(b"r\x1b[1m");
    fs::write(&network, bytes).unwrap();
    let text = topgraft(["layers", network.to_str().unwrap()]).succeeds().stdout;
    assert!(text.contains("r\\u{1b}[1m") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_decoder_that_panics_says_nothing_of_its_own() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    // The photo of the unit test in src/vision/decode.rs.
    let hex = "524946467c000000574542505650384c700000002fff802a000d7521a2ffc19a808808f2b06d9b22b9b1b56fec7e2212\
               8bab596ab18c036bf630bfccccccccccccccccef6666661e1e0f2ddb6392644b6eb5a4c6a2e488e7a8cc88c8ac9ecdd9\
               d626479224491711318b880233378fc8868377f3febb799159613c13151e6e668a449809";
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    scene.write("birds/panics.webp", &bytes);
    let run = scene.learn(&[]);
    assert_eq!((run.code, run.stderr.lines().count()), (2, 1), "{}", run.stderr);
    assert!(run.stderr.contains("panics.webp: it cannot be decoded (the decoder panicked)"), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn force_replaces_files_only() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    let pipe = scene.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (photos, pipe) = (scene.photos(), pipe.to_str().unwrap());
    topgraft(["learn", photos.to_str().unwrap(), "-o", pipe, "--force"])
        .refuses(&[pipe, "is a device, a pipe or a socket, not a file; give the name of a file"]);
    assert!(!fs::metadata(pipe).unwrap().is_file());
}

#[cfg(unix)]
#[test]
fn entries_of_a_folder_that_cannot_be_read_are_skipped_photos() {
    use std::os::unix::fs::symlink;
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    let photos = scene.photos();
    symlink("self", photos.join("birds/self")).unwrap();
    symlink("/no/such/photo.jpg", photos.join("tools/dangling.jpg")).unwrap();
    let run = scene.learn(&["--json"]);
    assert_eq!((run.code, run.stderr.lines().count()), (2, 2), "{}", run.stderr);
    assert!(run.stderr.contains("birds/self") && run.stderr.contains("tools/dangling.jpg"), "{}", run.stderr);
    let json = run.json();
    assert_eq!((json["n_samples"].as_u64(), json["skipped"].as_array().unwrap().len()), (Some(4), 2));
    let head = scene.head();
    let run = topgraft(["classify", "-m", head.to_str().unwrap(), photos.to_str().unwrap(), "--json"]);
    assert_eq!((run.code, run.json_lines().len()), (2, 6));

    fs::remove_file(scene.head()).unwrap();
    symlink("/no/such/folder", photos.join("vegetables")).unwrap();
    scene.learn(&[]).refuses(&["vegetables: this class is a link that leads nowhere; mend or remove it"]);
    scene.is_untouched();
}

#[test]
fn an_unreadable_shot_is_replaced_by_another() {
    let scene = Scene::with_photos(&["birds", "tools"], 5);
    for photo in ["birds/bad_1.jpg", "birds/bad_2.jpg", "tools/bad_1.jpg"] {
        scene.copy(format!("{DATA}/formats/truncated.jpg"), photo);
    }
    let mut replaced = false;
    for seed in ["1", "2", "3", "4"] {
        let shots = ["--shots", "3", "--seed", seed, "--json", "--force"];
        let run = scene.learn(&shots);
        let json = run.json();
        assert_eq!((&json["classes"][0]["photos"], &json["classes"][1]["photos"]), (&3.into(), &3.into()), "{json}");
        let skipped = !json["skipped"].as_array().unwrap().is_empty();
        assert_eq!(run.code, if skipped { 2 } else { 0 });
        let head = fs::read(scene.head()).unwrap();
        if skipped && !replaced {
            scene.learn(&shots);
            assert_eq!(fs::read(scene.head()).unwrap(), head, "the same photos each time");
        }
        replaced |= skipped;
    }
    assert!(replaced, "no seed draws a photo that cannot be read; take others");
    let run = scene.learn(&["--shots", "6", "--force"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
    assert!(run.stderr.contains("has 5 usable photos, fewer than the 6 shots asked for"), "{}", run.stderr);
}

#[test]
fn a_network_that_can_be_run_on_no_photo_is_a_failure_of_the_work() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    let nan = format!("{DATA}/tiny_not_finite.onnx");
    let run = scene.learn(&["--backbone", &nan, "--cut", "div"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{}", run.stderr);
    assert!(run.stderr.lines().last().unwrap().contains("feature 0 of the trunk tiny_not_finite/div is not finite"));
    scene.is_untouched();
    let backbone = topgraft::trunk::Backbone::open(std::path::Path::new(&nan)).unwrap();
    let trunk = backbone.cut("div", &backbone.preprocess().0).unwrap();
    let mut model = topgraft::learn::Model::open(format!("{DATA}/golden.graft").as_ref()).unwrap();
    (model.fingerprint, model.cut, model.preprocess) = (trunk.fingerprint(), "div".into(), *trunk.preprocess());
    (model.scaler, model.labels) = (topgraft_core::scaler::Scaler::None, vec!["birds".into(), "tools".into()]);
    model.head = topgraft_core::head::Head::new(2, 4, vec![0.0; 10]).unwrap().into();
    model.save(&scene.head(), false).unwrap();
    for command in ["classify", "eval"] {
        let (head, photos) = (scene.head(), scene.photos());
        let args = [command, "-m", head.to_str().unwrap(), "--backbone", &nan, photos.to_str().unwrap()];
        assert_eq!(topgraft(args).code, 1, "{command}");
    }
    // With one photo that is no photo the fault may be the photos'.
    scene.copy(format!("{DATA}/formats/text.jpg"), "tools/text.jpg");
    assert_eq!(scene.learn(&["--backbone", &nan, "--cut", "div", "--force"]).code, 2);
}

#[test]
fn names_that_no_head_file_can_hold_are_refused_before_the_work() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    // A photo that would be named as skipped, had the work begun.
    scene.copy(format!("{DATA}/formats/text.jpg"), "tools/text.jpg");
    let tiny = fs::read(format!("{DATA}/tiny.onnx")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let network = folder.path().join("net.onnx");
    let refuses = |cut: &str, words: &[&str]| {
        let run = scene.learn(&["--backbone", network.to_str().unwrap(), "--cut", cut]);
        assert!(run.code == 2 && !run.stderr.contains("skipped"), "{}", run.stderr);
        let last = run.stderr.lines().last().unwrap();
        assert!(words.iter().all(|word| last.contains(word)), "{last}");
    };
    // The tensor `relu1`, wherever it stands.
    let mut bytes = tiny.clone();
    for at in 0..bytes.len() - 5 {
        if &bytes[at..at + 5] == b"relu1" {
            bytes[at..at + 5].copy_from_slice(b"re\nu1");
        }
    }
    fs::write(&network, bytes).unwrap();
    refuses("re\nu1", &["net.onnx: a head file cannot hold", "`re\\nu1`", "control characters", "--cut"]);

    fs::write(&network, &tiny).unwrap();
    let catalog = "[[backbone]]\nname = ''\nfile = 'net.onnx'\nmean = [127, 127, 127]\nscale = [9, 9, 9]\n\
                   input = { width = 16, height = 16, layout = 'nchw', channels = 'rgb' }\n\
                   resize = { rule = 'squeeze' }\nfilter = 'bilinear'\n";
    fs::write(folder.path().join("catalog.toml"), catalog).unwrap();
    refuses("gap", &["net.onnx: a head file cannot hold this network's name", "`name` in the catalog.toml"]);
    scene.is_untouched();
}

#[test]
fn a_head_of_huge_weights_is_refused_by_name() {
    let scene = Scene::with_photos(&["birds", "tools"], 2);
    scene.learn(&[]).succeeds();
    let mut model = topgraft::learn::Model::open(&scene.head()).unwrap();
    model.head.linear_mut().unwrap().parameters_mut().fill(3e38);
    model.save(&scene.head(), true).unwrap();
    let (head, photos) = (scene.head(), scene.photos());
    for command in ["classify", "eval"] {
        topgraft([command, "-m", head.to_str().unwrap(), photos.to_str().unwrap()])
            .refuses(&["test.graft: the head's number for class `birds` is not finite", "teach it again"]);
    }
}

#[test]
fn a_demo_whose_new_photos_cannot_be_read_has_no_accuracy() {
    let scene = Scene::empty();
    for (class, photo) in [("birds", "pigeon"), ("tools", "wrench")] {
        let learn = fs::read_dir(format!("{DEMO}/learn/{class}")).unwrap().map(|entry| entry.unwrap().path());
        for (i, photo) in learn.take(2).enumerate() {
            scene.copy(photo, &format!("learn/{class}/{i}.jpg"));
        }
        scene.copy(format!("{DATA}/formats/text.jpg"), &format!("new/{class}/{photo}.jpg"));
    }
    let photos = scene.photos();
    let run = topgraft(["demo", photos.to_str().unwrap()]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(!run.stdout.contains("NaN") && run.stdout.contains("none of them could be read"), "{}", run.stdout);
    let json = topgraft(["demo", photos.to_str().unwrap(), "--json"]).json();
    assert_eq!((&json["new"]["accuracy"], json["new"]["n_samples"].as_u64()), (&serde_json::Value::Null, Some(0)));
}

#[test]
fn samples_are_not_exported_as_weights_and_a_damaged_file_of_them_is_refused() {
    let scene = Scene::with_photos(&["birds", "tools"], 3);
    scene.learn(&["--head", "nearest"]).succeeds();
    let (head, photos) = (scene.head(), scene.photos());
    let (head, photos) = (head.to_str().unwrap(), photos.to_str().unwrap());
    let out = scene.path("out");
    let out = out.to_str().unwrap();
    for format in ["--onnx", "--safetensors", "--rust", "--c"] {
        topgraft(["export", "-m", head, format, out, "--calibrate", photos])
            .refuses(&["test.graft: the head is of kind nearest", "learn with --head"]);
        assert!(!std::path::Path::new(out).exists(), "{format}");
    }
    let mut bytes = fs::read(head).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(head, &bytes).unwrap();
    for command in ["classify", "eval"] {
        topgraft([command, "-m", head, photos]).refuses(&["test.graft: damaged", "teach it again"]);
    }
    topgraft(["inspect", head]).refuses(&["test.graft: damaged"]);
    let one = format!("{DATA}/golden_nearest.graft");
    topgraft(["classify", "-m", &one, photos]).refuses(&["golden_nearest.graft", "another network"]);
}
