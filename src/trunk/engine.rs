//! Runs networks: finds the shapes of a graph's tensors, makes the layers up to a cut ready, puts one picture through.
//!
//! # Panics
//! None. tract returns errors for most malformed networks, but it asserts in places that a hostile file can reach, so
//! every call into it passes through [`guarded`], which makes an error of a panic.

mod maps;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ndarray::Array4;
use tract_core::internal::*;
use tract_core::ops::cast::Cast;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::InferenceModelExt;

#[cfg(feature = "encoder")]
use super::encoder::Role;
use super::onnx::{Graph, Node};
use crate::panics::{brief, caught};

/// With this in the environment, set to `tract`, nothing is run by our own kernels: to compare with.
const TRUNK: &str = "TOPGRAFT_TRUNK";

/// What is known of a tensor of the graph.
pub(super) struct Fact {
    /// Whether its elements are 32-bit floats.
    pub is_f32: bool,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// Facts by tensor name; a tensor whose shape depends on the input's numbers has none.
pub(super) type Facts = BTreeMap<String, Fact>;

/// A network with its weights, not yet optimised, and the tensors that it can be cut at.
pub(super) struct Network {
    model: TypedModel,
    /// Names of the model's outputs, in their order.
    tensors: Vec<String>,
}

/// The layers up to a cut, ready to run; one plan serves any number of threads.
pub(super) struct Plan(Arc<TypedRunnableModel>);

/// The first node whose operator is unknown here.
pub(super) fn unsupported(graph: &Graph) -> Option<&Node> {
    let known = tract_onnx::onnx().op_register.0;
    graph.nodes.iter().find(|n| !known.contains_key(&n.operator))
}

/// The first node of a message whose operator is unknown here: the operator and the node's name.
#[cfg(feature = "encoder")]
pub(super) fn unsupported_operator(proto: &ModelProto) -> Option<(String, String)> {
    let known = tract_onnx::onnx().op_register.0;
    let mut nodes = proto.graph.iter().flat_map(|graph| &graph.node);
    nodes.find(|node| !known.contains_key(&node.op_type)).map(|node| (node.op_type.clone(), node.name.clone()))
}

/// A network that takes sequences of any length, ready to run; one plan serves any number of threads.
#[cfg(feature = "encoder")]
pub(super) struct SequencePlan {
    plan: Arc<TypedRunnableModel>,
    roles: Vec<Role>,
    width: usize,
}

#[cfg(feature = "encoder")]
impl SequencePlan {
    /// Builds it: inputs `[1, n]` i64, in their order with these roles, of which the output of that place is `[1, n, width]` f32.
    ///
    /// # Errors
    /// What does not fit together, in tract's words.
    pub(super) fn new(proto: ModelProto, folder: Option<&Path>, roles: &[Role], output: usize) -> Result<Self, String> {
        let options = RunOptions { executor: Some(multithread::Executor::SingleThread), ..Default::default() };
        let (plan, shape) = guarded(|| {
            let onnx = tract_onnx::onnx().with_ignore_value_info(true);
            let mut model = onnx.parse(&proto, folder.and_then(Path::to_str))?.model;
            drop(proto);
            let length = model.symbols.sym("pieces");
            for input in 0..roles.len() {
                model.set_input_fact(input, i64::fact([1.to_dim(), length.to_dim()]).into())?;
            }
            let outlet = model.output_outlets()?[output];
            model.select_output_outlets(&[outlet])?;
            // What the exporter knew of it need not be so.
            model.set_output_fact(0, Default::default())?;
            let model = model.into_typed()?.into_decluttered()?;
            let shape = model.output_fact(0)?.shape.to_tvec();
            Ok((model.into_optimized()?.into_runnable_with_options(&options)?, shape))
        })?;
        let width = match &shape[..] {
            [_, _, width] => width.to_i64().ok().and_then(|width| usize::try_from(width).ok()),
            _ => None,
        };
        let shape = || shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let width = width.ok_or_else(|| format!("its output is [{}], not [1, pieces, width]", shape()))?;
        Ok(Self { plan, roles: roles.to_vec(), width })
    }

