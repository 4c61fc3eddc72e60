//! The small screen, on a thread of its own: its bus is slow.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use topgraft::live::display::{Screen, ScreenError, ScreenSettings, State, View};
use topgraft::live::{Seen, UNKNOWN};

/// What is to be shown next.
enum Next {
    Seen(Arc<Seen>),
    NoCamera(String),
}

#[derive(Default)]
struct Shared {
    next: Mutex<(Option<Next>, Option<ScreenError>, bool)>,
    changed: Condvar,
}

/// A screen that is being shown on. Frames that come while it is busy are passed over, but for the newest.
pub struct Shown {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
    reason: Mutex<String>,
}

impl Shown {
    pub fn start(settings: &ScreenSettings) -> Result<Self, ScreenError> {
        let mut screen = Screen::open(settings)?;
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let thread = thread::spawn(move || {
            loop {
                let next = {
                    let state = of_thread.next.lock().unwrap_or_else(PoisonError::into_inner);
                    let waited = of_thread.changed.wait_while(state, |state| state.0.is_none() && !state.2);
                    let mut state = waited.unwrap_or_else(PoisonError::into_inner);
                    match state.0.take() {
                        Some(next) => next,
                        None => return,
                    }
                };
                let shown = match &next {
                    Next::Seen(seen) => show(&mut screen, seen),
                    Next::NoCamera(reason) => {
                        let view =
                            View { frame: None, label: "no camera", bars: &[], state: State::NoCamera, footer: reason };
                        screen.show(&view)
                    }
                };
                if let Err(error) = shown {
                    of_thread.next.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(error);
                    return;
                }
            }
        });
        Ok(Self { shared, thread: Some(thread), reason: Mutex::default() })
    }

    pub fn show(&self, seen: Arc<Seen>) {
        self.put(Next::Seen(seen));
    }

    /// What the camera said last, for [`no_camera`](Self::no_camera).
    pub fn say(&self, reason: &str) {
        reason.clone_into(&mut self.reason.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn no_camera(&self) {
        self.put(Next::NoCamera(self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()));
    }

    fn put(&self, next: Next) {
        self.shared.next.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(next);
        self.shared.changed.notify_all();
    }

    /// Why it shows nothing any more.
    pub fn failed(&self) -> Result<(), ScreenError> {
        match self.shared.next.lock().unwrap_or_else(PoisonError::into_inner).1.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl Drop for Shown {
    /// What is to be shown still is.
    fn drop(&mut self) {
        self.shared.next.lock().unwrap_or_else(PoisonError::into_inner).2 = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn show(screen: &mut Screen, seen: &Seen) -> Result<(), ScreenError> {
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
