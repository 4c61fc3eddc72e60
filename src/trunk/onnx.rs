//! An ONNX file as a plain graph: its one input, and the nodes that its outputs need, in an order that can be run.
//!
//! Only the structure is read here. Shapes come from the [`engine`](super::engine), which does the network's arithmetic
//! on shapes.

pub(super) mod rewrite;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

use sha2::{Digest, Sha256};
use topgraft_core::format::MAGIC;
pub(super) use tract_onnx::pb::ModelProto;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::tensor_shape_proto::dimension::Value::DimValue;
use tract_onnx::pb::type_proto::Value::TensorType;
use tract_onnx::pb::{GraphProto, ValueInfoProto};
use tract_onnx::prelude::Framework;

use super::engine::guarded;
use super::error::OpenError;

/// The most bytes that an ONNX file can have: protobuf knows no longer message.
pub(super) const MAX_BYTES: u64 = 2 << 30;

/// One operator of the network.
pub(super) struct Node {
    /// The node's name; if it has none, its first output's.
    pub name: String,
    /// ONNX operator type.
    pub operator: String,
    /// Tensor names; empty for an optional input that is left out.
    pub inputs: Vec<String>,
    /// Tensor names, the first not empty.
    pub outputs: Vec<String>,
}

/// The nodes that the network's outputs need.
pub(super) struct Graph {
    /// Declaration of the one input.
    pub input: Input,
    /// Tensor names of the network's outputs.
    pub outputs: Vec<String>,
    /// Every node after those that make its inputs.
    pub nodes: Vec<Node>,
    /// The tensors whose numbers depend on the input; all others are constants.
    pub varying: HashSet<String>,
}

/// A network's input as the file declares it.
pub(super) struct Input {
    /// Tensor name.
    pub name: String,
    /// Whether its elements are 32-bit floats.
    pub is_f32: bool,
    /// Its shape, `None` where the file leaves it open.
    pub dims: Vec<Option<usize>>,
}

/// `input: f32 [?, 3, 224, 224]`
impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dims = self.dims.iter().map(|d| d.map_or("?".into(), |n| n.to_string())).collect::<Vec<_>>();
        let (name, kind) = (&self.name, if self.is_f32 { "f32" } else { "not f32" });
        write!(f, "{name}: {kind} [{}]", dims.join(", "))
    }
}

/// Parses the whole of `reader`, at most `limit` bytes, in one pass; gives the message and the SHA-256 of its bytes.
pub(super) fn parse(model: &str, reader: impl Read, limit: u64) -> Result<(ModelProto, [u8; 32]), OpenError> {
    let mut reader =
        Watched { inner: reader.take(limit + 1), sha256: Sha256::new(), read: 0, head: Vec::new(), failed: None };
    let proto = guarded(|| tract_onnx::onnx().proto_model_for_read(&mut reader));
    if let Some(source) = reader.failed {
        return Err(OpenError::Read { model: model.into(), source });
    }
    if reader.read > limit {
        return Err(OpenError::TooLarge { model: model.into(), limit });
    }
    let not_onnx = |reason: String| OpenError::NotOnnx { model: model.into(), reason };
    if let Some(reason) = something_else(&reader.head) {
        return Err(not_onnx(reason.into()));
    }
    let proto = proto.map_err(|reason| not_onnx(format!("truncated or damaged ({reason}); copy it again")))?;
    Ok((proto, reader.sha256.finalize().into()))
}

/// Hashes what passes through, and keeps its beginning and the error that would be lost in tract's.
struct Watched<R> {
    inner: R,
    sha256: Sha256,
    read: u64,
    head: Vec<u8>,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = match self.inner.read(buf) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => {
                let again = io::Error::from(e.kind());
                self.failed = Some(e);
                return Err(again);
            }
            other => other?,
        };
        self.sha256.update(&buf[..n]);
        self.head.extend(&buf[..n.min(512 - self.head.len())]);
        self.read += n as u64;
        Ok(n)
    }
}

