//! Random networks, as we run them and as tract does, without tract's optimisation: that of 0.23.9 makes `x - constant` of `constant - x` behind a
//! convolution.

use tract_core::ops::array::TypedConcat;
use tract_core::ops::cnn::{Conv, KernelFormat, MaxPool, PaddingSpec, PoolSpec, SumPool};
use tract_core::ops::math::{add, div, max, min, mul, sub, tanh};
use tract_core::ops::nn::{DataFormat, Reduce, Reducer, hard_swish, sigmoid};

use super::*;

/// A generator that any test may start.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }

    fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| self.below(2001) as f32 / 1000.0 - 1.0).collect();
        Tensor::from_shape(shape, &numbers).expect("fits")
    }

    fn pair(&mut self, most: usize) -> [usize; 2] {
        [0; 2].map(|_| self.below(most))
    }
}

/// A network in the making.
struct Network {
    random: Random,
    model: TypedModel,
    /// Maps that there are, `[channels, height, width]`.
    maps: Vec<(OutletId, [usize; 3])>,
    nodes: usize,
    what: String,
}

impl Network {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let shape = [1 + random.below(20), 1 + random.below(20), 1 + random.below(30)];
        let mut model = TypedModel::default();
        let input = model.add_source("x", f32::fact([1, shape[0], shape[1], shape[2]])).expect("adds");
        Self { random, model, maps: vec![(input, shape)], nodes: 0, what: format!("{shape:?}") }
    }

    fn wire(&mut self, op: impl Into<Box<dyn TypedOp>>, inputs: &[OutletId]) {
        self.nodes += 1;
        let op = op.into();
        self.what += &format!("\n{inputs:?} {} {:?}", op.name(), op);
        let out = self.model.wire_node(format!("n{}", self.nodes), op, inputs).expect("wires")[0];
        let fact = self.model.outlet_fact(out).expect("is there");
        if let Some([1, channels, height, width]) = fact.shape.as_concrete() {
            self.maps.push((out, [*channels, *height, *width]));
        }
    }

    fn constant(&mut self, shape: &[usize]) -> OutletId {
        self.nodes += 1;
        let tensor = self.random.tensor(shape);
        self.model.add_const(format!("c{}", self.nodes), tensor).expect("adds")
    }

    /// The newest map, or one of the others.
    fn any(&mut self) -> (OutletId, [usize; 3]) {
        let newest = self.maps.len() - 1;
        let at = if self.random.below(4) > 0 { newest } else { self.random.below(newest + 1) };
        self.maps[at]
    }

    fn spec(&mut self, [channels, height, width]: [usize; 3], outputs: usize) -> Option<PoolSpec> {
        let random = &mut self.random;
        let size = [[1, 1], [3, 3], [5, 5], [2, 3], [1, 7]][random.below(5)];
        let (stride, dilation) = (random.pair(3), if random.below(3) == 0 { random.pair(2) } else { [0; 2] });
        let (before, after) = (random.pair(3), random.pair(3));
        let fits = [(0, height), (1, width)]
            .into_iter()
            .all(|(axis, side)| side + before[axis] + after[axis] > (size[axis] - 1) * (dilation[axis] + 1));
        let more = |pair: [usize; 2]| TVec::from_slice(&pair.map(|x| x + 1));
        fits.then(|| PoolSpec {
            data_format: DataFormat::NCHW,
            kernel_shape: TVec::from_slice(&size),
            padding: PaddingSpec::Explicit(TVec::from_slice(&before), TVec::from_slice(&after)),
            dilations: Some(more(dilation)),
            strides: Some(more(stride)),
            input_channels: channels,
            output_channels: outputs,
        })
    }

    fn grow(&mut self) {
        let (x, shape) = self.any();
        let [channels, height, width] = shape;
        match self.random.below(14) {
            kind @ 0..=3 => {
                // 0 and 1: of all channels; 2: of each by itself; 3: in groups, which are left to tract.
                let groups = [1, 1, channels, if channels % 2 == 0 { 2 } else { 1 }][kind];
                let outputs = if kind == 2 { channels } else { groups * (1 + self.random.below(40)) };
                let Some(pool_spec) = self.spec(shape, outputs) else { return };
                let kernel = [outputs, channels / groups, pool_spec.kernel_shape[0], pool_spec.kernel_shape[1]];
                let bias = if self.random.below(2) == 0 { self.constant(&[outputs]) } else { self.constant(&[]) };
                let weights = self.constant(&kernel);
                let conv = Conv { pool_spec, kernel_fmt: KernelFormat::OIHW, group: groups, q_params: None };
                self.wire(conv, &[x, weights, bias]);
            }
            4 => {
                let Some(pool_spec) = self.spec(shape, channels) else { return };
                // tract's sums and ours differ of windows that see nothing.
                let sees = pool_spec.kernel_shape.iter().all(|side| *side > 2);
                match self.random.below(3) {
                    0 if sees => self.wire(MaxPool { pool_spec, with_index_outputs: None }, &[x]),
                    kind => {
                        let count_include_pad = kind == 1 || !sees;
                        self.wire(SumPool { pool_spec, count_include_pad, normalize: true }, &[x]);
                    }
                }
            }
            5 => {
                let same: Vec<_> = self.maps.iter().filter(|(_, other)| *other == shape).map(|(at, _)| *at).collect();
                let other = same[self.random.below(same.len())];
                self.wire(add(), &[x, other]);
            }
            6 => {
                let like = |other: &[usize; 3]| other[1..] == shape[1..];
                let parts: Vec<_> = self.maps.iter().filter(|(_, other)| like(other)).map(|(at, _)| *at).collect();
                let parts: Vec<_> =
                    (0..2 + self.random.below(2)).map(|_| parts[self.random.below(parts.len())]).collect();
                self.wire(TypedConcat { axis: 1 }, &parts);
            }
            7 | 8 => {
                let constant = self.constant(&[1, 1, 1, 1]);
                let op = if self.random.below(2) == 0 { max() } else { min() };
                let inputs = if self.random.below(2) == 0 { [x, constant] } else { [constant, x] };
                self.wire(op, &inputs);
            }
            9 => {
                let constant = self.constant(&[1, channels, 1, 1]);
                let op = [add(), sub(), mul()][self.random.below(3)].clone();
                let inputs = if self.random.below(2) == 0 { [x, constant] } else { [constant, x] };
                self.wire(op, &inputs);
            }
            10 => {
                let op: Box<dyn TypedOp> =
                    if self.random.below(2) == 0 { hard_swish().into() } else { sigmoid().into() };
                self.wire(op, &[x]);
            }
            11 => {
                let like = |other: &[usize; 3]| *other == shape || *other == [channels, 1, 1];
                let same: Vec<_> = self.maps.iter().filter(|(_, other)| like(other)).map(|(at, _)| *at).collect();
                let other = same[self.random.below(same.len())];
                let inputs = if self.random.below(2) == 0 { [x, other] } else { [other, x] };
                self.wire(mul(), &inputs);
            }
            _ if self.random.below(2) == 0 && height * width > 1 => {
                self.wire(Reduce::new(tvec!(2, 3), Reducer::Sum), &[x]);
                let (sum, _) = self.maps[self.maps.len() - 1];
                let count = self
                    .model
                    .add_const(
                        format!("d{}", self.nodes),
                        Tensor::from_shape(&[1, 1, 1, 1], &[(height * width) as f32]).expect("fits"),
                    )
                    .expect("adds");
                self.wire(div(), &[sum, count]);
            }
            // Not covered: a part ends here, and another one begins.
            _ => self.wire(tanh(), &[x]),
        }
    }
}

