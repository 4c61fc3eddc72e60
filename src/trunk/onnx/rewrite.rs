//! A network's message with other layers after a cut, and as plain operations.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::tensor_shape_proto::dimension::Value::DimValue;
use tract_onnx::pb::type_proto::{Tensor as TensorType, Value};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto,
};
use tract_onnx::prelude::{DatumType, Tensor};
use tract_onnx::tensor::load_tensor;

use super::keep_needed;
use crate::trunk::engine::guarded;
use crate::trunk::operations::{Attribute, Constant, Operation, Operations, Tail, Values};

/// Version of ONNX's own operators that the message asks for.
pub(in crate::trunk) fn opset(proto: &ModelProto) -> i64 {
    let own = proto.opset_import.iter().filter(|set| ["", "ai.onnx"].contains(&set.domain.as_str()));
    own.map(|set| set.version).max().unwrap_or(1)
}

/// Keeps of the graph what `cuts` need, with all weights inside the message: those of files in `folder` are read.
///
/// # Errors
/// Why weights cannot be read.
pub(in crate::trunk) fn keep_up_to(proto: &mut ModelProto, folder: Option<&Path>, cuts: &[&str]) -> Result<(), String> {
    let graph = proto.graph.as_mut().expect("the message has been read as a graph");
    graph.output = cuts.iter().map(|&cut| ValueInfoProto { name: cut.into(), ..Default::default() }).collect();
    keep_needed(graph);
    let nested = graph.node.iter().any(|n| n.attribute.iter().any(|a| a.g.is_some() || !a.graphs.is_empty()));
    let used: HashSet<&str> = graph.node.iter().flat_map(|n| n.input.iter().map(String::as_str)).collect();
    graph.initializer.retain(|t| nested || used.contains(t.name.as_str()));
    let weights: HashSet<String> = graph.initializer.iter().map(|t| t.name.clone()).collect();
    graph.input.retain(|i| used.contains(i.name.as_str()) && !weights.contains(&i.name));
    graph.sparse_initializer.clear();
    let constants = graph.node.iter_mut().flat_map(|n| n.attribute.iter_mut().filter_map(|a| a.t.as_mut()));
    for tensor in graph.initializer.iter_mut().chain(constants) {
        if tensor.data_location == Some(DataLocation::External as i32) {
            let loaded = load(tensor, folder)?;
            tensor.raw_data = guarded(|| Ok(loaded.try_as_plain_ram()?.as_bytes().to_vec()))?;
            tensor.data_location = None;
            tensor.external_data.clear();
        }
    }
    Ok(())
}

fn load(tensor: &TensorProto, folder: Option<&Path>) -> Result<Tensor, String> {
    let provider = tract_onnx::data_resolver::default();
    guarded(|| load_tensor(&*provider, tensor, folder.and_then(Path::to_str)))
}

/// The graph that [`keep_up_to`] has left, as plain data. `names` are the nodes' names by their first output.
///
/// # Errors
/// Why weights cannot be read.
pub(in crate::trunk) fn operations(
    proto: &ModelProto,
    cut: &str,
    names: &HashMap<String, String>,
) -> Result<Operations, String> {
    let graph = proto.graph.as_ref().expect("the message has been read as a graph");
    let mut constants = HashMap::new();
    for tensor in &graph.initializer {
        constants.insert(tensor.name.clone(), constant(tensor)?);
    }
    let mut nodes = Vec::new();
    for node in &graph.node {
        let value = node.attribute.iter().find_map(|a| a.t.as_ref());
        match value.filter(|_| node.op_type == "Constant") {
            Some(tensor) => _ = constants.insert(node.output[0].clone(), constant(tensor)?),
            None => nodes.push(operation(node, names)),
        }
    }
    let input = graph.input.first().map(|i| i.name.clone()).unwrap_or_default();
    Ok(Operations { input, output: cut.into(), nodes, constants })
}

