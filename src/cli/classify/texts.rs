//! Texts in place of photos: the arguments themselves, or lines.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use topgraft::learn::{Panel, TextTrunk};
use topgraft::words::Recipe;

use super::super::input::is_of_texts;
use super::{Args, Item, Judge, Outcome, Said, print, refuse};

/// Bytes of the longest text that is read from a line.
const MAX_LINE: usize = 1 << 20;

/// The recipe of heads for texts; `None` of heads for photos or rows.
pub fn recipe(panel: &Panel, args: &Args) -> anyhow::Result<Option<Recipe>> {
    let mut recipes = panel.classifiers().map(|classifier| classifier.model().recipe.as_ref());
    let first = recipes.next().flatten();
    let same = |other: Option<&Recipe>| other.map(Recipe::fingerprint) == first.map(Recipe::fingerprint);
    if !recipes.all(same) {
        bail!("these heads take different input, photos or texts by other vectors; classify with one at a time");
    }
    if let Some(given) = args.vectors.file().filter(|_| first.is_none()) {
        bail!("{}: the head was not taught on texts; leave out {}", args.model[0].display(), given.display());
    }
    Ok(first.cloned())
}

/// Classifies each argument: a file's lines if there is such a file, else a text; without arguments, or for `-`, the lines of
/// standard input as they come.
pub fn classify(args: &Args, judge: &Judge, recipe: &Recipe, top: usize) -> anyhow::Result<Outcome> {
    let trunk = args.vectors.trunk(recipe, &args.model[0])?;
    let mut session = Session { args, judge, trunk, top, outcome: Outcome::Done };
    if args.photos.is_empty() {
        session.lines("standard input", std::io::stdin().lock())?;
    }
    for argument in &args.photos {
        if argument.as_os_str() == "-" {
            session.lines("standard input", std::io::stdin().lock())?;
            continue;
        }
        match argument.metadata() {
            Ok(data) if data.is_dir() => {
                session.skip(&argument.display().to_string(), "is a folder; give a file with a text a line")?;
            }
            // A pipe as well, as bash's `<(...)` gives it.
            Ok(_) => {
                let file = File::open(argument).with_context(|| argument.display().to_string())?;
                session.lines(&argument.display().to_string(), BufReader::new(file))?;
            }
            Err(_) if is_of_texts(argument) && !argument.as_os_str().as_encoded_bytes().contains(&b' ') => {
                session.skip(&argument.display().to_string(), "no such file")?;
            }
            Err(_) => {
                let text = argument.to_str().with_context(|| format!("{}: is not UTF-8", argument.display()))?;
                session.text(text)?;
            }
        }
    }
    Ok(session.outcome)
}

struct Session<'a> {
    args: &'a Args,
    judge: &'a Judge,
    trunk: TextTrunk,
    top: usize,
    outcome: Outcome,
}

impl Session<'_> {
    fn text(&mut self, text: &str) -> anyhow::Result<()> {
        let found = self.trunk.features(text)?;
        let features = self.judge.row_features(&found.features)?;
        let mut predictions = self.judge.predict(features, self.args)?;
        // Of no word at all the head has nothing to go by, whatever it says.
        for prediction in predictions.iter_mut().filter(|_| found.known == 0 && !self.args.no_unknown) {
            prediction.unknown = Some(true);
        }
        let said: Vec<Said<'_>> = self.judge.labels().into_iter().zip(&predictions).collect();
        let item = Item::Text { text, tokens: found.tokens, known: found.known };
        let mut out = std::io::stdout().lock();
        print(&mut out, item, self.args, &said, self.top)?;
        // Who waits at the other end of a pipe waits for each line.
        Ok(out.flush()?)
    }

    /// Says what is wrong with a place.
    fn skip(&mut self, place: &str, reason: &str) -> anyhow::Result<()> {
        self.outcome = Outcome::SomeInputBad;
        let reason = format!("{place}: {reason}");
        Ok(refuse(&mut std::io::stdout().lock(), Path::new(place), &reason, self.args.json)?)
    }

    fn lines(&mut self, name: &str, mut source: impl BufRead) -> anyhow::Result<()> {
        let mut line = Vec::new();
        for number in 1u64.. {
            line.clear();
            let read = (&mut source).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line);
            if read.with_context(|| name.to_owned())? == 0 {
                break;
            }
            let is_long = line.len() > MAX_LINE && line.last() != Some(&b'\n');
            while is_long && line.last() != Some(&b'\n') {
                line.clear();
                if (&mut source).take(MAX_LINE as u64).read_until(b'\n', &mut line).with_context(|| name.to_owned())?
                    == 0
                {
                    break;
                }
            }
            // No text has it: rather one message than one for each line of a photo.
            if line.contains(&0) {
                return self.skip(name, "is not a text: it has a zero byte in it");
            }
            let place = format!("{name}:{number}");
            match std::str::from_utf8(&line) {
                _ if is_long => self.skip(&place, "a line of more than 1 MiB; give shorter texts")?,
                Err(_) => self.skip(&place, "is not UTF-8")?,
                Ok(text) => {
                    let text = text.trim_start_matches('\u{feff}').trim_end_matches(['\n', '\r']);
                    // Of a label and a text the text, as `learn` and `eval` read it.
                    let is_labelled = name.to_ascii_lowercase().ends_with(".tsv");
                    self.text(text.split_once('\t').filter(|_| is_labelled).map_or(text, |(_, text)| text))?;
                }
            }
        }
        Ok(())
    }
}
