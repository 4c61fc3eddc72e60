//! Convolutions, pooling and sums of maps: every window, edge and size of a tile.

use super::*;
use core::ops::Range;

/// A map with two floats of somebody else behind each pixel.
fn within(map: Map) -> Map {
    Map { pitch: map.channels + 2, ..map }
}

/// The map that a window makes of `input`, with as much padding behind as before it.
fn output(window: &Window, input: &Map, channels: usize) -> Option<Map> {
    let side = |axis: usize, side: usize| {
        let whole = side + 2 * window.before[axis];
        let reach = (window.size[axis] - 1) * window.dilation[axis] + 1;
        (whole >= reach).then(|| (whole - reach) / window.stride[axis] + 1)
    };
    Some(Map::new(side(0, input.height)?, side(1, input.width)?, channels))
}

fn windows() -> impl Iterator<Item = Window> {
    let sizes = [[1, 1], [3, 3], [5, 5], [1, 7], [7, 1], [2, 3], [7, 7]];
    let more = [
        ([1, 1], [1, 1], [0, 0]),
        ([1, 1], [1, 1], [1, 1]),
        ([2, 2], [1, 1], [1, 1]),
        ([1, 2], [2, 3], [3, 2]),
        ([3, 1], [1, 1], [2, 0]),
    ];
    sizes.into_iter().flat_map(move |size| {
        more.into_iter().map(move |(stride, dilation, before)| Window { size, stride, dilation, before })
    })
}

fn convolved(
    kernels: Kernels,
    window: Window,
    [input, output]: [Map; 2],
    has_residual: bool,
    range: Range<usize>,
) -> Vec<u32> {
    let shape = [output.channels, input.channels, window.taps()];
    let mut filters = vec![7.0; packed_filters(shape)];
    pack_filters(shape, &numbers(2, shape.iter().product()), &mut filters);
    let (x, bias, residual) = (numbers(1, input.floats()), numbers(3, output.channels), numbers(4, output.floats()));
    let bounds = if has_residual { [-1e5, f32::INFINITY] } else { [0.0, 6.0] };
    let task = Convolution { window, input, output, filters: &filters, bias: &bias, bounds };
    let [places, patches] = task.scratch();
    let (mut places, mut patches) = (vec![3; places], vec![9.0; patches]);
    let mut y = vec![5.0; output.floats()];
    let first = range.start * output.pitch;
    let residual = has_residual.then(|| (&residual[first..], output.pitch));
    kernels.convolve(&task, range, &x, residual, &mut y[first..], (&mut places, &mut patches));
    bits(&y)
}

