//! Convolutional parts of a network by our own kernels: what tract does operator by operator, on planes, is one operator here, a plan of steps
//! on maps whose pixels hold their channels side by side (NHWC).
//!
//! Why that layout: vectors go along the channels, so that a filter sees whole pixels whatever its size, stride, dilation and padding; nothing is
//! copied for the padding; a 1 x 1 convolution reads its input as it is; and parts of a concatenation are written where they belong. Planes
//! (NCHW) want another kernel for each, and a copy between; blocks of channels (NCHWc) want one size of block for each CPU.
//!
//! `layer.rs` says which nodes are covered; all others stay tract's. `plan.rs` makes steps of layers, fuses, and gives each map its place; `op.rs`
//! runs them.

mod layer;
mod op;
mod plan;

use std::collections::BTreeMap;

use topgraft_core::kernel::{Isa, Kernels};
use tract_core::internal::*;
use tract_core::optim::Optimizer;

use layer::Covered;
use op::Maps;
use plan::Plan;

/// Puts our own in the place of the convolutional parts of a network. `model` is as it was read, not yet decluttered.
///
/// # Errors
/// What failed, in tract's words.
pub(super) fn replace(model: &mut TypedModel) -> TractResult<()> {
    let kernels = Kernels::detect();
    if !matches!(kernels.isa(), Isa::Avx2 | Isa::Avx512 | Isa::Neon) {
        return Ok(());
    }
    Optimizer::prop_consts().optimize(model)?;
    for nodes in parts(model)? {
        // What was put in the place of another part may be an input of this one.
        let covered = |id: &usize| Ok((*id, Covered::new(model, model.node(*id))?.context("covered before")?));
        let part = nodes.iter().map(covered).collect::<TractResult<Vec<_>>>()?;
        let outside = |at: &OutletId| part.iter().all(|(node, _)| *node != at.node);
        let mut inputs: Vec<OutletId> = part.iter().flat_map(|(_, covered)| covered.inputs.iter().copied()).collect();
        inputs.retain(outside);
        inputs.sort_unstable();
        inputs.dedup();
        let is_needed = |node: &usize| {
            let needs = |at: &InletId| part.iter().all(|(node, _)| *node != at.node);
            model.nodes[*node].outputs[0].successors.iter().any(needs) || model.outputs.contains(&OutletId::from(*node))
        };
        let outputs: Vec<OutletId> = part.iter().map(|(node, _)| *node).filter(is_needed).map(OutletId::from).collect();
        let name = model.nodes[outputs[0].node].name.clone();
        let plan = Plan::new(model, part, &inputs, &outputs)?;
        let mut patch = TypedModelPatch::default();
        let x = inputs.iter().map(|at| patch.tap_model(model, *at)).collect::<TractResult<TVec<_>>>()?;
        let y = patch.wire_node(format!("{name}.maps"), Maps::new(plan, kernels), &x)?;
        for (old, new) in outputs.into_iter().zip(y) {
            patch.shunt_outside(model, old, new)?;
        }
        patch.apply(model)?;
    }
    Ok(())
}

/// The nodes of each part that is worth it, in the order in which they run. Between two nodes of a part there is no way through others.
fn parts(model: &TypedModel) -> TractResult<Vec<Vec<usize>>> {
    // Nodes of one rank are all covered, or all not; no node needs one of a higher rank.
    let mut ranks = vec![0usize; model.nodes.len()];
    let mut parts: BTreeMap<usize, Vec<(usize, bool)>> = BTreeMap::new();
    for id in model.eval_order()? {
        let covered = Covered::new(model, model.node(id))?;
        let parity = usize::from(covered.is_some());
        let after = |rank: usize| if rank % 2 == parity { rank } else { rank + 1 };
        ranks[id] = model.node(id).inputs.iter().map(|at| after(ranks[at.node])).max().unwrap_or(0).max(parity);
        if let Some(covered) = covered {
            parts.entry(ranks[id]).or_default().push((id, covered.is_convolution()));
        }
    }
    let is_worth = |part: &Vec<(usize, bool)>| part.iter().any(|(_, is_convolution)| *is_convolution);
    let nodes = |part: Vec<(usize, bool)>| part.into_iter().map(|(node, _)| node).collect();
    Ok(parts.into_values().filter(is_worth).map(nodes).collect())
}

#[cfg(test)]
mod tests;
