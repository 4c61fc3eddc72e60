//! The families of image networks that one meets as ONNX files: each opens, lists its layers, and gives ONNX Runtime's
//! features at every layer that is worth a cut.

use std::fs;
use std::path::Path;
use std::process::Command;

use ndarray::Array4;
use tempfile::TempDir;
use topgraft::trunk::{Backbone, Layer, Pooling};

use crate::parity::{read_npy, relative_error, shared};
use crate::program::{DATA, Scene, python, succeeds, topgraft};

/// The script that writes the networks and runs ONNX Runtime.
struct Families {
    python: String,
    folder: TempDir,
}

impl Families {
    fn new() -> Option<Self> {
        let python = python("onnx, onnxruntime, numpy")?;
        Some(Self { python, folder: tempfile::tempdir().expect("a folder") })
    }

    fn call(&self, verb: &str, arguments: &[&str]) -> String {
        let script = format!("{DATA}/families.py");
        succeeds(Command::new(&self.python).current_dir(&self.folder).args([&script, verb]).args(arguments))
    }

    /// ONNX Runtime's features of `input` at each layer, the maps averaged here.
    fn reference(&self, model: &Path, input: &Array4<f32>, layers: &[&Layer]) -> Vec<Vec<f32>> {
        let (numbers, out) = (self.folder.path().join("input.f32"), self.folder.path().join("out.f32"));
        fs::write(&numbers, input.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()).expect("written");
        let mut arguments = [model, &numbers, &out].map(|path| path.to_str().expect("UTF-8")).to_vec();
        arguments.extend(layers.iter().map(|layer| layer.output.as_str()));
        self.call("run", &arguments);
        let bytes = fs::read(out).expect("written");
        let mut values = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let mut features = |layer: &&Layer| {
            let area: usize = match layer.pooling() {
                Pooling::None => 1,
                _ => layer.shape[2..].iter().product(),
            };
            let mut mean = || values.by_ref().take(area).map(f64::from).sum::<f64>() / area as f64;
            (0..layer.feature_dim).map(|_| mean() as f32).collect()
        };
        let features = layers.iter().map(&mut features).collect();
        assert_eq!(values.next(), None, "{}", model.display());
        features
    }
}

/// The numbers 0 to 1, row-major: the input that the package's expected outputs are of.
fn ramp(backbone: &Backbone) -> Array4<f32> {
    let (preprocess, _) = backbone.preprocess();
    let shape = (1, 3, preprocess.height.into(), preprocess.width.into());
    let n = 3 * usize::from(preprocess.height) * usize::from(preprocess.width);
    Array4::from_shape_vec(shape, (0..n).map(|at| (at as f64 / n as f64) as f32).collect()).expect("its shape")
}

/// Cuts at all of `layers` at once, and at the first, the middle and the last of them alone, give `expected`.
#[track_caller]
fn cuts_agree(backbone: &Backbone, layers: &[&Layer], input: &Array4<f32>, expected: &[Vec<f32>]) {
    let (preprocess, _) = backbone.preprocess();
    let outputs: Vec<&str> = layers.iter().map(|layer| layer.output.as_str()).collect();
    let taps = backbone.taps(&outputs, &preprocess).expect("cuts at all");
    let all = taps.features(input.clone()).expect("runs");
    let mut rest = &all[..];
    for (at, (layer, expected)) in layers.iter().zip(expected).enumerate() {
        let (features, others) = rest.split_at(expected.len());
        rest = others;
        let error = relative_error(features, expected);
        assert!(error < 1e-3, "{}/{}: {error:e}", backbone.name(), layer.name);
        if [0, layers.len() / 2, layers.len() - 1].contains(&at) {
            let trunk = backbone.cut(&layer.output, &preprocess).unwrap_or_else(|error| panic!("{error}"));
            let error = relative_error(&trunk.features(input.clone()).expect("runs"), expected);
            assert!(error < 1e-3, "{}/{} alone: {error:e}", backbone.name(), layer.name);
        }
    }
    assert!(rest.is_empty());
}

