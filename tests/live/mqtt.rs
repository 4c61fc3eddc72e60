//! MQTT, with Debian's mosquitto as the broker.

pub mod broker;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Deref;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use topgraft::live::mqtt::{Message, Mqtt, MqttSettings, State};

use broker::{Broker, certificates, until};

/// In the environment of a program that is killed: its broker.
const STAND_IN: &str = "TOPGRAFT_TEST_MQTT";

fn settings(broker: &str, node: &str) -> MqttSettings {
    MqttSettings { broker: broker.to_owned(), node: Some(node.to_owned()), ..MqttSettings::default() }
}

fn state(label: &str, confidence: f32) -> State {
    State {
        label: Some(label.to_owned()),
        unknown: Some(false),
        confidence: Some(confidence),
        probabilities: vec![("cat".into(), confidence), ("dog".into(), 1.0 - confidence)],
        drift: false,
        classes: vec![("cat".into(), 12), ("dog".into(), 13)],
        accuracy: Some([0.917, 0.742, 0.977]),
        head: Some(4),
        fps: 9.8,
    }
}

/// One that takes its messages one by one.
struct Camera {
    mqtt: Mqtt,
    waiting: RefCell<VecDeque<Message>>,
}

impl Deref for Camera {
    type Target = Mqtt;

    fn deref(&self) -> &Mqtt {
        &self.mqtt
    }
}

impl Camera {
    fn new(settings: &MqttSettings) -> Self {
        Self { mqtt: Mqtt::start(settings).unwrap(), waiting: RefCell::default() }
    }

    /// The next message.
    #[track_caller]
    fn next(&self) -> Message {
        let mut waiting = self.waiting.borrow_mut();
        until("a message", || {
            waiting.extend(self.messages());
            !waiting.is_empty()
        });
        waiting.pop_front().unwrap()
    }

    /// What has come and was not taken.
    fn rest(&self) -> Vec<Message> {
        let mut waiting = self.waiting.borrow_mut();
        waiting.extend(self.messages());
        waiting.drain(..).collect()
    }
}

/// Started, and connected.
#[track_caller]
fn start(settings: &MqttSettings) -> Camera {
    let camera = Camera::new(settings);
    assert_eq!(camera.next(), Message::Connected);
    camera
}

/// The line of the next message, which says that the broker is not there.
#[track_caller]
fn trouble(settings: &MqttSettings) -> (Camera, String) {
    let mqtt = Camera::new(settings);
    let (Message::Lost(line) | Message::Refused(line)) = mqtt.next() else { panic!("no trouble") };
    assert!(!line.contains('\n'), "{line}");
    println!("{line}");
    (mqtt, line)
}

