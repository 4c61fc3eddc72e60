//! Downloads, with a progress bar.

use std::io::Write;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use topgraft::models::{Known, PullError, PullOptions, Pulled, State, Store};

use super::Args;
use crate::cli::Outcome;
use crate::cli::message::message;
use crate::cli::text::{bytes, hex, plain, plain_path};

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    if args.url.is_some() && args.names.len() > 1 {
        bail!("--url is for one model; give one NAME");
    }
    let store = Store::of_user()?;
    // What can be refused is refused before anything is downloaded.
    let models = args.names.iter().map(|name| store.find(name)).collect::<Result<Vec<_>, _>>()?;
    let options = PullOptions { url: args.url.clone(), timeout: args.timeout, retries: args.retries };
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for known in models {
        if known.state == State::BuiltIn {
            done.push((known, None));
            continue;
        }
        match pull(&store, &known, &options) {
            Ok(pulled) => done.push((known, Some(pulled))),
            // The others may come.
            Err(error) if args.names.len() > 1 && error.is_failure() => {
                message(&error);
                failed.push((known, error));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let mut out = std::io::stdout().lock();
    match args.json {
        _ if done.is_empty() => {}
        true => writeln!(out, "{}", to_json(&done, &failed))?,
        false => done.iter().try_for_each(|(known, pulled)| print(&mut out, known, pulled.as_ref()))?,
    }
    Ok(if failed.is_empty() { Outcome::Done } else { Outcome::SomethingFailed })
}

/// With a bar on standard error, if that is a terminal.
fn pull(store: &Store, known: &Known, options: &PullOptions) -> Result<Pulled, PullError> {
    let style = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes}, {eta} left");
    let bar = ProgressBar::new(0).with_style(style.expect("a valid template")).with_message(plain(&known.name));
    let pulled = store.pull(known, options, &mut |done, size| {
        if let Some(size) = size {
            bar.set_length(size);
        }
        bar.set_position(done);
    });
    bar.finish_and_clear();
    pulled
}

fn print(out: &mut impl Write, known: &Known, pulled: Option<&Pulled>) -> std::io::Result<()> {
    let name = plain(&known.name);
    let Some(Pulled { path, bytes: len, sha256, checked, .. }) = pulled else {
        return writeln!(out, "here       {name} is built into this program");
    };
    let path = plain_path(path);
    let Some(sha256) = sha256 else {
        return writeln!(out, "here       {name} is here already: {path}");
    };
    writeln!(out, "pulled     {name}: {path} ({})", bytes(*len))?;
    match checked {
        true => writeln!(out, "checked    SHA-256 {}", hex(sha256)),
        false => writeln!(
            out,
            "unchecked  SHA-256 {}; no catalog says what it should be, so it could not be checked",
            hex(sha256)
        ),
    }
}

/// One object with stable keys; documented in docs/json.md.
fn to_json(done: &[(Known, Option<Pulled>)], failed: &[(Known, PullError)]) -> Value {
    let model = |(known, pulled): &(Known, Option<Pulled>)| {
        let sha256 = pulled.as_ref().and_then(|pulled| pulled.sha256);
        json!({
            "name": known.name,
            "path": pulled.as_ref().map(|pulled| pulled.path.display().to_string()),
            "bytes": pulled.as_ref().map(|pulled| pulled.bytes),
            "downloaded": sha256.is_some(),
            "sha256": sha256.map(|sha256| hex(&sha256)),
            "checked": sha256.and(pulled.as_ref()).map(|pulled| pulled.checked),
        })
    };
    let failure = |(known, error): &(Known, PullError)| json!({ "name": known.name, "error": error.to_string() });
    json!({
        "models": done.iter().map(model).collect::<Value>(),
        "failed": failed.iter().map(failure).collect::<Value>(),
    })
}
