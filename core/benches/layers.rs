//! How near convolutions come to the peak of one core: `cargo bench -p topgraft-core --bench layers [-- WORD...]`, WORDs being parts of
//! the names of layers.
//!
//! The layers are those that most of the time goes to in MobileNetV2, EfficientNet-Lite0, ResNet-50, Inception v3 and VGG-19. The peak is
//! measured in the same run; times are the thread's CPU time, medians.

mod peak;
mod timing;

use peak::peak;
use timing::{Runs, measure};
use topgraft_core::kernel::{Convolution, Isa, Kernels, Map, Window, pack_filters, packed_filters};

const RUNS: Runs = Runs { least: 5, seconds: 0.1 };

struct Layer {
    name: &'static str,
    side: usize,
    channels: usize,
    /// `None`: depthwise.
    outputs: Option<usize>,
    size: [usize; 2],
    stride: usize,
}

const fn layer(
    name: &'static str,
    side: usize,
    channels: usize,
    outputs: usize,
    size: [usize; 2],
    stride: usize,
) -> Layer {
    Layer { name, side, channels, outputs: Some(outputs), size, stride }
}

const fn depthwise(name: &'static str, side: usize, channels: usize, size: usize, stride: usize) -> Layer {
    Layer { name, side, channels, outputs: None, size: [size; 2], stride }
}

const LAYERS: [Layer; 24] = [
    layer("stem", 224, 3, 32, [3, 3], 2),
    layer("point", 112, 32, 16, [1, 1], 1),
    layer("point", 112, 16, 96, [1, 1], 1),
    layer("point", 56, 96, 24, [1, 1], 1),
    layer("point", 56, 24, 144, [1, 1], 1),
    layer("point", 28, 192, 32, [1, 1], 1),
    layer("point", 14, 64, 384, [1, 1], 1),
    layer("point", 14, 384, 64, [1, 1], 1),
    layer("point", 14, 576, 96, [1, 1], 1),
    layer("point", 7, 160, 960, [1, 1], 1),
    layer("point", 7, 960, 160, [1, 1], 1),
    layer("point", 7, 320, 1280, [1, 1], 1),
    layer("resnet", 56, 64, 64, [3, 3], 1),
    layer("resnet", 14, 256, 256, [3, 3], 1),
    layer("inception", 17, 160, 160, [1, 7], 1),
    layer("vgg", 224, 64, 64, [3, 3], 1),
    layer("vgg", 56, 256, 256, [3, 3], 1),
    layer("vgg", 14, 512, 512, [3, 3], 1),
    depthwise("depthwise", 112, 32, 3, 1),
    depthwise("depthwise", 112, 96, 3, 2),
    depthwise("depthwise", 56, 144, 3, 1),
    depthwise("depthwise", 14, 384, 3, 1),
    depthwise("depthwise", 14, 672, 5, 1),
    depthwise("depthwise", 7, 960, 3, 1),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for kernels in Kernels::available().filter(|kernels| kernels.isa() != Isa::Scalar) {
        let Some(peak) = peak(kernels) else { continue };
        println!("\n## {}: peak {peak:.1} GFLOP/s of one core\n", kernels.isa().name());
        println!("| layer | input | filters | ms | GFLOP/s | of peak |\n|---|---|---|---|---|---|");
        for layer in &LAYERS {
            if !words.is_empty() && !words.iter().any(|word| layer.name.contains(word.as_str())) {
                continue;
            }
            let (seconds, flops) = time(kernels, layer);
            let Layer { name, side, channels, size: [down, across], stride, .. } = layer;
            let outputs = layer.outputs.unwrap_or(1);
            println!(
                "| {name} | {side} x {side} x {channels} | {outputs} of {down} x {across}, stride {stride} | {:.3} | {:.1} | {:.0} % |",
                1e3 * seconds,
                flops / seconds / 1e9,
                100.0 * flops / seconds / 1e9 / peak
            );
        }
    }
}

fn time(kernels: Kernels, layer: &Layer) -> (f64, f64) {
    let before = layer.size.map(|size| size / 2);
    let window = Window { size: layer.size, stride: [layer.stride; 2], dilation: [1; 2], before };
    let out = layer.side.div_ceil(layer.stride);
    let outputs = layer.outputs.unwrap_or(layer.channels);
    let (input, output) = (Map::new(layer.side, layer.side, layer.channels), Map::new(out, out, outputs));
    let (x, bias) = (vec![0.5; input.floats()], vec![0.1; outputs]);
    let mut y = vec![0.0; output.floats()];
    let (taps, bounds) = (window.taps(), [0.0, 6.0]);
    let flops = 2 * output.floats() * taps * if layer.outputs.is_some() { layer.channels } else { 1 };
    let timing = if layer.outputs.is_some() {
        let shape = [outputs, layer.channels, taps];
        let mut filters = vec![0.0; packed_filters(shape)];
        pack_filters(shape, &vec![0.01; shape.iter().product()], &mut filters);
        let task = Convolution { window, input, output, filters: &filters, bias: &bias, bounds };
        let [places, patches] = task.scratch();
        let mut scratch = (vec![0; places], vec![0.0; patches]);
        measure(
            RUNS,
            &mut y,
            |_| (),
            |y| kernels.convolve(&task, 0..output.pixels(), &x, None, y, (&mut scratch.0, &mut scratch.1)),
        )
    } else {
        let filters = vec![0.01; taps * layer.channels];
        let task = Convolution { window, input, output, filters: &filters, bias: &bias, bounds };
        measure(RUNS, &mut y, |_| (), |y| kernels.depthwise(&task, 0..out, &x, y))
    };
    (timing.cpu, flops as f64)
}
