//! `topgraft serve`: the API, hostile requests, and the page in a browser.

mod api;
mod browser;
mod hostile;
mod schema;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use image::RgbImage;
use serde_json::Value;

use crate::program::{DATA, DEMO, TINY_CATALOG};

/// How long to wait for what comes in any case.
const PATIENCE: Duration = Duration::from_secs(60);
/// Classes of the demo photos, in the order of the scenes.
const CLASSES: [&str; 3] = ["birds", "flowers", "tools"];

/// A running server with a camera that shows one of three scenes.
struct Served {
    child: Child,
    address: String,
    token: Option<String>,
    folder: Arc<tempfile::TempDir>,
    said: Arc<Mutex<Vec<String>>>,
    threads: Vec<JoinHandle<()>>,
}

/// An answer.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The value of a header, if it is there.
    fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &&str| line.split_once(':').is_some_and(|(known, _)| known.eq_ignore_ascii_case(name));
        self.head.lines().find(named).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim())
    }

    /// That status, and of an error one sentence.
    #[track_caller]
    fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, String::from_utf8_lossy(&self.body));
        if status >= 400 {
            let json = self.json();
            let error = json["error"].as_str().expect("a sentence");
            assert!(!error.is_empty() && !error.contains('\n'), "{error}");
        }
        self
    }
}

impl Served {
    /// With a small network, which takes no time.
    fn new(args: &[&str]) -> Self {
        Self::start(Arc::new(tempfile::tempdir().expect("a folder")), Some("tiny"), args)
    }

