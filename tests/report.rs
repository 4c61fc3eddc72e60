//! `eval --report` and `probe --chart`: what is written, and that nothing half-written is.

use std::fs;
use std::path::Path;

use html5gum::{Token, Tokenizer};
use serde_json::Value;

use crate::program::{DATA, DEMO, Run, Scene, topgraft};

const FILES: [&str; 4] = ["confusion.png", "learning_curve.png", "reliability.png", "report.html"];

/// Colours of the pictures: blue, vermillion and green of Okabe & Ito's palette.
const BLUE: [u8; 3] = [0, 114, 178];
const VERMILLION: [u8; 3] = [213, 94, 0];
const GREEN: [u8; 3] = [0, 158, 115];

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// `topgraft eval -m HEAD PHOTOS --report OUT` and more arguments.
fn eval(head: &Path, photos: &Path, out: &Path, more: &[&str]) -> Run {
    let [head, photos, out] = [head, photos, out].map(|path| path.to_str().expect("UTF-8"));
    topgraft(["eval", "-m", head, photos, "--report", out].iter().chain(more))
}

/// A page, read by the rules of HTML.
struct Page {
    /// All text, a line for each element.
    text: String,
    /// Contents of `src`, `srcset` and `href`.
    references: Vec<String>,
    elements: Vec<String>,
}

/// Reads a page. Every element must be closed in its turn, and the tokenizer must find nothing to complain of.
fn read_page(path: &Path) -> Page {
    const VOID: [&str; 4] = ["meta", "img", "source", "br"];
    let html = fs::read_to_string(path).expect("UTF-8");
    let mut page = Page { text: String::new(), references: Vec::new(), elements: Vec::new() };
    let mut open: Vec<String> = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    for token in Tokenizer::new(html.as_str()) {
        match token.expect("cannot fail") {
            Token::StartTag(tag) => {
                let name = text(&tag.name);
                for (key, value) in &tag.attributes {
                    let (key, value) = (text(key), text(&value.value));
                    assert!(!key.starts_with("on"), "{key}");
                    if ["src", "srcset", "href"].contains(&key.as_str()) {
                        page.references.push(value);
                    }
                }
                page.elements.push(name.clone());
                if !VOID.contains(&name.as_str()) {
                    open.push(name);
                }
            }
            Token::EndTag(tag) => assert_eq!(open.pop(), Some(text(&tag.name))),
            Token::String(string) => page.text.push_str(&(text(&string.value) + "\n")),
            Token::Error(error) => panic!("{error:?}"),
            Token::Doctype(_) => {}
            Token::Comment(comment) => panic!("{:?}", comment.value),
        }
    }
    assert!(open.is_empty(), "{open:?} are not closed");
    page
}

impl Page {
    /// Nothing is fetched and nothing is run.
    #[track_caller]
    fn is_self_contained(&self) {
        assert!(self.references.iter().all(|uri| uri.starts_with("data:image/")), "{:?}", self.references);
        for element in ["script", "link", "iframe", "object", "a", "base", "form"] {
            assert!(!self.elements.iter().any(|name| name == element), "{element}");
        }
    }

    #[track_caller]
    fn says(&self, words: &str) {
        assert!(self.text.contains(words), "{words:?} is not in {}", self.text);
    }
}

/// How many pixels of a picture have each of the colours; it is of that size and not blank.
fn picture<const N: usize>(path: &Path, size: Option<[u32; 2]>, colours: [[u8; 3]; N]) -> [usize; N] {
    let picture = image::load_from_memory(&fs::read(path).expect("a file")).expect("a picture").to_rgb8();
    if let Some([width, height]) = size {
        assert_eq!((picture.width(), picture.height()), (width, height), "{}", path.display());
    }
    let distinct: std::collections::HashSet<_> = picture.pixels().collect();
    assert!(distinct.len() > 50, "{}: {} colours", path.display(), distinct.len());
    colours.map(|colour| picture.pixels().filter(|pixel| pixel.0 == colour).count())
}