#[test]
fn the_state_arrives_and_stays() {
    let Some(broker) = Broker::start("") else { return };
    let mqtt = start(&settings(&broker.url(), "Küche"));
    mqtt.show(state("cat", 0.93));
    until("all of it", || broker.retained("topgraft/#").len() >= 5);
    let retained = broker.retained("topgraft/#");
    let expected = [
        ("availability", "online"),
        ("drift", "OFF"),
        ("fps", "9.8"),
        (
            "learned",
            r#"{"samples":25,"classes":{"cat":12,"dog":13},"head":4,"accuracy":0.917,"low":0.742,"high":0.977}"#,
        ),
        ("state", r#"{"label":"cat","confidence":0.93,"unknown":false}"#),
    ];
    let expected = expected.map(|(leaf, payload)| (format!("topgraft/Küche/{leaf}"), payload.to_owned()));
    assert_eq!(retained, BTreeMap::from(expected));
    drop(mqtt);
    assert_eq!(broker.retained("topgraft/Küche/availability")["topgraft/Küche/availability"], "offline");
}

#[test]
fn who_subscribes_sees_what_changes_and_no_more() {
    let Some(broker) = Broker::start("") else { return };
    let mqtt = start(&settings(&broker.url(), "n"));
    let listener = broker.listen("topgraft/#");
    mqtt.show(state("cat", 0.93));
    until("all of it", || listener.count() >= 6);
    let begin = Instant::now();
    for i in 0..10_000u16 {
        mqtt.show(state("cat", f32::from(i % 100) / 100.0));
    }
    mqtt.show(state("cat", 0.5));
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    thread::sleep(Duration::from_secs(3));
    let lines = listener.lines();
    // At most a state and probabilities a second.
    let most = 6 + 2 * (1 + took.as_secs() as usize + 1);
    assert!(lines.len() <= most && lines.iter().any(|line| line.contains(r#""confidence":0.5,"#)), "{lines:#?}");
    let before = lines.len();
    let begin = Instant::now();
    mqtt.show(state("dog", 0.5));
    until("the label", || listener.lines().iter().any(|line| line.contains(r#""label":"dog""#)));
    assert!(begin.elapsed() < Duration::from_millis(500));
    (0..100).for_each(|_| mqtt.show(state("dog", 0.5)));
    thread::sleep(Duration::from_secs(2));
    assert_eq!(listener.count(), before + 1, "{:#?}", listener.lines());
    mqtt.answer("done");
    until("the answer", || listener.lines().contains(&"0 topgraft/n/answer done".to_owned()));
}

#[test]
fn commands_arrive_and_retained_ones_are_ignored() {
    let Some(broker) = Broker::start("") else { return };
    broker.publish(&["-r", "-t", "topgraft/n/command/undo", "-m", "x"]);
    let mqtt = start(&settings(&broker.url(), "n"));
    let Message::BadCommand(line) = mqtt.next() else { panic!("it is said") };
    assert!(line.contains("`undo` is retained"), "{line}");
    let bad = |expected: &str| {
        let Message::BadCommand(line) = mqtt.next() else { panic!("{expected}") };
        assert!(line.contains(expected), "{line}");
    };
    broker.publish(&["-t", "topgraft/n/command/teach", "-m", "Kätzchen", "-q", "1"]);
    assert_eq!(mqtt.next(), Message::Teach("Kätzchen".into()));
    broker.publish(&["-t", "topgraft/n/command/undo", "-n"]);
    assert_eq!(mqtt.next(), Message::Undo);
    broker.publish(&["-t", "topgraft/n/command/roll-back", "-m", "3"]);
    assert_eq!(mqtt.next(), Message::RollBack(Some(3)));
    broker.publish(&["-t", "topgraft/n/command/roll-back", "-m", "before"]);
    assert_eq!(mqtt.next(), Message::RollBack(None));
    broker.publish(&["-t", "topgraft/n/command/teach", "-m", &"x".repeat(1025)]);
    bad("1025 bytes");
    broker.publish_file("topgraft/n/command/teach", b"\xff\xfe", false);
    bad("not UTF-8");
    broker.publish(&["-t", "topgraft/n/command/explode", "-n"]);
    bad("no command");
    broker.publish(&["-t", "topgraft/other/command/undo", "-n"]);
    let deaf = MqttSettings { commands: false, ..settings(&broker.url(), "deaf") };
    let deaf = start(&deaf);
    broker.publish(&["-t", "topgraft/deaf/command/undo", "-n"]);
    thread::sleep(Duration::from_secs(1));
    assert_eq!((mqtt.rest(), deaf.rest()), (vec![], vec![]));
}

/// Runs only as the program that `a_killed_program_is_offline` kills.
#[test]
fn stands_in() {
    let Ok(broker) = std::env::var(STAND_IN) else { return };
    let mqtt = start(&settings(&broker, "n"));
    mqtt.show(state("cat", 0.9));
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_killed_program_is_offline() {
    let Some(broker) = Broker::start("") else { return };
    let test = module_path!().split_once("::").map_or(String::new(), |(_, module)| format!("{module}::stands_in"));
    let mut program = Command::new(std::env::current_exe().unwrap());
    let mut program = program.args(["--exact", &test]).env(STAND_IN, broker.url()).spawn().unwrap();
    let availability = || broker.retained("topgraft/n/availability").into_values().next();
    until("online", || availability().as_deref() == Some("online"));
    program.kill().unwrap();
    program.wait().unwrap();
    until("offline", || availability().as_deref() == Some("offline"));
}

#[test]
fn a_broker_that_comes_back_has_all_again_once() {
    let Some(mut broker) = Broker::start("") else { return };
    let mqtt = start(&settings(&broker.url(), "n"));
    mqtt.follow("garden").unwrap();
    mqtt.share("garden", Arc::from(*b"what n has learned")).unwrap();
    mqtt.show(state("cat", 0.9));
    until("all of it", || broker.retained("#").len() == 5 + 10 + 1);
    broker.kill();
    let mut longest = Duration::ZERO;
    for i in 0..300u16 {
        let begin = Instant::now();
        mqtt.show(state("cat", f32::from(i) / 300.0));
        mqtt.answer("nobody hears this");
        longest = longest.max(begin.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    assert!(longest < Duration::from_millis(50), "{longest:?}");
    let Message::Lost(line) = mqtt.next() else { panic!("lost") };
    assert!(line.starts_with("lost the broker at 127.0.0.1:"), "{line}");
    broker.run();
    let listener = broker.listen("#");
    let mut messages = mqtt.rest();
    // Where it was there before the listener, what is not retained may have come before, too.
    let is_late = messages.contains(&Message::Connected);
    until("the connection", || {
        mqtt.show(state("dog", 0.9));
        messages.extend(mqtt.rest());
        messages.contains(&Message::Connected)
    });
    // One line says that it was gone, perhaps another one that it does not take connections, however often it was tried.
    assert!(messages.len() <= 2, "{messages:?}");
    for _ in 0..300 {
        mqtt.show(state("dog", 0.9));
        thread::sleep(Duration::from_millis(10));
    }
    let mut counts = BTreeMap::new();
    for line in listener.lines() {
        *counts.entry(line.split(' ').nth(1).unwrap().to_owned()).or_insert(0) += 1;
    }
    // Also the probabilities, which are not retained.
    counts.entry("topgraft/n/probabilities".to_owned()).or_insert(i32::from(is_late));
    assert_eq!((counts.len(), counts.values().max()), (5 + 1 + 10 + 1, Some(&1)), "{counts:#?}");
    assert!(counts.values().all(|count| *count == 1), "{counts:#?}");
    assert_eq!(
        broker.retained("topgraft/n/state")["topgraft/n/state"],
        r#"{"label":"dog","confidence":0.9,"unknown":false}"#
    );
}

#[test]
fn wrong_passwords_are_said_and_right_ones_work() {
    let Some(broker) = Broker::with_password("me", "s3cret") else { return };
    let login = |user: Option<&str>, password: &str| MqttSettings {
        user: user.map(str::to_owned),
        password: user.map(|_| password.to_owned()),
        ..settings(&broker.url(), "n")
    };
    let (mqtt, line) = trouble(&login(Some("me"), "wr0ng"));
    assert!(line.contains("user `me`") && line.contains("check both") && !line.contains("wr0ng"), "{line}");
    thread::sleep(Duration::from_secs(4));
    assert_eq!(mqtt.rest(), [], "it is said once");
    let begin = Instant::now();
    drop(mqtt);
    assert!(begin.elapsed() < Duration::from_secs(1));
    let (_, line) = trouble(&login(None, ""));
    assert!(line.contains("give user and password_file"), "{line}");
    start(&login(Some("me"), "s3cret"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "s3cret\n").unwrap();
    let password_file = Some(file.path().to_path_buf());
    start(&MqttSettings { password: None, password_file, ..login(Some("me"), "") });
}

#[test]
fn tls_needs_an_authority_that_is_trusted_and_the_right_name() {
    let Some(certificates) = certificates() else { return };
    let path = |name: &str| certificates.path().join(name);
    let lines = format!("certfile {}\nkeyfile {}", path("broker.pem").display(), path("broker.key").display());
    let Some(broker) = Broker::start(&lines) else { return };
    let with = |host: &str, ca: Option<&str>| MqttSettings {
        ca: ca.map(path),
        ..settings(&format!("mqtts://{host}:{}", broker.port), "n")
    };
    let mqtt = start(&with("localhost", Some("ca.pem")));
    mqtt.show(state("cat", 0.9));
    mqtt.share("g", vec![7; 3 << 20].into()).unwrap();
    thread::sleep(Duration::from_secs(2));
    assert_eq!(mqtt.rest(), []);
    drop(mqtt);
    let cases = [
        (with("localhost", None), "no authority that is trusted"),
        (with("localhost", Some("other.pem")), "no authority that is trusted"),
        (with("127.0.0.1", Some("ca.pem")), "for another name"),
        (settings(&format!("mqtt://127.0.0.1:{}", broker.port), "n"), "whether its port wants mqtts://"),
    ];
    for (settings, expected) in cases {
        let (_, line) = trouble(&settings);
        assert!(line.contains(expected) && line.contains(&broker.port.to_string()), "{line}");
    }
    let [own, expired] = [("ca.pem", "ca.key"), ("expired.pem", "broker.key")].map(|(certificate, key)| {
        let lines = format!("certfile {}\nkeyfile {}", path(certificate).display(), path(key).display());
        Broker::start(&lines).expect("there is one")
    });
    for (broker, ca, expected) in [
        (&own, None, "make one that the authority signs"),
        (&own, Some("ca.pem"), "make one that the authority signs"),
        (&expired, Some("ca.pem"), "has expired; renew it, or set this device's clock"),
    ] {
        let url = format!("mqtts://localhost:{}", broker.port);
        let (_, line) = trouble(&MqttSettings { ca: ca.map(path), ..settings(&url, "n") });
        assert!(line.contains(expected), "{line}");
    }
    let Some(plain) = Broker::start("") else { return };
    let tls = settings(&format!("mqtts://127.0.0.1:{}", plain.port), "n");
    assert!(trouble(&tls).1.contains("is one for mqtts://"));
}

#[test]
fn what_is_no_broker_is_said() {
    fn serve(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("mqtt://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            let mut open: Vec<TcpStream> = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = (stream.read(&mut [0; 64]), stream.write_all(answer));
                open.push(stream);
            }
        });
        url
    }
    let http = serve(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\nServer: somebody's\r\nDate: today\r\n\r\n");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cases = [
        (http, "something else than MQTT"),
        (serve(b""), "no answer in MQTT"),
        (serve(b"\xff\xff\xff\xff\xff\xff"), "something else than MQTT"),
        (format!("mqtt://{closed}"), "no broker takes connections at 127.0.0.1:"),
        ("mqtt://no-such-host.invalid".to_owned(), "cannot find the broker's host no-such-host.invalid"),
    ];
    thread::scope(|scope| {
        for (url, expected) in cases {
            scope.spawn(move || {
                let (_, line) = trouble(&settings(&url, "n"));
                assert!(line.contains(expected), "{line}");
            });
        }
    });
}

#[test]
fn nodes_share_with_their_group() {
    let Some(broker) = Broker::start("") else { return };
    let [a, b] = ["a", "b"].map(|node| start(&settings(&broker.url(), node)));
    let payload: Arc<[u8]> = (0..7_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    b.follow("garden").unwrap();
    a.follow("garden").unwrap();
    a.share("garden", payload.clone()).unwrap();
    let shared = |group: &str, node: &str, payload: &[u8]| Message::Shared {
        group: group.to_owned(),
        node: node.to_owned(),
        payload: payload.to_vec(),
    };
    assert!(b.next() == shared("garden", "a", &payload));
    // Who comes later gets it too.
    let c = start(&settings(&broker.url(), "c"));
    c.follow("garden").unwrap();
    assert!(c.next() == shared("garden", "a", &payload));
    c.share("other", payload.clone()).unwrap();
    a.share("garden", Arc::from([])).unwrap();
    assert_eq!(b.next(), shared("garden", "a", b""));
    thread::sleep(Duration::from_secs(1));
    assert_eq!((a.rest(), b.rest()), (vec![], vec![]), "neither its own, nor another group's");
    assert!(broker.retained("topgraft/fleet/garden/+").is_empty());
}

#[test]
fn too_much_is_survived() {
    let Some(broker) = Broker::start("max_packet_size 18000000") else { return };
    let mqtt = start(&settings(&broker.url(), "n"));
    mqtt.follow("g").unwrap();
    thread::sleep(Duration::from_millis(500));
    broker.publish_file("topgraft/fleet/g/giant", &vec![1; 17 << 20], true);
    let Message::Refused(line) = mqtt.next() else { panic!("too large") };
    assert!(line.contains("what other cameras share is left out"), "{line}");
    assert_eq!(mqtt.next(), Message::Connected);
    broker.publish(&["-t", "topgraft/n/command/undo", "-n"]);
    assert_eq!(mqtt.next(), Message::Undo);
}

#[test]
fn a_broker_that_takes_less_is_not_stormed() {
    let Some(broker) = Broker::start("max_packet_size 100000") else { return };
    let mqtt = start(&settings(&broker.url(), "n"));
    mqtt.share("g", vec![1; 1 << 20].into()).unwrap();
    let Message::Refused(line) = mqtt.next() else { panic!("too large") };
    assert!(line.contains("max_packet_size") && line.contains("1048576 bytes"), "{line}");
    assert_eq!(mqtt.next(), Message::Connected);
    mqtt.show(state("cat", 0.9));
    until("the rest", || broker.retained("topgraft/n/#").len() == 5);
    thread::sleep(Duration::from_secs(3));
    assert_eq!(mqtt.rest(), []);
}

#[test]
fn a_frozen_broker_blocks_nothing() {
    let Some(broker) = Broker::start("") else { return };
    let mqtt = start(&settings(&broker.url(), "n"));
    mqtt.share("g", vec![1; 1 << 20].into()).unwrap();
    until("it", || broker.retained("topgraft/fleet/#").len() == 1);
    broker.freeze();
    mqtt.share("g", vec![2; 16 << 20].into()).unwrap();
    let begin = Instant::now();
    (0..1000).for_each(|i| mqtt.show(State { head: Some(i), ..state("cat", 0.9) }));
    assert!(begin.elapsed() < Duration::from_secs(1));
    thread::sleep(Duration::from_secs(1));
    let begin = Instant::now();
    drop(mqtt);
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
}

#[test]
fn two_of_the_same_name_are_told() {
    let Some(broker) = Broker::start("") else { return };
    let cameras = [0, 1].map(|_| Camera::new(&settings(&broker.url(), "n")));
    let mut connections = 0;
    until("the reason", || {
        let messages: Vec<_> = cameras.iter().flat_map(Camera::rest).collect();
        connections += messages.iter().filter(|message| **message == Message::Connected).count();
        messages
            .iter()
            .any(|message| matches!(message, Message::Lost(line) if line.contains("no other camera there is called n")))
    });
    assert!(connections < 12, "{connections}");
}

#[test]
fn home_assistant_is_told_what_it_requires() {
    let Some(broker) = Broker::start("") else { return };
    // Of an earlier run.
    let gone = "homeassistant/button/topgraft_n/teach_gone/config";
    broker.publish(&["-r", "-t", gone, "-m", "{}"]);
    let mqtt = start(&settings(&broker.url(), "n"));
    let names = ["cat", "Küche 1/2 {{ x }}", "~", "#+"];
    let classes = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 3)).collect::<Vec<_>>();
    mqtt.show(State { classes: classes(&names), ..state("cat", 0.9) });
    until("the entities", || {
        let retained = broker.retained("homeassistant/#");
        retained.len() == 6 + 2 + 4 && !retained.contains_key(gone)
    });
    let own = broker.retained("topgraft/n/#");
    let mut ids = std::collections::BTreeSet::new();
    let mut presses = Vec::new();
    for (topic, payload) in broker.retained("homeassistant/#") {
        let config: Value = serde_json::from_str(&payload).unwrap();
        let text = |key: &str| config[key].as_str().unwrap_or_default().to_owned();
        let parts: Vec<_> = topic.split('/').collect();
        let [_, component, node, object, "config"] = parts[..] else { panic!("{topic}") };
        let is_safe = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        assert!(is_safe(node) && is_safe(object), "{topic}");
        assert!(ids.insert(text("unique_id")) && !text("name").is_empty(), "{payload}");
        assert_eq!(config["device"]["identifiers"][0], "topgraft_n");
        assert!(config["device"]["name"] == "n" && config["origin"]["name"] == "topgraft", "{payload}");
        assert_eq!(text("availability_topic"), "topgraft/n/availability");
        match component {
            "button" => {
                assert!(text("command_topic").starts_with("topgraft/n/command/"), "{payload}");
                presses.push((text("command_topic"), config["payload_press"].as_str().unwrap_or("PRESS").to_owned()));
            }
            "sensor" => assert!(own.contains_key(&text("state_topic")), "{payload}"),
            "binary_sensor" => {
                assert_eq!((text("state_topic"), text("device_class")), ("topgraft/n/drift".into(), "problem".into()))
            }
            _ => panic!("{topic}"),
        }
    }
    // As Home Assistant presses them.
    for (topic, payload) in presses {
        broker.publish(&["-t", &topic, "-m", &payload]);
        match topic.rsplit_once('/').unwrap().1 {
            "undo" => assert_eq!(mqtt.next(), Message::Undo),
            "roll-back" => assert_eq!(mqtt.next(), Message::RollBack(None)),
            _ => assert!(names.contains(&payload.as_str()) && mqtt.next() == Message::Teach(payload)),
        }
    }
    mqtt.show(State { classes: classes(&["cat"]), ..state("cat", 0.9) });
    until("one class", || broker.retained("homeassistant/button/#").len() == 2 + 1);
}