/// What a file that is commonly taken for ONNX is, by its first bytes.
fn something_else(head: &[u8]) -> Option<&'static str> {
    let text = |b: &u8| b.is_ascii_graphic() || b" \t\r\n".contains(b);
    match head {
        [] => Some("it is empty"),
        [b'P', b'K', 3, 4, ..] => {
            Some("it is a zip archive, perhaps a PyTorch checkpoint; unpack it, or export it with torch.onnx.export")
        }
        [0x1f, 0x8b, ..] => Some("it is compressed; unpack it with gunzip"),
        [0x89, b'H', b'D', b'F', ..] => Some("it is a Keras HDF5 file; convert it with tf2onnx"),
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => Some("it is a TensorFlow Lite file; convert it with tf2onnx"),
        _ if head.starts_with(&MAGIC) => {
            Some("it is a head file (.graft); give that as -m HEAD.graft, and here the network that it was taught on")
        }
        _ if head.starts_with(b"version https://git-lfs") => {
            Some("it is a Git LFS pointer; fetch the file with git lfs pull")
        }
        _ if head.iter().all(text) => Some("it is text, perhaps a web page saved in its place; download it again"),
        _ => None,
    }
}

/// Takes the graph out of the message, which keeps only the nodes that the outputs need.
///
/// In the message each node is renamed to its first output: that name is unique, which a node's name need not be.
pub(super) fn graph(model: &str, proto: &mut ModelProto) -> Result<Graph, OpenError> {
    let not_onnx = |reason: String| OpenError::NotOnnx { model: model.into(), reason };
    let graph = match proto.graph.as_mut() {
        Some(graph) if !graph.node.is_empty() && !graph.output.is_empty() => graph,
        Some(_) => return Err(not_onnx("its graph has no nodes or no output".into())),
        None => return Err(not_onnx("it has no graph; some other protobuf message, or a damaged file".into())),
    };
    let input = the_input(model, graph)?;
    keep_needed(graph);

    let mut known: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    known.extend([input.name.as_str(), ""]);
    let mut varying = HashSet::from([input.name.clone()]);
    for node in &graph.node {
        if let Some(unknown) = node.input.iter().find(|t| !known.contains(t.as_str())) {
            return Err(not_onnx(format!("its layer {} uses {unknown}, which no earlier layer makes", node.output[0])));
        }
        if let Some(twice) = node.output.iter().find(|t| !t.is_empty() && !known.insert(t)) {
            return Err(not_onnx(format!("two of its layers make {twice}")));
        }
        if node.input.iter().any(|t| varying.contains(t)) {
            varying.extend(node.output.iter().cloned());
        }
    }
    let outputs: Vec<String> = graph.output.iter().map(|o| o.name.clone()).collect();
    if let Some(unknown) = outputs.iter().find(|o| o.is_empty() || !known.contains(o.as_str())) {
        return Err(not_onnx(format!("no layer makes its output {unknown}")));
    }
    varying.remove("");

    let nodes = graph.node.iter_mut().map(|node| {
        let name = std::mem::replace(&mut node.name, node.output[0].clone());
        Node {
            name: if name.is_empty() { node.output[0].clone() } else { name },
            operator: node.op_type.clone(),
            inputs: node.input.clone(),
            outputs: node.output.clone(),
        }
    });
    Ok(Graph { input, outputs, nodes: nodes.collect(), varying })
}

/// Drops the nodes that no output needs, and those without a first output, which cannot be named.
fn keep_needed(graph: &mut GraphProto) {
    // Backwards, so that of two makers the first counts: the later one is found out as such.
    let outputs = graph.node.iter().enumerate().rev().flat_map(|(i, n)| n.output.iter().map(move |t| (t.as_str(), i)));
    let makers: HashMap<&str, usize> = outputs.collect();
    let mut needed = vec![false; graph.node.len()];
    let mut open: Vec<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
    while let Some(tensor) = open.pop() {
        if let Some(&node) = makers.get(tensor)
            && !tensor.is_empty()
            && !std::mem::replace(&mut needed[node], true)
        {
            open.extend(graph.node[node].input.iter().map(String::as_str));
            // An If or a Loop may use any tensor from inside, where this does not look.
            if graph.node[node].attribute.iter().any(|a| a.g.is_some() || !a.graphs.is_empty()) {
                open.extend(makers.keys());
            }
        }
    }
    let mut needed = needed.into_iter();
    graph.node.retain(|n| needed.next() == Some(true) && n.output.first().is_some_and(|t| !t.is_empty()));
}