fn constant(tensor: &TensorProto) -> Result<Constant, String> {
    let tensor = load(tensor, None)?;
    guarded(|| {
        let shape = tensor.shape().to_vec();
        let values = match tensor.datum_type() {
            DatumType::F16 | DatumType::F32 | DatumType::F64 => {
                Values::F32(tensor.cast_to::<f32>()?.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
            }
            _ => Values::I64(tensor.cast_to::<i64>()?.try_as_plain_ram()?.as_slice::<i64>()?.to_vec()),
        };
        Ok(Constant { shape, values })
    })
}

fn operation(node: &NodeProto, names: &HashMap<String, String>) -> Operation {
    let attribute = |a: &AttributeProto| {
        let value = match AttributeType::try_from(a.r#type) {
            Ok(AttributeType::Int) => Attribute::Int(a.i),
            Ok(AttributeType::Float) => Attribute::Float(a.f),
            Ok(AttributeType::Ints) => Attribute::Ints(a.ints.clone()),
            Ok(AttributeType::String) => Attribute::Text(String::from_utf8_lossy(&a.s).into_owned()),
            _ => Attribute::Other,
        };
        (a.name.clone(), value)
    };
    Operation {
        name: names.get(&node.output[0]).unwrap_or(&node.output[0]).clone(),
        operator: node.op_type.clone(),
        inputs: node.input.clone(),
        outputs: node.output.clone(),
        attributes: node.attribute.iter().map(attribute).collect(),
    }
}

/// The bytes of the message that [`keep_up_to`] has left, with `tail` behind `cuts`, for an input of shape `input`.
/// Tensors of the network whose names the tail takes are renamed.
pub(in crate::trunk) fn extended(
    mut proto: ModelProto,
    cuts: &[&str],
    names: &HashMap<String, String>,
    input: [usize; 4],
    tail: &Tail,
) -> Vec<u8> {
    let graph = proto.graph.as_mut().expect("the message has been read as a graph");
    name_nodes(graph, names, tail);
    let taken = taken_names(graph, tail);
    rename(graph, &taken);
    let cuts = cuts.iter().enumerate().map(|(at, &cut)| (Tail::cut(at), taken.get(cut).map_or(cut, String::as_str)));
    let cuts: HashMap<String, &str> = cuts.collect();

    for input_info in &mut graph.input {
        input_info.r#type = Some(f32_type(&input));
    }
    graph.node.extend(tail.nodes.iter().map(|operation| node(operation, &cuts)));
    graph.initializer.extend(tail.constants.iter().map(|(name, constant)| tensor(name, constant)));
    let output = |(name, shape): &(String, Vec<usize>)| ValueInfoProto {
        name: name.clone(),
        r#type: Some(f32_type(shape)),
        ..Default::default()
    };
    graph.output = tail.outputs.iter().map(output).collect();
    // Shapes that were stated for other sizes, and quantisation of tensors that may be gone.
    graph.value_info.clear();
    graph.quantization_annotation.clear();
    graph.name.clone_from(&tail.name);
    // From version 4 on, weights need not be inputs too.
    proto.ir_version = proto.ir_version.max(4);
    proto.producer_name = "topgraft".into();
    proto.producer_version = env!("CARGO_PKG_VERSION").into();
    let entry = |(key, value): &(String, String)| StringStringEntryProto { key: key.clone(), value: value.clone() };
    proto.metadata_props = tail.metadata.iter().map(entry).collect();
    proto.encode_to_vec()
}

/// Gives the nodes their names in the file back, but each name once, also beside the tail's: ONNX Runtime insists on that.
fn name_nodes(graph: &mut GraphProto, names: &HashMap<String, String>, tail: &Tail) {
    let mut used: HashSet<String> = tail.nodes.iter().map(|operation| operation.name.clone()).collect();
    for node in &mut graph.node {
        let name = names.get(&node.output[0]).unwrap_or(&node.output[0]);
        let others = (1..).map(|i| format!("{name}_trunk{i}"));
        let free = std::iter::once(name.clone()).chain(others).find(|name| !used.contains(name));
        node.name = free.expect("the names are finite");
        used.insert(node.name.clone());
    }
}

/// New names for the network's tensors that have the name of one of the tail's.
fn taken_names(graph: &GraphProto, tail: &Tail) -> HashMap<String, String> {
    let made = graph.node.iter().flat_map(|n| n.output.iter());
    let all: HashSet<&String> =
        made.chain(graph.initializer.iter().map(|t| &t.name)).chain(graph.input.iter().map(|i| &i.name)).collect();
    let tails = tail.nodes.iter().flat_map(|n| n.outputs.iter()).chain(tail.constants.iter().map(|(name, _)| name));
    let renamed = |name: &String| {
        let free = (1..).map(|i| format!("{name}_trunk{i}")).find(|new| !all.contains(new));
        (name.clone(), free.expect("the names are finite"))
    };
    tails.filter(|name| all.contains(name)).map(renamed).collect()
}

/// Renames tensors, in nested graphs too.
fn rename(graph: &mut GraphProto, to: &HashMap<String, String>) {
    if to.is_empty() {
        return;
    }
    let change = |name: &mut String| {
        if let Some(new) = to.get(name) {
            name.clone_from(new);
        }
    };
    graph.initializer.iter_mut().for_each(|t| change(&mut t.name));
    graph.input.iter_mut().chain(&mut graph.output).for_each(|v| change(&mut v.name));
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(change);
        for attribute in &mut node.attribute {
            attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(|nested| rename(nested, to));
        }
    }
}

