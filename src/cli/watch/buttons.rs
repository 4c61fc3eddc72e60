//! Buttons that teach, and lights that tell.

use std::sync::Arc;

use topgraft::live::gpio::{Action, GpioSettings, Lights, Panel};
use topgraft::live::{LiveEvent, Seen, Session, UNKNOWN};

use super::Listener;

pub struct Buttons(Panel);

impl Buttons {
    /// `None` where the settings name neither a button nor a light.
    pub fn start(settings: GpioSettings, session: &Arc<Session>) -> anyhow::Result<Option<Self>> {
        if settings.is_empty() {
            return Ok(None);
        }
        // The session ends first, and then there is nothing to hold.
        let session = Arc::downgrade(session);
        let act = move |action| {
            let Some(session) = session.upgrade() else { return };
            match action {
                Action::Hold(class) => session.hold(class.as_deref(), "buttons"),
                // What cannot be undone is no news to who stands there; the loop says what failed.
                Action::Undo => drop(session.with(|teacher| teacher.undo())),
            }
        };
        Ok(Some(Self(Panel::start(settings, act)?)))
    }
}

impl Listener for Buttons {
    fn happened(&self, _: &LiveEvent) {}

    fn seen(&self, seen: &Seen) {
        self.0.show(Lights {
            unknown: seen.label.as_deref() == Some(UNKNOWN),
            label: seen.label.clone(),
            drift: seen.drift,
            teaching: seen.teaching.is_some(),
        });
    }

    fn messages(&self) -> Vec<String> {
        self.0.messages().into_iter().map(|text| format!("buttons and lights: {text}")).collect()
    }
}
