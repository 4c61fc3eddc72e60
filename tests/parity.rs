//! Features against ONNX Runtime's, of the same input.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::Array4;
use topgraft::topgraft_core::preprocess::{Filter, Preprocess, Resize};
use topgraft::trunk::Backbone;
use topgraft::vision::{self, Preprocessor};

use crate::program::DATA;

/// Shape and numbers of a little-endian f32 array file of numpy, version 1.
pub fn read_npy(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let header_end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..header_end]).expect("text");
    assert!(header.contains("'<f4'") && header.contains("'fortran_order': False"), "{header}");
    let shape = header.split(['(', ')']).nth(1).expect("a shape");
    let shape = shape.split(',').filter_map(|dim| dim.trim().parse().ok()).collect();
    let numbers = bytes[header_end..].as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    (shape, numbers)
}

/// `|a - b| / |b|`
pub fn relative_error(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b)));
    difference / norm(&mut b.iter().map(|b| f64::from(*b)))
}

#[cfg(feature = "embed-backbone")]
#[test]
fn the_embedded_backbone_gives_the_features_of_onnx_runtime() {
    let backbone = Backbone::embedded().expect("is built in");
    let preprocess = Preprocess { resize: Resize::Squeeze, filter: Filter::Bilinear, ..backbone.preprocess().0 };
    let trunk = backbone.cut(&backbone.penultimate().expect("has a dense layer").output, &preprocess).expect("cuts");
    let photo = vision::open(&Path::new(DATA).join("pillow/rocket.squeeze_bilinear.png")).expect("a photo");
    let features = trunk.features(Preprocessor::new(&preprocess).expect("valid").apply(&photo)).expect("runs");
    let reference = |name: &str| read_npy(&Path::new(DATA).join("parity").join(name)).1;
    let same_weights = relative_error(&features, &reference("efficientnet_lite0.f16.features.npy"));
    assert!(same_weights < 1e-3, "{same_weights:e} from ONNX Runtime on the same file");
    let full_weights = relative_error(&features, &reference("efficientnet_lite0.f32.features.npy"));
    assert!(full_weights < 1e-2, "{full_weights:e} from the weights in 32 bits");
}

/// More models, not in the repository: their folder lies beside it on some machines.
pub fn shared() -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if !shared.join("models").is_dir() {
        println!("skipped: no folder `shared` with more models beside the repository");
        return None;
    }
    Some(shared)
}

#[test]
fn four_networks_give_the_features_of_onnx_runtime() {
    let Some(shared) = shared() else { return };
    for (model, feature_dim) in [
        ("efficientnet_lite0", 1280),
        ("mobilenet_v2_tv", 1280),
        ("mobilenet_v1_0.25", 256),
        ("resnet50_thin_opennsfw", 1024),
    ] {
        let backbone = Backbone::open(&shared.join(format!("models/{model}.onnx"))).expect("opens");
        let layer = backbone.penultimate().expect("a default cut");
        assert_eq!((layer.output.as_str(), layer.feature_dim), ("features", feature_dim), "{model}");
        let trunk = backbone.cut(&layer.output, &backbone.preprocess().0).expect("cuts");
        let (shape, input) = read_npy(&shared.join(format!("data/parity/{model}.input.npy")));
        let (_, expected) = read_npy(&shared.join(format!("data/parity/{model}.features.npy")));
        let per_photo = input.len() / shape[0];
        for (input, expected) in input.chunks(per_photo).zip(expected.chunks(feature_dim)) {
            let input = Array4::from_shape_vec((1, shape[1], shape[2], shape[3]), input.to_vec()).expect("shape");
            let error = relative_error(&trunk.features(input).expect("runs"), expected);
            assert!(error < 1e-3, "{model}: {error:e}");
        }
    }
}
