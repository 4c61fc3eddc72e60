//! `topgraft models`: models by name.

mod add;
#[cfg(feature = "pull")]
mod pull;
#[cfg(feature = "pull")]
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::program::{DATA, Run, run};

/// A home with an empty cache.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    /// The program, with this home.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_topgraft"));
        self.prepare(&mut command).args(args);
        command
    }

    fn prepare<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        for proxy in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        command.env("XDG_CACHE_HOME", self.folder.path()).current_dir(env!("CARGO_MANIFEST_DIR"))
    }

    /// `topgraft` and arguments, with this home.
    fn run(&self, args: &[&str]) -> Run {
        run(&mut self.command(args))
    }

    /// `topgraft models` and arguments, with files of at most so many blocks of 512 bytes: a full disk.
    #[cfg(target_os = "linux")]
    fn run_on_full_disk(&self, blocks: usize, args: &[&str]) -> Run {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        self.prepare(&mut command).args(["-c", &script, env!("CARGO_BIN_EXE_topgraft"), "models"]).args(args);
        run(&mut command)
    }

    /// In the folder of models.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("topgraft/models").join(name)
    }

    /// The folder's own catalog: a file of word vectors called `net`, whose file is `net.bin`.
    fn catalog(&self, url: &str, bytes: Option<usize>, sha256: Option<&[u8]>) {
        let bytes = bytes.map(|bytes| format!("bytes = {bytes}\n")).unwrap_or_default();
        let sha256 = sha256.map(|of| format!("sha256 = '{}'\n", hex(of))).unwrap_or_default();
        self.write_catalog(&format!(
            "backbone = []\n[[vectors]]\nname = 'net'\nfile = 'net.bin'\nurl = '{url}'\n{bytes}{sha256}dimensions = [3]\nwords = 2\n"
        ));
    }

    fn write_catalog(&self, text: &str) {
        fs::create_dir_all(self.path("")).expect("a folder");
        fs::write(self.path("catalog.toml"), text).expect("written");
    }

    /// Names of the files in the folder of models.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("")).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }
}

fn hex(of: &[u8]) -> String {
    Sha256::digest(of).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 200 KB in which each part is another.
fn content() -> Vec<u8> {
    let mut state = 1u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..200_000).map(|_| byte()).collect()
}

#[test]
fn the_list_names_each_model_and_says_whether_it_is_here() {
    let home = Home::new();
    let json = home.run(&["models", "list", "--json"]).succeeds().json();
    assert_eq!(json["folder"].as_str().map(Path::new), Some(home.path("").components().as_path()));
    let models = json["models"].as_array().unwrap();
    let of = |name: &str| models.iter().find(|model| model["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    for name in [
        "resnet18-v1",
        "resnet18-v2",
        "resnet50-v1",
        "resnet50-v2",
        "vgg16",
        "vgg19",
        "inception-v1",
        "inception-v2",
        "mobilenetv2",
        "squeezenet1.1",
        "shufflenet-v1",
        "shufflenet-v2",
        "densenet-121",
        "alexnet",
        "efficientnet-lite4",
        "glove-6b",
        "word2vec-google-news",
        "fasttext-wiki-news",
    ] {
        let model = of(name);
        assert_eq!((model["state"].as_str(), model["sha256"].as_str().map(str::len)), (Some("not here"), Some(64)));
        assert!(model["url"].as_str().unwrap().starts_with("https://") && model["bytes"].as_u64() > Some(1_000_000));
        assert!(model["path"].is_null());
    }
    assert_eq!(of("efficientnet-lite4")["preprocess"]["layout"], "nhwc");
    assert_eq!(of("alexnet")["preprocess"]["channels"], "bgr");
    assert_eq!(of("glove-6b")["dimensions"], serde_json::json!([50, 100, 200, 300]));
    assert!(of("glove-6b")["preprocess"].is_null() && of("word2vec-google-news")["licence"].is_null());
    #[cfg(feature = "embed-backbone")]
    assert_eq!(of("efficientnet_lite0")["state"], "built in");
    let text = home.run(&["models", "list"]).succeeds().stdout;
    assert!(text.contains("resnet18-v1") && text.contains("not here") && text.contains("46.8 MB"), "{text}");
    // Looking makes no folder.
    assert!(!home.path("").exists());
}

#[test]
fn a_model_is_shown_with_all_that_is_known_of_it() {
    let home = Home::new();
    let text = home.run(&["models", "show", "squeezenet1.1"]).succeeds().stdout;
    for part in ["Apache-2.0", "github.com/onnx/models", "1eeff551a67ae8d5", "5.0 MB", "224 x 224 rgb nchw", "123.675"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let json = home.run(&["models", "show", "glove-6b", "--json"]).succeeds().json();
    assert_eq!((json["kind"].as_str(), json["words"].as_u64()), (Some("vectors"), Some(400_000)));
    assert!(home.run(&["models", "show", "word2vec-google-news"]).succeeds().stdout.contains("not stated"));
    home.run(&["models", "show", "resnet17-v1"]).refuses(&["\"resnet17-v1\"", "resnet18-v1", "topgraft models list"]);
}

#[test]
fn a_backbone_by_name_that_is_not_here_says_how_to_get_it() {
    let home = Home::new();
    let layers = |name: &str| home.run(&["layers", name]);
    layers("resnet18-v1").refuses(&["resnet18-v1 is known, but not here", "`topgraft models pull resnet18-v1`"]);
    layers("mobilenet_v2_tv").refuses(&["mobilenet_v2_tv is known, but not here", "`topgraft models add FILE`"]);
    layers("resnet").refuses(&["no model is called \"resnet\"", "resnet18-v1", "`topgraft models list`"]);
    layers("glove-6b").refuses(&["glove-6b is a file of word vectors"]);
    layers("none.onnx").refuses(&["cannot read the ONNX file none.onnx"]);
    layers("../resnet18-v1").refuses(&["cannot read the ONNX file ../resnet18-v1"]);
    #[cfg(feature = "embed-backbone")]
    {
        let by_name = layers("efficientnet_lite0").succeeds().stdout;
        assert_eq!(by_name, home.run(&["layers"]).succeeds().stdout);
    }
    // A file comes first.
    let there = home.folder.path().join("resnet18-v1");
    fs::copy(format!("{DATA}/tiny.onnx"), &there).expect("copied");
    let mut command = home.command(&["layers", "resnet18-v1", "--json"]);
    assert_eq!(run(command.current_dir(home.folder.path())).succeeds().json()["default_cut"], "features");
}

#[test]
fn a_cache_that_is_no_absolute_path_is_passed_over() {
    let home = Home::new();
    let folder = |cache: &str| {
        let mut command = home.command(&["models", "list", "--json"]);
        let json = run(command.env("XDG_CACHE_HOME", cache).env("HOME", home.folder.path())).succeeds().json();
        PathBuf::from(json["folder"].as_str().expect("a path"))
    };
    for cache in ["relative", ""] {
        assert_eq!(folder(cache), home.folder.path().join(".cache/topgraft/models"));
    }
    let mut command = home.command(&["models", "list"]);
    run(command.env_remove("XDG_CACHE_HOME").env("HOME", "relative")).refuses(&["XDG_CACHE_HOME or HOME"]);
}

#[cfg(not(feature = "pull"))]
#[test]
fn a_program_without_downloads_says_so() {
    Home::new().run(&["models", "pull", "resnet18-v1"]).refuses(&["without downloads", "topgraft models add FILE"]);
}
