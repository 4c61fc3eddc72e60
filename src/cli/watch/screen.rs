//! The small screen, on a thread of its own: its bus is slow.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use topgraft::live::display::{Screen, ScreenError, ScreenSettings, State, View};
use topgraft::live::{Latest, Newer, Seen, UNKNOWN};

/// How long to wait at a time.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to leave a screen alone that has failed.
const PAUSE: Duration = Duration::from_secs(10);

/// What is to be shown next.
enum Next {
    Seen(Arc<Seen>),
    NoCamera(String),
}

#[derive(Default)]
struct Shared {
    next: Latest<Next>,
    failure: Mutex<Option<ScreenError>>,
}

impl Shared {
    /// Until there is nothing more to be shown. A loose wire is no reason to end: the screen is opened again.
    fn run(&self, settings: &ScreenSettings, screen: Screen) {
        let (mut number, mut screen) = (0, Ok(screen));
        loop {
            let next = match self.next.newer(number, PATIENCE) {
                Newer::Over => return,
                Newer::Waiting => continue,
                Newer::Value(newer, next) => {
                    number = newer;
                    next
                }
            };
            let shown = match &mut screen {
                Ok(screen) => show(screen, &next),
                Err(since) if Instant::elapsed(since) < PAUSE => continue,
                Err(_) => match Screen::open(settings) {
                    Ok(mut opened) => {
                        let shown = show(&mut opened, &next);
                        screen = Ok(opened);
                        shown
                    }
                    Err(error) => Err(error),
                },
            };
            if let Err(error) = shown {
                // Said once, and not every few seconds.
                if screen.is_ok() {
                    *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
                screen = Err(Instant::now());
            }
        }
    }
}

/// A screen that is being shown on. Frames that come while it is busy are passed over, but for the newest.
pub struct Shown {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
    /// What the camera said last.
    reason: String,
}

impl Shown {
    pub fn start(settings: ScreenSettings) -> Result<Self, ScreenError> {
        let screen = Screen::open(&settings)?;
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let thread = thread::spawn(move || of_thread.run(&settings, screen));
        Ok(Self { shared, thread: Some(thread), reason: String::new() })
    }

    pub fn show(&self, seen: Arc<Seen>) {
        self.shared.next.put(Next::Seen(seen));
    }

    /// What the camera says, for [`no_camera`](Self::no_camera).
    pub fn say(&mut self, reason: &str) {
        reason.clone_into(&mut self.reason);
    }

    pub fn no_camera(&self) {
        self.shared.next.put(Next::NoCamera(self.reason.clone()));
    }

    /// Why it has begun to show nothing, once.
    pub fn failed(&self) -> Option<ScreenError> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Shown {
    /// What is to be shown still is.
    fn drop(&mut self) {
        self.shared.next.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn show(screen: &mut Screen, next: &Next) -> Result<(), ScreenError> {
    let seen = match next {
        Next::Seen(seen) => seen,
        Next::NoCamera(reason) => {
            return screen.show(&View {
                frame: None,
                label: "no camera",
                bars: &[],
                state: State::NoCamera,
                footer: reason,
            });
        }
    };
    let mut bars: Vec<(&str, f32)> = Vec::new();
    if let Some(prediction) = &seen.prediction {
        let top = prediction.top(usize::MAX);
        bars.extend(top.map(|(class, p)| (seen.labels[usize::from(class)].as_str(), p)));
    }
    let label = seen.label.as_deref().unwrap_or("");
    let state = match (&seen.teaching, &seen.prediction) {
        (Some((class, count)), _) => State::Teaching { class, count: *count },
        (None, None) => State::NoHead,
        _ if seen.drift => State::Drift,
        _ if label == UNKNOWN => State::Unknown,
        _ => State::Watching,
    };
    let footer = format!("{:.1} fps  {:.0} ms", seen.fps, seen.trunk_time.as_secs_f64() * 1e3);
    screen.show(&View { frame: Some(&seen.frame), label, bars: &bars, state, footer: &footer })
}
