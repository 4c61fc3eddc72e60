//! The layers of a network that can be cut at, what each costs, and which of them ends the features.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::engine::Facts;
use super::onnx::{Graph, Node};
use super::pooling::Pooling;

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
    /// convolutions and matrix products are counted, quantised or not; the rest costs little beside them.
    pub multiply_adds: u64,
}

impl Layer {
    /// How the layer's output becomes features, unless something else is asked for.
    pub fn pooling(&self) -> Pooling {
        if self.shape.len() == 4 { Pooling::Average } else { Pooling::None }
    }

    /// Whether the output is probabilities that sum to 1.
    pub fn is_softmax(&self) -> bool {
        self.operator == "Softmax"
    }
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
        "Conv" | "ConvInteger" => (volume(output), volume(shape(1)?.get(1..)?)),
        "QLinearConv" => (volume(output), volume(shape(3)?.get(1..)?)),
        "ConvTranspose" => (volume(shape(0)?), volume(shape(1)?.get(1..)?)),
        "MatMul" | "MatMulInteger" | "QLinearMatMul" => (volume(output), *shape(0)?.last()? as u64),
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
    /// Whether that output is logits; else a softmax or a sigmoid has been there already.
    pub logits: bool,
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
    if let Some((last, output)) = found.max_by_key(|(classifying, _)| classifying.at) {
        return Ends { features: index(last.input), classes: index(output), logits: last.logits };
    }
    let output = graph.outputs.iter().filter_map(|output| index(output)).max();
    Ends { features: output.filter(|&at| !layers[at].is_softmax()), classes: None, logits: false }
}

/// For each of `layers`, whether all that is computed later needs it and nothing else that was computed before.
pub(super) fn bottlenecks(graph: &Graph, layers: &[Layer]) -> Vec<bool> {
    let makers = makers(graph);
    // The node that needs a tensor last.
    let mut last_use = HashMap::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        last_use.extend(node.inputs.iter().map(|tensor| (tensor.as_str(), at)));
    }
    // Tensors that a later node needs, after each node.
    let mut needed: HashSet<&str> = HashSet::from([graph.input.name.as_str()]);
    let mut alone = HashSet::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        needed.extend(node.outputs.iter().filter(|t| graph.varying.contains(*t)).map(String::as_str));
        needed.retain(|tensor| last_use.get(tensor).is_some_and(|last| *last > at));
        if needed.len() == 1 && needed.contains(node.outputs[0].as_str()) {
            alone.insert(at);
        }
    }
    layers.iter().map(|layer| makers.get(layer.output.as_str()).is_some_and(|at| alone.contains(at))).collect()
}

/// Up to `most` of `layers`, of which the last is one: see [`Backbone::candidates`](super::Backbone::candidates).
pub(super) fn candidates<'l>(layers: &'l [Layer], bottlenecks: &[bool], most: usize) -> Vec<&'l Layer> {
    let Some((last, before)) = layers.split_last() else { return Vec::new() };
    let mut found: Vec<&Layer> = Vec::new();
    let whole = before.iter().zip(bottlenecks).filter(|(_, whole)| **whole).map(|(layer, _)| layer);
    for layer in whole.chain([last]) {
        // Of layers that differ by an activation or a pooling the last.
        if found.last().is_some_and(|previous| previous.multiply_adds == layer.multiply_adds) {
            found.pop();
        }
        if layer.multiply_adds > 0 || std::ptr::eq(layer, last) {
            found.push(layer);
        }
    }
    let mut rest = found.len().saturating_sub(1);
    let mut chosen: Vec<&Layer> = found.last().copied().into_iter().collect();
    for share in (1..most.max(1)).rev() {
        // The nearest to that share of the multiplications, as long as enough are left for the smaller shares.
        let aim = last.multiply_adds as f64 * share as f64 / most as f64;
        let off = |at: &usize| (found[*at].multiply_adds as f64 - aim).abs();
        let Some(at) = (rest.min(share).saturating_sub(1)..rest).min_by(|a, b| off(a).total_cmp(&off(b))) else {
            break;
        };
        chosen.push(found[at]);
        rest = at;
    }
    chosen.reverse();
    chosen
}

/// A layer that classifies.
struct Classifying<'a> {
    /// Index of its node.
    at: usize,
    /// The tensor that it takes in.
    input: &'a str,
    /// Whether what leads from it to the output leaves logits.
    logits: bool,
}

