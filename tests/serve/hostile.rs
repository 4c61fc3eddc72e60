//! What somebody sends who means no good, or knows no better.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use super::api::archive;
use super::{Served, peak, photo};

/// The most that the server's memory may grow by what is refused, in bytes.
const GROWTH: u64 = 120 << 20;

#[test]
fn without_the_token_there_is_nothing_and_a_wrong_one_is_reported_once() {
    let served = Served::new(&["--listen", "0.0.0.0:0"]);
    let token = served.token.clone().expect("one is made");
    served.get("/api/state").is(200);
    for wrong in ["Bearer ", "Bearer wrong", &format!("Bearer {token}x"), &format!("Basic {token}"), ""] {
        for (method, path) in [
            ("GET", "/api/state"),
            ("GET", "/api/stream"),
            ("POST", "/api/teach"),
            ("GET", "/api/download/samples.store"),
        ] {
            let answer = served.call(method, path, &[("Authorization", wrong)], b"");
            assert!(answer.status == 401 || answer.status == 429 && !wrong.is_empty(), "{wrong:?}: {}", answer.status);
        }
    }
    // Guessing came to an end, for this address and some seconds, and then even the right one is not looked at.
    served.get("/api/state").is(429);
    let start = std::time::Instant::now();
    while served.get("/api/state").status != 200 {
        assert!(start.elapsed() < super::PATIENCE);
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    // The page itself is open, and asks.
    for path in ["/", "/page.js", "/page.css", "/icon.svg", "/api/openapi.json"] {
        served.call("GET", path, &[("Authorization", "")], b"").is(200);
    }
    // As a browser does it.
    let kind = ("Content-Type", "application/json");
    let login = |token: &str| {
        served.call(
            "POST",
            "/api/login",
            &[kind, ("Authorization", "")],
            json!({ "token": token }).to_string().as_bytes(),
        )
    };
    let cookie = login(&token).is(204).header("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(&token), "{cookie}");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    served.call("GET", "/api/state", &[("Authorization", ""), ("Cookie", &cookie)], b"").is(200);
    // Guessing comes to an end here, too; who has the cookie does not notice.
    let statuses: Vec<u16> = (0..30).map(|number| login(&format!("guess {number}")).status).collect();
    assert!(statuses.contains(&429) && statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    served.call("GET", "/api/state", &[("Authorization", ""), ("Cookie", &cookie)], b"").is(200);
    let start = std::time::Instant::now();
    while served.get("/api/state").status != 200 {
        assert!(start.elapsed() < super::PATIENCE);
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    served.says_once("wrong token");
    assert!(served.end());
}

#[test]
fn other_sites_pages_and_other_names_are_refused() {
    let served = Served::new(&[]);
    let own = format!("http://{}", served.address);
    let teach = |name: &str, value: &str| {
        let headers = [("Content-Type", "application/json"), (name, value)];
        served.call("POST", "/api/teach", &headers, br#"{"class": "cat"}"#)
    };
    served.show(0);
    teach("Origin", &own).is(200);
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "file://"] {
        teach("Origin", origin).is(403);
    }
    teach("Sec-Fetch-Site", "cross-site").is(403);
    teach("Sec-Fetch-Site", "same-site").is(403);
    for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", ""] {
        teach("Host", host).is(421);
        served.call("GET", "/", &[("Host", host)], b"").is(421);
    }
    let twice =
        served.raw(b"GET /api/state HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert!(twice.expect("is answered").starts_with(b"HTTP/1.1 400 "));
    // Each kind is reported once.
    for kind in ["another site's page", "hosts of [web]"] {
        served.says_once(kind);
    }
    let answer = served.get("/").is(200);
    let policy = answer.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn names_that_mean_harm_are_refused() {
    let served = Served::new(&[]);
    served.show(0);
    let long = "x".repeat(10_000);
    for name in [
        "../../etc/passwd",
        "..",
        "a/b",
        "a\\b",
        "",
        " cat",
        "unknown",
        "<script>alert(1)</script>",
        "a<b",
        "a\0b",
        "a\nb",
        &long,
    ] {
        served.json("POST", "/api/teach", &json!({ "class": name })).is(422);
        served.json("PUT", "/api/hold", &json!({ "class": name })).is(422);
    }
    served.json("POST", "/api/teach", &json!({ "class": "x".repeat(20_000) })).is(413);
    served.json("POST", "/api/teach", &json!({ "class": 3 })).is(400);
    served.json("POST", "/api/teach", &json!({ "class": "cat", "more": 1 })).is(400);
    served.json("POST", "/api/teach", &json!({})).is(400);
    served.call("POST", "/api/teach", &[("Content-Type", "application/json")], b"{\"class\": \"\xff\"}").is(400);
    served.call("POST", "/api/teach", &[("Content-Type", "text/plain")], b"{\"class\": \"cat\"}").is(415);
    assert_eq!(served.state()["classes"], json!([]));
    // Files that are none of the page.
    for path in
        ["/../Cargo.toml", "/%2e%2e/Cargo.toml", "/page/../../x", "/api/samples/..%2f..%2f/photo", "//etc/passwd"]
    {
        served.get(path).is(404);
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_takes_memory() {
    let served = Served::new(&[]);
    served.teach_all(1);
    let before = peak(&served.child);
    let send = |path: &str, headers: &[(&str, &str)], body: &[u8]| served.call("POST", path, headers, body);
    let (jpeg, zip) = (("Content-Type", "image/jpeg"), ("Content-Type", "application/zip"));
    // Two gigabytes, as it says; nothing of it is read.
    let length = ("Content-Length", "2147483648");
    send("/api/samples?class=cat", &[jpeg, length], b"").is(413);
    send("/api/import", &[zip, length], b"").is(413);
    send("/api/teach", &[("Content-Type", "application/json"), length], b"").is(413);
    // Or without saying so.
    let mut stream = TcpStream::connect(&served.address).expect("listens");
    write!(
        stream,
        "POST /api/classify HTTP/1.1\r\nHost: {}\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n",
        served.address
    )
    .expect("is taken");
    let chunk = [b"100000\r\n".as_slice(), &[0xff; 1 << 20], b"\r\n"].concat();
    // It may be refused while this is sent.
    (0..64).take_while(|_| stream.write_all(&chunk).is_ok()).for_each(drop);
    super::answer(&mut stream).is(413);
    // A picture of 60,000 x 60,000 pixels in some hundred bytes, and one of a hundred megapixels that is sound.
    send("/api/samples?class=cat", &[("Content-Type", "image/png")], &png(60_000, 60_000, &[])).is(413);
    send("/api/classify", &[("Content-Type", "image/png")], &bomb()).is(413);
    // Nothing but zeros, ten thousand times smaller; and ten thousand classes.
    let zeros = vec![0; 40 << 20];
    let packed = packed(&[("a/1.jpg", &zeros), ("a/2.jpg", &zeros), ("a/3.jpg", &zeros)]);
    assert!(packed.len() < 200_000);
    let bomb = send("/api/import", &[zip], &packed);
    assert!([200, 413, 422].contains(&bomb.status) && bomb.status != 500, "{}", bomb.status);
    let names: Vec<String> = (0..10_000).map(|class| format!("{class}/x.jpg")).collect();
    let photo = photo();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &photo[..64])).collect();
    send("/api/import", &[zip], &archive(&files)).is(413);
    let grown = peak(&served.child).saturating_sub(before);
    assert!(grown < GROWTH, "{} MB more", grown >> 20);
    assert_eq!(served.state()["classes"].as_array().unwrap().len(), 3);
}

/// The same, packed.
fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, content) in files {
        zip.start_file(*name, options).expect("begins");
        zip.write_all(content).expect("writes");
    }
    zip.finish().expect("ends").into_inner()
}

/// A PNG of grey, of that size, as it says.
fn png(width: u32, height: u32, data: &[u8]) -> Vec<u8> {
    let chunk = |kind: &[u8], data: &[u8]| {
        let body = [kind, data].concat();
        [&(data.len() as u32).to_be_bytes()[..], &body, &crc32fast::hash(&body).to_be_bytes()].concat()
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", data), chunk(b"IEND", b"")].concat()
}

/// 100 megapixels in 100 kB.
fn bomb() -> Vec<u8> {
    let (side, mut deflated) = (10_000, flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best()));
    for _ in 0..side {
        deflated.write_all(&vec![0; side + 1]).expect("writes");
    }
    png(side as u32, side as u32, &deflated.finish().expect("ends"))
}

#[test]
fn no_more_classes_are_made_than_a_page_can_show() {
    let served = Served::new(&[]);
    served.show(0);
    // Classes without a sample are none: a photo that was seen before is moved.
    let mut is_refused = false;
    for number in 0..2000 {
        let answer = served.json("POST", "/api/teach", &json!({ "class": format!("class {number}") }));
        match answer.status {
            200 => {}
            // Too fast, or too many.
            429 => std::thread::sleep(std::time::Duration::from_millis(50)),
            _ => {
                answer.is(409);
                is_refused = true;
                break;
            }
        }
    }
    assert!(is_refused);
    assert_eq!(served.state()["classes"].as_array().unwrap().len(), 200);
}

/// A thousand requests that are broken in some way: each is refused, or dropped, and the server goes on.
#[test]
fn a_thousand_malformed_requests_are_refused_and_none_breaks_it() {
    let served = Served::new(&[]);
    let mut random = 7u64;
    let mut below = |most: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % most
    };
    let host = &served.address;
    let sound: Vec<Vec<u8>> = [
        format!("GET /api/state HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        format!("POST /api/teach HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{{\"class\":\"cat\"}}"),
        format!("POST /api/samples?class=cat HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        format!("PATCH /api/classes/cat HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 14\r\nConnection: close\r\n\r\n{{\"name\":\"dog\"}}"),
    ]
    .map(String::into_bytes)
    .to_vec();
    let mut statuses = std::collections::BTreeMap::new();
    for number in 0..1000 {
        let mut request = sound[number % sound.len()].clone();
        for _ in 0..=below(4) {
            let at = below(request.len().max(1));
            match below(4) {
                0 if at < request.len() => request[at] = below(256) as u8,
                1 if request.len() > 1 => drop(request.remove(at)),
                2 => request.insert(at, below(256) as u8),
                _ => request.truncate(at.max(1)),
            }
        }
        let answer = served.raw(&request).unwrap_or_default();
        let status = String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        *statuses.entry(status).or_insert(0) += 1;
        assert!(status.is_none_or(|status| status < 500), "{status:?} to {:?}", String::from_utf8_lossy(&request));
    }
    assert!(statuses.get(&Some(400)).is_some_and(|count| *count > 100), "{statuses:?}");
    served.get("/api/state").is(200);
    assert!(served.end());
}

/// Who reads nothing, or says nothing to its end, holds up nobody.
#[test]
fn slow_and_stuck_clients_hold_up_nobody() {
    let served = Served::new(&[]);
    served.show(1);
    let mut held = Vec::new();
    for number in 0..60 {
        let mut stream = TcpStream::connect(&served.address).expect("listens");
        let request = match number % 4 {
            0 => format!("GET /api/stream HTTP/1.1\r\nHost: {}\r\n\r\n", served.address),
            1 => format!("GET /api/events HTTP/1.1\r\nHost: {}\r\n\r\n", served.address),
            2 => "GET /api/st".to_owned(),
            _ => format!(
                "POST /api/classify HTTP/1.1\r\nHost: {}\r\nContent-Type: image/jpeg\r\nContent-Length: 1000000\r\n\r\nabc",
                served.address
            ),
        };
        stream.write_all(request.as_bytes()).expect("is taken");
        held.push(stream);
    }
    // Frames go on, and so do requests: but for photos, of which four may come in at a time.
    let mut events = served.events();
    let first = events.next("seen")["frame"].as_u64().expect("a number");
    for _ in 0..30 {
        served.get("/api/state").is(200);
        served.json("POST", "/api/teach", &json!({ "class": "flowers" })).is(200);
        events.next("seen");
    }
    events.until(|seen| seen["frame"].as_u64().expect("a number") >= first + 20);
    // More than there is room for is told so.
    let mut refused = 0;
    for _ in 0..20 {
        let mut stream = TcpStream::connect(&served.address).expect("listens");
        write!(stream, "GET /api/stream HTTP/1.1\r\nHost: {}\r\n\r\n", served.address).expect("is taken");
        let mut start = [0; 12];
        stream.read_exact(&mut start).expect("is answered");
        refused += usize::from(&start == b"HTTP/1.1 503");
        held.push(stream);
    }
    assert!(refused > 0);
    // Nor do they keep it from ending.
    assert!(served.end());
    drop(held);
}
