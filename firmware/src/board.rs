//! The board: its clock, its stack, its way to say that something went wrong.

use core::panic::PanicInfo;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_semihosting::{debug, hprintln};

const RELOAD: u32 = 0x00ff_ffff;

/// Counts instructions: QEMU started with `-icount shift=0` takes the same time for each.
pub struct Counter {
    /// Ticks of the timer that [`CALIBRATION`] instructions take.
    ticks: u32,
}

const CALIBRATION: u32 = 1_000_000;

impl Counter {
    /// Starts the timer, and sees how fast it is on this board.
    pub fn new(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(RELOAD);
        timer.clear_current();
        timer.enable_counter();
        Self { ticks: ticks(|| run_instructions(CALIBRATION)) }
    }

    /// Instructions of one `run`, by the mean of `times`. The timer wraps at 250 million or more in all.
    pub fn count(&self, times: u32, mut run: impl FnMut()) -> u32 {
        let ticks = ticks(|| (0..times).for_each(|_| run()));
        // Seven digits are enough, and the division of 64-bit numbers takes half a kilobyte.
        (ticks as f32 / self.ticks as f32 * (CALIBRATION as f32 / times as f32) + 0.5) as u32
    }
}

/// Takes so many instructions, and a few more.
fn run_instructions(count: u32) {
    // SAFETY: counts a register down.
    unsafe {
        core::arch::asm!(
            "2:",
            "subs {left}, {left}, #2",
            "bne 2b",
            left = inout(reg) count & !1 => _,
            options(nomem, nostack),
        );
    }
}

/// Ticks of the timer that `run` takes; it counts down, and wraps.
fn ticks(run: impl FnOnce()) -> u32 {
    let start = SYST::get_current();
    run();
    start.wrapping_sub(SYST::get_current()) & RELOAD
}

/// Ends the program, and QEMU with it.
pub fn exit(is_right: bool) -> ! {
    debug::exit(if is_right { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    loop {}
}

/// For what can't fail on this board. Unlike `expect` it does not show the error: the code that formats floats alone takes 10 KB.
pub trait OrFail {
    /// What is there if nothing failed.
    type Value;

    /// The value; or says `what` was expected, and ends the program.
    fn or_fail(self, what: &str) -> Self::Value;
}

impl<T, E> OrFail for Result<T, E> {
    type Value = T;

    fn or_fail(self, what: &str) -> T {
        self.ok().or_fail(what)
    }
}

impl<T> OrFail for Option<T> {
    type Value = T;

    fn or_fail(self, what: &str) -> T {
        match self {
            Some(value) => value,
            None => {
                hprintln!("failed: {}", what);
                exit(false)
            }
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    if let Some(place) = info.location() {
        hprintln!("panicked at {}:{}", place.file(), place.line());
    }
    exit(false)
}

/// What the stack is filled with before `main`, to see later how deep it went.
const PAINT: u32 = 0x7a17_7a17;

unsafe extern "C" {
    // Of the linker script: the end of the statics, and where the stack starts, going down.
    static mut __euninit: u32;
    static mut _stack_start: u32;
}

/// The free part of the memory, from the statics to the start of the stack.
fn stack() -> core::ops::Range<*mut u32> {
    // The address is what the linker script defines; nothing is read.
    (&raw mut __euninit)..(&raw mut _stack_start)
}

/// Fills the unused part of the stack.
#[inline(never)]
pub fn paint_stack() {
    let here = cortex_m::register::msp::read() as usize - 64;
    let mut at = stack().start;
    while (at as usize) < here {
        // SAFETY: between the statics and the stack pointer nothing lies; 64 bytes are left to this function.
        unsafe { at.write_volatile(PAINT) };
        at = at.wrapping_add(1);
    }
}

/// Bytes of the stack that were used since.
pub fn stack_used() -> usize {
    let mut at = stack().start;
    // SAFETY: the range is memory, aligned, and plain numbers.
    while at < stack().end && unsafe { at.read_volatile() } == PAINT {
        at = at.wrapping_add(1);
    }
    stack().end as usize - at as usize
}
