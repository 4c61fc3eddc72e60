//! The layers of a network that can be cut at, what each costs, and which of them ends the features.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::engine::Facts;
use super::onnx::{Graph, Node};

/// A layer that the network can be cut at: its output depends on the input, is f32, and has the shape `[1, C, H, W]` or
/// `[1, D]`.
///
/// Other tensors are not listed: those of transformers (`[1, T, D]`), integer ones, all but the first output of a node,
/// and outputs of `Transpose`, whose second axis need not be the channels (the layer before it has the same numbers).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Layer {
    /// Name of the ONNX node; if it has none, its output's name.
    pub name: String,
    /// ONNX operator type, e.g. `Conv`.
    pub operator: String,
    /// Name of the output tensor, unique in the network.
    pub output: String,
    /// Shape of the output, `[1, channels, height, width]` or `[1, feature_dim]`.
    pub shape: Vec<usize>,
    /// How many numbers a cut here gives: `channels`, each averaged over its map, or all of `[1, feature_dim]`.
    pub feature_dim: usize,
    /// Weights of this layer and of all that it needs: the elements of constant f32 tensors, single numbers left out.
    pub parameters: u64,
    /// Multiplications with additions of this layer and of all that it needs, for one picture. Convolutions, transposed
    /// convolutions and matrix products are counted; the rest costs little beside them.
    pub multiply_adds: u64,
}

impl Layer {
    /// How the layer's output becomes features.
    pub fn pooling(&self) -> Pooling {
        if self.shape.len() == 4 { Pooling::Average } else { Pooling::None }
    }

    /// Whether the output is probabilities that sum to 1.
    pub fn is_softmax(&self) -> bool {
        self.operator == "Softmax"
    }
}

/// How a cut's output becomes features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Pooling {
    /// The output `[1, D]` is the features.
    None = 0,
    /// Each channel of `[1, C, H, W]` is averaged over its map: global average pooling.
    Average = 1,
}

/// The layers of `graph` that can be cut at, in its order.
pub(super) fn list(graph: &Graph, facts: &Facts) -> Vec<Layer> {
    let costs = Costs::of(graph, facts);
    let layer = |(at, node): (usize, &Node)| {
        let output = &node.outputs[0];
        let fact = facts.get(output).filter(|f| f.is_f32 && graph.varying.contains(output))?;
        let feature_dim = match fact.shape[..] {
            [1, d] => d,
            [1, c, h, w] if node.operator != "Transpose" && h * w > 0 => c,
            _ => 0,
        };
        if feature_dim == 0 {
            return None;
        }
        let (parameters, multiply_adds) = costs.up_to(at);
        Some(Layer {
            name: node.name.clone(),
            operator: node.operator.clone(),
            output: output.clone(),
            shape: fact.shape.clone(),
            feature_dim,
            parameters,
            multiply_adds,
        })
    };
    graph.nodes.iter().enumerate().filter_map(layer).collect()
}

/// What each node costs by itself, and what it needs.
struct Costs<'a> {
    nodes: Vec<Cost<'a>>,
}

#[derive(Default)]
struct Cost<'a> {
    multiply_adds: u64,
    /// Nodes whose outputs it uses.
    needs: Vec<usize>,
    /// Its weights: names of constant tensors and their sizes.
    weights: Vec<(&'a str, u64)>,
}

impl<'a> Costs<'a> {
    fn of(graph: &'a Graph, facts: &Facts) -> Self {
        let makers = makers(graph);
        let cost = |node: &'a Node| {
            let mut cost = Cost { multiply_adds: multiply_adds(node, facts).unwrap_or(0), ..Default::default() };
            for tensor in &node.inputs {
                if graph.varying.contains(tensor) {
                    cost.needs.extend(makers.get(tensor.as_str()));
                } else if let Some(fact) = facts.get(tensor)
                    && fact.is_f32
                    && !fact.shape.is_empty()
                {
                    cost.weights.push((tensor, volume(&fact.shape)));
                }
            }
            cost
        };
        Self { nodes: graph.nodes.iter().map(cost).collect() }
    }

    /// Parameters and multiply-adds of a node and of all that it needs, each counted once.
    fn up_to(&self, node: usize) -> (u64, u64) {
        let (mut parameters, mut multiply_adds) = (0u64, 0u64);
        let mut seen = vec![false; self.nodes.len()];
        let mut weights = HashSet::new();
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            if std::mem::replace(&mut seen[node], true) {
                continue;
            }
            let cost = &self.nodes[node];
            multiply_adds = multiply_adds.saturating_add(cost.multiply_adds);
            for (name, size) in &cost.weights {
                if weights.insert(name) {
                    parameters = parameters.saturating_add(*size);
                }
            }
            open.extend(&cost.needs);
        }
        (parameters, multiply_adds)
    }
}

