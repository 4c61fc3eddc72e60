//! `watch` with a broker: commands, a broker that goes and comes back, and three devices that learn together.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use topgraft::learn::{Model, Statistics};
use topgraft::store::SampleStore;
use topgraft_core::head::{Head, Kind};
use topgraft_core::kernel::Kernels;
use topgraft_core::scaler::Scaler;
use topgraft_core::solver::{TrainingSet, lda};

use super::mqtt::broker::{Broker, until};
use super::{Bench, photos};

const PATIENCE: Duration = Duration::from_secs(60);

/// `topgraft watch` on a folder of photos, again and again.
struct Watch {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Watch {
    fn start(bench: &Bench, broker: &Broker, node: &str, more: &str) -> Self {
        let config = bench.path("t.toml");
        let text = format!(
            "store = 'x.store'\n[camera]\nrepeat = true\nfps = 10.0\n[teaching]\nsettle = 0.2\n[mqtt]\nbroker = '{}'\nnode = '{node}'\n{more}",
            broker.url()
        );
        std::fs::write(&config, text).expect("writes");
        let mut command = Command::new(env!("CARGO_BIN_EXE_topgraft"));
        command.args(["watch", "--from", &photos("fish"), "--backbone", &bench.tiny(), "--config"]).arg(&config);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
        let said = Arc::new(Mutex::new(Vec::new()));
        let (stderr, heard) = (child.stderr.take().expect("piped"), said.clone());
        let reader = std::thread::spawn(move || {
            use std::io::BufRead;
            let lines = std::io::BufReader::new(stderr).lines().map_while(Result::ok);
            lines.for_each(|line| heard.lock().expect("sound").push(line));
        });
        Self { child, said, reader: Some(reader) }
    }

