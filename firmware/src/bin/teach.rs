//! A head in flash classifies; two others are taught on the device from a stream of rows; the best survives a reset.
//!
//! Cortex-M4F and M7. The first time it runs, it learns, stores what it learned, and resets the board; the second time it finds that, and
//! loses its power at many bytes of a write.
#![no_std]
#![no_main]

use cortex_m::peripheral::SCB;
use cortex_m_rt::entry;
use cortex_m_semihosting::hprintln;
use topgraft_core::format::{Contents, Graft};
use topgraft_core::head::{self, Head, Kind, argmax, parameter_count};
use topgraft_core::kernel::Kernels;
use topgraft_core::preprocess::Preprocess;
use topgraft_core::scaler::Scaler;
use topgraft_core::slots::Slots;
use topgraft_core::solver::prototype::{self, Mode, Prototypes};
use topgraft_core::solver::sgd::{Descent, Settings};
use topgraft_firmware::board::{self, Counter, OrFail};
use topgraft_firmware::flash::{Board, SLOT};
use topgraft_firmware::rows::{self, CLASSES, FEATURE_DIM, LABELS, Row};

const PARAMETERS: usize = parameter_count(CLASSES, FEATURE_DIM).unwrap();
/// How often the rows pass by. A board would learn from each row as it comes.
const PASSES: usize = 10;
/// Of the 40 rows that were not learned from, so many must be right.
const FEWEST: usize = 33;
const SGD: Settings = Settings { l2: 1e-3, rate: 1.0 };

/// The head that the firmware came with, at a multiple of 4: its numbers are used where they lie.
#[repr(align(4))]
struct Aligned<B: ?Sized>(B);
static SHIPPED: &Aligned<[u8]> = &Aligned(*include_bytes!("../../data/digits.graft"));

#[entry]
fn main() -> ! {
    board::paint_stack();
    let kernels = Kernels::detect();
    let core = cortex_m::Peripherals::take().expect("taken once");
    let counter = Counter::new(core.SYST);
    let mut slots = Slots::new(Board::take().expect("taken once"));

    if let Some(file) = slots.latest() {
        let stored = Graft::parse(file).or_fail("whole");
        hprintln!("after the reset: a head of kind {} in a slot, {} bytes", stored.kind().name(), file.len());
        let right = report(kernels, "the head taught before", &stored);
        lose_power(slots);
        hprintln!("stack: {} bytes at most", board::stack_used());
        board::exit(right >= FEWEST);
    }

    let shipped = Graft::parse(&SHIPPED.0).or_fail("shipped");
    report(kernels, "the head in flash", &shipped);
    let (row, label) = rows::test().next().expect("there are rows");
    let mut logits = [0.0; CLASSES];
    let count = counter.count(100, || logits = classify(kernels, &shipped, row));
    hprintln!("a classification: {} instructions", count);

    let (mut sums, mut counts) = ([0; prototype::sums_len(CLASSES, FEATURE_DIM).unwrap()], [0; CLASSES]);
    let mut prototypes = Prototypes::new(Mode::L2, CLASSES, FEATURE_DIM, &mut sums, &mut counts).or_fail("fits");
    for (row, label) in rows::train() {
        prototypes.add(&rows::features(row), label).or_fail("sound");
    }
    let mut parameters = [0.0; PARAMETERS];
    let mut head = Head::new(CLASSES, FEATURE_DIM, &mut parameters[..]).or_fail("length");
    prototypes.head(kernels, 10.0, &mut head).or_fail("classes");
    slots.store(head_file(Kind::Prototype, head.parameters(), &mut [0; SLOT])).or_fail("flash");
    report(kernels, "nearest mean, one pass", &Graft::parse(slots.latest().expect("stored")).or_fail("whole"));
    let features = rows::features(row);
    let count = counter.count(100, || prototypes.add(&features, label).or_fail("sound"));
    hprintln!("a sample more for a mean: {} instructions", count);

    let mut descent = Descent::new(SGD).or_fail("sound");
    let mut scratch = [0.0; CLASSES];
    head.parameters_mut().fill(0.0);
    for (row, label) in (0..PASSES).flat_map(|_| rows::train()) {
        let mut row = rows::features(row);
        Scaler::<[f32; 0]>::L2.apply(kernels, &mut row);
        descent.step(kernels, &mut head, &row, label, &mut scratch).or_fail("sound");
    }
    slots.store(head_file(Kind::Softmax, head.parameters(), &mut [0; SLOT])).or_fail("flash");
    hprintln!("taught on the device: CRC-32 {:08x}", last_crc(slots.latest().expect("stored")));
    report(kernels, "softmax by SGD, ten passes", &Graft::parse(slots.latest().expect("stored")).or_fail("whole"));
    let count = counter.count(100, || {
        descent.step(kernels, &mut head, &features, label, &mut scratch).or_fail("sound");
    });
    hprintln!("a step of SGD: {} instructions", count);
    hprintln!("stack: {} bytes at most; slots: {} bytes", board::stack_used(), 2 * SLOT);
    SCB::sys_reset()
}