/// Multiply-adds of one node for one picture; `None` if it does no such work, or its shapes are not known.
fn multiply_adds(node: &Node, facts: &Facts) -> Option<u64> {
    let shape = |i: usize| facts.get(node.inputs.get(i)?).map(|f| &f.shape[..]);
    let output = &facts.get(&node.outputs[0])?.shape;
    // A kernel is [out, in / group, height, width], of a transposed convolution [in, out / group, height, width].
    let (times, each) = match node.operator.as_str() {
        "Conv" => (volume(output), volume(shape(1)?.get(1..)?)),
        "ConvTranspose" => (volume(shape(0)?), volume(shape(1)?.get(1..)?)),
        "MatMul" => (volume(output), *shape(0)?.last()? as u64),
        "Gemm" => (volume(shape(0)?), *output.last()? as u64),
        _ => return None,
    };
    Some(times.saturating_mul(each))
}

fn volume(shape: &[usize]) -> u64 {
    shape.iter().fold(1, |product, &n| product.saturating_mul(n as u64))
}

/// Which node makes a tensor.
fn makers(graph: &Graph) -> HashMap<&str, usize> {
    graph.nodes.iter().enumerate().flat_map(|(at, n)| n.outputs.iter().map(move |t| (t.as_str(), at))).collect()
}

/// Where a network's features end and its classes are: indices of layers.
pub(super) struct Ends {
    /// The default cut.
    pub features: Option<usize>,
    /// The classifier's output.
    pub classes: Option<usize>,
}

/// Finds the classifier that the network ends in. Without one, the last output is the features.
///
/// Each output is followed back through layers that only rearrange or scale classes, until a fully connected layer is
/// met: a matrix product with constant weights, or the 1x1 convolution of a 1x1 map that plays the part. Behind a softmax
/// the output certainly is classes, so there the 1x1 convolution of a larger map counts too, pooled afterwards (Lin et al.,
/// Network in Network, 2013; SqueezeNet has it). Of several outputs the one whose layer comes last in the file counts.
///
/// Simply taking the last matrix product of the file would be wrong: squeeze-and-excitation blocks have those as well.
pub(super) fn ends(graph: &Graph, facts: &Facts, layers: &[Layer]) -> Ends {
    let makers = makers(graph);
    let index = |tensor: &str| layers.iter().position(|l| l.output == tensor);
    let found = graph.outputs.iter().filter_map(|output| Some((classifying(output, graph, facts, &makers)?, output)));
    if let Some(((_, features), output)) = found.max_by_key(|((at, _), _)| *at) {
        return Ends { features: index(features), classes: index(output) };
    }
    let output = graph.outputs.iter().filter_map(|output| index(output)).max();
    Ends { features: output.filter(|&at| !layers[at].is_softmax()), classes: None }
}

/// The classifying layer that leads to `output`, as the index of its node, and the tensor that it takes in.
fn classifying<'a>(
    output: &'a str,
    graph: &'a Graph,
    facts: &Facts,
    makers: &HashMap<&str, usize>,
) -> Option<(usize, &'a str)> {
    let mut tensor = output;
    let mut softmax = false;
    loop {
        let at = *makers.get(tensor)?;
        let node = &graph.nodes[at];
        // What is computed from the input's shape are integers, not on the way.
        let floats = |t: &&String| graph.varying.contains(*t) && facts.get(*t).is_some_and(|f| f.is_f32);
        let mut inputs = node.inputs.iter().filter(floats);
        let (Some(input), None) = (inputs.next(), inputs.next()) else { return None };
        if is_classifying(node, input, facts, softmax) {
            return Some((at, input));
        }
        match node.operator.as_str() {
            "Softmax" | "LogSoftmax" => softmax = true,
            "Add" | "Sub" | "Mul" | "Div" | "Sigmoid" | "Cast" | "Identity" | "Dropout" | "Flatten" | "Reshape"
            | "Squeeze" | "Unsqueeze" => {}
            "Relu" | "GlobalAveragePool" | "AveragePool" | "ReduceMean" if softmax => {}
            _ => return None,
        }
        tensor = input;
    }
}

fn is_classifying(node: &Node, input: &String, facts: &Facts, softmax: bool) -> bool {
    let is_1x1 = |tensor: &String| facts.get(tensor).is_some_and(|f| matches!(f.shape[..], [_, _, 1, 1]));
    match node.operator.as_str() {
        "Gemm" | "MatMul" => node.inputs.first() == Some(input),
        "Conv" => is_1x1(input) || softmax && node.inputs.get(1).is_some_and(is_1x1),
        _ => false,
    }
}