/// The one input that has no value in the file: older files list their weights as inputs too.
fn the_input(model: &str, graph: &GraphProto) -> Result<Input, OpenError> {
    let weights: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let inputs: Vec<&ValueInfoProto> = graph.input.iter().filter(|i| !weights.contains(i.name.as_str())).collect();
    let [input] = inputs[..] else {
        let inputs = inputs.iter().map(|i| i.name.clone()).collect();
        return Err(OpenError::Inputs { model: model.into(), inputs });
    };
    let tensor = input.r#type.as_ref().and_then(|t| t.value.as_ref()).map(|TensorType(tensor)| tensor);
    let dims = tensor.and_then(|t| t.shape.as_ref()).map(|shape| {
        let size = |dim: &Option<_>| match dim {
            Some(DimValue(n @ 1..)) => usize::try_from(*n).ok(),
            _ => None,
        };
        shape.dim.iter().map(|d| size(&d.value)).collect()
    });
    Ok(Input {
        name: input.name.clone(),
        is_f32: tensor.is_some_and(|t| t.elem_type == DataType::Float as i32),
        dims: dims.unwrap_or_default(),
    })
}

/// SHA-256 of all that decides the network's numbers: `sha256` itself, unless the weights are kept in other files; then
/// the SHA-256 of `sha256` and of these files' SHA-256s, in the order in which the file
/// first names them, initializers before nodes.
pub(super) fn weights_sha256(
    model: &str,
    folder: Option<&Path>,
    proto: &ModelProto,
    sha256: [u8; 32],
) -> Result<[u8; 32], OpenError> {
    let nodes = proto.graph.iter().flat_map(|g| &g.node);
    let constants = nodes.flat_map(|n| n.attribute.iter().filter_map(|a| a.t.as_ref()));
    let tensors = proto.graph.iter().flat_map(|g| &g.initializer).chain(constants);
    let outside = tensors.filter(|t| t.data_location == Some(DataLocation::External as i32) && t.raw_data.is_empty());
    let locations = outside.flat_map(|t| t.external_data.iter().filter(|e| e.key == "location").map(|e| &e.value));
    let mut seen = HashSet::new();
    let mut all = Sha256::new_with_prefix(sha256);
    for location in locations {
        if let Some(folder) = folder.filter(|folder| folder.to_str().is_none()) {
            return Err(OpenError::WeightsFolder { model: model.into(), folder: folder.into() });
        }
        if seen.insert(location) {
            let file = folder.unwrap_or(Path::new("")).join(location);
            let hash = plain(location).and_then(|()| file_sha256(&file)).map_err(|source| OpenError::Weights {
                model: model.into(),
                file,
                source,
            })?;
            all.update(hash);
        }
    }
    Ok(if seen.is_empty() { sha256 } else { all.finalize().into() })
}

/// A file with weights lies in the network's folder: a hostile network must not make us read a device without an end.
fn plain(location: &str) -> io::Result<()> {
    let inside = |c| matches!(c, Component::Normal(_) | Component::CurDir);
    let all = Path::new(location).components().all(inside);
    all.then_some(()).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it is not in the network's folder"))
}

