//! How to reach the broker, and what to say there.

use std::fmt;
use std::path::PathBuf;

use super::MqttFault;
use super::address::Address;

/// The longest part of a topic, in bytes.
const MAX_NAME: usize = 64;
/// The longest user name or password, in bytes: MQTT has two bytes for the length.
pub(super) const MAX_LOGIN: usize = 65_535;

/// How to reach the broker, and what to say there: the table `[mqtt]`.
///
/// ```
/// use topgraft::live::mqtt::MqttSettings;
///
/// let settings = MqttSettings { broker: "mqtt://hub.local".to_owned(), ..MqttSettings::default() };
/// assert!(settings.is_on() && settings.check().is_ok());
/// assert!(!MqttSettings::default().is_on());
/// ```
#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MqttSettings {
    /// `mqtt://HOST:PORT`, or `mqtts://HOST:PORT` with TLS; the ports are 1883 and 8883 if they are left out. Empty: no MQTT.
    pub broker: String,
    /// Name that the broker knows this program by.
    pub user: Option<String>,
    /// Its password. Without TLS it goes over the network as it is.
    pub password: Option<String>,
    /// File whose first line is the password, in place of `password`.
    pub password_file: Option<PathBuf>,
    /// PEM file of the authority that signed the broker's certificate; without it, those that browsers trust.
    pub ca: Option<PathBuf>,
    /// This camera's name in topics, 1 to 64 bytes; without it, the name of the host.
    pub node: Option<String>,
    /// First part of all topics, 1 to 64 bytes.
    pub topic: String,
    /// First part of the topics where Home Assistant looks for devices; empty: it is told nothing.
    pub discovery: String,
    /// Whether commands from the broker are taken. Whoever may publish there can teach then.
    pub commands: bool,
}

impl Default for MqttSettings {
    /// No broker; `topgraft`, `homeassistant`, and with commands.
    fn default() -> Self {
        Self {
            broker: String::new(),
            user: None,
            password: None,
            password_file: None,
            ca: None,
            node: None,
            topic: "topgraft".to_owned(),
            discovery: "homeassistant".to_owned(),
            commands: true,
        }
    }
}

impl fmt::Debug for MqttSettings {
    /// Without the password, and without a URL that may have one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { broker, user, password, password_file, ca, node, topic, discovery, commands } = self;
        let broker = Address::parse(broker).map(|address| address.to_string());
        f.debug_struct("MqttSettings")
            .field("broker", &broker.as_deref().unwrap_or("(none)"))
            .field("user", user)
            .field("password", &password.as_ref().map(|_| "(hidden)"))
            .field("password_file", password_file)
            .field("ca", ca)
            .field("node", node)
            .field("topic", topic)
            .field("discovery", discovery)
            .field("commands", commands)
            .finish()
    }
}

impl MqttSettings {
    /// Whether there is a broker.
    pub fn is_on(&self) -> bool {
        !self.broker.is_empty()
    }

    /// Whether they make sense. No file is read, and nothing is asked of the network.
    ///
    /// # Errors
    /// [`MqttFault`], the first thing that is wrong.
    pub fn check(&self) -> Result<(), MqttFault> {
        let address = if self.is_on() { Some(Address::parse(&self.broker)?) } else { None };
        check_name("topic", &self.topic)?;
        if let Some(node) = &self.node {
            check_node(node)?;
        }
        if !self.discovery.is_empty() {
            check_name("discovery", &self.discovery)?;
        }
        let conflict = |what| Err(MqttFault::Conflict { what });
        let has_password = self.password.is_some() || self.password_file.is_some();
        if self.password.is_some() && self.password_file.is_some() {
            return conflict("password and password_file are both given; leave one out");
        }
        if has_password && self.user.is_none() {
            return conflict("there is a password without a user; give user");
        }
        if self.user.as_ref().is_some_and(|user| user.is_empty() || user.len() > MAX_LOGIN || user.contains('\0')) {
            return conflict("user is empty, too long, or has a NUL in it; leave it out, or give a name");
        }
        if self.password.as_ref().is_some_and(|password| password.len() > MAX_LOGIN) {
            return conflict("password is longer than 65535 bytes; give a shorter one");
        }
        if self.ca.is_some() && address.is_some_and(|address| !address.is_tls) {
            return conflict("ca is of no use to mqtt://; give mqtts://, or leave ca out");
        }
        Ok(())
    }
}

/// Whether a text can be one part of a topic.
pub(super) fn check_name(name: &'static str, text: &str) -> Result<(), MqttFault> {
    let wrong = |what| Err(MqttFault::Name { name, what });
    match text {
        "" => wrong("is empty"),
        _ if text.len() > MAX_NAME => wrong("is too long"),
        _ if text.contains(['+', '#', '/']) || text.contains(char::is_control) => {
            wrong("has a character that it cannot have")
        }
        // Those are the broker's own.
        _ if text.starts_with('$') => wrong("begins with $"),
        _ => Ok(()),
    }
}

pub(super) fn check_node(node: &str) -> Result<(), MqttFault> {
    // Its commands would be where a group called `command` shares.
    if node == "fleet" {
        return Err(MqttFault::Name { name: "node", what: "is `fleet`, where the groups are" });
    }
    check_name("node", node)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> MqttSettings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn settings_without_sense_are_refused() {
        let long = format!("node = '{}'", "x".repeat(65));
        let cases = [
            ("broker = 'hub'", "does not begin with"),
            ("topic = ''", "topic is empty"),
            ("topic = 'a/b'", "topic has a character"),
            ("node = 'a+'", "node has a character"),
            ("node = \"a\\u007f\"", "node has a character"),
            ("node = '$SYS'", "begins with $"),
            ("node = 'fleet'", "where the groups are"),
            (&long, "node is too long"),
            ("discovery = '#'", "discovery has"),
            ("user = 'a'\npassword = 'b'\npassword_file = 'c'", "leave one out"),
            ("password = 'b'", "without a user"),
            ("user = ''", "user is empty"),
            ("broker = 'mqtt://hub'\nca = 'ca.pem'", "of no use"),
        ];
        for (text, expected) in cases {
            let message = settings(text).check().unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
        for text in [
            "",
            "node = 'Küche 1'",
            "discovery = ''",
            "broker = 'mqtts://hub'\nca = 'ca.pem'\nuser = 'a'\npassword = ''",
        ] {
            settings(text).check().unwrap();
        }
        assert!(toml::from_str::<MqttSettings>("brokr = ''").is_err());
    }

    #[test]
    fn passwords_are_not_shown() {
        let shown = format!("{:?}", settings("broker = 'mqtt://me:s3cret@hub'\nuser = 'me'\npassword = 's3cret'"));
        assert!(shown.contains("hidden") && !shown.contains("s3cret"), "{shown}");
    }
}
