//! A server of one RTSP stream: H.264 by RTP (RFC 6184) within the RTSP connection (RFC 2326, section 10.12).

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// Serves a stream of H.264 in byte-stream format, ten pictures a second, and closes the connection at its end; the URL.
pub fn serve(stream: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtsp://{}/stream", listener.local_addr().unwrap());
    let base = url.clone();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let _ = connection.and_then(|connection| answer(connection, &base, &stream));
        }
    });
    url
}

fn answer(mut connection: TcpStream, base: &str, stream: &[u8]) -> io::Result<()> {
    let mut requests = BufReader::new(connection.try_clone()?);
    loop {
        let (mut method, mut sequence) = (String::new(), String::new());
        requests.read_line(&mut method)?;
        if method.is_empty() {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            if requests.read_line(&mut line)? <= 2 {
                break;
            }
            if let Some(value) = line.strip_prefix("CSeq:") {
                sequence = value.trim().to_owned();
            }
        }
        let method = method.split(' ').next().unwrap_or_default().to_owned();
        let sdp = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n\
                   a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track1\r\n";
        let (headers, body) = match method.as_str() {
            "OPTIONS" => ("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n".to_owned(), ""),
            "DESCRIBE" => (format!("Content-Base: {base}/\r\nContent-Type: application/sdp\r\n"), sdp),
            "SETUP" => ("Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n".to_owned(), ""),
            _ => ("Session: 1\r\n".to_owned(), ""),
        };
        let len = body.len();
        write!(connection, "RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\n{headers}Content-Length: {len}\r\n\r\n{body}")?;
        if method == "PLAY" {
            return play(&mut connection, stream);
        }
    }
}

fn play(connection: &mut TcpStream, stream: &[u8]) -> io::Result<()> {
    let (mut number, mut picture) = (0u16, 0u32);
    for unit in units(stream) {
        // Kinds 1 and 5 are pictures, of one slice each; the others are for the picture that follows.
        let is_picture = matches!(unit[0] & 31, 1 | 5);
        for (payload, is_last) in payloads(unit) {
            let marker = if is_picture && is_last { 0x80 } else { 0 };
            let mut packet = vec![b'$', 0];
            packet.extend((payload.len() as u16 + 12).to_be_bytes());
            packet.extend([0x80, marker | 96]);
            packet.extend(number.to_be_bytes());
            packet.extend((picture * 9000).to_be_bytes());
            packet.extend(1u32.to_be_bytes());
            packet.extend(payload);
            connection.write_all(&packet)?;
            number = number.wrapping_add(1);
        }
        if is_picture {
            picture += 1;
            thread::sleep(Duration::from_millis(100));
        }
    }
    Ok(())
}

/// The units between start codes `0 0 1`, each perhaps with zeros behind it.
fn units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts: Vec<_> = (0..stream.len().saturating_sub(3)).filter(|&at| stream[at..at + 3] == [0, 0, 1]).collect();
    let ends: Vec<_> = starts.iter().skip(1).copied().chain([stream.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| {
        let unit = &stream[start + 3..end];
        let len = unit.iter().rposition(|&byte| byte != 0).map_or(1, |last| last + 1);
        &unit[..len]
    })
}

/// The unit as it is, or in fragments (RFC 6184, section 5.8); which of them is the last.
fn payloads(unit: &[u8]) -> Vec<(Vec<u8>, bool)> {
    const MOST: usize = 1400;
    if unit.len() <= MOST {
        return vec![(unit.to_vec(), true)];
    }
    let n = unit[1..].chunks(MOST).len();
    let fragment = |(i, chunk): (usize, &[u8])| {
        let (is_first, is_last) = (i == 0, i + 1 == n);
        let header = u8::from(is_first) << 7 | u8::from(is_last) << 6 | unit[0] & 31;
        ([&[unit[0] & 0xE0 | 28, header], chunk].concat(), is_last)
    };
    unit[1..].chunks(MOST).enumerate().map(fragment).collect()
}
