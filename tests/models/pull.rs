//! `topgraft models pull`, from a server of the test's own.

use std::fs;
use std::net::TcpListener;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use super::server::{Server, cut_off, head, part, send, whole};
use super::{Home, content, hex};
use crate::program::Run;

/// Where the first download is cut off.
const HALF: usize = 100_000;

/// `topgraft models pull net` and more arguments, after a `net` with size and sum was put into the catalog.
fn pull(home: &Home, server: &Server, more: &[&str]) -> Run {
    let content = content();
    home.catalog(&server.url("net.bin"), Some(content.len()), Some(&content));
    home.run(&[&["models", "pull", "net"], more].concat())
}

impl Run {
    /// Exit code 1, nothing on standard output, one line on standard error that has each of `words`.
    #[track_caller]
    fn fails(self, words: &[&str]) -> Self {
        assert_eq!((self.code, self.stdout.as_str()), (1, ""), "{}", self.stderr);
        assert_eq!(self.stderr.lines().count(), 1, "one line, not\n{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in {}", self.stderr);
        }
        self
    }
}

impl Home {
    /// There is no file under the model's name.
    #[track_caller]
    fn has_none(&self) {
        assert!(!self.path("net.bin").exists(), "{:?}", self.files());
    }

    #[track_caller]
    fn has_all(&self) {
        assert!(fs::read(self.path("net.bin")).expect("a file") == content());
        assert!(!self.path("net.bin.part").exists());
    }

    fn part(&self) -> Vec<u8> {
        fs::read(self.path("net.bin.part")).expect("a part")
    }
}

#[test]
fn a_whole_file_is_pulled_checked_and_there_the_second_time() {
    let (home, server) = (Home::new(), Server::of(content()));
    let text = pull(&home, &server, &[]).succeeds().stdout;
    assert!(text.contains("pulled     net: ") && text.contains("200.0 KB"), "{text}");
    assert!(text.contains(&format!("checked    SHA-256 {}", hex(&content()))), "{text}");
    home.has_all();
    assert_eq!(home.files(), ["catalog.toml", "net.bin", "net.bin.origin"]);
    let json = home.run(&["models", "show", "net", "--json"]).succeeds().json();
    assert_eq!((json["state"].as_str(), json["bytes"].as_u64()), (Some("pulled"), Some(200_000)));
    assert_eq!(json["path"].as_str(), home.path("net.bin").to_str());

    assert!(pull(&home, &server, &[]).succeeds().stdout.contains("net is here already"));
    let json = pull(&home, &server, &["--json"]).succeeds().json();
    let model = &json["models"][0];
    assert_eq!((&model["downloaded"], &model["sha256"], &model["checked"]), (&false.into(), &().into(), &().into()));
    assert_eq!(server.requests().len(), 1);

    // Damaged, it is not taken for the model.
    let mut other = content();
    other[150_000] ^= 1;
    fs::write(home.path("net.bin"), &other).unwrap();
    pull(&home, &server, &[]).fails(&["net.bin: is not net as the catalog knows it", "remove the file"]);
    fs::write(home.path("net.bin"), &other[1..]).unwrap();
    let json = home.run(&["models", "show", "net", "--json"]).succeeds().json();
    assert_eq!(json["state"].as_str(), Some("damaged"));

    fs::remove_file(home.path("net.bin")).unwrap();
    let json = pull(&home, &server, &["--json"]).succeeds().json();
    let model = &json["models"][0];
    assert_eq!((&model["downloaded"], &model["checked"]), (&true.into(), &true.into()));
    assert_eq!((model["sha256"].as_str(), json["failed"].as_array().map(Vec::len)), (Some(&*hex(&content())), Some(0)));
}

