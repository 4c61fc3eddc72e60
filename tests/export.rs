//! Exported files, in the programs that they are for.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use topgraft::export::{self, Calibrator, Firmware};
use topgraft::learn::{Classifier, Dataset, Extracted, Model, Scaling, fit};
use topgraft::trunk::{Backbone, Source};
use topgraft::vision::{self, InputTensor, Preprocessor};

use crate::program::{self, DATA, DEMO, Scene, python, succeeds, topgraft};

/// A head for demo photos on a network of the tests' data or of the folder `models`, and the network's file.
fn classifier(network: &Path, cut: Option<&str>, scaling: Scaling) -> Classifier {
    let backbone = Backbone::open(network).expect("opens");
    let cut = cut.unwrap_or_else(|| &backbone.penultimate().expect("a default cut").output);
    let trunk = backbone.cut(cut, &backbone.preprocess().0).expect("cuts");
    let dataset = Dataset::open(Path::new(&format!("{DEMO}/learn"))).expect("demo photos");
    let photos = Extracted::new(&trunk, &dataset, || {});
    let fitted = fit(photos.features.view(), &photos.labels(), dataset.classes.len(), scaling).expect("fits");
    Classifier::new(Model::new(&trunk, dataset.classes, &fitted), trunk).expect("its own trunk")
}

/// Demo photos, taught (`learn`) or not (`new`), as input tensors.
fn inputs(classifier: &Classifier, which: &str) -> Vec<InputTensor> {
    let mut preprocessor = Preprocessor::new(classifier.trunk().preprocess()).expect("valid");
    let photos = topgraft::learn::photos_below(Path::new(&format!("{DEMO}/{which}"))).expect("demo photos");
    photos.iter().map(|photo| preprocessor.apply(&vision::open(photo).expect("a photo"))).collect()
}

fn firmware(classifier: &Classifier, network: &Path) -> (Calibrator, Firmware) {
    let calibrator = Calibrator::new(classifier, Source::open(network).expect("opens")).expect("has a form");
    let inputs = inputs(classifier, "learn");
    let ranges = inputs.iter().map(|input| calibrator.ranges(input)).reduce(|a, b| a.with(&b)).expect("photos");
    let firmware = calibrator.firmware(classifier, ranges).expect("finite");
    (calibrator, firmware)
}

const RUN_ONNX: &str = "
import json, sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
(input,) = session.get_inputs()
pictures = numpy.fromfile(sys.argv[2], numpy.float32).reshape(-1, *input.shape)
names = [output.name for output in session.get_outputs()]
runs = [session.run(names, {input.name: picture[None][0]}) for picture in pictures]
print(json.dumps({
    'outputs': [{name: array.ravel().tolist() for name, array in zip(names, run)} for run in runs],
    'metadata': session.get_modelmeta().custom_metadata_map,
}))
";

/// Exports, runs ONNX Runtime on `inputs`, and compares with what the classifier says.
fn onnx_runtime_agrees(python: &str, classifier: &Classifier, source: Source, inputs: &[InputTensor]) {
    let folder = tempfile::tempdir().expect("a folder");
    let [model, numbers] = ["model.onnx", "input.f32"].map(|name| folder.path().join(name));
    fs::write(&model, export::onnx(classifier, source).expect("exports")).expect("written");
    let bytes = inputs.iter().flatten().flat_map(|x| x.to_le_bytes());
    fs::write(&numbers, bytes.collect::<Vec<u8>>()).expect("written");
    let answer = succeeds(Command::new(python).args(["-c", RUN_ONNX]).arg(&model).arg(&numbers));
    let answer: Value = serde_json::from_str(&answer).expect("JSON");

    let head = classifier.model();
    let metadata = &answer["metadata"];
    assert_eq!(serde_json::from_str::<Value>(metadata["labels"].as_str().expect("text")).unwrap(), json!(head.labels));
    assert_eq!(metadata["head"], head.kind.name());
    assert_eq!(metadata["fingerprint"].as_str().map(str::len), Some(64));
    let outputs = answer["outputs"].as_array().expect("runs");
    assert_eq!(outputs.len(), inputs.len());
    for (output, input) in outputs.iter().zip(inputs) {
        let numbers = |name: &str| -> Vec<f64> {
            output[name].as_array().unwrap_or_else(|| panic!("{name}")).iter().map(|x| x.as_f64().unwrap()).collect()
        };
        let prediction =
            classifier.predict(&classifier.trunk().features(input.clone()).expect("runs")).expect("finite");
        for (ours, theirs) in prediction.probabilities.iter().zip(numbers("probabilities")) {
            assert!((f64::from(*ours) - theirs).abs() < 1e-4, "{prediction:?} {output}");
        }
        assert_eq!(numbers("logits").len(), head.labels.len());
        assert_eq!(prediction.unknown.is_some(), !output["score"].is_null());
        if let Some(rejection) = &head.rejection {
            let (score, threshold) = (numbers("score")[0], f64::from(rejection.threshold));
            let near = (score - threshold).abs() < 1e-4;
            assert!(near || prediction.unknown == Some(score < threshold), "{score} {threshold} {prediction:?}");
        }
    }
}

