//! Lines that are open: their edges, and the lines themselves where edges are not to be relied on.

use std::time::{Duration, Instant};

use super::buttons::Buttons;
use super::{Edge, GpioError, Lines};

/// How long to wait for an edge at a time: so late may a light be.
const TICK: Duration = Duration::from_millis(50);
/// How often the lines of buttons that are pressed are read: so long may a hold go on of which the end was lost without a trace.
const CHECK: Duration = Duration::from_secs(1);

pub(super) struct Reader {
    pub lines: Box<dyn Lines>,
    opened: Instant,
    /// Number of the last edge.
    last: u32,
    /// Whether the last read has failed.
    has_stumbled: bool,
    /// When those that are pressed are to be read.
    check: Instant,
}

impl Reader {
    /// Begins with the buttons as they are; a contact bounces for so long, unless that is seen to.
    pub(super) fn begin(
        mut lines: Box<dyn Lines>,
        buttons: &mut Buttons,
        debounce: Duration,
        clock: &dyn Fn() -> Instant,
    ) -> Result<Self, GpioError> {
        let levels = levels(&mut *lines, &buttons.gpios())?;
        let debounce = if lines.is_debounced() { Duration::ZERO } else { debounce };
        let now = clock();
        buttons.begin(&levels, debounce, now);
        Ok(Self { lines, opened: now, last: 0, has_stumbled: false, check: now })
    }

    /// How long the lines have been open.
    pub(super) fn lasts(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened)
    }

    /// Waits for an edge, or for what time alone does to the buttons, at most a tick.
    pub(super) fn read(&mut self, buttons: &mut Buttons, clock: &dyn Fn() -> Instant) -> Result<(), GpioError> {
        let now = clock();
        let due = buttons.deadline().map_or(TICK, |deadline| deadline.saturating_duration_since(now));
        let next = self.lines.next(due.min(TICK));
        let now = clock();
        buttons.tick(now);
        let (edge, is_lost) = match next {
            Ok(edge) => {
                self.has_stumbled = false;
                (edge, edge.is_some_and(|edge| self.misses(edge)))
            }
            // Once is a mishap, twice is a fault.
            Err(error) if self.has_stumbled => return Err(error),
            Err(_) => {
                self.has_stumbled = true;
                (None, true)
            }
        };
        let mut doubtful = Vec::new();
        if is_lost || now >= self.check {
            doubtful = if is_lost { buttons.gpios() } else { buttons.down() };
            self.check = now + CHECK;
        }
        let levels = levels(&mut *self.lines, &doubtful)?;
        let is_own = |gpio: u32| edge.is_some_and(|edge| edge.gpio == gpio);
        // What was lost came before the edge, and a line is newer than its edge.
        levels.iter().filter(|level| !is_own(level.0)).for_each(|level| buttons.see(level.0, level.1, now));
        edge.into_iter().for_each(|edge| buttons.see(edge.gpio, edge.pressed, now));
        levels.iter().filter(|level| is_own(level.0)).for_each(|level| buttons.see(level.0, level.1, now));
        Ok(())
    }

    /// Whether there were others before this edge that did not come.
    fn misses(&mut self, edge: Edge) -> bool {
        let is_next = edge.number == self.last.wrapping_add(1);
        self.last = edge.number;
        !is_next
    }
}

fn levels(lines: &mut dyn Lines, gpios: &[u32]) -> Result<Vec<(u32, bool)>, GpioError> {
    gpios.iter().map(|&gpio| Ok((gpio, lines.pressed(gpio)?))).collect()
}