#[test]
fn convolutions_have_the_bits_of_the_specification_for_every_window() {
    for kernels in vector_kernels() {
        for window in windows() {
            for (height, width, channels, outputs) in [(9, 8, 3, 5), (5, 7, 16, 35), (1, 1, 17, 1), (6, 4, 1, 32)] {
                let input = Map::new(height, width, channels);
                let Some(output) = output(&window, &input, outputs) else { continue };
                for (input, output) in [(input, output), (within(input), output), (input, within(output))] {
                    let run = |kernels| convolved(kernels, window, [input, output], outputs > 4, 0..output.pixels());
                    assert_eq!(
                        run(kernels),
                        run(Kernels { isa: Isa::Scalar }),
                        "{kernels:?} {window:?} {input:?} {output:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn convolutions_have_the_bits_of_the_specification_around_every_edge_of_a_tile() {
    let shapes =
        [(1, 1, 1), (7, 16, 16), (8, 15, 17), (13, 300, 33), (113, 31, 48), (230, 7, 3), (6, 513, 31), (15, 64, 65)];
    for kernels in vector_kernels() {
        for (pixels, depth, outputs) in shapes {
            for window in [Window::POINT, Window { size: [1, 3], before: [0, 1], ..Window::POINT }] {
                let maps = [Map::new(1, pixels, depth), within(Map::new(1, pixels, outputs))];
                for range in [0..pixels, pixels / 3..pixels - pixels / 4] {
                    let run = |kernels| convolved(kernels, window, maps, depth % 2 == 1, range.clone());
                    assert_eq!(
                        run(kernels),
                        run(Kernels { isa: Isa::Scalar }),
                        "{kernels:?} {window:?} {maps:?} {range:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn depthwise_convolutions_have_the_bits_of_the_specification() {
    for kernels in vector_kernels() {
        for window in windows() {
            for (height, width, channels) in [(9, 17, 3), (4, 30, 16), (5, 6, 33), (2, 9, 300), (1, 1, 1)] {
                let input = within(Map::new(height, width, channels));
                let Some(output) = output(&window, &input, channels) else { continue };
                let output = within(output);
                let (x, bias) = (numbers(1, input.floats()), numbers(3, channels));
                let filters = numbers(2, window.taps() * channels);
                let task = Convolution { window, input, output, filters: &filters, bias: &bias, bounds: [0.0, 6.0] };
                for rows in [0..output.height, output.height / 2..output.height] {
                    let run = |kernels: Kernels| {
                        let mut y = vec![5.0; output.floats()];
                        let first = rows.start * output.width * output.pitch;
                        if first < y.len() {
                            kernels.depthwise(&task, rows.clone(), &x, &mut y[first..]);
                        }
                        bits(&y)
                    };
                    assert_eq!(
                        run(kernels),
                        run(Kernels { isa: Isa::Scalar }),
                        "{kernels:?} {window:?} {input:?} {rows:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn pooling_and_sums_have_the_bits_of_the_specification() {
    for kernels in vector_kernels() {
        for window in windows() {
            let input = within(Map::new(9, 8, 21));
            let Some(output) = output(&window, &input, 21) else { continue };
            let mut x = numbers(1, input.floats());
            x[40] = f32::NAN;
            for pooling in [Pooling::Largest, Pooling::Sum, Pooling::Mean, Pooling::MeanInside] {
                let run = |kernels: Kernels| {
                    let mut y = vec![5.0; output.floats()];
                    kernels.pool(pooling, &window, [&input, &output], 0..output.height, &x, &mut y);
                    bits(&y)
                };
                assert_eq!(run(kernels), run(Kernels { isa: Isa::Scalar }), "{kernels:?} {pooling:?} {window:?}");
            }
        }
        for len in lengths() {
            let (x, y) = (numbers(1, len), numbers(2, len));
            let run = |kernels: Kernels| {
                let mut sums = y.clone();
                kernels.add(&x, [0.0, 1.0], &mut sums);
                let mut scaled = y.clone();
                kernels.scale_rows(&x, &y, [f32::NEG_INFINITY, 0.5], &mut scaled);
                let mut bent = [y.clone(), y.clone(), y.clone()];
                kernels.multiply(&x, &mut bent[0]);
                kernels.bend(Curve::Sigmoid, &mut bent[1]);
                kernels.bend(Curve::HardSwish, &mut bent[2]);
                (bits(&sums), bits(&scaled), bent.map(|bent| bits(&bent)))
            };
            assert_eq!(run(kernels), run(Kernels { isa: Isa::Scalar }), "{kernels:?} {len}");
        }
    }
}

/// By hand: a 2 x 2 filter of ones over 1..=9, with a row and a column of padding, a residual, and a highest number.
#[test]
fn the_specification_computes_a_convolution() {
    let window = Window { size: [2, 2], before: [1, 1], ..Window::POINT };
    let (input, output) = (Map::new(3, 3, 1), Map::new(3, 3, 1));
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let mut filters = vec![0.0; packed_filters([1, 1, 4])];
    pack_filters([1, 1, 4], &[1.0; 4], &mut filters);
    let task = Convolution { window, input, output, filters: &filters, bias: &[0.5], bounds: [0.0, 25.0] };
    let (mut y, mut places, mut patches) = ([0.0; 9], vec![0; task.scratch()[0]], vec![0.0; task.scratch()[1]]);
    let residual = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, -100.0, 0.0, 0.0];
    Kernels::detect().convolve(&task, 0..9, &x, Some((&residual, 1)), &mut y, (&mut places, &mut patches));
    assert_eq!(y, [2.5, 3.5, 5.5, 5.5, 12.5, 16.5, 0.0, 24.5, 25.0]);
}

/// NaN and infinite numbers, the zero with a sign, a pixel that is outside beside them: the same bits, and NaN stays.
#[test]
fn special_numbers_have_the_bits_of_the_specification() {
    let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0, f32::MIN_POSITIVE / 4.0, -1.0];
    let some = |seed: usize, len: usize| (0..len).map(|i| special[(i * seed + i / 7) % 7]).collect::<Vec<f32>>();
    let window = Window { size: [3, 3], before: [1, 1], ..Window::POINT };
    for kernels in vector_kernels() {
        for channels in [3, 16, 21] {
            let map = Map::new(5, 9, channels);
            // -0 and filters of +0 give -0 inside: so it is seen what comes of a bound that is +0.
            let x_of = |plain: bool| if plain { vec![-0.0; map.floats()] } else { some(3, map.floats()) };
            let filters_of = |plain: bool, len: usize| if plain { vec![0.0; len] } else { some(2, len) };
            let run = |kernels: Kernels| {
                let mut all = vec![];
                for plain in [false, true] {
                    let x = x_of(plain);
                    for bounds in [[0.0, 6.0], [f32::NEG_INFINITY, f32::INFINITY], [f32::NAN, 1.0], [2.0, -2.0]] {
                        let (taps, bias) = (window.taps(), vec![-0.0; channels]);
                        let mut y = vec![5.0; map.floats()];
                        let (input, output) = (map, map);
                        let filters = filters_of(plain, taps * channels);
                        let task = Convolution { window, input, output, filters: &filters, bias: &bias, bounds };
                        kernels.depthwise(&task, 0..map.height, &x, &mut y);
                        all.extend(bits(&y));
                        let shape = [channels, channels, taps];
                        let mut filters = vec![0.0; packed_filters(shape)];
                        pack_filters(shape, &filters_of(plain, channels * channels * taps), &mut filters);
                        let task = Convolution { filters: &filters, ..task };
                        let [places, patches] = task.scratch();
                        let (mut places, mut patches) = (vec![0; places], vec![0.0; patches]);
                        let residual = some(5, map.floats());
                        let residual = Some((&residual[..], channels));
                        kernels.convolve(&task, 0..map.pixels(), &x, residual, &mut y, (&mut places, &mut patches));
                        all.extend(bits(&y));
                    }
                }
                all
            };
            let scalar = run(Kernels { isa: Isa::Scalar });
            assert!(scalar.contains(&(-0.0f32).to_bits()) && scalar.contains(&f32::NAN.to_bits()));
            assert_eq!(run(kernels), scalar, "{kernels:?} {channels}");
        }
    }
}

/// Products of which no `usize` holds: refused before anything is read, in a release build too.
#[test]
fn shapes_beyond_all_numbers_are_refused() {
    let refuses = |input: Map, output: Map, window: Window| {
        let task = Convolution { window, input, output, filters: &[], bias: &[0.0], bounds: [0.0; 2] };
        for kernels in Kernels::available() {
            let run = || kernels.convolve(&task, 0..1, &[], None, &mut [0.0], (&mut [0; 224], &mut [0.0; 224]));
            assert!(std::panic::catch_unwind(run).is_err(), "{input:?} {window:?}");
            let run = || kernels.depthwise(&task, 0..1, &[], &mut [0.0]);
            assert!(std::panic::catch_unwind(run).is_err(), "{input:?} {window:?}");
            let run = || kernels.pool(Pooling::Sum, &window, [&input, &output], 0..1, &[], &mut [0.0]);
            assert!(input.channels == 0 || std::panic::catch_unwind(run).is_err(), "{input:?} {window:?}");
        }
    };
    let (one, half) = (Map::new(1, 1, 1), 1 << (usize::BITS / 2 - 1));
    let nothing = |channels, pitch| Map { height: 0, width: 0, channels, pitch };
    refuses(nothing(1 << (usize::BITS - 4), 1 << (usize::BITS - 4)), one, Window::POINT);
    refuses(nothing(4, 4), Map::new(1, 1, 4), Window { size: [half; 2], ..Window::POINT });
    refuses(nothing(0, 1), one, Window { size: [half / 2, half / 4], ..Window::POINT });
    refuses(nothing(1, 1), one, Window { size: [(1 << (usize::BITS - 5)) + 1, 32], ..Window::POINT });
    refuses(nothing(1, 1), one, Window { size: [0, 1], ..Window::POINT });
    refuses(nothing(1, 1), Map::new(usize::MAX, 2, 1), Window { stride: [usize::MAX; 2], ..Window::POINT });
}

#[test]
#[should_panic(expected = "x is shorter")]
fn a_map_that_is_not_there_is_refused() {
    let map = Map::new(3, 3, 1);
    let task = Convolution {
        window: Window::POINT,
        input: map,
        output: map,
        filters: &[0.0; 16],
        bias: &[0.0],
        bounds: [0.0; 2],
    };
    Kernels::detect().convolve(&task, 0..9, &[0.0; 8], None, &mut [0.0; 9], (&mut [0; 112], &mut []));
}