#[cfg(feature = "embed-backbone")]
#[test]
fn onnx_runtime_gives_our_probabilities_with_the_default_network() {
    let Some(python) = python("onnxruntime, numpy") else { return };
    let backbone = Backbone::embedded().expect("is built in");
    let trunk = backbone.cut("features", &backbone.preprocess().0).expect("cuts");
    let scene = Scene::with_photos(&["birds", "fish", "tools"], 4);
    scene.learn(&[]).succeeds();
    let classifier = Classifier::new(Model::open(&scene.head()).expect("sound"), trunk).expect("its own trunk");
    assert!(classifier.model().rejection.is_some());
    let inputs = inputs(&classifier, "new");
    onnx_runtime_agrees(&python, &classifier, Source::embedded().expect("is built in"), &inputs[..6]);
}

#[test]
fn onnx_runtime_gives_our_probabilities_with_each_scaling_and_pooling() {
    let Some(python) = python("onnxruntime, numpy") else { return };
    // `relu1` is a map, to be averaged; `logits` a name that the head's outputs take; two have nodes of the same names.
    for (file, cut, scaling) in [
        ("tiny.onnx", "features", Scaling::L2),
        ("tiny.onnx", "relu1", Scaling::Standard),
        ("tiny.onnx", "logits", Scaling::None),
        ("tiny_same_names.onnx", "features", Scaling::L2),
        ("tiny_crossed.onnx", "features", Scaling::L2),
        ("tiny_separable.onnx", "features", Scaling::L2),
        ("tiny_separable.onnx", "features", Scaling::CentredL2),
        ("tiny_grey.onnx", "features", Scaling::L2),
        ("tiny_separable.onnx", "stem:max", Scaling::L2),
        // Maps of an odd side: quarters that overlap.
        ("tiny_separable.onnx", "dw:pyramid", Scaling::L2),
        ("tiny_separable.onnx", "stem:pyramid+dw:max+features", Scaling::Standard),
    ] {
        let path = Path::new(DATA).join(file);
        let classifier = classifier(&path, Some(cut), scaling);
        let inputs = inputs(&classifier, "new");
        onnx_runtime_agrees(&python, &classifier, Source::open(&path).expect("opens"), &inputs);
    }
}

