//! Word vectors: what they know, and heads for texts on them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use topgraft::words::{Encoding, Limits, VectorReader, Vectors};

use crate::program::{DATA, DEMO, Run, Scene, topgraft};

/// Vectors that other programs are handed as well: `../shared`, beside the repository.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/vectors");

fn data(name: &str) -> String {
    format!("{DATA}/{name}")
}

fn glove() -> String {
    data("words/glove.txt.gz")
}

fn open(path: &str) -> Vectors {
    Vectors::open(Path::new(path), &Limits::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// The lines of a table that gensim made: what was asked, and the words with their cosines.
fn recorded(name: &str) -> Vec<(String, Vec<(String, f32)>)> {
    let text = fs::read_to_string(data(name)).unwrap();
    let near = |field: &str| {
        let (word, cosine) = field.rsplit_once(' ').unwrap();
        (word.to_owned(), cosine.parse().unwrap())
    };
    let line = |line: &str| {
        let mut fields = line.split('\t');
        (fields.next().unwrap().to_owned(), fields.map(near).collect())
    };
    text.lines().map(line).collect()
}

/// The words are gensim's in its order; two whose cosines differ by less than its single precision may change places.
fn check(vectors: &Vectors, recorded: &[(String, Vec<(String, f32)>)], direction: impl Fn(&[usize]) -> Vec<f32>) {
    for (asked, expected) in recorded {
        let numbers: Vec<usize> = asked.split(' ').map(|word| vectors.find(word).expect("is in it")).collect();
        let found = vectors.nearest(&direction(&numbers), expected.len(), &numbers).unwrap();
        for (near, (word, cosine)) in found.iter().zip(expected) {
            assert!(
                (near.cosine - cosine).abs() < 2e-6,
                "{asked}: {} {}, not {word} {cosine}",
                vectors.word(near.number),
                near.cosine
            );
            let ties = expected.iter().filter(|(_, other)| (other - cosine).abs() < 2e-6);
            assert!(ties.clone().any(|(word, _)| word == vectors.word(near.number)), "{asked}: {word}");
        }
        assert_eq!(found.len(), expected.len());
    }
}

#[test]
fn nearest_words_are_gensims() {
    let vectors = open(&glove());
    let neighbours = recorded("words/neighbours.tsv");
    assert_eq!(neighbours.len(), 100);
    check(&vectors, &neighbours, |numbers| vectors.analogy(numbers, &[]).unwrap());
}

#[test]
fn nearest_words_and_analogies_among_20_000_are_gensims() {
    let path = format!("{SHARED}/glove.6B.50d.top20k.txt");
    if !Path::new(&path).exists() {
        return println!("skipped: {path} is not there");
    }
    let vectors = open(&path);
    let neighbours = recorded("words/top20k.tsv");
    assert_eq!(neighbours.len(), 100);
    check(&vectors, &neighbours, |numbers| vectors.analogy(numbers, &[]).unwrap());
    let analogies = recorded("words/analogies.tsv");
    assert!(!analogies.is_empty());
    check(&vectors, &analogies, |numbers| vectors.analogy(&[numbers[0], numbers[2]], &numbers[1..2]).unwrap());
}

/// word2vec's text and binary as gensim writes them, and GloVe's text: three files of the same vectors.
#[test]
fn binary_and_text_of_the_same_vectors_give_identical_tables() {
    let (binary, text) = (data("words/word2vec.bin"), data("words/word2vec.txt"));
    assert_eq!(VectorReader::open(Path::new(&binary)).unwrap().encoding(), Encoding::Binary);
    let glove = Vectors::open(Path::new(&glove()), &Limits { top: Some(40), ..Limits::default() }).unwrap();
    assert_eq!((glove.len(), glove.dims()), (40, 50));
    for path in [&binary, &text] {
        assert_eq!(open(path).digest(), glove.digest(), "{path}");
    }
    let scene = Scene::empty();
    let tables = [binary, text].map(|path| {
        let table = scene.path("table.words");
        let args = ["words", "convert", &path, "--force", "-o", table.to_str().unwrap()];
        topgraft(args).succeeds();
        fs::read(table).unwrap()
    });
    assert_eq!(tables[0], tables[1]);
}

#[test]
fn real_binaries_of_word2vec_are_read() {
    for (name, words, dims) in [("google_c_tool.news_reviews.50d.bin", 11459, 50), ("googlenews.257x300.bin", 257, 300)]
    {
        let path = format!("{SHARED}/{name}");
        if !Path::new(&path).exists() {
            println!("skipped: {path} is not there");
            continue;
        }
        let vectors = open(&path);
        assert_eq!((vectors.len(), vectors.dims()), (words, dims));
    }
}

/// `topgraft words ...` in JSON.
fn words(args: &[&str]) -> Value {
    topgraft(["words"].iter().chain(args).chain(&["--json"])).succeeds().json()
}

#[test]
fn the_command_tells_neighbours_analogies_and_coverage() {
    let glove = glove();
    let near = words(&["nearest", "King", "--vectors", &glove, "--top", "2"]);
    assert_eq!(near["asked"], serde_json::json!(["king"]));
    assert_eq!(near["nearest"][0]["word"], "prince");
    assert_eq!(near["nearest"].as_array().unwrap().len(), 2);
    let next = words(&["nearest", "hot coffee and bread", "--vectors", &glove, "--top", "3"]);
    assert_eq!(next["asked"].as_array().unwrap().len(), 4);
    let analogy = words(&["analogy", "king", "man", "woman", "--vectors", &glove, "--top", "1"]);
    assert_eq!(analogy["nearest"][0]["word"], "queen");
    let coverage =
        words(&["coverage", &data("mood.tsv"), "--vectors", &glove, "--vectors", &data("words/word2vec.txt")]);
    let [all, some] = [0, 1].map(|at| coverage["vectors"][at]["share"].as_f64().unwrap());
    assert!(all > 0.95 && some < 0.6 && some > 0.2, "{coverage}");
    let missing = coverage["vectors"][1]["missing"].as_array().unwrap();
    assert!(missing[0]["count"].as_u64() >= missing[1]["count"].as_u64());
    let shown = topgraft(["words", "nearest", "king", "--vectors", &glove]).succeeds().stdout;
    assert!(shown.starts_with("prince") && shown.lines().count() == 10, "{shown}");
    let next = words(&["suggest", "the room was", "--texts", &data("mood.tsv"), "--vectors", &glove, "--top", "4"]);
    assert_eq!(next["suggested"].as_array().unwrap().len(), 4);
    let share = |what: &str, at: usize| next["held_out"]["top"][at][what].as_f64().unwrap();
    assert!(share("right", 2) > share("chance", 2) && share("right", 0) <= share("right", 1), "{next}");
    topgraft(["words", "suggest", "xyzzy", "--texts", &data("mood.tsv"), "--vectors", &glove])
        .refuses(&["no word of the text"]);
    topgraft(["words", "nearest", "kingg", "--vectors", &glove]).refuses(&["glove.txt.gz", "no word `kingg`"]);
    topgraft(["words", "nearest", "", "--vectors", &glove]).refuses(&["no word is given"]);
}

fn learn(scene: &Scene, texts: &str, vectors: &str, more: &[&str]) -> Run {
    let head = scene.path("mood.graft");
    let args = ["learn", texts, "--vectors", vectors, "-o", head.to_str().unwrap()];
    topgraft(args.iter().chain(more))
}

/// `topgraft classify -m mood.graft --json ARGS`, a line each.
fn classify(scene: &Scene, args: &[&str]) -> Vec<Value> {
    let head = scene.path("mood.graft");
    let run = topgraft(["classify", "--json", "-m", head.to_str().unwrap()].iter().chain(args)).succeeds();
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_head_for_texts_is_taught_measured_and_asked() {
    let scene = Scene::empty();
    let json = learn(&scene, &data("mood.tsv"), &glove(), &["--pooling", "max+mean", "--json"]).succeeds().json();
    assert!(json["accuracy"].as_f64().unwrap() >= 0.8, "{json}");
    assert_eq!(json["n_samples"], 40);
    assert_eq!(json["feature_dim"], 100);
    assert!(json["words"]["known"].as_u64().unwrap() > 300 && json["words"]["texts"] == 40, "{json}");
    let vectors = ["--vectors", &glove()];
    let asked = classify(&scene, &[&vectors[..], &["What a wonderful meal!", "DIRTY and rude", "qwxyz", ""]].concat());
    assert_eq!([0, 1].map(|at| asked[at]["label"].as_str().unwrap()), ["good", "bad"]);
    assert_eq!((&asked[0]["text"], &asked[0]["known"]), (&"What a wonderful meal!".into(), &5.into()));
    for nothing in &asked[2..] {
        assert_eq!((&nothing["unknown"], &nothing["known"]), (&true.into(), &0.into()), "{nothing}");
    }
    let head = scene.path("mood.graft");
    let eval = ["eval", &data("mood.tsv"), "-m", head.to_str().unwrap(), "--vectors", &glove(), "--json"];
    assert!(topgraft(eval).succeeds().json()["accuracy"].as_f64().unwrap() >= 0.95);
    // Texts of which no word is known are unknown to `eval`, too.
    let nothing = scene.path("nothing.tsv");
    fs::write(&nothing, "good\tqwxyz\nbad\tdirty and rude\nbad\txyzzy\n").unwrap();
    let eval = ["eval", nothing.to_str().unwrap(), "-m", head.to_str().unwrap(), "--vectors", &glove(), "--json"];
    assert!(topgraft(eval).succeeds().json()["unknown"]["photos"].as_u64() >= Some(2));
    let shown = topgraft(["inspect", head.to_str().unwrap()]).succeeds().stdout;
    assert!(shown.contains("max+mean of words, lower case") && shown.contains("glove.txt.gz"), "{shown}");
    let review = ["review", &data("mood.tsv"), "--vectors", &glove(), "--json"];
    assert_eq!(topgraft(review).succeeds().json()["n_samples"], 40);
}

#[test]
fn lines_of_standard_input_and_of_files_are_classified() {
    let scene = Scene::empty();
    learn(&scene, &data("mood.tsv"), &glove(), &[]).succeeds();
    // The vectors are found beside the head.
    fs::copy(glove(), scene.path("glove.txt.gz")).unwrap();
    let file = scene.path("lines.txt");
    fs::write(&file, "lovely fresh bread\nterrible dirty room\r\n").unwrap();
    let lines = classify(&scene, &[file.to_str().unwrap()]);
    let labels: Vec<&str> = lines.iter().map(|line| line["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["good", "bad"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_topgraft"))
        .args(["classify", "--no-unknown", "-m", scene.path("mood.graft").to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"lovely fresh bread\n\xff\xfe\nterrible dirty room\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.starts_with("lovely fresh bread: good ") && stdout.contains("\nterrible dirty room: bad "),
        "{stdout}"
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard input:2: is not UTF-8"));
}

/// Texts in another shape give the same head; a float32 table is the same trunk, a float16 one another.
#[test]
fn the_same_texts_and_vectors_give_the_same_head() {
    let scene = Scene::empty();
    let head = || fs::read(scene.path("mood.graft")).unwrap();
    learn(&scene, &data("mood.tsv"), &data("words/glove.txt.gz"), &["--pooling", "sif"]).succeeds();
    let first = head();
    let mut csv = "label,text\n".to_owned();
    for line in fs::read_to_string(data("mood.tsv")).unwrap().lines() {
        let (label, text) = line.split_once('\t').unwrap();
        csv += &format!("{label},\"{text}\"\n");
    }
    let path = scene.path("mood.csv");
    fs::write(&path, csv).unwrap();
    learn(&scene, path.to_str().unwrap(), &glove(), &["--pooling", "sif", "--force"]).succeeds();
    assert_eq!(head(), first);
    let table = |precision: &str| {
        let table = scene.path(&format!("{precision}.words"));
        let table = table.to_str().unwrap().to_owned();
        topgraft(["words", "convert", &glove(), "--precision", precision, "-o", &table]).succeeds();
        table
    };
    let asked = |vectors: &str| {
        let head = scene.path("mood.graft");
        topgraft(["classify", "--vectors", vectors, "-m", head.to_str().unwrap(), "fresh bread"])
    };
    assert!(asked(&table("float32")).succeeds().stdout.contains("good"));
    asked(&table("float16")).refuses(&["glove.txt.gz", "float16.words", "--vectors"]);
    for (precision, pooling) in [("int8", "mean"), ("float16", "max+mean")] {
        let table = scene.path(&format!("{precision}.words"));
        if !table.exists() {
            topgraft(["words", "convert", &glove(), "--precision", precision, "-o", table.to_str().unwrap()])
                .succeeds();
        }
        let table = table.to_str().unwrap();
        learn(&scene, &data("mood.tsv"), table, &["--force", "--pooling", pooling]).succeeds();
        assert!(asked(table).succeeds().stdout.contains("good"));
    }
}

#[test]
fn what_is_wrong_with_texts_or_vectors_is_one_line() {
    let scene = Scene::empty();
    let write = |name: &str, bytes: &[u8]| {
        fs::write(scene.path(name), bytes).unwrap();
        scene.path(name).to_str().unwrap().to_owned()
    };
    let mood = data("mood.tsv");
    let vectors = |name: &str, bytes: &[u8], words: &[&str]| {
        let path = write(name, bytes);
        learn(&scene, &mood, &path, &[]).refuses(&[&[name], words].concat());
        topgraft(["words", "nearest", "the", "--vectors", &path]).refuses(&[&[name], words].concat());
        let table = scene.path("t.words");
        topgraft(["words", "convert", &path, "-o", table.to_str().unwrap()]).refuses(&[&[name], words].concat());
        assert!(!table.exists(), "nothing is half-written");
    };
    vectors("short.txt", b"the 1 2\ncat 1\n", &["line 2", "1 number", "2"]);
    vectors("count.txt", b"3 2\nthe 1 2\ncat 1 2\n", &["line 3", "2 of the 3 words"]);
    vectors("space.txt", b"the 1 2\na cat 1 2\n", &["line 2", "`a cat` has a space", "--skip-bad-words"]);
    vectors("nan.txt", b"the 1 2\ncat 1 nan\n", &["line 2", "`cat`"]);
    vectors("twice.txt", b"the 1 2\nthe 1 2\n", &["line 2", "`the` was there before"]);
    vectors("utf8.txt", b"the 1 2\n\xff 1 2\n", &["line 2", "UTF-8"]);
    vectors("cut.bin", b"2 1\nthe \x00\x01\x02\x03\ncat \x00", &["byte 13", "1 of the 2 words"]);
    vectors("photo.jpg", &[0xff, 0xd8, 0xff, 0xe0, 0, 16], &["neither a header"]);
    vectors("empty.txt", b"", &["no word vector"]);
    learn(&scene, &mood, &write("model.onnx", b"x"), &[]).refuses(&["model.onnx", "is a network"]);
    learn(&scene, &mood, "glove-6", &[]).refuses(&["glove-6b"]);
    learn(&scene, &mood, "efficientnet_lite0", &[]).refuses(&["is a network"]);
    learn(&scene, &mood, &write("glove.zip", b"PK\x03\x04rest"), &[]).refuses(&["glove.zip", "no zip archive"]);
    learn(&scene, &mood, "/nowhere/v.txt", &[]).refuses(&["/nowhere/v.txt"]);
    learn(&scene, &mood, &write("other.txt", "кот 1 2\n".as_bytes()), &[])
        .refuses(&["no word of these texts", "language"]);
    let texts = |name: &str, bytes: &[u8], words: &[&str]| {
        learn(&scene, &write(name, bytes), &glove(), &[]).refuses(&[&[name], words].concat());
    };
    texts("a.tsv", b"good\tfine\nbad\t\n", &["line 2", "no text"]);
    texts("b.tsv", b"good fine\n", &["line 1", "no tab"]);
    texts("c.tsv", b"good\tfine\ngood\tnice\n", &["only one class"]);
    texts("d.tsv", b"good\tfine\nbad\tnot fine\nbad\tawful\n", &["`good` has 1 text"]);
    texts("e.csv", b"x,y,z\n1,2,3\n", &["`label` and `text`"]);
    for (option, value) in [("--cut", "features"), ("--raw", "8"), ("--backbone", "x.onnx")] {
        learn(&scene, &mood, &glove(), &[option, value]).refuses(&[option, "texts"]);
    }
    learn(&scene, &mood, &glove(), &["--views", "2"]).refuses(&["--views", "texts"]);
    topgraft(["learn", &mood, "-o", "x.graft", "--pooling", "sif"]).refuses(&["--vectors"]);
    let good = glove();
    topgraft(["words", "convert", &good, "-o", &good, "--force"]).refuses(&["cannot be the table too"]);
    let table = scene.path("whole.words");
    let table = table.to_str().unwrap();
    topgraft(["words", "convert", &good, "-o", table]).succeeds();
    topgraft(["words", "convert", table, "-o", scene.path("t.words").to_str().unwrap()]).refuses(&["a table already"]);
    learn(&scene, &mood, table, &["--top-words", "20"]).refuses(&["whole.words", "taken whole"]);
    topgraft(["learn", &mood, "-o", "x.graft"]).refuses(&["mood.tsv", "--vectors or --encoder"]);
    topgraft(["learn", &format!("{DEMO}/learn"), "--top-words", "9", "-o", "x.graft"])
        .refuses(&["--top-words", "--vectors"]);
    learn(&scene, &mood, &good, &["--max-memory", "1K"]).refuses(&["1.0 KB"]);
    learn(&scene, &mood, &good, &[]).succeeds();
    let head = scene.path("mood.graft");
    let head = head.to_str().unwrap();
    topgraft(["eval", &mood, "-m", head, "--vectors", &good, "--labels", &mood]).refuses(&["--labels", "texts"]);
    let asked = |what: &str| topgraft(["classify", "-m", head, "--vectors", &good, what]);
    asked(DEMO).refuses(&["is a folder"]);
    asked("gone.txt").refuses(&["gone.txt: no such file"]);
    asked(&format!("{DEMO}/new/birds/pigeon.jpg")).refuses(&["pigeon.jpg", "zero byte"]);
    let labelled = asked(&mood).succeeds().stdout;
    assert!(labelled.starts_with("The soup was warm"), "the label is no part of the text: {labelled}");
    topgraft(["classify", "-m", head, "fine"]).refuses(&["glove.txt.gz", "--vectors"]);
    topgraft(["classify", "-m", head, "fine", "--vectors", &data("words/word2vec.txt")])
        .refuses(&["mood.graft", "word2vec.txt"]);
    topgraft(["export", "-m", head, "--onnx", scene.path("x.onnx").to_str().unwrap()])
        .refuses(&["mood.graft", "--safetensors"]);
}

#[test]
fn vectors_are_ranked_by_what_they_do_for_the_texts() {
    let (glove, few) = (glove(), data("words/word2vec.txt"));
    let args = ["select", "--vectors", &few, "--vectors", &glove, "--json", "--", &data("mood.tsv")];
    let json = topgraft(args).succeeds().json();
    let accuracy = |at: usize| json["vectors"][at]["accuracy"].as_f64().unwrap();
    assert_eq!((&json["best"], &json["vectors"][0]["vectors"]), (&glove.as_str().into(), &glove.as_str().into()));
    assert!(accuracy(0) > accuracy(1) && json["vectors"][0]["coverage"].as_f64().unwrap() > 0.95, "{json}");
    let shown = topgraft(["select", "--vectors", &few, "--vectors", &glove, "--", &data("mood.tsv")]).succeeds().stdout;
    assert!(shown.contains("The best: topgraft learn --vectors") && shown.contains("words known"), "{shown}");
    topgraft(["select", "x.onnx", "--vectors", &glove, "--", &data("mood.tsv")]).refuses(&["--vectors"]);
}

/// Six classes of photos, taught with their names; then names that were never taught.
#[test]
fn names_that_were_never_taught_can_be_asked_for() {
    let scene = Scene::empty();
    let (head, photos) = (scene.path("zero.graft"), format!("{DEMO}/learn"));
    let (head, glove) = (head.to_str().unwrap(), glove());
    let json = topgraft(["learn", &photos, "--words", &glove, "-o", head, "--json"]).succeeds().json();
    assert_eq!((&json["head"], &json["names"]["vectors"]), (&"ridge".into(), &"glove.txt.gz".into()));
    let held_out = &json["names"]["held_out"];
    let number = |key: &str| held_out[key].as_u64().unwrap();
    assert_eq!((number("classes"), number("of"), number("samples")), (3, 6, 150));
    assert!(number("first_of_held_out") > 150 / 3, "better than chance: {held_out}");
    assert!(number("first_of_all") <= number("top5_of_all"));
    let photo = format!("{DEMO}/new/birds/pigeon.jpg");
    let ask = |candidates: &str, more: &[&str]| {
        let args = ["classify", "-m", head, "--words", &glove, "--candidates", candidates, "--json", &photo];
        topgraft(args.iter().chain(more))
    };
    // The taught names are candidates as any other, and those that are like the right one come before those that are not.
    let answer = ask("fish,birds,flowers,fruit,tools,vegetables", &[]).succeeds().json();
    assert_eq!(answer["label"], "birds");
    let answer = ask("lion, car", &["--top", "2"]).succeeds().json();
    assert_eq!((&answer["label"], answer["top"].as_array().unwrap().len()), (&"lion".into(), 2));
    assert_eq!(answer["unknown"], Value::Null);
    let all = ask("*", &["--top", "5"]).succeeds().json();
    assert_eq!(all["top"].as_array().unwrap().len(), 5, "{all}");
    ask("lion,zzz", &[]).refuses(&["--candidates", "`zzz`"]);
    ask("lion,lion", &[]).refuses(&["`lion`", "twice"]);
    ask("lion,", &[]).refuses(&["empty"]);
    topgraft(["classify", "-m", head, "--candidates", "lion", &photo]).refuses(&["glove.txt.gz", "--words"]);
    topgraft(["learn", &photos, "--words", &glove, "--head", "lda", "-o", head, "--force"])
        .refuses(&["--words", "ridge"]);
    let few = data("words/word2vec.txt");
    topgraft(["learn", &photos, "--words", &few, "-o", head, "--force"])
        .refuses(&["word2vec.txt", "know no word of the name"]);
    topgraft(["learn", &photos, "-o", head, "--force"]).succeeds();
    topgraft(["classify", "-m", head, "--candidates", "lion", &photo]).refuses(&["zero.graft", "--words"]);
}

/// As GloVe and fastText are handed out.
#[test]
fn vectors_are_read_out_of_zip_archives() {
    let scene = Scene::empty();
    let path = scene.path("glove.zip");
    let archive = path.to_str().unwrap().to_owned();
    let nearest = |vectors: &str| topgraft(["words", "nearest", "king", "--vectors", vectors, "--top", "1"]);
    let packed = |names: &[(&str, u32)]| {
        // By Python, whose zipfile is everywhere that the tests are.
        let script = "import sys, zipfile, gzip; z = zipfile.ZipFile(sys.argv[1], 'w'); t = gzip.open(sys.argv[2]).read(); \
                      [z.writestr(n, t, int(m)) for n, m in (a.split(':') for a in sys.argv[3:])]; z.close()";
        let members = names.iter().map(|(name, method)| format!("{name}:{method}"));
        let mut python = Command::new(std::env::var("PYTHON").unwrap_or("python3".into()));
        python.args(["-c", script, &archive, &glove()]).args(members);
        python.status().is_ok_and(|status| status.success())
    };
    if !packed(&[("glove.50d.txt", 8)]) {
        return crate::program::lacks("no python3 to make an archive");
    }
    assert!(nearest(&archive).succeeds().stdout.starts_with("prince"));
    assert!(packed(&[("a/glove.50d.txt", 8), ("b.txt", 0), ("c.txt", 12)]));
    nearest(&archive).refuses(&["glove.zip", "several files", "`a/glove.50d.txt`, `b.txt`"]);
    for member in ["a/glove.50d.txt", "b.txt"] {
        assert!(nearest(&format!("{archive}/{member}")).succeeds().stdout.starts_with("prince"));
    }
    nearest(&format!("{archive}/c.txt")).refuses(&["`c.txt`", "unpack it"]);
    nearest(&format!("{archive}/d.txt")).refuses(&["no file `d.txt`", "`b.txt`"]);
    let head = scene.path("mood.graft");
    let member = format!("{archive}/b.txt");
    topgraft(["learn", &data("mood.tsv"), "--vectors", &member, "-o", head.to_str().unwrap()]).succeeds();
    // What is read is not written over, in an archive either.
    let bytes = fs::read(&path).unwrap();
    topgraft(["words", "convert", &member, "-o", &archive, "--force"]).refuses(&["cannot be the table too"]);
    topgraft(["learn", &data("mood.tsv"), "--vectors", &member, "-o", &archive, "--force"]).refuses(&["head file too"]);
    assert!(fs::read(&path).unwrap() == bytes);
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    nearest(&archive).refuses(&["glove.zip", "no zip archive"]);
}

/// As bash's `<(zcat glove.txt.gz)` gives them: what can be read only once.
#[cfg(unix)]
#[test]
fn vectors_come_through_a_pipe() {
    let script = format!(
        "zcat {} | {} words nearest king --vectors /dev/stdin --top 1",
        glove(),
        env!("CARGO_BIN_EXE_topgraft")
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("prince"), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
}

/// With bad words left out, a file of them is as good as one without.
#[test]
fn bad_words_are_left_out_where_that_is_asked_for() {
    let scene = Scene::empty();
    let path = scene.path("bad.txt");
    fs::write(&path, b"the 1 2\na cat 1 2\nthe 3 4\n\xff 1 2\ndog 2 1\n").unwrap();
    let args = ["words", "nearest", "the", "--skip-bad-words", "--vectors", path.to_str().unwrap()];
    let run = topgraft(args);
    assert_eq!((run.code, run.stdout.trim()), (0, "dog  0.8000"));
    assert!(run.stderr.contains("3 bad words left out"), "{}", run.stderr);
}
