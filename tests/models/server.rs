//! A web server on this machine that answers as a test wants.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// One request for a file.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    /// The first byte that is asked for.
    pub from: Option<usize>,
    pub if_range: Option<String>,
}

pub struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `answer` gets the number of the request, which counts from 0, and the request, and writes to the connection, which is
    /// closed then. Each connection has one request.
    pub fn new(answer: impl Fn(usize, &Request, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (requests.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, answer) = (log.clone(), answer.clone());
                thread::spawn(move || {
                    let mut stream = stream.expect("a connection");
                    let Some(request) = Request::read(&mut stream) else { return };
                    let number = {
                        let mut log = log.lock().expect("not poisoned");
                        log.push(request.clone());
                        log.len() - 1
                    };
                    answer(number, &request, &mut stream);
                });
            }
        });
        Self { address, requests }
    }

    /// Answers each request for `bytes` as a good server does, parts too.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self::new(move |_, request, stream| match request.from {
            Some(from) => part(stream, &bytes, from, ""),
            None => whole(stream, &bytes, ""),
        })
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("not poisoned").clone()
    }
}

impl Request {
    fn read(stream: &mut TcpStream) -> Option<Self> {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text");
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        Some(Self {
            path: head.split(' ').nth(1).expect("a path").to_owned(),
            from: header("range").map(|range| {
                let from = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
                from.expect("the rest is asked for").parse().expect("a number")
            }),
            if_range: header("if-range"),
        })
    }
}

/// Status line and headers; `more` are whole lines.
pub fn head(stream: &mut TcpStream, status: &str, length: Option<usize>, more: &str) {
    let length = length.map(|length| format!("Content-Length: {length}\r\n")).unwrap_or_default();
    send(stream, format!("HTTP/1.1 {status}\r\n{length}{more}Connection: close\r\n\r\n").as_bytes());
}

/// The client may have gone away.
pub fn send(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}

pub fn whole(stream: &mut TcpStream, bytes: &[u8], more: &str) {
    head(stream, "200 OK", Some(bytes.len()), more);
    send(stream, bytes);
}

/// Says that all of it comes, but sends less.
pub fn cut_off(stream: &mut TcpStream, bytes: &[u8], at: usize, more: &str) {
    head(stream, "200 OK", Some(bytes.len()), more);
    send(stream, &bytes[..at]);
}

pub fn part(stream: &mut TcpStream, bytes: &[u8], from: usize, more: &str) {
    let range = format!("{more}Content-Range: bytes {from}-{}/{}\r\n", bytes.len() - 1, bytes.len());
    head(stream, "206 Partial Content", Some(bytes.len() - from), &range);
    send(stream, &bytes[from..]);
}