#[test]
fn safetensors_reads_the_head() {
    let Some(python) = python("safetensors, numpy") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("head.safetensors");
    let graft = format!("{DATA}/golden_calibrated.graft");
    topgraft(["export", "-m", &graft, "--safetensors", path.to_str().unwrap()]).succeeds();
    let script = "
import json, sys, safetensors
with safetensors.safe_open(sys.argv[1], 'np') as file:
    tensors = {name: file.get_tensor(name) for name in file.keys()}
    print(json.dumps([file.metadata(), {name: [t.shape, t.ravel().tolist()] for name, t in tensors.items()}]))
";
    let read: Value =
        serde_json::from_str(&succeeds(Command::new(python).args(["-c", script]).arg(&path))).expect("JSON");
    let model = Model::open(Path::new(&graft)).expect("sound");
    let tensor = |name: &str| -> (Value, Vec<f32>) {
        let numbers = read[1][name][1].as_array().expect("numbers");
        (read[1][name][0].clone(), numbers.iter().map(|x| x.as_f64().expect("a number") as f32).collect())
    };
    let (n_classes, feature_dim) = (model.head.n_classes(), model.head.feature_dim());
    assert_eq!(tensor("weight"), (json!([n_classes, feature_dim]), model.head.linear().unwrap().weights().to_vec()));
    assert_eq!(tensor("bias"), (json!([n_classes]), model.head.linear().unwrap().bias().to_vec()));
    assert_eq!(read[0]["labels"].as_str(), Some(json!(model.labels).to_string().as_str()));
}

/// Each line a class and the bits of the scores; `bytes` are inputs one after the other.
fn run(program: &Path, bytes: &[u8]) -> String {
    let mut child =
        Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("is piped");
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).expect("is read"));
    let output = child.wait_with_output().expect("ends");
    writer.join().expect("no panic");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

