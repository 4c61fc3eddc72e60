//! The same head in eight bits, for a CPU without floating point: Cortex-M0+ and M3; by the DSP instructions on M4 and M7.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use cortex_m_semihosting::hprintln;
use topgraft_core::format::Graft;
use topgraft_core::head::{Head, Quantised};
use topgraft_core::kernel::{Isa, Kernels};
use topgraft_firmware::board::{self, Counter, OrFail};
use topgraft_firmware::rows::{self, CLASSES, FEATURE_DIM, Row};

/// Pixels are 0 to 15 and serve as they are: 127 / 15 rounded down uses most of the eight bits.
const PIXEL: i8 = 8;

/// Of the 40 rows that were not learned from, so many must be right.
const FEWEST: usize = 33;

#[repr(align(4))]
struct Aligned<B: ?Sized>(B);
static SHIPPED: &Aligned<[u8]> = &Aligned(*include_bytes!("../../data/digits.graft"));

#[entry]
fn main() -> ! {
    board::paint_stack();
    let core = cortex_m::Peripherals::take().expect("taken once");
    let counter = Counter::new(core.SYST);
    let shipped = Graft::parse(&SHIPPED.0).or_fail("shipped");
    let parameters = shipped.parameters().as_slice().expect("aligned");
    let head = Head::new(CLASSES, FEATURE_DIM, parameters).or_fail("length");
    let (mut weights, mut bias) = ([0; CLASSES * FEATURE_DIM], [0; CLASSES]);
    // The head was taught with features of length 1: the rows' mean length takes the place of each row's own.
    let step = 1.0 / (f32::from(PIXEL) * mean_length());
    let head = Quantised::from_head(&head, step, &mut weights, &mut bias).or_fail("length");
    for kernels in Kernels::available() {
        let mut sums = [0; CLASSES];
        let is_right =
            |(row, label): &(&Row, u16)| head.predict(kernels, &quantised(row), &mut sums) == usize::from(*label);
        let right = rows::test().filter(is_right).count();
        let row = quantised(rows::test().next().expect("there are rows").0);
        let mut sums = [0; CLASSES];
        let count = counter.count(100, || {
            head.predict(kernels, &row, &mut sums);
        });
        hprintln!(
            "int8, {}: {} of {} right; a classification: {} instructions",
            kernels.isa().name(),
            right,
            rows::test().len(),
            count
        );
        if right < FEWEST {
            board::exit(false);
        }
    }
    compare();
    hprintln!("stack: {} bytes at most", board::stack_used());
    board::exit(true)
}

fn quantised(row: &Row) -> [i8; FEATURE_DIM] {
    rows::pixels(row).map(|pixel| pixel as i8 * PIXEL)
}

/// Of the rows to learn from, in pixels' units.
fn mean_length() -> f32 {
    let square = |row: &Row| rows::pixels(row).iter().map(|x| f32::from(*x) * f32::from(*x)).sum::<f32>();
    let sum: f32 = rows::train().map(|(row, _)| topgraft_core::math::sqrt(square(row))).sum();
    sum / rows::train().len() as f32
}

/// Every kernel gives the sums of the scalar one, at every length and offset.
fn compare() {
    let scalar = Kernels::new(Isa::Scalar).expect("always there");
    let bytes: [i8; 136] = core::array::from_fn(|i| (i * 37 + 11) as u8 as i8);
    let others: [i8; 136] = core::array::from_fn(|i| (i * 91 + 5) as u8 as i8);
    for kernels in Kernels::available() {
        for offset in 0..4 {
            for len in 0..=130 {
                let (a, b) = (&bytes[offset..][..len], &others[3 - offset..][..len]);
                let least = &[-128; 130][..len];
                let is_same = kernels.dot_i8(a, b) == scalar.dot_i8(a, b)
                    && kernels.dot_i8(least, least) == len as i32 * 128 * 128;
                is_same.then_some(()).or_fail("the sums differ");
            }
        }
    }
}
