//! What Home Assistant is told, so that it shows the camera as a device: one retained message an entity, as
//! <https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery> has it. One message for the whole device would need a newer Home
//! Assistant, and could not take back the buttons of classes that went while this program did not run.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::board::{Board, How};
use super::topics::{Topics, slug};

/// The most classes that get a button.
const MAX_BUTTONS: usize = 256;
/// The most buttons of earlier runs that are taken back.
const MAX_FOUND: usize = 1024;

/// The entities, and where the broker has some.
#[derive(Debug)]
pub(super) struct Discovery {
    has_commands: bool,
    /// Topics of entities that there are; none before the classes are known.
    wanted: Option<BTreeSet<String>>,
    /// Topics of buttons that were found at the broker before.
    found: BTreeSet<String>,
}

impl Discovery {
    pub(super) fn new(has_commands: bool) -> Self {
        Self { has_commands, wanted: None, found: BTreeSet::new() }
    }

    /// Puts the entities on the board, and takes away those of classes that are gone.
    pub(super) fn put(&mut self, topics: &Topics, classes: &[String], board: &mut Board) {
        let classes = if self.has_commands { classes } else { &[] };
        let mut wanted = BTreeSet::new();
        for (component, object, config) in entities(topics, classes, self.has_commands) {
            let Some(topic) = topics.config(component, &object) else { return };
            wanted.insert(topic.clone());
            board.put(topic, config.to_string(), How::Retained);
        }
        let before = self.wanted.take().unwrap_or_default().into_iter().chain(std::mem::take(&mut self.found));
        before.filter(|topic| !wanted.contains(topic)).for_each(|topic| board.put(topic, "", How::Retained));
        self.wanted = Some(wanted);
    }

    /// A button is at the broker: if it is of a class that is gone, takes it away.
    pub(super) fn find(&mut self, topic: &str, board: &mut Board) {
        match &self.wanted {
            Some(wanted) if wanted.contains(topic) => {}
            Some(_) => board.put(topic.to_owned(), "", How::Retained),
            None if self.found.len() < MAX_FOUND => drop(self.found.insert(topic.to_owned())),
            None => {}
        }
    }
}

/// Component, object and configuration of each.
fn entities(topics: &Topics, classes: &[String], has_commands: bool) -> Vec<(&'static str, String, Value)> {
    let percent =
        |of: &str| format!("{{{{ (value_json.{of} * 100) | round(1) if value_json.{of} is not none else none }}}}");
    let mut all = vec![
        sensor(
            "label",
            "state",
            json!({ "name": "Label", "icon": "mdi:eye", "value_template": "{{ value_json.label }}" }),
        ),
        sensor(
            "confidence",
            "state",
            json!({
                "name": "Confidence", "icon": "mdi:percent", "unit_of_measurement": "%", "state_class": "measurement",
                "value_template": percent("confidence"),
            }),
        ),
        sensor(
            "samples",
            "learned",
            json!({
                "name": "Samples learned", "icon": "mdi:school", "state_class": "measurement",
                "value_template": "{{ value_json.samples }}",
            }),
        ),
        sensor(
            "accuracy",
            "learned",
            json!({
                "name": "Accuracy", "icon": "mdi:bullseye-arrow", "unit_of_measurement": "%", "state_class": "measurement",
                "value_template": percent("accuracy"), "json_attributes_topic": topics.own("learned"),
            }),
        ),
        sensor(
            "fps",
            "fps",
            json!({
                "name": "Frames per second", "icon": "mdi:speedometer", "unit_of_measurement": "fps",
                "state_class": "measurement", "entity_category": "diagnostic",
            }),
        ),
        (
            "binary_sensor",
            "drift".to_owned(),
            json!({ "name": "Drift", "device_class": "problem", "state_topic": "drift" }),
        ),
    ];
    if has_commands {
        all.push(button("undo", "undo", json!({ "name": "Undo", "icon": "mdi:undo", "entity_category": "config" })));
        all.push(button(
            "roll-back",
            "roll-back",
            json!({
                "name": "Roll back to the head before", "icon": "mdi:history", "payload_press": "before",
                "entity_category": "config",
            }),
        ));
        all.extend(classes.iter().take(MAX_BUTTONS).map(|class| {
            let config =
                json!({ "name": format!("Teach {class}"), "icon": "mdi:school-outline", "payload_press": class });
            button(&format!("teach_{}", slug(class)), "teach", config)
        }));
    }
    for (_, object, config) in &mut all {
        for key in ["state_topic", "command_topic"] {
            if let Some(topic) = config.get_mut(key) {
                *topic = topics.own(topic.as_str().unwrap_or_default()).into();
            }
        }
        config["unique_id"] = format!("{}_{object}", topics.id()).into();
        config["availability_topic"] = topics.own("availability").into();
        config["device"] = json!({
            "identifiers": [topics.id()], "name": topics.node(), "manufacturer": "Topgraft", "model": "Camera that learns",
            "sw_version": env!("CARGO_PKG_VERSION"),
        });
        config["origin"] = json!({ "name": "topgraft", "sw_version": env!("CARGO_PKG_VERSION") });
    }
    all
}

fn sensor(object: &str, leaf: &str, mut config: Value) -> (&'static str, String, Value) {
    config["state_topic"] = leaf.into();
    ("sensor", object.to_owned(), config)
}

fn button(object: &str, command: &str, mut config: Value) -> (&'static str, String, Value) {
    config["command_topic"] = format!("command/{command}").into();
    ("button", object.to_owned(), config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Topics that are published, and whether they get a configuration.
    fn published(board: &mut Board) -> Vec<(String, bool)> {
        std::iter::from_fn(|| board.next(true)).map(|publish| (publish.topic, !publish.payload.is_empty())).collect()
    }

    #[test]
    fn buttons_of_classes_that_are_gone_go_too() {
        let topics = Topics::new("topgraft", "n", "ha");
        let (mut discovery, mut board) = (Discovery::new(true), Board::default());
        discovery.find("ha/button/topgraft_n/teach_dog/config", &mut board);
        discovery.find("ha/button/topgraft_n/teach_cow/config", &mut board);
        discovery.put(&topics, &classes(&["cat", "dog"]), &mut board);
        let first = published(&mut board);
        assert_eq!(first.len(), 6 + 2 + 2 + 1);
        assert_eq!(first[10], ("ha/button/topgraft_n/teach_cow/config".to_owned(), false), "of an earlier run");
        discovery.put(&topics, &classes(&["dog", "a b"]), &mut board);
        let expected =
            [("ha/button/topgraft_n/teach_cat/config", false), ("ha/button/topgraft_n/teach_a_20b/config", true)];
        assert_eq!(published(&mut board), expected.map(|(topic, has)| (topic.to_owned(), has)));
        discovery.find("ha/button/topgraft_n/teach_dog/config", &mut board);
        discovery.find("ha/button/topgraft_n/teach_cow/config", &mut board);
        assert_eq!(published(&mut board), [("ha/button/topgraft_n/teach_cow/config".to_owned(), false)]);
    }

    #[test]
    fn who_may_not_teach_gets_no_button_and_who_wants_no_discovery_nothing() {
        let mut board = Board::default();
        Discovery::new(false).put(&Topics::new("topgraft", "n", "ha"), &classes(&["cat"]), &mut board);
        let topics = published(&mut board);
        assert!(topics.len() == 6 && topics.iter().all(|(topic, _)| topic.contains("sensor/")), "{topics:?}");
        Discovery::new(true).put(&Topics::new("topgraft", "n", ""), &classes(&["cat"]), &mut board);
        assert_eq!(published(&mut board), []);
    }
}
