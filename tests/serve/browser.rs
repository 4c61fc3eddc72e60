//! The page in Chromium, with the default network.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use super::{CLASSES, Served, photo};
use crate::program;

/// Everything a user does, by tests/page/walk.py, which says what is not as it should be. Screenshots are in target/page.
#[test]
fn a_user_teaches_three_classes_and_nothing_is_lost() {
    let Some(python) = program::python("playwright.sync_api, axe_playwright_python") else { return };
    if !Path::new("/usr/bin/chromium").exists() {
        return program::lacks("no chromium: install Debian's");
    }
    let served = Served::start(Arc::new(tempfile::tempdir().expect("a folder")), None, &["--listen", "0.0.0.0:0"]);
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let other = served.path("photo.jpg");
    std::fs::write(&other, photo()).expect("writes");
    let axe = "import axe_playwright_python as axe, pathlib; print(pathlib.Path(axe.__file__).parent / 'axe.min.js')";
    let axe = program::succeeds(Command::new(&python).args(["-c", axe]));
    let mut walk = Command::new(python);
    walk.arg(root.join("tests/page/walk.py")).arg(format!("http://{}", served.address)).arg("--photo").arg(&other);
    walk.arg("--scene-file").arg(served.path("scene")).arg("--shots").arg(root.join("target/page"));
    walk.args(["--touch", "--axe", axe.trim(), "--names", &CLASSES.join(",")])
        .args(["--token", served.token.as_deref().expect("one is made")]);
    let output = walk.output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}{:?}", String::from_utf8_lossy(&output.stderr), served.said());
    let before = served.state();
    let folder = served.folder.clone();
    assert!(served.end());
    let again = Served::start(folder, None, &[]);
    assert_eq!(again.state()["classes"], before["classes"]);
}
