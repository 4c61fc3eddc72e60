//! The head alone, as Hugging Face's safetensors: a length, a JSON header, the numbers.
//!
//! Source: <https://github.com/huggingface/safetensors>, "Format".

use serde_json::{Map, Value, json};
use topgraft_core::scaler::Scaler;

use super::error::{NotLinear, linear};
use super::metadata::metadata;
use crate::learn::Model;

/// The bytes of a safetensors file with the head's `weight [n_classes, feature_dim]` and `bias [n_classes]`, those of its
/// scaler (`mean` and `scale`, `[feature_dim]`), and the keys of docs/export.md in `__metadata__`. All numbers are f32.
///
/// # Errors
/// [`NotLinear`] for a head of nearest neighbours.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use topgraft::learn::Model;
/// let model = Model::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden.graft").as_ref())?;
/// let bytes = topgraft::export::safetensors(&model)?;
/// assert!(bytes[8..].starts_with(b"{\"__metadata__\":{\"labels\":"));
/// # Ok(())
/// # }
/// ```
pub fn safetensors(model: &Model) -> Result<Vec<u8>, NotLinear> {
    let head = linear(model)?;
    let (n_classes, feature_dim) = (head.n_classes(), head.feature_dim());
    let mut tensors =
        vec![("weight", vec![n_classes, feature_dim], head.weights()), ("bias", vec![n_classes], head.bias())];
    match &model.scaler {
        Scaler::None | Scaler::L2 => {}
        Scaler::CentredL2 { mean } => tensors.push(("mean", vec![feature_dim], mean)),
        Scaler::Standard { mean, scale } => {
            tensors.push(("mean", vec![feature_dim], mean));
            tensors.push(("scale", vec![feature_dim], scale));
        }
    }
    let mut header = Map::new();
    let said = metadata(model, None).into_iter().map(|(key, value)| (key, Value::String(value)));
    header.insert("__metadata__".into(), Value::Object(said.collect()));
    let mut at = 0;
    for (name, shape, numbers) in &tensors {
        let end = at + 4 * numbers.len();
        header.insert((*name).into(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [at, end] }));
        at = end;
    }
    let mut header = Value::Object(header).to_string();
    // So that the numbers lie at a multiple of 8.
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.into_bytes());
    tensors.iter().for_each(|(_, _, numbers)| bytes.extend(numbers.iter().flat_map(|x| x.to_le_bytes())));
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> Model {
        Model::parse(include_bytes!("../../tests/data/golden.graft")).expect("sound")
    }

    /// Header and numbers, as a reader takes them apart.
    fn read(bytes: &[u8]) -> (Value, &[u8]) {
        let (len, rest) = bytes.split_first_chunk().expect("a length");
        let (header, numbers) = rest.split_at(u64::from_le_bytes(*len) as usize);
        (serde_json::from_slice(header).expect("JSON"), numbers)
    }

    fn tensor(header: &Value, numbers: &[u8], name: &str) -> (Value, Vec<f32>) {
        let at = |i: usize| header[name]["data_offsets"][i].as_u64().expect("an offset") as usize;
        assert_eq!(header[name]["dtype"], "F32");
        let numbers = numbers[at(0)..at(1)].as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        (header[name]["shape"].clone(), numbers.collect())
    }

    #[test]
    fn a_reader_finds_the_head() {
        let mut model = golden();
        let (n_classes, feature_dim) = (model.head.n_classes(), model.head.feature_dim());
        model.scaler = Scaler::Standard { mean: vec![1.5; feature_dim], scale: vec![2.0; feature_dim] };
        let bytes = safetensors(&model).expect("linear");
        let (header, numbers) = read(&bytes);
        assert_eq!((bytes.len() - numbers.len()) % 8, 0);
        assert_eq!(numbers.len(), 4 * (n_classes * (feature_dim + 1) + 2 * feature_dim), "no byte is left over");
        let read = |name: &str| tensor(&header, numbers, name);
        assert_eq!(
            read("weight"),
            (json!([n_classes, feature_dim]), linear(&model).expect("linear").weights().to_vec())
        );
        assert_eq!(read("bias"), (json!([n_classes]), linear(&model).expect("linear").bias().to_vec()));
        assert_eq!(read("mean"), (json!([feature_dim]), vec![1.5; feature_dim]));
        assert_eq!(read("scale"), (json!([feature_dim]), vec![2.0; feature_dim]));
        let said = &header["__metadata__"];
        assert_eq!(
            said["labels"].as_str().map(|text| serde_json::from_str(text).expect("JSON")),
            Some(json!(model.labels))
        );
        assert!(said.as_object().expect("an object").values().all(Value::is_string));
        assert_eq!((&said["scaling"], &said["head"]), (&json!("standard"), &json!(model.kind.name())));
    }

    #[test]
    fn samples_are_no_tensors_of_a_linear_head() {
        let model = Model::parse(include_bytes!("../../tests/data/golden_nearest.graft")).expect("sound");
        assert_eq!(safetensors(&model), Err(NotLinear));
    }

    #[test]
    fn a_scaler_without_numbers_has_no_tensors() {
        let mut model = golden();
        model.scaler = Scaler::L2;
        let bytes = safetensors(&model).expect("linear");
        let names: Vec<String> = read(&bytes).0.as_object().expect("an object").keys().cloned().collect();
        assert_eq!(names, ["__metadata__", "weight", "bias"]);
    }
}