    /// On the store of that folder.
    fn start(folder: Arc<tempfile::TempDir>, backbone: Option<&str>, args: &[&str]) -> Self {
        let at = |name: &str| folder.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_topgraft"));
        command.args(["serve", "--from", "-", "-s"]).arg(at("x.store"));
        if backbone.is_some() {
            std::fs::copy(format!("{DATA}/tiny.onnx"), at("tiny.onnx")).expect("is in the tree");
            std::fs::write(at("catalog.toml"), TINY_CATALOG).expect("writes");
            command.arg("--backbone").arg(at("tiny.onnx"));
        }
        if !args.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let scene = at("scene");
        std::fs::write(&scene, "0").expect("writes");
        let (mut stdin, stderr) = (child.stdin.take().expect("piped"), child.stderr.take().expect("piped"));
        let camera = std::thread::spawn(move || {
            let scenes = CLASSES.map(pictures);
            for number in 0.. {
                let text = std::fs::read_to_string(&scene).unwrap_or_default();
                if text == "off" {
                    // As a camera that hangs.
                    std::thread::sleep(Duration::from_millis(50));
                    continue;
                }
                let which: usize = text.parse().unwrap_or(0);
                // It is read until the program ends.
                if stdin.write_all(&frame(&scenes[which.min(2)], number)).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = said.clone();
        let (found, address) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, url)) = line.split_once("the page is at http://") {
                    let _ = found.send(url.to_owned());
                }
                heard.lock().expect("sound").push(line);
            }
        });
        let url = address.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no address: {:?}", said.lock()));
        let (address, token) = match url.split_once("/#token=") {
            Some((address, token)) => (address.to_owned(), Some(token.to_owned())),
            None => (url.trim_end_matches('/').to_owned(), None),
        };
        // What listens everywhere is reached here, too.
        let address = format!("127.0.0.1:{}", address.rsplit_once(':').expect("a port").1);
        Self { child, address, token, folder, said, threads: vec![camera, reader] }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether it is said, and once, however often it happened.
    #[track_caller]
    fn says_once(&self, text: &str) {
        let start = Instant::now();
        let count = || self.said().iter().filter(|line| line.contains(text)).count();
        while count() == 0 && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(50));
        }
        // Another one would come with the next look at the events.
        let mut events = self.events();
        (0..8).for_each(|_| drop(events.next("seen")));
        assert_eq!(count(), 1, "{:?}", self.said());
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().expect("sound").clone()
    }

    /// Points the camera at another scene, and waits until it is seen.
    fn show(&self, scene: usize) {
        std::fs::write(self.path("scene.new"), scene.to_string()).expect("writes");
        std::fs::rename(self.path("scene.new"), self.path("scene")).expect("renames");
        // What was on its way is of the scene before.
        let mut events = self.events();
        for _ in 0..4 {
            events.next("seen");
        }
    }

    /// Sends bytes as they are, and takes what comes until the connection ends.
    fn raw(&self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // Who refuses early may not read it all.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map(|_| answer)
    }

    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("is set");
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head += &format!("Host: {}\r\n", self.address);
        }
        if !headers.iter().any(|(name, _)| ["Content-Length", "Transfer-Encoding"].contains(name)) {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        if let Some(token) = self.token.as_ref().filter(|_| !headers.iter().any(|(name, _)| *name == "Authorization")) {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        head += "\r\n";
        stream.write_all(head.as_bytes()).expect("is taken");
        // Who refuses early may not read it all.
        let _ = stream.write_all(body);
        answer(&mut stream)
    }

    fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], b"")
    }

    fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.call(method, path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    fn state(&self) -> Value {
        self.get("/api/state").is(200).json()
    }

    /// Until the state is so.
    #[track_caller]
    fn until(&self, mut holds: impl FnMut(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let state = self.state();
            if holds(&state) {
                return state;
            }
            assert!(start.elapsed() < PATIENCE, "never: {state}; {:?}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn events(&self) -> Events {
        let mut stream = TcpStream::connect(&self.address).expect("listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("is set");
        let token = self.token.as_ref().map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
        let head = format!("GET /api/events HTTP/1.1\r\nHost: {}\r\n{token}\r\n", self.address);
        stream.write_all(head.as_bytes()).expect("is taken");
        Events(BufReader::new(stream))
    }

    /// Teaches three classes, a few frames of each.
    fn teach_all(&self, shots: usize) {
        for (scene, class) in CLASSES.iter().enumerate() {
            self.show(scene);
            for _ in 0..shots {
                let body = serde_json::json!({ "class": class });
                self.json("POST", "/api/teach", &body).is(200);
                self.events().next("seen");
                std::thread::sleep(Duration::from_millis(60));
            }
        }
    }

    /// Ends it as systemd does; whether it ended well.
    fn end(mut self) -> bool {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()));
        self.child.wait().expect("ends").success()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Server-sent events.
struct Events(BufReader<TcpStream>);

impl Events {
    /// Until what is seen is so.
    #[track_caller]
    fn until(&mut self, mut holds: impl FnMut(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let seen = self.next("seen");
            if holds(&seen) {
                return seen;
            }
            assert!(start.elapsed() < PATIENCE, "never: {seen}");
        }
    }

    /// The next of that name.
    fn next(&mut self, name: &str) -> Value {
        let mut event = String::new();
        for line in (&mut self.0).lines() {
            let line = line.expect("goes on");
            // Chunks have lines of their own, which are none of ours.
            if let Some(other) = line.strip_prefix("event: ") {
                event = other.to_owned();
            }
            if let Some(data) = line.strip_prefix("data: ").filter(|_| event == name) {
                return serde_json::from_str(data).expect("JSON");
            }
        }
        panic!("the events ended");
    }
}

fn answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // Reset once it is said, where not all was read.
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| {
        panic!("no answer: {:?}", String::from_utf8_lossy(&bytes));
    });
    let head = String::from_utf8(bytes[..end].to_vec()).expect("UTF-8");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let mut body = bytes.split_off(end + 4);
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        body = unchunked(&body);
    }
    Answer { status, head, body }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).expect("digits"), 16).expect("digits");
        if length == 0 {
            break;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + length]);
        bytes = &bytes[end + 4 + length..];
    }
    body
}

/// Demo photos of a class.
fn pictures(class: &str) -> Vec<RgbImage> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(format!("{DEMO}/learn/{class}"))
        .expect("photos")
        .map(|entry| entry.expect("one").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| topgraft::vision::open(path).expect("a photo")).collect()
}

/// A frame of a scene, which is never the same twice.
fn frame(pictures: &[RgbImage], number: u32) -> Vec<u8> {
    let picture = &pictures[number as usize % pictures.len()];
    let (x, y) = (number * 7 % 23, number * 5 % 19);
    let (width, height) = (picture.width().min(200) - 24, picture.height().min(160) - 20);
    let crop = image::imageops::crop_imm(picture, x, y, width, height).to_image();
    topgraft::vision::encode_jpeg(&crop)
}

/// A photo that is not in any scene.
fn photo() -> Vec<u8> {
    let first =
        |folder: &Path| std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("one").path()).min();
    let class = first(Path::new(&format!("{DEMO}/new"))).expect("there are some");
    std::fs::read(first(&class).expect("there are some")).expect("reads")
}

/// Bytes of memory that a program has had at most.
fn peak(child: &Child) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(child.id().to_string()).join("status")).expect("runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("is said");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}