fn run(model: TypedModel, x: &Tensor) -> Vec<Tensor> {
    let plan = model.into_runnable().expect("is ready");
    let pass = || plan.run(tvec!(x.clone().into_tvalue())).expect("runs");
    // Twice: the memory of a pass is that of the next. The first is spread over threads; the second is on one of rayon's, which has it for itself.
    let first: Vec<Tensor> = pass().into_iter().map(|y| y.into_tensor()).collect();
    let (again, ()) = rayon::join(|| pass().into_iter().map(|y| y.into_tensor()).collect::<Vec<_>>(), || ());
    assert_eq!(again, first, "the same bits");
    first
}

/// The largest difference, as a part of the largest number.
fn differ(ours: &Tensor, tracts: &Tensor) -> f32 {
    let [ours, tracts] = [ours, tracts].map(|tensor| tensor.to_plain_array_view::<f32>().expect("f32"));
    let largest = tracts.iter().map(|x| x.abs()).fold(1e-3, f32::max);
    ours.iter().zip(tracts.iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest
}

fn has_maps(model: &TypedModel) -> usize {
    model.nodes.iter().filter(|node| node.op_is::<Maps>()).count()
}

#[test]
fn any_network_gives_what_tract_gives() {
    let (mut parts, mut most) = (0, 0);
    for seed in 0..400 {
        let mut network = Network::new(seed);
        for _ in 0..3 + seed % 12 {
            network.grow();
        }
        // Some maps in the middle are asked for, too: a network is cut anywhere.
        let mut outputs: Vec<OutletId> = vec![network.maps[network.maps.len() - 1].0];
        outputs.extend((0..network.random.below(3)).map(|_| network.any().0));
        outputs.sort_unstable();
        outputs.dedup();
        let Network { mut model, mut random, what, maps, .. } = network;
        model.select_output_outlets(&outputs).expect("are there");
        let [channels, height, width] = maps[0].1;
        let x = random.tensor(&[1, channels, height, width]);
        let mut ours = model.clone();
        ours.compact().expect("compacts");
        replace(&mut ours).expect("replaces");
        parts += has_maps(&ours);
        most = most.max(has_maps(&ours));
        let ours = ours.into_decluttered().and_then(|model| model.into_optimized()).expect("optimises");
        let (ours, tracts) = (run(ours, &x), run(model, &x));
        assert_eq!(ours.len(), tracts.len());
        for (ours, tracts) in ours.iter().zip(&tracts) {
            assert_eq!(ours.shape(), tracts.shape(), "{seed}: {what}");
            let differ = differ(ours, tracts);
            assert!(differ < 1e-4, "{seed}: {differ}: {what}");
        }
    }
    assert!(parts > 250 && most > 1, "{parts} parts, at most {most} in one network");
}

/// MobileNetV1: a chain that is longer than any band.
#[test]
fn a_chain_of_depthwise_and_pointwise_convolutions_gives_what_tract_gives() {
    let mut network = Network::new(5);
    for layer in 0..9 {
        let (x, [channels, height, width]) = network.maps[network.maps.len() - 1];
        let (groups, size, outputs) = if layer % 2 == 0 { (1, 1, 12) } else { (channels, 3, channels) };
        let pool_spec = PoolSpec {
            data_format: DataFormat::NCHW,
            kernel_shape: tvec!(size, size),
            padding: PaddingSpec::Explicit(tvec!(size / 2, size / 2), tvec!(size / 2, size / 2)),
            dilations: None,
            strides: None,
            input_channels: channels,
            output_channels: outputs,
        };
        let (weights, bias) =
            (network.constant(&[outputs, channels / groups, size, size]), network.constant(&[outputs]));
        let conv = Conv { pool_spec, kernel_fmt: KernelFormat::OIHW, group: groups, q_params: None };
        network.wire(conv, &[x, weights, bias]);
        assert_eq!(network.maps[network.maps.len() - 1].1[1..], [height, width]);
    }
    let Network { mut model, mut random, maps, .. } = network;
    model.select_output_outlets(&[maps[maps.len() - 1].0]).expect("is there");
    let [channels, height, width] = maps[0].1;
    let x = random.tensor(&[1, channels, height, width]);
    let mut ours = model.clone();
    replace(&mut ours).expect("replaces");
    let (ours, tracts) = (run(ours, &x), run(model, &x));
    assert!(differ(&ours[0], &tracts[0]) < 1e-5);
}