    #[track_caller]
    fn says(&self, text: &str) {
        let start = Instant::now();
        while !self.said.lock().expect("sound").iter().any(|line| line.contains(text)) {
            assert!(start.elapsed() < PATIENCE, "{text:?} was not said: {:?}", self.said.lock());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
        self.reader.take().map(std::thread::JoinHandle::join);
    }
}

#[test]
fn a_broker_commands_goes_and_comes_back() {
    let Some(mut broker) = Broker::start("") else { return };
    let bench = Bench::taught(&["birds", "tools"]);
    let watch = Watch::start(&bench, &broker, "porch", "");
    watch.says("mqtt: the broker is there");
    let learned = || broker.retained("topgraft/porch/learned").into_values().next().unwrap_or_default();
    until("what it has learned", || learned().contains("\"birds\":5,\"tools\":5"));
    until("Home Assistant's entity", || broker.retained("homeassistant/#").len() > 8);
    // A class that is new, undone; a name that is none; back to the head before.
    let answers = broker.listen("topgraft/porch/answer");
    let command = |name: &str, payload: &str| {
        broker.publish(&["-t", &format!("topgraft/porch/command/{name}"), "-m", payload]);
    };
    command("teach", "goldfish");
    until("an answer", || answers.lines().iter().any(|line| line.contains("taught goldfish: sample 11")));
    command("undo", "-");
    until("an answer", || answers.lines().iter().any(|line| line.contains("undone: teach goldfish, 1 sample")));
    command("teach", "../etc");
    until("an answer", || answers.lines().iter().any(|line| line.contains("class")));
    command("roll-back", "99");
    until("an answer", || answers.lines().iter().any(|line| line.contains("99")));
    until("what it has learned", || learned().contains("\"birds\":5,\"tools\":5"));
    drop(answers);
    // Frames go on without it, and all is there again, once, when it is back.
    broker.kill();
    watch.says("mqtt: lost the broker");
    broker.run();
    until("the state", || broker.retained("topgraft/porch/#").len() >= 5);
    // The listener gets what is retained, and nothing comes again.
    let later = broker.listen("topgraft/porch/learned");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(later.count(), 1, "{:?}", later.lines());
}

/// The difference of two messages is what came between them: it is not to be one sample, a restart between them or not.
#[test]
fn a_single_sample_is_not_given_away_by_a_second_message() {
    let Some(broker) = Broker::start("") else { return };
    let bench = Bench::taught(&["birds", "tools"]);
    let fleet = "[fleet]\ngroup = 'garden'\n";
    let shared = || broker.retained_bytes("topgraft/fleet/garden/porch");
    let watch = Watch::start(&bench, &broker, "porch", fleet);
    until("what it shares", || shared().is_some());
    let before = shared();
    let counts =
        |bytes: &Option<Vec<u8>>| Statistics::parse(bytes.as_ref().expect("shared")).expect("sound").counts().to_vec();
    assert_eq!(counts(&before), [5, 5]);
    let fish = format!("{}/{}", photos("fish"), super::names(std::path::Path::new(&photos("fish")))[0]);
    bench.teach("birds", &fish, &["--no-measure"]).succeeds();
    watch.says("fleet: not shared yet: the change would show single samples of `birds`");
    drop(watch);
    let watch = Watch::start(&bench, &broker, "porch", fleet);
    watch.says("fleet: not shared yet: the change would show single samples of `birds`");
    assert!(shared() == before);
    // Nor does a class that goes and comes back: what was seen of it is remembered.
    for remove in [["remove", "--class", "birds"], ["remove", "--class", "tools"]] {
        bench.on_store(&remove).succeeds();
    }
    until("it takes back what it shared", || shared().is_none());
    for class in ["birds", "tools"] {
        bench.teach(class, &photos(class), &["--no-measure"]).succeeds();
    }
    until("the same samples, which give nothing away", || shared() == before);
    // What would write over the store is refused.
    let config = bench.path("bad.toml");
    let text =
        format!("store = 'x.store'\n[mqtt]\nbroker = '{}'\n[fleet]\ngroup = 'g'\nhead = 'x.store'", broker.url());
    std::fs::write(&config, text).expect("writes");
    let run =
        crate::program::topgraft(["watch", "--config", config.to_str().expect("UTF-8"), "--from", &photos("fish")]);
    run.refuses(&["give them different names"]);
}

/// Three devices with other photos of the same classes: each has the head that one would have of all of them.
#[test]
fn three_devices_learn_together_and_nothing_but_statistics_leaves_them() {
    let Some(broker) = Broker::start("") else { return };
    let classes = ["birds", "fish", "tools"];
    // Photo by photo to one after the other.
    let benches: Vec<Bench> = (0..3).map(|_| Bench::new()).collect();
    for class in classes {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(photos(class)).expect("photos").map(|entry| entry.expect("one").path()).collect();
        paths.sort();
        for (number, path) in paths.iter().enumerate() {
            let path = path.to_str().expect("UTF-8");
            benches[number % 3].teach(class, path, &["--no-measure"]).succeeds();
        }
    }
    let fleet = "[fleet]\ngroup = 'garden'\nleast = 1\nhead = 'fleet.graft'\n";
    let names = ["porch", "garden", "shed"];
    let watches: Vec<Watch> =
        benches.iter().zip(names).map(|(bench, name)| Watch::start(bench, &broker, name, fleet)).collect();
    watches.iter().for_each(|watch| watch.says("the head of 3 devices is used: 15 samples of 3 classes"));
    let head = |bench: &Bench| Model::open(&bench.path("fleet.graft")).expect("a head");
    let [first, second, third] = [0, 1, 2].map(|at| head(&benches[at]));
    assert_eq!((first.kind, &first.labels[..]), (Kind::Lda, &classes.map(str::to_owned)[..]));
    // All that is at the broker of them, which knows no photo.
    for name in names {
        let bytes = broker.retained_bytes(&format!("topgraft/fleet/garden/{name}")).expect("is shared");
        let shared = Statistics::parse(&bytes).expect("statistics");
        assert_eq!((shared.n_samples(), shared.to_bytes()), (3 * if name == "shed" { 1 } else { 2 }, bytes));
    }
    let weights = |model: &Model| model.head.linear().expect("linear").parameters().to_vec();
    assert!(weights(&first) == weights(&second) && weights(&first) == weights(&third), "the same bits");
    // One head of all features, by the solver for samples.
    let (dim, kernels) = (first.head.feature_dim(), Kernels::detect());
    let (mut rows, mut labels) = (Vec::new(), Vec::new());
    for bench in &benches {
        let store = SampleStore::open(&bench.path("x.store")).expect("opens");
        let featured = store.features(first.fingerprint, dim).expect("reads");
        labels
            .extend(featured.classes.iter().map(|class| classes.iter().position(|name| name == class).unwrap() as u16));
        rows.extend(featured.rows);
    }
    assert_eq!(labels.len(), 15);
    let mut scaled = rows.clone();
    scaled.chunks_exact_mut(dim).for_each(|row| Scaler::<Vec<f32>>::L2.apply(kernels, row));
    let mut all = Head::new(3, dim, vec![0.0; 3 * dim + 3]).expect("fits");
    let mut scratch = vec![0.0; lda::scratch_len(15, 3, dim).expect("small")];
    let set = TrainingSet { features: &scaled, labels: &labels, sample_weights: None };
    lda::fit(kernels, &set, &lda::Settings::default(), &mut all, &mut scratch).expect("fits");
    let (mut difference, mut largest) = (0f32, 0f32);
    for (row, scaled) in rows.chunks_exact(dim).zip(scaled.chunks_exact(dim)) {
        let mut expected = [0.0; 3];
        all.logits(kernels, scaled, &mut expected);
        for (got, expected) in first.logits(kernels, row).expect("finite").iter().zip(expected) {
            difference = difference.max((got - expected).abs());
            largest = largest.max(expected.abs());
        }
    }
    assert!(difference <= 1e-4 * largest.max(1.0), "{difference} of {largest}");
    // One forgets a class: the others' head is that of what is left.
    let [_, _, shed] = &benches[..] else { unreachable!() };
    shed.on_store(&["remove", "--class", "birds"]).succeeds();
    watches[0].says("the head of 3 devices is used: 14 samples of 3 classes");
}
