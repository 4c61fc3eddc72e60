//! Medians of wall-clock time and of the thread's CPU time. On a machine that others use too, the second is the steadier.

use std::time::Instant;

/// Seconds.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub wall: f64,
    /// NaN where the system does not tell.
    pub cpu: f64,
}

/// How often to run: so many times at least, and until so many seconds have passed.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    pub least: usize,
    pub seconds: f64,
}

/// When something began.
pub struct Start {
    wall: Instant,
    cpu: f64,
}

impl Start {
    pub fn now() -> Self {
        Self { wall: Instant::now(), cpu: thread_seconds() }
    }

    pub fn elapsed(&self) -> Timing {
        Timing { cpu: thread_seconds() - self.cpu, wall: self.wall.elapsed().as_secs_f64() }
    }
}

/// Medians over the runs of `run`, each after a `prepare` that does not count.
pub fn measure<S: ?Sized>(runs: Runs, state: &mut S, prepare: impl Fn(&mut S), mut run: impl FnMut(&mut S)) -> Timing {
    let started = Instant::now();
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    while walls.len() < runs.least || started.elapsed().as_secs_f64() < runs.seconds {
        prepare(state);
        let start = Start::now();
        run(state);
        let elapsed = start.elapsed();
        walls.push(elapsed.wall);
        cpus.push(elapsed.cpu);
    }
    Timing { wall: median(walls), cpu: median(cpus) }
}

/// The middle one, or the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len().is_multiple_of(2) { 0.5 * (values[half - 1] + values[half]) } else { values[half] }
}

#[cfg(unix)]
fn thread_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, to one that lives until it returns.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    if status == 0 { time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9 } else { f64::NAN }
}

#[cfg(not(unix))]
fn thread_seconds() -> f64 {
    f64::NAN
}