#[test]
fn a_lost_connection_is_taken_up_where_it_broke() {
    let server = Server::new(|number, request, stream| match (number, request.from) {
        (0, None) => cut_off(stream, &content(), HALF, ""),
        (_, Some(from)) => part(stream, &content(), from, ""),
        (_, None) => panic!("asked for all of it again"),
    });
    let home = Home::new();
    pull(&home, &server, &[]).succeeds();
    home.has_all();
    let from = server.requests()[1].from.expect("a part");
    assert!(0 < from && from <= HALF, "{from}");
}

#[test]
fn a_part_of_an_earlier_run_is_continued() {
    let server = Server::new(|number, request, stream| match (number, request.from) {
        (0, _) => cut_off(stream, &content(), HALF, ""),
        (_, from) => part(stream, &content(), from.expect("a part"), ""),
    });
    let home = Home::new();
    pull(&home, &server, &["--retries", "0"]).fails(&["was lost after", "of 200000 bytes", "try again"]);
    home.has_none();
    let there = home.part();
    assert!(!there.is_empty() && content().starts_with(&there));
    pull(&home, &server, &["--retries", "0"]).succeeds();
    home.has_all();
    assert_eq!(server.requests()[1].from, Some(there.len()));

    // One that has all, but was not checked, needs no server.
    fs::rename(home.path("net.bin"), home.path("net.bin.part")).unwrap();
    pull(&home, &server, &[]).succeeds();
    home.has_all();
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_server_that_knows_no_parts_is_asked_for_all_of_it() {
    for too_long in [false, true] {
        let server = Server::new(move |_, request, stream| match request.from {
            // What there is has more bytes than the server's file, says this one.
            Some(_) if too_long => head(stream, "416 Range Not Satisfiable", Some(0), ""),
            _ => whole(stream, &content(), ""),
        });
        let home = Home::new();
        home.catalog("", None, None);
        fs::write(home.path("net.bin.part"), b"something else").unwrap();
        pull(&home, &server, &["--retries", "0"]).succeeds();
        home.has_all();
        assert_eq!(server.requests()[0].from, Some(14));
    }
}

#[test]
fn without_a_sum_a_part_is_continued_only_if_it_is_of_the_same_file() {
    let other: Vec<u8> = content().into_iter().rev().collect();
    const TAG: &str = "ETag: \"one\"\r\n";
    const DATE: &str = "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n";
    // What the first answer says of the file, what the second does, and whether it is the same file then.
    for (before, after, honours, same) in [
        (TAG, TAG, true, true),
        (DATE, DATE, true, true),
        (TAG, "ETag: \"two\"\r\n", true, false),
        // Sends a part of another file.
        (TAG, "ETag: \"two\"\r\n", false, false),
        // Two files may have a weak tag, and no tag says nothing.
        ("ETag: W/\"one\"\r\n", "ETag: W/\"one\"\r\n", true, false),
        ("", "", true, false),
    ] {
        let now = if same { content() } else { other.clone() };
        let expected = now.clone();
        let server = Server::new(move |number, request, stream| match (number, request.from) {
            (0, None) => cut_off(stream, &content(), HALF, before),
            (_, Some(from)) if same || !honours => part(stream, &now, from, after),
            _ => whole(stream, &now, after),
        });
        let home = Home::new();
        home.catalog(&server.url("net.bin"), None, None);
        let text = home.run(&["models", "pull", "net"]).succeeds().stdout;
        assert!(text.contains("unchecked") && text.contains(&hex(&expected)), "{text}");
        assert!(fs::read(home.path("net.bin")).unwrap() == expected, "{before} {after}");
        let second = &server.requests()[1];
        let asked = [TAG, DATE].contains(&before);
        assert_eq!(second.from.is_some(), asked, "{before}");
        let validator = before.split_once(": ").map(|(_, value)| value.trim().to_owned());
        assert_eq!(second.if_range, validator.filter(|_| asked));
    }
}

#[test]
fn a_file_that_ends_too_early_each_time_is_no_file() {
    let server = Server::new(|_, request, stream| match request.from {
        // Always the same piece, which brings nothing new after the first time.
        Some(from) => {
            let range = format!("Content-Range: bytes {from}-199999/200000\r\n");
            head(stream, "206 Partial Content", Some(200_000 - from), &range);
        }
        None => cut_off(stream, &content(), HALF, ""),
    });
    let home = Home::new();
    pull(&home, &server, &["--retries", "2"]).fails(&["was lost after", "of 200000 bytes", "try again"]);
    home.has_none();
    assert_eq!(server.requests().len(), 3);

    // Nothing says how long it is but the catalog.
    let server = Server::new(|_, _, stream| {
        head(stream, "200 OK", None, "");
        send(stream, &content()[..HALF]);
    });
    let home = Home::new();
    pull(&home, &server, &["--retries", "0"]).fails(&["was lost after 100000 of 200000 bytes"]);
    home.has_none();
}

#[test]
fn other_bytes_are_not_kept_and_both_sums_are_said() {
    let mut other = content();
    other[150_000] ^= 1;
    let (home, server) = (Home::new(), Server::of(other.clone()));
    pull(&home, &server, &[]).fails(&[&hex(&other), &hex(&content()), "nothing of it is kept"]);
    home.has_none();
    assert_eq!((home.part().len(), server.requests().len()), (0, 1));
    // From a good server it comes then.
    pull(&home, &Server::of(content()), &[]).succeeds();
    home.has_all();
}

#[test]
fn a_file_of_another_size_is_refused() {
    for size in [199_999, 200_001] {
        let server = Server::of(vec![7; size]);
        let home = Home::new();
        pull(&home, &server, &[]).fails(&[&format!("has {size} bytes, but net has 200000")]);
        home.has_none();
        assert_eq!((home.part().len(), server.requests().len()), (0, 1));
    }
    // Without a word of its length, as much as one wants.
    let server = Server::new(|_, _, stream| {
        head(stream, "200 OK", None, "");
        (0..100).for_each(|_| send(stream, &content()));
    });
    let home = Home::new();
    pull(&home, &server, &[]).fails(&["sends more than the 200000 bytes"]);
    home.has_none();
    assert_eq!(home.part().len(), 0);
}

#[test]
fn other_addresses_are_gone_to_but_not_for_ever() {
    let server = Server::new(|number, request, stream| match (number, &*request.path, request.from) {
        (0, "/net.bin", _) => head(stream, "302 Found", Some(0), "Location: /elsewhere\r\n"),
        (1, "/elsewhere", None) => cut_off(stream, &content(), HALF, ""),
        (2, "/net.bin", Some(_)) => head(stream, "307 Temporary Redirect", Some(0), "Location: /elsewhere\r\n"),
        (3, "/elsewhere", Some(from)) => part(stream, &content(), from, ""),
        other => panic!("{other:?}"),
    });
    let home = Home::new();
    pull(&home, &server, &[]).succeeds();
    home.has_all();

    let server = Server::new(|_, _, stream| head(stream, "302 Found", Some(0), "Location: /net.bin\r\n"));
    let home = Home::new();
    pull(&home, &server, &[]).fails(&["one other address after the other"]);
    home.has_none();
    assert!(server.requests().len() < 12, "{}", server.requests().len());
}

#[test]
fn what_a_server_refuses_is_said_and_asked_for_again_only_if_it_may_pass() {
    for (status, requests) in [
        ("404 Not Found", 1),
        ("403 Forbidden", 1),
        ("204 No Content", 1),
        ("500 Internal Server Error", 3),
        ("503 Service Unavailable", 3),
        ("429 Too Many Requests", 3),
    ] {
        let server = Server::new(move |_, _, stream| head(stream, status, Some(0), ""));
        let home = Home::new();
        pull(&home, &server, &["--retries", "2"]).fails(&["net.bin answers", status]);
        home.has_none();
        assert_eq!(server.requests().len(), requests, "{status}");
    }
    let server = Server::new(|number, _, stream| match number {
        0 => head(stream, "503 Service Unavailable", Some(0), ""),
        _ => whole(stream, &content(), ""),
    });
    let home = Home::new();
    pull(&home, &server, &[]).succeeds();
    home.has_all();
}

#[test]
fn something_that_is_no_web_server_is_told() {
    let server = Server::new(|_, _, stream| send(stream, b"220 mail.example.org ESMTP\r\n\r\n"));
    let home = Home::new();
    pull(&home, &server, &[]).fails(&["net.bin: "]);
    home.has_none();
    // Nor is one that gives a part, and does not say which.
    let server = Server::new(|_, _, stream| head(stream, "206 Partial Content", Some(5), ""));
    let home = Home::new();
    home.catalog("", None, None);
    fs::write(home.path("net.bin.part"), b"12345").unwrap();
    pull(&home, &server, &[]).fails(&["does not say which"]);
    home.has_none();
}

#[test]
fn a_server_that_falls_silent_is_left() {
    let pause = || sleep(Duration::from_secs(20));
    for silent in 0..2 {
        let server = Server::new(move |_, _, stream| {
            if silent > 0 {
                cut_off(stream, &content(), HALF, "");
            }
            pause();
        });
        let home = Home::new();
        let run = pull(&home, &server, &["--retries", "1", "--timeout", "0.3"]);
        run.fails(&["nothing came from http://127.0.0.1:", "for 0.3 s", "--timeout"]);
        home.has_none();
        assert_eq!(server.requests().len(), 2);
    }
    // One that is slow, but goes on, is not: it takes longer than the timeout.
    let server = Server::new(|_, _, stream| {
        head(stream, "200 OK", Some(200_000), "");
        for piece in content().chunks(20_000) {
            send(stream, piece);
            sleep(Duration::from_millis(250));
        }
    });
    let home = Home::new();
    pull(&home, &server, &["--retries", "0", "--timeout", "2"]).succeeds();
    home.has_all();
}

#[test]
fn no_network_is_told_at_once() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let home = Home::new();
    home.catalog(&format!("http://{closed}/net.bin"), Some(200_000), Some(&content()));
    home.run(&["models", "pull", "net"]).fails(&["no connection for http://127.0.0.1:", "is there a network?"]);
    home.has_none();
    home.catalog("http://no-such-host.invalid/net.bin", Some(200_000), Some(&content()));
    home.run(&["models", "pull", "net"]).fails(&["no connection for http://no-such-host.invalid"]);
    home.has_none();
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_no_half_of_a_file() {
    let (home, server) = (Home::new(), Server::of(content()));
    home.catalog(&server.url("net.bin"), Some(200_000), Some(&content()));
    home.run_on_full_disk(100, &["pull", "net"]).fails(&["net.bin.part: cannot be written"]);
    home.has_none();
    // With more room it goes on.
    home.run(&["models", "pull", "net"]).succeeds();
    home.has_all();
    assert!(server.requests()[1].from.is_some());
}

#[test]
fn two_downloads_of_one_file_do_not_disturb_each_other() {
    let server = Server::new(|_, request, stream| {
        assert_eq!(request.from, None);
        head(stream, "200 OK", Some(200_000), "");
        for piece in content().chunks(10_000) {
            send(stream, piece);
            sleep(Duration::from_millis(30));
        }
    });
    let home = Home::new();
    home.catalog(&server.url("net.bin"), Some(200_000), Some(&content()));
    let start = |_| {
        let mut command = home.command(&["models", "pull", "net"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started")
    };
    let ends: Vec<_> = [0, 1, 2].map(start).into_iter().map(|child| child.wait_with_output().expect("ended")).collect();
    let texts: Vec<_> = ends.iter().map(|end| String::from_utf8_lossy(&end.stdout)).collect();
    assert!(ends.iter().all(|end| end.status.success()), "{ends:?}");
    assert_eq!(texts.iter().filter(|text| text.contains("here already")).count(), 2, "{texts:?}");
    assert_eq!(server.requests().len(), 1);
    home.has_all();
}

#[test]
fn a_mirror_gives_what_the_catalogs_address_does_not() {
    let (home, server) = (Home::new(), Server::of(content()));
    home.catalog("http://127.0.0.1:1/net.bin", Some(200_000), Some(&content()));
    let mirror = server.url("some/where?else=1");
    home.run(&["models", "pull", "net", "--url", &mirror]).succeeds();
    home.has_all();
    assert_eq!(server.requests()[0].path, "/some/where?else=1");
    // What is wrong with the arguments is seen before anything is asked for.
    let pull = |args: &[&str]| home.run(&[&["models", "pull"], args].concat());
    pull(&["net", "vgg16", "--url", &mirror]).refuses(&["--url is for one model"]);
    pull(&["vgg16", "--url", "ftp://a/b"]).refuses(&["\"ftp://a/b\"", "https://"]);
    pull(&["vgg16", "--timeout", "0"]).refuses(&["0.01 to 3600"]);
    pull(&["net", "vgg17"]).refuses(&["\"vgg17\"", "vgg16"]);
    pull(&["../../etc/passwd"]).refuses(&["no model is called \"../../etc/passwd\""]);
    pull(&["mobilenet_v2_tv"]).refuses(&["nobody says where mobilenet_v2_tv", "--url"]);
    // The sum of a model is its catalog's, wherever it comes from.
    let run = pull(&["squeezenet1.1", "--url", &mirror]);
    run.fails(&["has 200000 bytes, but squeezenet1.1 has 4956208"]);
    assert!(!home.path("squeezenet1.1-7.onnx").exists());
    #[cfg(feature = "embed-backbone")]
    assert!(pull(&["efficientnet_lite0"]).succeeds().stdout.contains("built into this program"));
}

#[test]
fn a_file_that_would_lie_elsewhere_is_refused() {
    let (home, server) = (Home::new(), Server::of(content()));
    for file in ["../evil", "/tmp/evil", "a/b", ".bashrc", "catalog.toml", "x.part"] {
        let url = server.url("net.bin");
        home.write_catalog(&format!(
            "backbone = []\n[[vectors]]\nname = 'net'\nfile = '{file}'\nurl = '{url}'\ndimensions = [3]\nwords = 2\n"
        ));
        home.run(&["models", "pull", "net"]).refuses(&["catalog.toml", file, "a file in its folder"]);
    }
    assert_eq!((server.requests().len(), home.files()), (0, vec!["catalog.toml".to_owned()]));
    assert!(!home.path("../evil").exists());
}

#[test]
fn of_several_models_each_is_tried() {
    let (home, server) = (Home::new(), Server::of(content()));
    let entry = |name: &str, path: &str| {
        let url = server.url(path);
        format!("[[vectors]]\nname = '{name}'\nfile = '{name}.bin'\nurl = '{url}'\ndimensions = [3]\nwords = 2\n")
    };
    let wrong = entry("wrong", "w").replace("words", "bytes = 5\nwords");
    home.write_catalog(&format!("backbone = []\n{wrong}{}", entry("good", "g")));
    let run = home.run(&["models", "pull", "wrong", "good", "--json"]);
    assert_eq!((run.code, run.stderr.lines().count()), (1, 1), "{}", run.stderr);
    let json = run.json();
    assert_eq!(
        (json["models"][0]["name"].as_str(), json["models"][0]["checked"].as_bool()),
        (Some("good"), Some(false))
    );
    assert_eq!(json["failed"][0]["name"], "wrong");
    assert!(json["failed"][0]["error"].as_str().unwrap().contains("has 200000 bytes, but wrong has 5"));
    assert!(home.path("good.bin").exists() && !home.path("wrong.bin").exists());
}
