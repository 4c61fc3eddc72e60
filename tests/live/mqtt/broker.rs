//! A broker on a free port, and who listens there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::program::lacks;

const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until it is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < DEADLINE, "{what} did not come");
        thread::sleep(Duration::from_millis(10));
    }
}

/// mosquitto, which forgets all when it is killed.
pub struct Broker {
    pub port: u16,
    folder: TempDir,
    child: Option<Child>,
}

impl Broker {
    /// With these lines more in its settings. `None` where there is no mosquitto.
    pub fn start(lines: &str) -> Option<Self> {
        Self::with(&format!("allow_anonymous true\n{lines}"), tempfile::tempdir().unwrap())
    }

    /// One that lets in nobody else.
    pub fn with_password(user: &str, password: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwords");
        let made = Command::new("mosquitto_passwd").args(["-b", "-c"]).arg(&file).args([user, password]).output();
        if made.is_err() {
            lacks("mosquitto");
            return None;
        }
        Self::with(&format!("password_file {}", file.display()), folder)
    }

    fn with(lines: &str, folder: TempDir) -> Option<Self> {
        if program().is_none() || Command::new("mosquitto_sub").arg("--help").output().is_err() {
            lacks("mosquitto; apt-get install mosquitto mosquitto-clients");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // A broker that root starts would become somebody else, who may not read the folder.
        let settings = format!("user root\npersistence false\nlistener {port} 127.0.0.1\n{lines}\n");
        fs::write(folder.path().join("mosquitto.conf"), settings).unwrap();
        let mut broker = Self { port, folder, child: None };
        broker.run();
        Some(broker)
    }

    /// Starts it, as it was started before.
    pub fn run(&mut self) {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(program().unwrap());
        command.arg("-c").arg(self.folder.path().join("mosquitto.conf"));
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        until("the broker", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = (child.kill(), child.wait());
        }
    }

    /// It does nothing any more, and its connections stay.
    pub fn freeze(&self) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-STOP", &pid]).status().unwrap().success());
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    fn client(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command
    }

    /// What `mosquitto_pub` publishes.
    #[track_caller]
    pub fn publish(&self, args: &[&str]) {
        let output = self.client("mosquitto_pub").args(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    pub fn publish_file(&self, topic: &str, bytes: &[u8], is_retained: bool) {
        let file = self.folder.path().join("payload");
        fs::write(&file, bytes).unwrap();
        let retain: &[&str] = if is_retained { &["-r"] } else { &[] };
        self.publish(&[retain, &["-t", topic, "-f", file.to_str().unwrap()]].concat());
    }

    /// What is retained now: topics and payloads.
    pub fn retained(&self, filter: &str) -> BTreeMap<String, String> {
        let args = ["-t", filter, "--retained-only", "-W", "1", "-F", "%t\t%p"];
        let output = self.client("mosquitto_sub").args(args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let pairs = text.lines().filter_map(|line| line.split_once('\t'));
        pairs.map(|(topic, payload)| (topic.to_owned(), payload.to_owned())).collect()
    }

    /// The bytes that are retained at a topic, if any are: those of `retained` would be text.
    pub fn retained_bytes(&self, topic: &str) -> Option<Vec<u8>> {
        let args = ["-t", topic, "--retained-only", "-W", "2", "-C", "1", "-F", "%x"];
        let output = self.client("mosquitto_sub").args(args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let pairs = text.trim().as_bytes().chunks_exact(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let bytes: Vec<u8> = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Listens from now on.
    pub fn listen(&self, filter: &str) -> Listener {
        // Its own message says that it listens.
        let args = ["-t", filter, "-t", "listens", "-F", "%r %t %p"];
        let mut child = self.client("mosquitto_sub").args(args).stdout(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stdout, ours) = (BufReader::new(child.stdout.take().unwrap()), Arc::clone(&lines));
        thread::spawn(move || stdout.lines().map_while(Result::ok).for_each(|line| ours.lock().unwrap().push(line)));
        until("the listener", || {
            self.publish(&["-t", "listens", "-n"]);
            !lines.lock().unwrap().is_empty()
        });
        Listener { child, lines }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
            println!("{}", String::from_utf8_lossy(&log));
        }
    }
}

/// Who listens.
pub struct Listener {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    /// Whether it was retained, the topic, and the payload, of all that has come.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().iter().filter(|line| !line.starts_with("0 listens")).cloned().collect()
    }

    pub fn count(&self) -> usize {
        self.lines().len()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

/// Debian has it where only root's `PATH` finds it.
fn program() -> Option<PathBuf> {
    let found = |name: &&str| Command::new(name).arg("-h").output().is_ok();
    ["mosquitto", "/usr/sbin/mosquitto"].iter().find(|name| found(name)).map(PathBuf::from)
}

/// A folder with `ca.pem`, `other.pem`, and `broker.pem` with its `broker.key`: signed by the first, for `localhost`;
/// `expired.pem` is the same, for not even a second.
pub fn certificates() -> Option<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |line: &str| {
        let output = Command::new("openssl").current_dir(folder.path()).args(line.split(' ')).output();
        output.is_ok_and(|output| output.status.success())
    };
    fs::write(folder.path().join("san"), "subjectAltName=DNS:localhost\n").unwrap();
    let authority = |name: &str| {
        openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=authority -keyout {name}.key -out {name}.pem"
        ))
    };
    let signed = |name: &str, days: u8| {
        openssl(&format!(
            "x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} -extfile san -out {name}.pem"
        ))
    };
    let made = authority("ca")
        && authority("other")
        && openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout broker.key -out broker.csr",
        )
        && signed("broker", 30)
        && signed("expired", 0);
    if !made {
        lacks("openssl");
        return None;
    }
    Some(folder)
}
