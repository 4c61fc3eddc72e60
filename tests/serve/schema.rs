//! The API against its description.

use std::process::Command;

use serde_json::Value;

use super::Served;
use crate::program;

/// Schemathesis makes requests, sound and unsound, of what openapi.json says, and compares the answers with it.
#[test]
fn the_api_is_as_it_is_described() {
    let Some(python) = program::python("schemathesis") else { return };
    let served = Served::new(&["--listen", "0.0.0.0:0"]);
    served.teach_all(2);
    let url = format!("http://{}/api/openapi.json", served.address);
    let mut command = Command::new(python);
    // It leaves things behind.
    command.current_dir(served.folder.path());
    command.args(["-m", "schemathesis.cli", "run", &url, "--max-examples", "20", "--seed", "7", "--no-color"]);
    let token = served.token.as_deref().expect("one is made");
    command.args(["--header", &format!("Authorization: Bearer {token}")]);
    // That a name has 255 bytes, or that a photo is one, no schema says. After ten wrong tokens no right one is looked at, either:
    // hostile.rs tries those.
    command.args(["--exclude-checks", "positive_data_acceptance,ignored_auth"]);
    // These never end.
    command.args(["--exclude-path", "/api/events", "--exclude-path", "/api/stream"]);
    // It makes no archives.
    command.args(["--exclude-path", "/api/import"]);
    let output = command.output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    served.get("/api/state").is(200);
    assert!(served.end());
}

/// Every path of the API is described, and the description is sound JSON of the right version.
#[test]
fn all_paths_are_described() {
    let routes = include_str!("../../src/live/web/routes.rs");
    let description: Value = serde_json::from_str(include_str!("../../src/live/web/openapi.json")).expect("JSON");
    let described = description["paths"].as_object().expect("an object");
    let paths: Vec<&str> = routes.split('"').filter(|text| text.starts_with("/api/")).collect();
    assert!(paths.len() > 25);
    for path in &paths {
        assert!(described.contains_key(*path), "{path} is not described");
    }
    for path in described.keys() {
        assert!(paths.contains(&path.as_str()), "{path} is described and not there");
    }
}