    /// Numbers that the network gives for each piece.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// `[n, width]`, row-major, for n pieces.
    ///
    /// # Errors
    /// What failed, in tract's words.
    pub(super) fn run(&self, ids: &[u32], types: &[u32]) -> Result<Vec<f32>, String> {
        guarded(|| {
            let input = |role: &Role| {
                let numbers: Vec<i64> = match role {
                    Role::Ids => ids.iter().map(|id| i64::from(*id)).collect(),
                    Role::Mask => vec![1; ids.len()],
                    Role::Types => types.iter().map(|id| i64::from(*id)).collect(),
                };
                Ok(Tensor::from_shape(&[1, ids.len()], &numbers)?.into_tvalue())
            };
            let inputs = self.roles.iter().map(input).collect::<TractResult<TVec<_>>>()?;
            let outputs = self.plan.run(inputs)?;
            Ok(outputs[0].try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
        })
    }
}

impl Network {
    /// Builds the network for an input of shape `input`; `folder` is where files with weights are looked for.
    ///
    /// # Errors
    /// What does not fit together, in tract's words.
    pub(super) fn analyse(
        proto: ModelProto,
        folder: Option<&Path>,
        graph: &Graph,
        input: [usize; 4],
    ) -> Result<(Self, Facts), String> {
        guarded(|| {
            // The shapes that the file states are those of its own batch and size of input, which need not be ours.
            let onnx = tract_onnx::onnx().with_ignore_value_info(true);
            let parsed = onnx.parse(&proto, folder.and_then(Path::to_str))?;
            // The weights are in `parsed` now: do not hold them twice.
            drop(proto);
            let mut model = parsed.model;
            model.set_input_fact(0, f32::fact(input).into())?;

            let layers = graph.nodes.iter().filter(|n| graph.varying.contains(&n.outputs[0]));
            let mut tensors: Vec<&String> = layers.flat_map(|n| n.inputs.iter().chain(&n.outputs[..1])).collect();
            tensors.sort();
            tensors.dedup();
            tensors.retain(|t| !t.is_empty());
            let outlets: Vec<OutletId> = tensors.iter().map(|&t| parsed.outlets_by_name[t]).collect();
            model.select_output_outlets(&outlets)?;
            let mut model = model.into_typed()?;
            widen_constants(&mut model)?;

            let mut facts = Facts::new();
            for (&tensor, &outlet) in tensors.iter().zip(model.output_outlets()?) {
                let fact = model.outlet_fact(outlet)?;
                if let Some(shape) = fact.shape.as_concrete() {
                    let is_f32 = fact.datum_type == f32::datum_type();
                    facts.insert(tensor.clone(), Fact { is_f32, shape: shape.to_vec() });
                }
            }
            Ok((Network { model, tensors: tensors.into_iter().cloned().collect() }, facts))
        })
    }

    /// Forgets all that is not needed for a cut at one of `tensors`.
    ///
    /// # Errors
    /// None is known.
    pub(super) fn keep(&mut self, tensors: Vec<String>) -> Result<(), String> {
        guarded(|| {
            let outlets: Vec<OutletId> = tensors.iter().filter_map(|t| self.outlet(t)).collect();
            self.model.select_output_outlets(&outlets)?;
            self.model.compact()
        })?;
        self.tensors = tensors;
        Ok(())
    }

    /// Optimises the layers up to `tensors` for this CPU.
    ///
    /// # Errors
    /// What failed, in tract's words.
    pub(super) fn compile(&self, tensors: &[&str]) -> Result<Plan, String> {
        // tract: one thread a picture, whatever its default has been set to.
        let options = RunOptions { executor: Some(multithread::Executor::SingleThread), ..Default::default() };
        let outlet = |tensor: &&str| self.outlet(tensor).ok_or_else(|| format!("the network has no tensor {tensor}"));
        let outlets = tensors.iter().map(outlet).collect::<Result<Vec<_>, _>>()?;
        guarded(|| {
            let mut model = self.model.clone();
            model.select_output_outlets(&outlets)?;
            model.compact()?;
            if std::env::var_os(TRUNK).is_none_or(|by| by != "tract") {
                maps::replace(&mut model)?;
            }
            let model = model.into_decluttered()?;
            Ok(Plan(model.into_optimized()?.into_runnable_with_options(&options)?))
        })
    }