/// Probabilities of the classes.
fn classify(kernels: Kernels, graft: &Graft<'_>, row: &Row) -> [f32; CLASSES] {
    let mut row = rows::features(row);
    Scaler::<[f32; 0]>::L2.apply(kernels, &mut row);
    let parameters = graft.parameters().as_slice().expect("aligned");
    let head = Head::new(CLASSES, FEATURE_DIM, parameters).or_fail("length");
    let mut logits = [0.0; CLASSES];
    head.logits(kernels, &row, &mut logits);
    head::softmax(&mut logits);
    logits
}

/// Says how many rows that were not learned from a head gets right.
fn report(kernels: Kernels, name: &str, graft: &Graft<'_>) -> usize {
    let is_right = |(row, label): &(&Row, u16)| argmax(&classify(kernels, graft, row)) == Some(usize::from(*label));
    let right = rows::test().filter(is_right).count();
    hprintln!("{}: {} of {} right", name, right, rows::test().len());
    right
}

/// Makes a head file of the parameters, in `buffer`.
fn head_file<'a>(kind: Kind, parameters: &[f32], buffer: &'a mut [u8; SLOT]) -> &'a [u8] {
    let contents = Contents {
        fingerprint: *b"8 x 8 pixels, 0 to 15, over 15; ",
        backbone: "none",
        cut: "pixels",
        preprocess: Preprocess::IMAGENET,
        labels: &LABELS,
        scaler: Scaler::L2,
        head: Head::new(CLASSES, FEATURE_DIM, parameters).or_fail("length").into(),
        kind,
        l2: if kind == Kind::Softmax { SGD.l2 } else { 1.0 },
        evaluation: None,
        calibration: None,
        rejection: None,
        producer: "firmware",
    };
    let file = &mut buffer[..contents.encoded_len().or_fail("small")];
    contents.emit(file).or_fail("length");
    file
}

/// Cuts the power at every 16th byte of a write: the head in the slots is the old one or the new one, never a broken one.
fn lose_power(slots: Slots<Board>) {
    let (mut flash, mut seen) = (slots.into_flash(), [0, 0]);
    for power in (0..2 * SLOT).step_by(16) {
        let mut buffer = [0; SLOT];
        let file = head_file(Kind::Softmax, &[power as f32; PARAMETERS], &mut buffer);
        let slots = Slots::new(flash);
        let old = last_crc(slots.latest().expect("stored"));
        flash = slots.into_flash();
        flash.power = power;
        let mut slots = Slots::new(flash);
        let is_stored = slots.store(file).is_ok();
        let now = slots.latest().expect("one of the two");
        Graft::parse(now).or_fail("whole");
        let is_new = last_crc(now) == last_crc(file);
        let is_sound = is_new || last_crc(now) == old && !is_stored;
        is_sound.then_some(()).or_fail("old or new");
        seen[usize::from(is_new)] += 1;
        flash = slots.into_flash();
        flash.power = usize::MAX;
    }
    let [old, new] = seen;
    hprintln!("power lost at {} bytes: {} times the old head, {} the new", old + new, old, new);
    (old > 0 && new > 0).then_some(()).or_fail("both");
}

/// The checksum at the end of a head file.
fn last_crc(file: &[u8]) -> u32 {
    file.last_chunk::<8>().map_or(0, |end| u32::from_le_bytes([end[0], end[1], end[2], end[3]]))
}