const RUST_MAIN: &str = "
#[path = \"net.rs\"]
mod net;
use std::io::Read;
fn main() {
    let mut arena = net::Arena::new();
    let mut input = [0u8; net::INPUT_LEN];
    let mut stdin = std::io::stdin().lock();
    println!(\"{} {} {}\", net::LABELS[0], net::pixel(0, 0), net::pixel(255, 2));
    while stdin.read_exact(&mut input).is_ok() {
        let mut scores = [0.0; net::N_CLASSES];
        let class = net::predict(&input.map(|byte| byte as i8), &mut arena, &mut scores);
        print!(\"{class}\");
        scores.iter().for_each(|score| print!(\" {:08x}\", score.to_bits()));
        println!();
    }
}
";

const C_MAIN: &str = "
#include <stdio.h>
#include <string.h>
#include \"net.c\"
int main(void)
{
    static int8_t input[NET_INPUT_LEN], arena[NET_ARENA_LEN];
    float scores[NET_N_CLASSES];
    printf(\"%s %d %d\\n\", net_labels[0], net_pixel(0, 0), net_pixel(255, 2));
    while (fread(input, 1, sizeof input, stdin) == sizeof input) {
        printf(\"%d\", net_predict(input, arena, scores));
        for (int n = 0; n < NET_N_CLASSES; n++) {
            uint32_t bits;
            memcpy(&bits, scores + n, sizeof bits);
            printf(\" %08x\", (unsigned)bits);
        }
        printf(\"\\n\");
    }
    return 0;
}
";

/// Compiles both sources, strictly and without an operating system too, and compares them on `inputs` with the interpreter.
fn generated_code_agrees(firmware: &Firmware, inputs: &[Vec<i8>]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let lib = "#![no_std]\n#![deny(warnings)]\npub mod net;\n";
    let c_lib = firmware.to_c("net");
    for (name, text) in [
        ("net.rs", firmware.to_rust().as_str()),
        ("main.rs", RUST_MAIN),
        ("lib.rs", lib),
        ("net.c", &c_lib),
        ("main.c", C_MAIN),
    ] {
        fs::write(path(name), text).expect("written");
    }
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let rust = |args: &[&str]| {
        _ = succeeds(Command::new(&rustc).current_dir(folder.path()).args(["--edition=2024"]).args(args))
    };
    rust(&["--crate-type=lib", "lib.rs"]);
    rust(&["-O", "main.rs", "-o", "rust"]);
    let strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-O2"];
    let c = |compiler: &str, args: &[&str]| {
        _ = succeeds(Command::new(compiler).current_dir(folder.path()).args(strict).args(args));
    };
    c("cc", &["-pedantic", "-fsanitize=undefined", "-fno-sanitize-recover", "main.c", "-o", "c"]);
    let bytes: Vec<u8> = inputs.iter().flatten().map(|q| *q as u8).collect();
    let (rust, c) = (run(&path("rust"), &bytes), run(&path("c"), &bytes));
    assert_eq!(rust, c);
    match on_cortex_m4(folder.path(), inputs) {
        Ok(board) => assert_eq!(rust, board),
        Err(lacks) => program::lacks(&lacks),
    }
    let mut lines = rust.lines();
    assert!(lines.next().expect("a label").starts_with("birds "));
    let mut classes = vec![0; 6];
    for input in inputs {
        let (scores, class) = firmware.predict(input);
        let mut line = class.to_string();
        scores.iter().for_each(|score| write!(line, " {:08x}", score.to_bits()).unwrap());
        assert_eq!(lines.next(), Some(line.as_str()));
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{scores:?}");
        classes[class] += 1;
    }
    assert_eq!(lines.next(), None);
    assert!(classes.iter().filter(|n| **n > 0).count() > 1, "inputs that differ: {classes:?}");
}

/// What the C of `folder` prints on an emulated Cortex-M4F, without an operating system; or what is not there to try it.
fn on_cortex_m4(folder: &Path, inputs: &[Vec<i8>]) -> Result<String, String> {
    for (program, package) in [("arm-none-eabi-gcc", "gcc-arm-none-eabi"), ("qemu-system-arm", "qemu-system-arm")] {
        let lacks = |error| format!("{program} does not run (Debian's {package}): {error}");
        Command::new(program).arg("--version").output().map_err(lacks)?;
    }
    let mut text = format!("#include <stdint.h>\nstatic const int8_t inputs[][{}] = {{\n", inputs[0].len());
    for input in inputs {
        text += &format!("{{{}}},\n", input.iter().map(i8::to_string).collect::<Vec<_>>().join(","));
    }
    fs::write(folder.join("inputs.h"), text + "};\n").expect("written");
    let board = Path::new(DATA).join("cortex_m4");
    let [main, link] = ["main.c", "link.ld"].map(|name| board.join(name));
    let include = folder.to_str().expect("UTF-8");
    succeeds(
        Command::new("arm-none-eabi-gcc")
            .current_dir(folder)
            .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-O2", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard"])
            .args(["-mfpu=fpv4-sp-d16", "-ffreestanding", "-nostdlib", "-I", include, "-T"])
            .args([&link, &main])
            .args(["-lgcc", "-o", "board.elf"]),
    );
    let output = Command::new("qemu-system-arm")
        .args(["-machine", "mps2-an386", "-nographic", "-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(folder.join("board.elf"))
        .output()
        .expect("was there");
    assert!(output.status.success(), "{output:?}");
    // QEMU writes what comes by semihosting to one or the other.
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
    Ok(out + &err)
}

/// Inputs that photos make, and of random numbers as many as are missing to 100.
fn hundred(classifier: &Classifier, calibrator: &Calibrator) -> Vec<Vec<i8>> {
    let mut integers: Vec<Vec<i8>> = inputs(classifier, "new").iter().map(|input| calibrator.quantize(input)).collect();
    let len = integers[0].len();
    let mut seed = 7u64;
    let mut random = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 56) as i8
    };
    integers.push(vec![-128; len]);
    integers.push(vec![127; len]);
    integers.resize_with(100, || (0..len).map(|_| random()).collect());
    integers
}

#[test]
fn generated_rust_and_c_give_the_bits_of_the_interpreter() {
    for (file, cut, scaling) in [
        ("tiny_separable.onnx", "features", Scaling::L2),
        ("tiny_separable.onnx", "flat", Scaling::Standard),
        ("tiny_separable.onnx", "residual", Scaling::None),
        ("tiny_separable.onnx", "pool", Scaling::L2),
        ("tiny_grey.onnx", "features", Scaling::L2),
    ] {
        let path = Path::new(DATA).join(file);
        let classifier = classifier(&path, Some(cut), scaling);
        let (calibrator, firmware) = firmware(&classifier, &path);
        generated_code_agrees(&firmware, &hundred(&classifier, &calibrator));
    }
}

/// Least cosine between the features of trunk and firmware on photos that it was not calibrated with, and to how many of
/// them both give the same class.
fn beside_float(classifier: &Classifier, calibrator: &Calibrator, firmware: &Firmware) -> (f64, usize) {
    let (mut least, mut same) = (1.0f64, 0);
    for input in inputs(classifier, "new") {
        let integers = calibrator.quantize(&input);
        let (ours, float) = (firmware.features(&integers), classifier.trunk().features(input).expect("runs"));
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        least = least.min(dot(&ours, &float) / (dot(&ours, &ours) * dot(&float, &float)).sqrt());
        let class = classifier.predict(&float).expect("finite").class();
        same += usize::from(firmware.predict(&integers).1 == usize::from(class));
    }
    (least, same)
}

#[test]
fn integers_come_near_the_float_model_on_new_photos() {
    let path = Path::new(DATA).join("tiny_separable.onnx");
    let classifier = classifier(&path, None, Scaling::Standard);
    let (calibrator, firmware) = firmware(&classifier, &path);
    let (cosine, same) = beside_float(&classifier, &calibrator, &firmware);
    println!("tiny_separable: cosine at least {cosine:.4}, same class on {same} of 24");
    println!("arena {} bytes, constants {} bytes", firmware.arena_bytes(), firmware.constant_bytes());
    assert!(cosine > 0.99 && same >= 20, "{cosine} {same}");
}

#[test]
fn mobilenet_runs_on_integers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models/mobilenet_v1_0.25.onnx");
    if !path.is_file() {
        println!("skipped: no folder `shared` with more models beside the repository");
        return;
    }
    let classifier = classifier(&path, None, Scaling::L2);
    let (calibrator, firmware) = firmware(&classifier, &path);
    let (cosine, same) = beside_float(&classifier, &calibrator, &firmware);
    println!("mobilenet_v1_0.25: cosine at least {cosine:.4}, same class on {same} of 24");
    println!("arena {} bytes, constants {} bytes", firmware.arena_bytes(), firmware.constant_bytes());
    assert!(cosine > 0.99 && same >= 21, "{cosine} {same}");
    // Two maps of the largest pointwise layer, 64 x 64 x 8 and 64 x 64 x 16, and no more.
    assert_eq!(firmware.arena_bytes(), 64 * 64 * (8 + 16));
    generated_code_agrees(&firmware, &hundred(&classifier, &calibrator)[..30]);
}

#[test]
fn the_command_writes_every_format_and_says_what_they_need() {
    let scene = Scene::with_photos(&["birds", "fish"], 3);
    let network = format!("{DATA}/tiny_separable.onnx");
    assert_eq!(scene.learn(&["--backbone", &network]).code, 0);
    let head = scene.head();
    let out =
        ["net.onnx", "net.safetensors", "net.rs", "net.c"].map(|name| scene.path(name).to_str().unwrap().to_owned());
    let photos = scene.photos();
    let args = [
        ["export", "-m", head.to_str().unwrap(), "--backbone", &network, "--calibrate", photos.to_str().unwrap()]
            .as_slice(),
        &["--onnx", &out[0], "--safetensors", &out[1], "--rust", &out[2], "--c", &out[3]],
    ]
    .concat();
    let json = topgraft(args.iter().chain(&["--json"])).succeeds().json();
    assert_eq!((&json["n_classes"], &json["feature_dim"]), (&json!(2), &json!(12)));
    for (file, path) in json["files"].as_array().unwrap().iter().zip([&out[1], &out[0], &out[2], &out[3]]) {
        assert_eq!(file["path"], json!(path));
        assert_eq!(file["bytes"].as_u64(), Some(fs::metadata(path).expect("is there").len()));
    }
    let firmware = &json["firmware"];
    assert_eq!(firmware["n_samples"], 6);
    let number = |key: &str| firmware[key].as_f64().expect("a number");
    assert!(number("least_cosine") > 0.98 && number("mean_cosine") >= number("least_cosine"), "{firmware}");
    let source = fs::read_to_string(&out[2]).unwrap();
    assert!(source.contains(&format!("pub const ARENA_LEN: usize = {};", number("arena_bytes"))));
    assert!(fs::read_to_string(&out[3]).unwrap().contains("int net_predict("));

    topgraft(&args).refuses(&["is there already", "--force"]);
    let text = topgraft(args.iter().chain(&["--force"])).succeeds().stdout;
    assert!(
        text.contains("bytes of RAM (arena)") && text.contains("same class on") && text.contains("written "),
        "{text}"
    );
    // An exported file is a network like any other.
    let layers = topgraft(["layers", &out[0], "--json"]);
    assert!(layers.json()["layers"].as_array().unwrap().iter().any(|layer| layer["name"] == "probabilities"));
}

#[test]
fn exports_that_cannot_be_made_are_refused_before_anything_is_written() {
    let scene = Scene::with_photos(&["birds", "fish"], 2);
    let network = format!("{DATA}/tiny_sigmoid.onnx");
    assert_eq!(scene.learn(&["--backbone", &network, "--cut", "sigmoid"]).code, 0);
    let head = scene.head();
    let [c, folder, photos] = [scene.path("x.c"), scene.path("no/x.c"), scene.photos()];
    let [head, c, folder, photos] = [&head, &c, &folder, &photos].map(|path| path.to_str().unwrap());
    let export = |more: &[&str]| topgraft(["export", "-m", head].iter().chain(more));

    export(&[]).refuses(&["--onnx"]);
    export(&["--c", c]).refuses(&["--calibrate"]);
    export(&["--onnx", folder]).refuses(&["no: no such folder to write to"]);
    export(&["--onnx", c, "--c", c, "--calibrate", photos]).refuses(&["x.c: is the name of two of the files"]);
    let again = scene.path("./../").join(scene.path("").file_name().unwrap()).join("x.c");
    export(&["--onnx", c, "--safetensors", again.to_str().unwrap()]).refuses(&["is the name of two of the files"]);
    let before = std::fs::read(head).unwrap();
    export(&["--onnx", head, "--force"]).refuses(&["test.graft: is read, so it cannot be written"]);
    assert_eq!(std::fs::read(head).unwrap(), before);
    export(&["--safetensors", photos]).refuses(&["is a folder"]);
    export(&["--onnx", c]).refuses(&["taught on backbone `tiny_sigmoid`", "another network"]);
    export(&["--backbone", &network, "--c", c, "--calibrate", photos]).refuses(&[
        "operator Sigmoid at layer sigmoid",
        "cut before that layer",
        "--onnx",
    ]);
    topgraft(["export", "-m", &network, "--safetensors", c]).refuses(&["tiny_sigmoid.onnx: not a head file"]);
    let separable = format!("{DATA}/tiny_separable.onnx");
    assert_eq!(scene.learn(&["--backbone", &separable, "--scaling", "centred-l2", "--force"]).code, 0);
    export(&["--backbone", &separable, "--c", c, "--calibrate", photos])
        .refuses(&["the scaling centred-l2", "--scaling l2"]);

    fs::remove_file(head).unwrap();
    let network = format!("{DATA}/tiny_separable.onnx");
    assert_eq!(scene.learn(&["--backbone", &network]).code, 0);
    let empty = scene.path("empty");
    fs::create_dir(&empty).unwrap();
    let to_c = |photos: &str| export(&["--backbone", &network, "--c", c, "--calibrate", photos]);
    to_c(empty.to_str().unwrap()).refuses(&["empty: no photo in this folder"]);
    to_c(scene.path("nowhere").to_str().unwrap()).refuses(&["nowhere"]);
    fs::write(empty.join("x.jpg"), "no photo").unwrap();
    let run = to_c(empty.to_str().unwrap());
    assert!(run.code == 2 && run.stderr.contains("skipped") && run.stdout.is_empty(), "{}", run.stderr);
    assert!(!scene.path("x.c").exists() && !scene.path("no").exists());
}
