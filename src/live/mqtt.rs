//! What the camera sees, at an MQTT broker, and commands from there: for Home Assistant, Node-RED, and cameras that learn together.
//!
//! ```text
//! loop --show--> outbox --thread "mqtt"--> broker --thread "mqtt"--> inbox --messages--> loop
//! ```
//!
//! The loop never waits: [`Mqtt::show`] puts the newest state in the place of the one before, and a thread of its own does the rest.
//! While the broker is gone, nothing queues up; when it is back, all that is retained is published once.
//!
//! | topic | payload | retained |
//! |---|---|---|
//! | `TOPIC/NODE/availability` | `online`, `offline` (also as the last will) | yes |
//! | `TOPIC/NODE/state` | `{"label": "cat", "confidence": 0.93, "unknown": false}`; each may be `null` | yes |
//! | `TOPIC/NODE/probabilities` | `{"cat": 0.93, "dog": 0.07}` | no |
//! | `TOPIC/NODE/drift` | `ON`, `OFF` | yes |
//! | `TOPIC/NODE/learned` | `{"samples": 24, "classes": {"cat": 12, "dog": 12}, "head": 4, "accuracy": 0.917, "low": 0.742, "high": 0.977}` | yes |
//! | `TOPIC/NODE/fps` | `9.8` | yes |
//! | `TOPIC/NODE/answer` | a line, what became of a command | no |
//! | `TOPIC/NODE/command/teach` | name of a class: the newest frame is of it | must not be |
//! | `TOPIC/NODE/command/undo` | anything | must not be |
//! | `TOPIC/NODE/command/roll-back` | a version of the head, or `before` | must not be |
//! | `TOPIC/fleet/GROUP/NODE` | what a node shares with its group; empty: nothing any more | yes |
//! | `DISCOVERY/COMPONENT/ID/OBJECT/config` | what Home Assistant is told | yes |
//!
//! A label is published at once; numbers at most once a second and if they moved by 0.01; the rate every 30 seconds if it moved by a
//! tenth. Commands that are retained are ignored. All is MQTT 3.1.1 with QoS 0, but for the will and what is shared, which have QoS 1.
//!
//! Two cameras on one broker need two names ([`MqttSettings::node`]): the broker would hang up on the one when the other comes.
//!
//! ```no_run
//! use topgraft::live::mqtt::{Message, Mqtt, MqttSettings, State};
//!
//! let settings = MqttSettings { broker: "mqtt://hub.local".to_owned(), ..MqttSettings::default() };
//! let mqtt = Mqtt::start(&settings)?;
//! loop {
//!     mqtt.show(State { label: Some("cat".to_owned()), ..State::default() });
//!     for message in mqtt.messages() {
//!         match message {
//!             Message::Teach(class) => mqtt.answer(&format!("taught {class}")),
//!             Message::Lost(line) | Message::Refused(line) => eprintln!("mqtt: {line}"),
//!             _ => {}
//!         }
//!     }
//! # break;
//! }
//! # Ok::<(), topgraft::live::mqtt::MqttFault>(())
//! ```

mod address;
mod backoff;
mod board;
mod command;
mod connect;
mod discovery;
mod fault;
mod inbox;
mod outbox;
mod pace;
mod run;
mod session;
mod settings;
mod setup;
mod state;
mod topics;
mod trouble;

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime::Builder;

pub use fault::MqttFault;
pub use inbox::Message;
use outbox::Outbox;
use run::Shared;
pub use settings::MqttSettings;
use setup::Setup;
pub use state::State;

/// A broker that is kept up to date. Dropping it says `offline` there, within a second.
pub struct Mqtt {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Mqtt {
    /// Starts the thread that connects. What the network says is a [`Message`].
    ///
    /// # Errors
    /// [`MqttFault`]: settings without sense, no broker in them, files that cannot be read.
    pub fn start(settings: &MqttSettings) -> Result<Self, MqttFault> {
        let setup = Setup::new(settings)?;
        let shared = Arc::new(Shared::new(Outbox::new(setup.topics.clone(), settings.commands)));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(MqttFault::Thread)?;
        let ours = Arc::clone(&shared);
        let run = move || {
            run::guard(&runtime, &setup, &ours);
            // A name that is still being looked up is not waited for.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("mqtt".to_owned()).spawn(run).map_err(MqttFault::Thread)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Shows the newest state. What of it has not changed is not published again. Never waits.
    pub fn show(&self, state: State) {
        self.shared.outbox().show(state);
        self.shared.changed.notify_one();
    }

    /// Says what became of a command. While the broker is gone, nobody hears it.
    pub fn answer(&self, text: &str) {
        self.shared.outbox().answer(text);
        self.shared.changed.notify_one();
    }

    /// Shares bytes, at most 16 MiB, with a group, in the place of those before; none: takes them back.
    ///
    /// # Errors
    /// [`MqttFault::Name`] if the group can be no part of a topic, [`MqttFault::TooLarge`], [`MqttFault::Groups`].
    pub fn share(&self, group: &str, payload: Arc<[u8]>) -> Result<(), MqttFault> {
        self.shared.outbox().share(group, payload)?;
        self.shared.changed.notify_one();
        Ok(())
    }

    /// From now on, what the other nodes of a group share comes as [`Message::Shared`]: what each has now, and then what it changes.
    /// All of it comes again after a connection was lost.
    ///
    /// # Errors
    /// [`MqttFault::Name`] if the group can be no part of a topic, [`MqttFault::Groups`].
    pub fn follow(&self, group: &str) -> Result<(), MqttFault> {
        self.shared.outbox().follow(group)?;
        self.shared.changed.notify_one();
        Ok(())
    }

    /// What has come and happened since the last call, the oldest first; of very many the last 256. To be asked for a few times a
    /// second: what others share waits at the broker when 64 MiB of it wait here.
    pub fn messages(&self) -> Vec<Message> {
        self.shared.inbox.drain()
    }
}

impl Drop for Mqtt {
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}
