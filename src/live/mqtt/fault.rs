//! Why MQTT does not start.

use std::io;
use std::path::PathBuf;

/// What is wrong with settings, or with what is to be shared. What happens with the broker later is a
/// [`Message`](super::Message). No text has a password in it.
#[derive(Debug, thiserror::Error)]
pub enum MqttFault {
    /// No broker is named.
    #[error("[mqtt] broker is empty, so there is no MQTT; give mqtt://HOST")]
    Off,
    /// The broker's URL.
    #[error("[mqtt] broker {what}; give mqtt://HOST:PORT or mqtts://HOST:PORT")]
    Broker {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A name that cannot be a part of a topic.
    #[error("[mqtt] {name} {what}; give 1 to 64 bytes without + # / and control characters")]
    Name {
        /// Which.
        name: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Settings that do not go together.
    #[error("[mqtt] {what}")]
    Conflict {
        /// What, and what to do.
        what: &'static str,
    },
    /// A file cannot be read.
    #[error("[mqtt] {name} = {}: {source}; give a file that may be read", path.display())]
    Read {
        /// The setting.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error("[mqtt] {name} = {}: {what}", path.display())]
    File {
        /// The setting.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// What, and what to do.
        what: &'static str,
    },
    /// What is to be shared is too large.
    #[error("{bytes} bytes are too many to share; 16 MiB are the most")]
    TooLarge {
        /// How large.
        bytes: usize,
    },
    /// Too many groups.
    #[error("a camera takes part in at most 8 groups; leave one out")]
    Groups,
    /// The system gives no thread, or nothing to wait for the network with.
    #[error("cannot start a thread for MQTT: {0}; end other programs")]
    Thread(io::Error),
}