fn f32_type(shape: &[usize]) -> TypeProto {
    let dim = |n: &usize| Dimension { value: Some(DimValue(*n as i64)), ..Default::default() };
    let shape = Some(TensorShapeProto { dim: shape.iter().map(dim).collect() });
    let value = Some(Value::TensorType(TensorType { elem_type: DataType::Float as i32, shape }));
    TypeProto { value, ..Default::default() }
}

fn node(operation: &Operation, cuts: &HashMap<String, &str>) -> NodeProto {
    let name = |tensor: &String| cuts.get(tensor).map_or_else(|| tensor.clone(), |&cut| cut.to_owned());
    let mut attributes: Vec<_> = operation.attributes.iter().collect();
    attributes.sort_by_key(|(name, _)| *name);
    let attribute = |(name, value): (&String, &Attribute)| {
        let mut proto = AttributeProto { name: name.clone(), ..Default::default() };
        let kind = match value {
            Attribute::Int(i) => {
                proto.i = *i;
                AttributeType::Int
            }
            Attribute::Float(f) => {
                proto.f = *f;
                AttributeType::Float
            }
            Attribute::Ints(ints) => {
                proto.ints.clone_from(ints);
                AttributeType::Ints
            }
            Attribute::Text(text) => {
                proto.s = text.clone().into_bytes();
                AttributeType::String
            }
            Attribute::Other => AttributeType::Undefined,
        };
        proto.r#type = kind as i32;
        proto
    };
    NodeProto {
        name: operation.name.clone(),
        op_type: operation.operator.clone(),
        input: operation.inputs.iter().map(name).collect(),
        output: operation.outputs.clone(),
        attribute: attributes.into_iter().map(attribute).collect(),
        ..Default::default()
    }
}

fn tensor(name: &str, constant: &Constant) -> TensorProto {
    let (data_type, raw_data) = match &constant.values {
        Values::F32(values) => (DataType::Float, values.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Values::I64(values) => (DataType::Int64, values.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Values::I8(values) => (DataType::Int8, values.iter().map(|x| *x as u8).collect()),
    };
    TensorProto {
        name: name.into(),
        dims: constant.shape.iter().map(|n| *n as i64).collect(),
        data_type: data_type as i32,
        raw_data,
        ..Default::default()
    }
}
