//! What systemd is told: that the camera is seen, and that the loop is alive.

use std::time::{Duration, Instant};

use topgraft::live::{Newer, Seen, Session};

use crate::cli::text::plain;

/// How often the status line is renewed.
const STATUS: Duration = Duration::from_secs(5);

pub struct Service {
    is_ready: bool,
    /// How often it wants a sign of life.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code))]
    watchdog: Option<Duration>,
    last_sign: Instant,
    last_status: Option<Instant>,
}

impl Service {
    pub fn new() -> Self {
        #[cfg(target_os = "linux")]
        let watchdog = sd_notify::watchdog_enabled();
        #[cfg(not(target_os = "linux"))]
        let watchdog = None;
        Self { is_ready: false, watchdog, last_sign: Instant::now(), last_status: None }
    }

    /// Ready with the first frame. A sign of life needs an answer of the head's thread, so that a loop that hangs is restarted.
    pub fn beat(&mut self, session: &Session, newer: &Newer<Seen>) {
        #[cfg(target_os = "linux")]
        {
            use sd_notify::NotifyState;
            let tell = |states: &[NotifyState<'_>]| drop(sd_notify::notify(states));
            if let Newer::Value(_, seen) = newer {
                if !std::mem::replace(&mut self.is_ready, true) {
                    tell(&[NotifyState::Ready]);
                }
                if self.last_status.is_none_or(|when| when.elapsed() > STATUS) {
                    self.last_status = Some(Instant::now());
                    let label = seen.label.as_deref().map_or("nothing that it knows".to_owned(), plain);
                    tell(&[NotifyState::Status(&format!("sees {label}, {:.1} fps", seen.fps))]);
                }
            }
            if self.watchdog.is_some_and(|every| self.last_sign.elapsed() >= every / 3) && session.is_alive() {
                self.last_sign = Instant::now();
                tell(&[NotifyState::Watchdog]);
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (session, newer, &mut self.is_ready, self.last_sign, self.last_status, STATUS, plain);
    }
}
