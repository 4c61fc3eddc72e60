//! A server of MJPEG over HTTP.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::support::{jpeg, picture};

/// Serves; the URL, with a password. Each connection gets `n` pictures of its number, then `after` decides.
pub fn serve(n: usize, after: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (connection, stream) in (1..).zip(listener.incoming()) {
            let Ok(mut stream) = stream else { return };
            let _ = send(&mut stream, connection, n);
            thread::spawn(move || after(stream));
        }
    });
    format!("http://me:secret@{address}/stream.mjpg")
}

fn send(stream: &mut TcpStream, connection: u8, n: usize) -> std::io::Result<()> {
    let picture = jpeg(&picture(connection));
    let mut request = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while request.read_line(&mut line)? > 2 {
        line.clear();
    }
    stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")?;
    for _ in 0..n {
        write!(stream, "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", picture.len())?;
        stream.write_all(&picture)?;
        stream.write_all(b"\r\n")?;
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
