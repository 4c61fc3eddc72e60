//! A program that runs beside: it is always ended and reaped, and what it says on standard error is always read.

use std::io::{self, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::program;
use super::settings::Settings;
use super::slot::{Slot, Taken};

/// How long a program that was asked to end may take.
const GRACE: Duration = Duration::from_millis(200);
/// How long one that was killed may take: longer only if it hangs in a driver.
const DEATH: Duration = Duration::from_secs(5);
/// How often to look whether it has ended.
const LOOK: Duration = Duration::from_millis(5);
/// Bytes of a line of standard error that are kept.
const MAX_LINE: usize = 300;

pub(super) struct Process {
    child: Child,
    /// The last line of standard error; closed at its end.
    last_line: Arc<Slot<String>>,
    reaped: bool,
}

impl Process {
    /// Starts it; its standard output is for the caller to read.
    pub(super) fn start(command: &program::Command, settings: &Settings) -> io::Result<(Self, ChildStdout)> {
        let mut builder = Command::new(&command.program);
        builder.args(&command.args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(path) = &settings.path {
            builder.env("PATH", path);
        }
        // A group of its own, to end what the program has started too: else that would hold the pipes open. So a terminal's
        // Ctrl-C does not reach it; if this process dies by that, the program ends with its next frame, by the broken pipe.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut builder, 0);
        let mut child = builder.spawn()?;
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let last_line = Arc::new(Slot::new());
        // From here on, whatever happens, the child is reaped.
        let process = Self { child, last_line: Arc::clone(&last_line), reaped: false };
        thread::Builder::new().name("camera errors".to_owned()).spawn(move || drain(stderr, &last_line))?;
        Ok((process, stdout))
    }

    /// Waits so long for it to end by itself, then ends it and what it has started. How it ended, if by itself, and its last
    /// line.
    pub(super) fn end(&mut self, patience: Duration) -> (Option<String>, Option<String>) {
        let by_itself = self.exits_within(patience);
        if !by_itself {
            self.ask();
            self.exits_within(GRACE);
        }
        self.kill();
        // Reaped only now: until then nobody else can have its number.
        let status = self.reap();
        // What it has started may have left the group and keep the pipe open.
        self.last_line.is_closed_within(GRACE);
        let last_line = match self.last_line.take(Duration::ZERO) {
            Taken::Value(line) => Some(line),
            Taken::Nothing | Taken::Closed => None,
        };
        (status.filter(|_| by_itself).map(|status| status.to_string()), last_line)
    }

    /// After it was killed. Rather than to wait for ever it is left behind.
    fn reap(&mut self) -> Option<ExitStatus> {
        self.reaped = true;
        if self.exits_within(DEATH) { self.child.wait().ok() } else { None }
    }

    fn exits_within(&mut self, timeout: Duration) -> bool {
        let begin = Instant::now();
        loop {
            if self.has_exited() {
                return true;
            }
            if begin.elapsed() >= timeout {
                return false;
            }
            thread::sleep(LOOK);
        }
    }
}

#[cfg(unix)]
impl Process {
    /// Whether it has ended; it is not reaped.
    fn has_exited(&mut self) -> bool {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.id()), options), Ok(None))
    }

    fn id(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    fn ask(&mut self) {
        // Fails if all have ended already.
        let _ = rustix::process::kill_process_group(self.id(), rustix::process::Signal::TERM);
    }

    fn kill(&mut self) {
        let _ = rustix::process::kill_process_group(self.id(), rustix::process::Signal::KILL);
    }
}

#[cfg(not(unix))]
impl Process {
    fn has_exited(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    fn ask(&mut self) {
        let _ = self.child.kill();
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            self.reap();
        }
    }
}

/// Reads to the end, so that the program is never held up, and keeps the last line that is not empty.
fn drain(mut stderr: impl Read, last_line: &Slot<String>) {
    let (mut buffer, mut line) = ([0; 4096], Vec::new());
    let keep = |line: &mut Vec<u8>| {
        let text = String::from_utf8_lossy(line).replace(char::is_control, " ");
        let text = text.trim();
        if !text.is_empty() {
            let _ = last_line.put(text.to_owned());
        }
        line.clear();
    };
    loop {
        let n = match stderr.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        for &byte in &buffer[..n] {
            match byte {
                // Progress is written over itself by carriage returns.
                b'\n' | b'\r' => keep(&mut line),
                _ if line.len() < MAX_LINE => line.push(byte),
                _ => {}
            }
        }
    }
    keep(&mut line);
    last_line.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(text: &[u8]) -> Taken<String> {
        let slot = Slot::new();
        drain(text, &slot);
        slot.take(Duration::ZERO)
    }

    #[test]
    fn the_last_line_is_the_last_that_is_not_empty() {
        assert_eq!(last(b""), Taken::Closed);
        assert_eq!(last(b"one\ntwo\r\n\n  \n"), Taken::Value("two".to_owned()));
        assert_eq!(last(b"frame 1\rframe 2\r\x1b[0m lost"), Taken::Value("[0m lost".to_owned()));
        assert_eq!(last(b"caf\xe9"), Taken::Value("caf\u{fffd}".to_owned()));
        assert_eq!(last(&vec![b'x'; 1 << 20]), Taken::Value("x".repeat(MAX_LINE)));
    }
}