/// `66.7 %`, as the page has it.
fn percent(share: &Value) -> String {
    format!("{:.1} %", 100.0 * share.as_f64().expect("a number"))
}

#[test]
fn a_report_has_the_numbers_of_eval_in_a_page_that_needs_nothing_else() {
    let scene = Scene::empty();
    let learn = format!("{DEMO}/learn");
    let (head, out, new) = (scene.head(), scene.path("out"), format!("{DEMO}/new"));
    topgraft(["learn", &learn, "-o", head.to_str().unwrap()]).succeeds();
    let plain = topgraft(["eval", "-m", head.to_str().unwrap(), &new, "--json"]).succeeds().json();
    assert_eq!(plain["report"], Value::Null);
    let json = eval(&head, Path::new(&new), &out, &["--json"]).succeeds().json();
    for key in ["accuracy", "interval", "baseline", "per_class", "confusion", "unknown"] {
        assert_eq!(json[key], plain[key], "{key}");
    }
    let report = &json["report"];
    assert_eq!(report["path"].as_str(), out.join("report.html").to_str());
    assert_eq!((names(&out), report["files"].as_array().unwrap().len()), (FILES.map(str::to_owned).to_vec(), 4));

    let page = read_page(&out.join("report.html"));
    page.is_self_contained();
    // Three pictures, light and dark, and the photos that are wrong or unknown.
    let wrong = json["n_samples"].as_u64().unwrap() - json["correct"].as_u64().unwrap();
    let refused = json["unknown"]["correct"].as_u64().unwrap();
    assert_eq!(page.references.len() as u64, 6 + wrong + refused);
    page.says(&percent(&json["accuracy"]));
    page.says(&percent(&json["baseline"]));
    for class in json["per_class"].as_array().unwrap() {
        page.says(class["label"].as_str().unwrap());
        ["precision", "recall", "f1"].iter().for_each(|key| page.says(&percent(&class[*key])));
    }
    for key in ["ece_before", "ece_after"] {
        page.says(&percent(&report["calibration"][key]));
    }
    let points = report["curve"]["points"].as_array().unwrap();
    assert_eq!(points.iter().map(|point| point["shots"].as_f64().unwrap()).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
    for point in points {
        for side in ["transfer", "pixels"] {
            let estimate = &point[side];
            page.says(&percent(&estimate["accuracy"]));
            let [low, high] = [0, 1].map(|i| estimate["interval"][i].as_f64().unwrap());
            let accuracy = estimate["accuracy"].as_f64().unwrap();
            assert!(0.0 <= low && low < accuracy && accuracy < high && high <= 1.0, "{estimate}");
        }
    }
    // Six classes of photos by one shot: pixels know little of them, a pretrained network much.
    let gain = |key: &str| report["curve"][key]["mean"].as_f64().unwrap();
    let last = &points[2];
    let accuracy = |side: &str| last[side]["accuracy"].as_f64().unwrap();
    assert!(gain("start") > 0.1 && accuracy("transfer") > accuracy("pixels") + 0.2, "{report}");
    assert!((gain("end") - (accuracy("transfer") - accuracy("pixels"))).abs() < 1e-9);
    assert_eq!(report["curve"]["end"]["holds"], true, "{report}");
    for benefit in ["Higher start:", "Steeper slope:", "Higher end:"] {
        page.says(benefit);
    }

    let [blue, vermillion] = picture(&out.join("learning_curve.png"), Some([1000, 640]), [BLUE, VERMILLION]);
    assert!(blue > 500 && vermillion > 500, "{blue} {vermillion}");
    let [blue] = picture(&out.join("confusion.png"), None, [BLUE]);
    assert!(blue > 5000, "classes that are all right are all blue: {blue}");
    picture(&out.join("reliability.png"), Some([1000, 860]), []);
}

#[test]
fn a_report_has_the_cuts_on_demand() {
    let scene = Scene::with_photos(&["birds", "tools"], 4);
    scene.learn(&[]).succeeds();
    let (head, photos, out) = (scene.head(), scene.photos(), scene.path("out"));
    let json = eval(&head, &photos, &out, &["--cuts", "2", "--json"]).succeeds().json();
    assert!(json["report"]["files"].as_array().unwrap().contains(&"cuts.png".into()), "{json}");
    picture(&out.join("cuts.png"), Some([1000, 720]), []);
    let page = read_page(&out.join("report.html"));
    page.is_self_contained();
    page.says("What other cuts are worth");
    // The picture's numbers are those of `probe`, the deepest cut's last of all.
    let probed = topgraft(["probe", photos.to_str().unwrap(), "--cuts", "2", "--json"]).succeeds().json();
    for cut in probed["cuts"].as_array().unwrap() {
        page.says(cut["cut"].as_str().unwrap());
        page.says(&percent(&cut["accuracy"]));
    }
    // A report without it takes the old picture away.
    eval(&head, &photos, &out, &["--force"]).succeeds();
    assert!(!out.join("cuts.png").exists());

    let refuses = |head: &Path, photos: &Path, more: &[&str], words: &[&str]| {
        let args = ["eval", "-m", head.to_str().unwrap(), photos.to_str().unwrap()];
        topgraft([&args, more].concat()).refuses(words);
    };
    let new = scene.path("new");
    let report = ["--report", new.to_str().unwrap(), "--cuts", "2"];
    refuses(&head, &photos, &report[2..], &["--report"]);
    fs::remove_dir_all(photos.join("birds")).unwrap();
    refuses(&head, &photos, &report, &["only one class, `tools`"]);
    let scene = Scene::with_photos(&["birds", "tools"], 4);
    scene.learn(&["--raw", "8"]).succeeds();
    refuses(&scene.head(), &scene.photos(), &report, &["--cuts compares layers of a network"]);
    assert!(!new.exists());
}

#[test]
fn a_report_is_replaced_only_on_demand_and_written_whole_or_not_at_all() {
    let scene = Scene::with_photos(&["birds", "tools"], 4);
    scene.learn(&[]).succeeds();
    let (head, photos, out) = (scene.head(), scene.photos(), scene.path("out"));
    let write = |out: &Path, more: &[&str]| eval(&head, &photos, out, more);
    // What has no report in the end has no folder either.
    let no_head = scene.path("none.graft");
    eval(&no_head, &photos, &out, &[]).refuses(&["none.graft"]);
    assert!(!out.exists());
    let text = write(&out, &[]).succeeds().stdout;
    assert!(text.contains("report     ") && text.contains("report.html and 3 pictures"), "{text}");
    fs::write(out.join("report.html"), "mine").unwrap();
    write(&out, &[]).refuses(&["out/learning_curve.png: is there already", "--force"]);
    assert_eq!(fs::read(out.join("report.html")).unwrap(), b"mine");
    write(&out, &["--force"]).succeeds();
    assert!(fs::read(out.join("report.html")).unwrap().starts_with(b"<!DOCTYPE html>"));
    assert_eq!(names(&out), FILES);

    fs::write(scene.path("file"), "mine").unwrap();
    write(&scene.path("file"), &["--force"]).refuses(&["file: is no folder"]);
    write(&scene.path("no/out"), &[]).refuses(&["no: no such folder", "make it first"]);
    topgraft(["eval", "-m", head.to_str().unwrap(), photos.to_str().unwrap(), "--force"]).refuses(&["--report"]);
    #[cfg(target_os = "linux")]
    {
        let run = write(Path::new("/proc/out"), &[]);
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.lines().count()), (1, "", 1), "{}", run.stderr);
        assert!(run.stderr.contains("/proc/out: cannot be written to"), "{}", run.stderr);
        // A disk that is full once the work is done: pictures would fit, the page does not.
        let full = scene.path("full");
        let script = "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\"";
        let args = ["eval", "-m", head.to_str().unwrap(), photos.to_str().unwrap(), "--report", full.to_str().unwrap()];
        let run = std::process::Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_topgraft")])
            .args(args)
            .output()
            .unwrap();
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!((run.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
        assert!(stderr.contains("report.html: cannot be written") && run.stdout.is_empty(), "{stderr}");
        assert!(!full.exists());
    }
}

#[cfg(unix)]
#[test]
fn hostile_names_are_shown_and_do_nothing() {
    let classes = ["<script>alert(1)</script>".replace('/', "\u{2215}"), "\" onerror='x' & 日本語".to_owned()];
    let scene = Scene::empty();
    for (class, demo) in classes.iter().zip(["birds", "tools"]) {
        for (n, photo) in fs::read_dir(format!("{DEMO}/learn/{demo}")).unwrap().enumerate() {
            let name = format!("{class}/<img src=x onerror=alert(1)>\u{1b}[31m\u{202e}{n}'\"&amp;.jpg");
            scene.copy(photo.unwrap().path(), &name);
        }
    }
    scene.learn(&[]).succeeds();
    // The other way round, so that all photos are wrong.
    let photos = scene.photos();
    let [a, b] = classes.each_ref().map(|class| photos.join(class));
    fs::rename(&a, scene.path("aside")).unwrap();
    fs::rename(&b, &a).unwrap();
    fs::rename(scene.path("aside"), &b).unwrap();
    let out = scene.path("out");
    eval(&scene.head(), &photos, &out, &[]).succeeds();
    let page = read_page(&out.join("report.html"));
    page.is_self_contained();
    assert!(page.references.len() >= 6 + 8, "the photos are shown");
    classes.iter().for_each(|class| page.says(class));
    page.says("<img src=x onerror=alert(1)>\\u{1b}[31m\\u{202e}");
    assert!(!page.text.contains(['\u{1b}', '\u{202e}']));
}

#[test]
fn what_cannot_be_measured_is_said() {
    // One photo of a class: no curve. A photo that cannot be read is counted.
    let scene = Scene::with_photos(&["birds", "tools"], 3);
    scene.learn(&[]).succeeds();
    let tools: Vec<_> = fs::read_dir(scene.photos().join("tools")).unwrap().map(|e| e.unwrap().path()).collect();
    tools[1..].iter().for_each(|photo| fs::remove_file(photo).unwrap());
    scene.copy(format!("{DATA}/formats/truncated.jpg"), "birds/cut_off.jpg");
    let out = scene.path("out");
    let run = eval(&scene.head(), &scene.photos(), &out, &["--json"]);
    assert_eq!((run.code, run.stderr.lines().count()), (2, 1), "{}", run.stderr);
    let json = run.json();
    assert_eq!(json["report"]["curve"], Value::Null);
    assert!(json["report"]["no_curve"].as_str().unwrap().contains("of `tools` there is one"), "{json}");
    assert_eq!(names(&out), ["confusion.png", "reliability.png", "report.html"]);
    let page = read_page(&out.join("report.html"));
    page.is_self_contained();
    page.says("Not measured: that takes two photos of each class or more, and of `tools` there is one.");
    page.says("skipped");
}

#[test]
fn a_probe_draws_its_cuts_into_a_new_file() {
    let scene = Scene::with_photos(&["birds", "fish", "tools"], 3);
    let (photos, chart) = (scene.photos(), scene.path("cuts.png"));
    let args = ["probe", photos.to_str().unwrap(), "--cuts", "3", "--chart", chart.to_str().unwrap()];
    let text = topgraft(args).succeeds().stdout;
    assert!(text.contains("* recommended: "), "{text}");
    let [green] = picture(&chart, Some([1000, 720]), [GREEN]);
    assert!(green > 200, "the recommended one: {green}");
    fs::write(&chart, "mine").unwrap();
    topgraft(args).refuses(&["cuts.png: is there already", "--force"]);
    assert_eq!(fs::read(&chart).unwrap(), b"mine");
    topgraft(args.into_iter().chain(["--force"])).succeeds();
    picture(&chart, Some([1000, 720]), []);
}