fn file_sha256(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    let mut sha256 = Sha256::new();
    let mut buf = vec![0; 1 << 16];
    loop {
        match file.read(&mut buf) {
            Ok(0) => return Ok(sha256.finalize().into()),
            Ok(n) => sha256.update(&buf[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::pb::{NodeProto, StringStringEntryProto, TensorProto};

    const TINY: &[u8] = include_bytes!("../../tests/data/tiny.onnx");

    fn refused(bytes: &[u8]) -> String {
        match parse("m", bytes, MAX_BYTES).and_then(|(mut proto, _)| graph("m", &mut proto)) {
            Err(OpenError::NotOnnx { reason, .. }) => reason,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("{bytes:?} is taken for ONNX"),
        }
    }

    fn tiny() -> ModelProto {
        parse("tiny", TINY, MAX_BYTES).unwrap().0
    }

    fn changed(change: impl FnOnce(&mut GraphProto)) -> Result<Graph, OpenError> {
        let mut proto = tiny();
        change(proto.graph.as_mut().unwrap());
        graph("m", &mut proto)
    }

    #[test]
    fn other_files_are_called_by_their_names() {
        assert!(refused(b"").contains("empty"));
        assert!(refused(b"PK\x03\x04....").contains("zip"));
        assert!(refused(&[0x1f, 0x8b, 8, 0]).contains("gunzip"));
        assert!(refused(b"\x89HDF\r\n").contains("Keras"));
        assert!(refused(b"\x1c\0\0\0TFL3").contains("Lite"));
        assert!(refused(b"version https://git-lfs.github.com/spec/v1\noid").contains("git lfs pull"));
        assert!(refused(b"<!DOCTYPE html>\n<html>").contains("text"));
        assert!(refused(&TINY[..TINY.len() - 1]).contains("truncated"));
        // A message with no field that ONNX has: ir_version 8 alone.
        assert!(refused(&[0x08, 0x08]).contains("no graph"));
    }

    #[test]
    fn the_limit_is_the_last_length_that_is_read() {
        let len = TINY.len() as u64;
        assert!(parse("m", TINY, len).is_ok());
        assert!(matches!(parse("m", TINY, len - 1), Err(OpenError::TooLarge { limit, .. }) if limit == len - 1));
    }

    #[test]
    fn a_failing_disk_is_no_damaged_file() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::TimedOut.into())
            }
        }
        let error = parse("m", Broken, MAX_BYTES).err().unwrap();
        assert!(matches!(error, OpenError::Read { source, .. } if source.kind() == io::ErrorKind::TimedOut));
    }

    #[test]
    fn graphs_that_cannot_be_run_in_order_are_refused() {
        let reason = |result: Result<Graph, _>| match result {
            Err(OpenError::NotOnnx { reason, .. }) => reason,
            _ => panic!("taken"),
        };
        assert!(reason(changed(|g| g.node.clear())).contains("no nodes"));
        assert!(reason(changed(|g| g.output.clear())).contains("no output"));
        assert!(reason(changed(|g| g.node.swap(0, 1))).contains("relu1 uses conv1, which no earlier layer makes"));
        assert!(reason(changed(|g| g.initializer.clear())).contains("conv1 uses conv1_w"));
        assert!(reason(changed(|g| g.output[0].name = "nowhere".into())).contains("no layer makes its output nowhere"));
        assert!(reason(changed(|g| g.output[0].name.clear())).contains("no layer makes its output"));
        let twice = |g: &mut GraphProto| g.node[1].output.push("conv1".into());
        assert!(reason(changed(twice)).contains("two of its layers make conv1"));
    }

    #[test]
    fn only_needed_nodes_stay_and_each_has_a_unique_name() {
        let graph = changed(|g| {
            let dead = NodeProto { op_type: "Magic".into(), output: vec!["dead".into()], ..Default::default() };
            g.node.push(dead);
            g.node[0].name.clear();
        });
        let graph = graph.unwrap();
        let names: Vec<&str> = graph.nodes.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["conv1", "relu1", "conv2", "relu2", "gap", "features", "logits"]);
        assert!(graph.varying.contains("logits") && !graph.varying.contains("logits_w"));
        assert_eq!(graph.input.to_string(), "input: f32 [1, 3, 16, 16]");
    }

    #[test]
    fn weights_in_other_files_are_hashed_with_the_graph() {
        let folder = tempfile::tempdir().unwrap();
        let mut proto = tiny();
        assert_eq!(weights_sha256("m", None, &proto, [7; 32]).unwrap(), [7; 32]);

        let outside = |location: &str| TensorProto {
            data_location: Some(DataLocation::External as i32),
            external_data: vec![StringStringEntryProto { key: "location".into(), value: location.into() }],
            ..Default::default()
        };
        proto.graph.as_mut().unwrap().initializer.extend([outside("w.bin"), outside("w.bin")]);
        let hash = |proto: &_| weights_sha256("m", Some(folder.path()), proto, [7; 32]);
        assert!(matches!(hash(&proto), Err(OpenError::Weights { file, .. }) if file.ends_with("w.bin")));

        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let latin = Path::new(std::ffi::OsStr::from_bytes(b"netzw\xe4rts"));
            let error = weights_sha256("m", Some(latin), &proto, [7; 32]).unwrap_err();
            assert!(
                matches!(&error, OpenError::WeightsFolder { .. }) && error.to_string().contains("UTF-8"),
                "{error}"
            );
        }

        std::fs::write(folder.path().join("w.bin"), b"weights").unwrap();
        let recipe = Sha256::new_with_prefix([7; 32]).chain_update(Sha256::digest(b"weights")).finalize();
        assert_eq!(hash(&proto).unwrap(), <[u8; 32]>::from(recipe));

        for location in ["/dev/zero", "../w.bin", "."] {
            proto.graph.as_mut().unwrap().initializer.push(outside(location));
            assert!(
                matches!(hash(&proto), Err(OpenError::Weights { source, .. }) if source.kind() == io::ErrorKind::InvalidInput)
            );
            proto.graph.as_mut().unwrap().initializer.pop();
        }
    }
}
