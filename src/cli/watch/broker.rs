//! An MQTT broker that is told what is seen, and whose commands are done.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

use topgraft::live::fleet::Fleet;
use topgraft::live::mqtt::{Message, Mqtt, State};
use topgraft::live::{Config, LiveEvent, Seen, Session, check_new_name};

use super::Listener;
use crate::cli::live;
use crate::cli::text::{counted, plain};

pub struct Broker {
    /// Before the broker, which it shares by.
    fleet: Option<Fleet>,
    mqtt: Arc<Mqtt>,
    session: Arc<Session>,
    learned: RefCell<Learned>,
    /// Commands that may be done at once, and when that was counted.
    commands: Cell<(f64, Instant)>,
}

/// Commands at once, and then a second: each takes some milliseconds of the loop.
const BURST: f64 = 10.0;
const A_SECOND: f64 = 5.0;

/// What is asked of the store only when it has changed.
#[derive(Default)]
struct Learned {
    taught: Option<u64>,
    classes: Vec<(String, usize)>,
    accuracy: Option<[f64; 3]>,
    head: Option<i64>,
}

impl Broker {
    /// `None` where the settings name no broker.
    pub fn start(config: &Config, session: &Arc<Session>) -> anyhow::Result<Option<Self>> {
        if !config.mqtt.is_on() {
            return Ok(None);
        }
        let mqtt = Arc::new(Mqtt::start(&config.mqtt)?);
        let fleet = match &config.fleet {
            settings if !settings.is_on() => None,
            settings => {
                if let (Some(head), Some(store)) = (&settings.head, &config.store) {
                    live::check_head_path(head, store)?;
                }
                mqtt.follow(&settings.group)?;
                let (group, by) = (settings.group.clone(), mqtt.clone());
                let share = move |bytes| by.share(&group, bytes).map_err(|fault| fault.to_string());
                Some(Fleet::start(session, settings.clone(), share)?)
            }
        };
        Ok(Some(Self {
            fleet,
            mqtt,
            session: session.clone(),
            learned: RefCell::default(),
            commands: Cell::new((BURST, Instant::now())),
        }))
    }

    fn learn(&self, seen: &Seen) {
        let mut learned = self.learned.borrow_mut();
        if learned.taught == Some(seen.taught) {
            return;
        }
        learned.taught = Some(seen.taught);
        self.fleet.iter().for_each(Fleet::changed);
        let asked = self.session.with(|teacher| {
            let classes = teacher.store().classes().unwrap_or_default();
            let head = teacher.store().heads().ok().and_then(|heads| Some(heads.first()?.version));
            let accuracy = teacher.evaluation().map(|evaluation| {
                let [low, high] = evaluation.interval();
                [evaluation.accuracy(), low, high]
            });
            (classes, accuracy, head)
        });
        // Without a store there is nothing to count.
        if let Ok((classes, accuracy, head)) = asked {
            (learned.classes, learned.head) = (classes, head);
            // Until it is measured again, it is what it was.
            learned.accuracy = accuracy.or(learned.accuracy);
        }
    }

    fn may(&self) -> bool {
        let (left, when) = self.commands.get();
        let left = (left + A_SECOND * when.elapsed().as_secs_f64()).min(BURST);
        let is_left = left >= 1.0;
        self.commands.set((left - f64::from(u8::from(is_left)), Instant::now()));
        is_left
    }

    fn teach(&self, class: &str) -> String {
        let known: Vec<String> = self.learned.borrow().classes.iter().map(|(name, _)| name.clone()).collect();
        if let Err(fault) = check_new_name(class, &known) {
            return fault.to_string();
        }
        match self.session.teach(class) {
            Ok(lesson) => format!("taught {}: sample {}", plain(class), lesson.taught.id()),
            Err(error) => error.to_string(),
        }
    }

    fn undo(&self) -> String {
        match self.session.with(|teacher| teacher.undo()) {
            Ok(Ok(undone)) => format!("undone: {}, {}", plain(&undone.what), counted(undone.samples, "sample")),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// To a version of the head, or to the one before the latest.
    fn roll_back(&self, version: Option<i64>) -> String {
        let done = self.session.with(move |teacher| {
            let version = match version {
                Some(version) => Some(version),
                None => teacher.store().heads()?.get(1).map(|head| head.version),
            };
            version.map(|version| Ok((version, teacher.roll_back(version)?))).transpose()
        });
        let done: Result<Option<(i64, usize)>, topgraft::learn::TeachError> = match done {
            Ok(done) => done,
            Err(error) => return error.to_string(),
        };
        match done {
            Ok(Some((version, samples))) => format!("rolled back to head {version}, {}", counted(samples, "sample")),
            Ok(None) => "there is no head before this one".to_owned(),
            Err(error) => error.to_string(),
        }
    }
}

impl Listener for Broker {
    fn happened(&self, _: &LiveEvent) {}

    fn seen(&self, seen: &Seen) {
        self.learn(seen);
        let learned = self.learned.borrow();
        let prediction = seen.prediction.as_ref();
        let probabilities: Vec<(String, f32)> = prediction.map_or_else(Vec::new, |prediction| {
            seen.labels.iter().cloned().zip(prediction.probabilities.iter().copied()).collect()
        });
        let of_label = |label: &String| probabilities.iter().find(|(name, _)| name == label).map(|(_, p)| *p);
        let confidence = seen.label.as_ref().and_then(of_label);
        self.mqtt.show(State {
            label: seen.label.clone(),
            unknown: prediction.and_then(|prediction| prediction.unknown),
            confidence,
            probabilities,
            drift: seen.drift,
            classes: learned.classes.clone(),
            accuracy: learned.accuracy,
            head: learned.head,
            fps: seen.fps,
        });
    }

    fn messages(&self) -> Vec<String> {
        let fleet = self.fleet.iter().flat_map(Fleet::messages);
        let mut said: Vec<String> = fleet.map(|text| format!("fleet: {text}")).collect();
        let mut refused = 0;
        for message in self.mqtt.messages() {
            let is_command = matches!(message, Message::Teach(_) | Message::Undo | Message::RollBack(_));
            if is_command && !self.may() {
                refused += 1;
                continue;
            }
            let answer = match message {
                Message::Teach(class) => self.teach(&class),
                Message::Undo => self.undo(),
                Message::RollBack(version) => self.roll_back(version),
                Message::BadCommand(line) => line,
                Message::Shared { node, payload, .. } => {
                    if let Some(fleet) = &self.fleet {
                        fleet.put(node, &payload);
                    }
                    continue;
                }
                Message::Connected => {
                    said.push("mqtt: the broker is there".to_owned());
                    continue;
                }
                Message::Lost(line) | Message::Refused(line) => {
                    said.push(format!("mqtt: {line}"));
                    continue;
                }
                _ => continue,
            };
            self.mqtt.answer(&answer);
            said.push(format!("mqtt: {answer}"));
        }
        if refused > 0 {
            let answer = format!("too many commands at once: {refused} were not done");
            self.mqtt.answer(&answer);
            said.push(format!("mqtt: {answer}"));
        }
        said
    }
}