    fn outlet(&self, tensor: &str) -> Option<OutletId> {
        let at = self.tensors.iter().position(|t| t == tensor)?;
        self.model.outputs.get(at).copied()
    }
}

/// Makes constants of casts of constants, once for all cuts: tract leaves large ones to every pass.
///
/// # Errors
/// None is known.
fn widen_constants(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes.len() {
        let node = model.node(id);
        let Some(konst) = node.inputs.first().and_then(|at| model.outlet_fact(*at).ok()?.konst.clone()) else {
            continue;
        };
        if !node.op_is::<Cast>() {
            continue;
        }
        let Some(mut wide) = node.op.eval_out_of_plan(tvec!(konst.into_tvalue()))? else { continue };
        let mut patch = TypedModelPatch::default();
        let name = format!("{}.wide", node.name);
        let constant = patch.add_const(name, wide.remove(0).into_arc_tensor())?;
        patch.shunt_outside(model, id.into(), constant)?;
        patch.apply(model)?;
    }
    model.compact()
}

impl Plan {
    /// The numbers of each tensor, row-major, for one picture of the shape that the network was analysed with.
    ///
    /// # Errors
    /// What failed, in tract's words.
    pub(super) fn run(&self, input: Array4<f32>) -> Result<Vec<Vec<f32>>, String> {
        guarded(|| {
            let outputs = self.0.run(tvec!(input.into_tvalue()))?;
            outputs.iter().map(|output| Ok(output.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())).collect()
        })
    }
}

/// Calls into tract: an error comes back as one line, and so does a panic (see the module's docs).
pub(super) fn guarded<T>(call: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match caught(call) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            // The first says where, the last says what; those between repeat them.
            let (first, last) = (brief(&error.to_string()), brief(&error.root_cause().to_string()));
            Err(if first == last { first } else { format!("{first}: {last}") })
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(format!("tract panicked: {}", brief(text)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_panics_become_one_line() {
        assert_eq!(guarded(|| Ok(3)), Ok(3));
        let deep = || TractError::msg("a shape\n  does not fit").context("layer 3").context("the network");
        assert_eq!(guarded::<()>(|| Err(deep())), Err("the network: a shape does not fit".into()));
        assert_eq!(guarded::<()>(|| panic!("{} is hostile", "it")), Err("tract panicked: it is hostile".into()));
        assert_eq!(guarded::<()>(|| std::panic::panic_any(1)), Err("tract panicked: no message".into()));
        assert_eq!(brief(&"é".repeat(1000)).chars().count(), 200);
    }

    /// Larger than what tract makes constants of by itself.
    #[test]
    fn casts_of_constants_are_done_once() {
        let mut model = TypedModel::default();
        let halves: Vec<f16> = (0..3 << 20).map(|i| f16::from_f32((i % 1000) as f32)).collect();
        let weights = model.add_const("w", Tensor::from_shape(&[3 << 20], &halves).expect("fits")).expect("adds");
        let wide = model.wire_node("cast", Cast::new(f32::datum_type()), &[weights]).expect("wires")[0];
        model.select_output_outlets(&[wide]).expect("is there");
        let mut alone = model.clone();
        tract_core::optim::Optimizer::prop_consts().optimize(&mut alone).expect("optimises");
        assert!(alone.nodes.iter().any(|node| node.op_is::<Cast>()), "tract does it by itself now: leave it to tract");
        widen_constants(&mut model).expect("widens");
        assert_eq!(model.nodes.len(), 1);
        let konst = model.output_fact(0).expect("is there").konst.clone().expect("a constant");
        assert_eq!(konst.to_plain_array_view::<f32>().expect("f32")[[1999]], 999.0);
    }

    #[test]
    fn plans_are_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Plan>();
        shared::<Network>();
    }
}
