//! Lines that are played, on a clock that is played with them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::shared::Shared;
use super::worker::Worker;
use super::{Action, Edge, GpioError, GpioSettings, Lights, Lines};

/// What happens.
#[derive(Clone, Debug)]
pub(super) enum Play {
    /// A line changes, and the edge comes.
    Edge(u32, bool),
    /// The edge is lost: its number is missing.
    Lost(u32, bool),
    /// Not even a number is missing.
    Silent(u32, bool),
    /// An edge that is not so any more: the line is at the other level.
    Stale(u32, bool),
    /// The next edge has the number after this one.
    Numbered(u32),
    /// So many reads fail.
    Fails(u32),
    /// The chip is gone, with that error; `None`: it is there again.
    Gone(Option<&'static str>),
    Show(Lights),
}

pub(super) struct State {
    begin: Instant,
    now: Instant,
    plan: VecDeque<(Duration, Play)>,
    levels: BTreeMap<u32, bool>,
    number: u32,
    failing: u32,
    gone: Option<&'static str>,
    shared: Arc<Shared>,
    pub is_debounced: bool,
    pub actions: Vec<(u64, Action)>,
    /// Lights, as they were switched: when, which, on.
    pub switched: Vec<(u64, u32, bool)>,
    /// When the lines were tried to be opened, in seconds.
    pub opened: Vec<u64>,
}

impl State {
    fn time(&self) -> u64 {
        (self.now - self.begin).as_millis() as u64
    }

    /// Plays what is due until then, up to an edge.
    fn play(&mut self, until: Instant) -> Option<Edge> {
        while let Some((at, play)) = self.plan.front().cloned().filter(|(at, _)| self.begin + *at <= until) {
            self.plan.pop_front();
            self.now = self.now.max(self.begin + at);
            match play {
                Play::Edge(gpio, pressed) | Play::Stale(gpio, pressed) => {
                    self.levels.insert(gpio, pressed == matches!(play, Play::Edge(..)));
                    self.number = self.number.wrapping_add(1);
                    return Some(Edge { gpio, pressed, number: self.number });
                }
                Play::Lost(gpio, pressed) => {
                    self.levels.insert(gpio, pressed);
                    self.number = self.number.wrapping_add(1);
                }
                Play::Silent(gpio, pressed) => drop(self.levels.insert(gpio, pressed)),
                Play::Numbered(number) => self.number = number,
                Play::Fails(times) => self.failing = times,
                Play::Gone(how) => self.gone = how,
                Play::Show(lights) => self.shared.show(lights),
            }
            if self.failing > 0 || self.gone.is_some() {
                return None;
            }
        }
        self.now = self.now.max(until);
        None
    }

    fn check(&self) -> Result<(), GpioError> {
        self.gone.map_or(Ok(()), |what| Err(failure(what)))
    }
}

fn failure(what: &str) -> GpioError {
    GpioError::Failed { path: "/dev/fake".into(), doing: "play".to_owned(), what: what.to_owned() }
}

/// A board, and all that happens on it.
#[derive(Clone)]
pub(super) struct Board(Arc<Mutex<State>>);

impl Board {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn open(&self) -> Result<Box<dyn Lines>, GpioError> {
        let mut state = self.lock();
        let (now, time) = (state.now, state.time() / 1000);
        state.opened.push(time);
        // What happened while nobody listened.
        let begin = state.begin;
        while state.plan.front().is_some_and(|(at, _)| begin + *at <= now) {
            state.play(now);
        }
        state.failing = 0;
        state.check()?;
        state.number = 0;
        Ok(Box::new(self.clone()))
    }
}

impl Lines for Board {
    fn next(&mut self, timeout: Duration) -> Result<Option<Edge>, GpioError> {
        let mut state = self.lock();
        let until = state.now + timeout;
        let edge = if state.failing == 0 { state.play(until) } else { None };
        state.check()?;
        if state.failing > 0 {
            state.failing -= 1;
            return Err(failure("once"));
        }
        Ok(edge)
    }

    fn set(&mut self, gpio: u32, on: bool) -> Result<(), GpioError> {
        let mut state = self.lock();
        state.check()?;
        let time = state.time();
        state.switched.push((time, gpio, on));
        Ok(())
    }

    fn pressed(&mut self, gpio: u32) -> Result<bool, GpioError> {
        let state = self.lock();
        state.check()?;
        Ok(state.levels.get(&gpio).copied().unwrap_or(false))
    }

    fn is_debounced(&self) -> bool {
        self.lock().is_debounced
    }
}

/// A worker on a board.
pub(super) struct Rig {
    pub board: Board,
    pub worker: Worker,
    pub shared: Arc<Shared>,
}

impl Rig {
    /// Times are in ms since the start.
    pub(super) fn new(settings: GpioSettings, plan: &[(u64, Play)]) -> Self {
        let (begin, shared) = (Instant::now(), Arc::new(Shared::default()));
        let plan = plan.iter().map(|(at, play)| (Duration::from_millis(*at), play.clone())).collect();
        let board = Board(Arc::new(Mutex::new(State {
            begin,
            now: begin,
            plan,
            levels: BTreeMap::new(),
            number: 0,
            failing: 0,
            gone: None,
            shared: shared.clone(),
            is_debounced: false,
            actions: Vec::new(),
            switched: Vec::new(),
            opened: Vec::new(),
        })));
        let [of_open, of_act, of_clock] = [(); 3].map(|()| board.clone());
        let worker = Worker::new(
            settings,
            Box::new(move |_| of_open.open()),
            Box::new(move |action| {
                let mut state = of_act.lock();
                let time = state.time();
                state.actions.push((time, action));
            }),
            Box::new(move || of_clock.lock().now),
            shared.clone(),
        );
        Self { board, worker, shared }
    }

    /// Goes on until that time, ms, and a step more; what was asked for in the meantime.
    pub(super) fn run(&mut self, until: u64) -> Vec<(u64, Action)> {
        while self.board.lock().time() <= until {
            let wait = self.worker.step();
            self.board.lock().now += wait;
        }
        std::mem::take(&mut self.board.lock().actions)
    }

    /// What was said in the meantime.
    pub(super) fn said(&self) -> Vec<String> {
        self.shared.said.drain()
    }
}