#[test]
fn every_family_is_cut_at_every_candidate() {
    let Some(families) = Families::new() else { return };
    for name in families.call("list", &[]).lines() {
        let model = families.folder.path().join(format!("{name}.onnx"));
        families.call("write", &[name, model.to_str().expect("UTF-8")]);
        let backbone = Backbone::open(&model).unwrap_or_else(|error| panic!("{error}"));
        let input = ramp(&backbone);
        let layers = backbone.candidates(usize::MAX);
        let last = backbone.penultimate().expect("a classifier behind features");
        assert_eq!(layers.last().map(|layer| &layer.output), Some(&last.output), "{name}");
        println!(
            "{name}: {} layers, {} candidates, {} features",
            backbone.layers().len(),
            layers.len(),
            last.feature_dim
        );
        cuts_agree(&backbone, &layers, &input, &families.reference(&model, &input, &layers));
        fs::remove_file(&model).expect("removed");

        // As the package has it, with what it is expected to say.
        let light = model.with_extension("onnx.light");
        if light.exists() {
            let backbone = Backbone::open(&light).unwrap_or_else(|error| panic!("{error}"));
            let classifier = backbone.classifier().expect("a classifier");
            let trunk = backbone.cut(&classifier.output, &backbone.preprocess().0).expect("cuts");
            let (_, expected) = read_npy(&model.with_extension("onnx.expected.npy"));
            let error = relative_error(&trunk.features(input).expect("runs"), &expected);
            assert!(error < 1e-3, "{name} with its own weights: {error:e}");
        }
    }
}

#[test]
fn real_networks_agree_at_three_cuts() {
    let (Some(shared), Some(families)) = (shared(), Families::new()) else { return };
    for name in ["efficientnet_lite0", "mobilenet_v2_tv", "mobilenet_v1_0.25", "resnet50_thin_opennsfw"] {
        let model = shared.join(format!("models/{name}.onnx"));
        let backbone = Backbone::open(&model).expect("opens");
        let (shape, input) = read_npy(&shared.join(format!("data/parity/{name}.input.npy")));
        let photo = input[..input.len() / shape[0]].to_vec();
        let input = Array4::from_shape_vec((1, shape[1], shape[2], shape[3]), photo).expect("its shape");
        let layers = backbone.candidates(3);
        assert_eq!(layers.len(), 3);
        cuts_agree(&backbone, &layers, &input, &families.reference(&model, &input, &layers));
    }
}

#[test]
fn networks_that_cannot_be_taken_are_refused_by_what_is_wrong_with_them() {
    let Some(python) = python("onnx, onnxruntime, numpy") else { return };
    let scene = Scene::with_photos(&["birds", "fish"], 2);
    let folder = scene.path("networks");
    fs::create_dir(&folder).expect("a folder");
    let file = |name: &str| folder.join(format!("{name}.onnx")).to_str().expect("UTF-8").to_owned();
    succeeds(Command::new(&python).arg(format!("{DATA}/odd.py")).arg(&folder));
    fs::remove_file(folder.join("external.onnx.data")).expect("is there");
    // 3 GB of nothing, that take no room.
    fs::File::create(file("huge")).expect("created").set_len(3_000_000_000).expect("sparse");
    for (name, words) in [
        ("text", &["2 inputs (input_ids, attention_mask)", "reads text"][..]),
        ("tokens", &["input_ids", "takes f32 pictures"]),
        ("open_size", &["f32 [?, 3, ?, ?]", "catalog.toml"]),
        ("external", &["external.onnx.data", "put that file beside it"]),
        ("unknown", &["FancyAttention at layer fancy", "not supported"]),
        ("bytes", &["not f32 [1, 3, 16, 16]", "takes f32 pictures"]),
        ("huge", &["huge.onnx is larger than 2147483648 bytes", "external data"]),
    ] {
        topgraft(["layers", &file(name)]).refuses(words);
    }
    scene.learn(&["--cut", "input"]).refuses(&["cannot be cut at input, its input", "first layer is stem"]);

    // Quantised operators run, and give ONNX Runtime's features; for lack of sums in 32 bits exactly, up to a step.
    let families = Families::new().expect("Python is there");
    for name in ["qlinear", "qdq", "dynamic"] {
        let model = Path::new(&file(name)).to_owned();
        let backbone = Backbone::open(&model).unwrap_or_else(|error| panic!("{error}"));
        let layers = backbone.candidates(8);
        assert!(layers.iter().all(|layer| layer.multiply_adds > 0), "{layers:?}");
        let input = ramp(&backbone);
        let features = backbone
            .cut(&layers[0].output, &backbone.preprocess().0)
            .expect("cuts")
            .features(input.clone())
            .expect("runs");
        let expected = &families.reference(&model, &input, &layers)[0];
        assert!(relative_error(&features, expected) < 0.02, "{name}: {features:?} {expected:?}");
    }
}
