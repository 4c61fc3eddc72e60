//! Names of topics.

use std::fmt::Write;

/// All topics of a camera.
#[derive(Clone, Debug)]
pub(super) struct Topics {
    topic: String,
    node: String,
    /// First part of Home Assistant's topics.
    discovery: Option<String>,
    id: String,
}

/// What a topic that something came at is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// A command, by its name.
    Command(&'a str),
    /// What a node shares with a group.
    Fleet { group: &'a str, node: &'a str },
    /// A button that Home Assistant was told of.
    Button,
}

impl Topics {
    /// None of the names has a `/` in it.
    pub(super) fn new(topic: &str, node: &str, discovery: &str) -> Self {
        let discovery = Some(discovery.to_owned()).filter(|discovery| !discovery.is_empty());
        // Two topics on one broker are two devices.
        let id = if topic == "topgraft" { slug(node) } else { format!("{}_{}", slug(topic), slug(node)) };
        Self { topic: topic.to_owned(), node: node.to_owned(), discovery, id: format!("topgraft_{id}") }
    }

    /// This camera's name.
    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// What this camera is to Home Assistant and to the broker: letters, digits, `_` and `-`.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// `TOPIC/NODE/LEAF`.
    pub(super) fn own(&self, leaf: &str) -> String {
        format!("{}/{}/{leaf}", self.topic, self.node)
    }

    /// `TOPIC/fleet/GROUP/NODE`.
    pub(super) fn fleet(&self, group: &str) -> String {
        format!("{}/fleet/{group}/{}", self.topic, self.node)
    }

    /// All nodes of a group.
    pub(super) fn fleet_filter(&self, group: &str) -> String {
        format!("{}/fleet/{group}/+", self.topic)
    }

    /// Where Home Assistant is told of an entity.
    pub(super) fn config(&self, component: &str, object: &str) -> Option<String> {
        let discovery = self.discovery.as_ref()?;
        Some(format!("{discovery}/{component}/{}/{object}/config", self.id))
    }

    /// What came at a topic.
    pub(super) fn place<'a>(&self, topic: &'a str) -> Option<Place<'a>> {
        let inside = |topic: &'a str, parts: &[&str]| {
            parts.iter().try_fold(topic, |rest, part| rest.strip_prefix(part)?.strip_prefix('/'))
        };
        if let Some(name) = inside(topic, &[&self.topic, &self.node, "command"]) {
            return Some(Place::Command(name));
        }
        if let Some((group, node)) = inside(topic, &[&self.topic, "fleet"]).and_then(|rest| rest.split_once('/')) {
            return Some(Place::Fleet { group, node });
        }
        let button = inside(topic, &[self.discovery.as_deref()?, "button", &self.id])?;
        button.ends_with("/config").then_some(Place::Button)
    }
}

/// Letters and digits as they are, every other byte as `_` and two hexadecimal digits: Home Assistant wants no other characters, and
/// so no two texts have the same one.
pub(super) fn slug(text: &str) -> String {
    text.bytes().fold(String::new(), |mut slug, byte| {
        match byte.is_ascii_alphanumeric() || byte == b'-' {
            true => slug.push(char::from(byte)),
            false => write!(slug, "_{byte:02x}").expect("memory"),
        }
        slug
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn slugs_are_safe_and_no_two_are_the_same() {
        let texts =
            ["cat", "Cat", "c at", "c_at", "c_20at", "café", "cafe", "カメラ", "🐈", "a-b", "_", "", "/", "a.b", "a,b"];
        let slugs: HashSet<_> = texts.iter().map(|text| slug(text)).collect();
        assert_eq!(slugs.len(), texts.len());
        assert!(
            slugs.iter().all(|slug| slug.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)))
        );
        assert_eq!((slug("cat"), slug("c at")), ("cat".to_owned(), "c_20at".to_owned()));
    }

    #[test]
    fn topics_are_known_again() {
        let topics = Topics::new("topgraft", "Küche", "homeassistant");
        assert_eq!(topics.place(&topics.own("command/teach")), Some(Place::Command("teach")));
        assert_eq!(topics.place(&topics.fleet("garden")), Some(Place::Fleet { group: "garden", node: "Küche" }));
        assert_eq!(topics.place(&topics.config("button", "undo").unwrap()), Some(Place::Button));
        assert_eq!(topics.config("button", "undo").unwrap(), "homeassistant/button/topgraft_K_c3_bcche/undo/config");
        for other in [
            "topgraft/Küche/state",
            "topgraft/other/command/undo",
            "topgraft/fleet/a",
            "x",
            "",
            "topgraft/KücheX/command/undo",
        ] {
            assert_eq!(topics.place(other), None, "{other}");
        }
        assert_eq!(Topics::new("topgraft", "a", "").config("button", "undo"), None);
    }
}