/// The classifying layer that leads to `output`.
fn classifying<'a>(
    output: &'a str,
    graph: &'a Graph,
    facts: &Facts,
    makers: &HashMap<&str, usize>,
) -> Option<Classifying<'a>> {
    let mut tensor = output;
    let (mut softmax, mut logits) = (false, None);
    loop {
        let at = *makers.get(tensor)?;
        let node = &graph.nodes[at];
        // What is computed from the input's shape are integers, not on the way.
        let floats = |t: &&String| graph.varying.contains(*t) && facts.get(*t).is_some_and(|f| f.is_f32);
        let mut inputs = node.inputs.iter().filter(floats);
        let (Some(input), None) = (inputs.next(), inputs.next()) else { return None };
        if is_classifying(node, input, facts, softmax) {
            return Some(Classifying { at, input, logits: logits.unwrap_or(true) });
        }
        // What comes last decides. A LogSoftmax leaves logits: they may be off by a constant.
        match node.operator.as_str() {
            "Softmax" | "Sigmoid" => _ = logits.get_or_insert(false),
            "LogSoftmax" => _ = logits.get_or_insert(true),
            _ => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trunk::engine::Fact;
    use crate::trunk::onnx::Input;

    /// A graph whose nodes are written `output = Operator(inputs) shape`; other tensors are constants, `[name] shape`.
    fn network(text: &str, outputs: &[&str]) -> (Graph, Facts) {
        let mut graph = Graph {
            input: Input { name: "x".into(), is_f32: true, dims: vec![] },
            outputs: outputs.iter().map(|o| o.to_string()).collect(),
            nodes: vec![],
            varying: HashSet::from(["x".into()]),
        };
        let mut facts = Facts::from([("x".into(), Fact { is_f32: true, shape: vec![1, 3, 5, 5] })]);
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let words: Vec<&str> = line.split([' ', '=', '(', ')', ',']).filter(|w| !w.is_empty()).collect();
            let shape = words.last().unwrap().split('x').map(|n| n.parse().unwrap()).collect();
            let name = words[0].to_string();
            facts.insert(name.clone(), Fact { is_f32: true, shape });
            if line.contains('=') {
                let inputs: Vec<String> = words[2..words.len() - 1].iter().map(|w| w.to_string()).collect();
                graph.varying.insert(name.clone());
                graph.nodes.push(Node { name: name.clone(), operator: words[1].into(), inputs, outputs: vec![name] });
            }
        }
        (graph, facts)
    }

    /// Names of the default cut and of the classifier's output.
    fn ends_of(text: &str, outputs: &[&str]) -> (Option<String>, Option<String>) {
        let (graph, facts) = network(text, outputs);
        let layers = list(&graph, &facts);
        let ends = ends(&graph, &facts, &layers);
        let name = |at: Option<usize>| at.map(|at| layers[at].name.clone());
        (name(ends.features), name(ends.classes))
    }

    fn some(a: &str, b: &str) -> (Option<String>, Option<String>) {
        (Some(a.into()), Some(b.into()))
    }

    #[test]
    fn the_cut_is_what_feeds_the_dense_layer() {
        let dense = "w 8x4
            b 4
            m = Conv(x) 1x8x5x5
            p = GlobalAveragePool(m) 1x8x1x1
            f = Flatten(p) 1x8
            d = Dropout(f) 1x8
            y = MatMul(d, w) 1x4
            z = Add(y, b) 1x4
            s = Softmax(z) 1x4";
        assert_eq!(ends_of(dense, &["s"]), some("d", "s"));
        assert_eq!(ends_of(dense, &["z"]), some("d", "z"));
        // The features are an output too, before or after the classes.
        assert_eq!(ends_of(dense, &["f", "z"]), some("d", "z"));
        assert_eq!(ends_of(dense, &["z", "f"]), some("d", "z"));
        assert_eq!(ends_of(dense, &["f"]), (Some("f".into()), None));
    }

    #[test]
    fn what_follows_the_dense_layer_says_whether_its_output_is_logits() {
        let logits = |after: &str, output: &str| {
            let text = format!("w 8x4\n f = GlobalAveragePool(x) 1x8\n z = MatMul(f, w) 1x4\n {after}");
            let (graph, facts) = network(&text, &[output]);
            let ends = ends(&graph, &facts, &list(&graph, &facts));
            assert!(ends.classes.is_some(), "{after}");
            ends.logits
        };
        assert!(logits("", "z"));
        assert!(logits("i = Identity(z) 1x4", "i"));
        assert!(logits("s = LogSoftmax(z) 1x4", "s"));
        assert!(!logits("s = Softmax(z) 1x4", "s"));
        for behind in ["Identity", "Flatten", "Reshape"] {
            assert!(!logits(&format!("s = Softmax(z) 1x4\n i = {behind}(s) 1x4"), "i"));
        }
        assert!(!logits("s = Sigmoid(z) 1x4", "s"));
        assert!(!logits("s = Sigmoid(z) 1x4\n i = Identity(s) 1x4", "i"));
        assert!(logits("s = Softmax(z) 1x4", "z"));
    }

    #[test]
    fn a_convolution_can_be_the_classifier() {
        let on_one_pixel = "w 4x8x1x1
            p = GlobalAveragePool(x) 1x8x1x1
            y = Conv(p, w) 1x4x1x1
            f = Flatten(y) 1x4";
        assert_eq!(ends_of(on_one_pixel, &["f"]), some("p", "f"));
        let network_in_network = "w 4x8x1x1
            m = Relu(x) 1x8x5x5
            y = Conv(m, w) 1x4x5x5
            r = Relu(y) 1x4x5x5
            p = GlobalAveragePool(r) 1x4x1x1
            s = Softmax(p) 1x4x1x1";
        assert_eq!(ends_of(network_in_network, &["s"]), some("m", "s"));
        // Without the softmax the same layers are how MobileNet V2 makes its features.
        assert_eq!(ends_of(network_in_network, &["p"]), (Some("p".into()), None));
    }

    #[test]
    fn squeeze_and_excitation_is_no_classifier() {
        let text = "w 8x8
            m = Conv(x) 1x8x5x5
            p = ReduceMean(m) 1x8
            e = Gemm(p, w) 1x8
            g = Mul(m, e) 1x8x5x5
            f = GlobalAveragePool(g) 1x8x1x1";
        assert_eq!(ends_of(text, &["f"]), (Some("f".into()), None));
    }

    #[test]
    fn other_ends_have_no_default() {
        assert_eq!(ends_of("m = Conv(x) 1x8x5x5\n b = Reshape(m) 1x25x8", &["b"]), (None, None));
        assert_eq!(ends_of("m = Conv(x) 1x8x5x5\n s = Softmax(m) 1x8x5x5", &["s"]), (None, None));
        // A dense layer right on the input: there is no layer before it.
        assert_eq!(ends_of("w 8x4\n y = Gemm(x, w) 1x4", &["y"]), (None, Some("y".into())));
    }

    #[test]
    fn costs_count_each_weight_and_each_ancestor_once() {
        let text = "w 6x3x3x3
            v 6x1x3x3
            u 6x4x2x2
            c 1
            a = Conv(x, w) 1x6x8x8
            t = Conv(a, v) 1x6x8x8
            d = Add(a, t) 1x6x8x8
            q = PRelu(d, c) 1x6x8x8
            o = Conv(q, v) 1x6x8x8
            z = ConvTranspose(o, u) 1x4x16x16
            side = Conv(x, w) 1x6x8x8";
        let (graph, mut facts) = network(text, &["z", "side"]);
        facts.insert("c".into(), Fact { is_f32: true, shape: vec![] });
        let layers = list(&graph, &facts);
        let cost =
            |name: &str| layers.iter().find(|l| l.name == name).map(|l| (l.parameters, l.multiply_adds)).unwrap();
        let (conv, depthwise) = (6 * 64 * 27, 6 * 64 * 9);
        assert_eq!(cost("a"), (162, conv));
        assert_eq!(cost("d"), (162 + 54, conv + depthwise));
        assert_eq!(cost("z"), (162 + 54 + 96, conv + 2 * depthwise + 6 * 64 * 16));
        assert_eq!(cost("side"), (162, conv));
    }

    #[test]
    fn only_layers_that_give_features_are_listed() {
        let text = "tokens = Reshape(x) 1x10x8
            moved = Transpose(x) 1x5x5x8
            batch = Reshape(x) 2x8
            empty = Reshape(x) 1x8x0x5
            row = Flatten(x) 1x200
            map = Relu(x) 1x8x5x5
            integers = Cast(x) 1x8";
        let (graph, mut facts) = network(text, &["row"]);
        facts.get_mut("integers").unwrap().is_f32 = false;
        let layers = list(&graph, &facts);
        let names: Vec<_> = layers.iter().map(|l| (l.name.as_str(), l.feature_dim, l.pooling())).collect();
        assert_eq!(names, [("row", 200, Pooling::None), ("map", 8, Pooling::Average)]);
    }
}
