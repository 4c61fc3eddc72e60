//! `topgraft words`: what word vectors know.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use topgraft::learn::{Texts, Written};
use topgraft::words::{
    Coverage, Fold, Neighbour, Precision, Suggested, Suggester, Suggestion, VectorReader, Vectors, convert, tokens,
};

use super::Outcome;
use super::guard::check_output;
use super::input::coverage_json;
use super::message::message;
use super::text::{bytes, counted, percent, plain, plain_path, shortest, table};
use super::vectors::{LimitArgs, file_of, place};

/// Look into word vectors: nearest words, analogies, how much of some texts they know; make a table for small boards
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Nearest(Nearest),
    Analogy(Analogy),
    Suggest(Suggest),
    Coverage(CoverageArgs),
    Convert(Convert),
}

/// The vectors, and how many words to print.
#[derive(clap::Args)]
struct Asked {
    /// Word vectors: a file of GloVe, word2vec or fastText, gzipped or not, or a table made of one by `topgraft words convert`
    #[arg(long, value_name = "VECTORS")]
    vectors: PathBuf,
    #[command(flatten)]
    limits: LimitArgs,
    /// Words to print
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The words that are used most like a word; of several words or a text, most like their mean
#[derive(clap::Args)]
struct Nearest {
    /// A word, several, or a text
    #[arg(required = true, value_name = "WORD")]
    words: Vec<String>,
    #[command(flatten)]
    asked: Asked,
}

/// A is to B as C is to ...? `analogy king man woman` is king - man + woman
#[derive(clap::Args)]
struct Analogy {
    /// What is taken
    #[arg(value_name = "A")]
    plus: String,
    /// What is taken away from it
    #[arg(value_name = "B")]
    minus: String,
    /// What is put in its place
    #[arg(value_name = "C")]
    instead: String,
    #[command(flatten)]
    asked: Asked,
}

/// What word may come next in a text, after texts of the same kind; and how often that is right
#[derive(clap::Args)]
struct Suggest {
    /// The text
    text: String,
    /// Labelled texts to learn from: a .tsv (label TAB text), a .csv with a header, a folder of .txt files per class
    #[arg(long, value_name = "TEXTS")]
    texts: PathBuf,
    #[command(flatten)]
    asked: Asked,
}

/// Which share of the words of some texts vectors know, and which they do not
#[derive(clap::Args)]
struct CoverageArgs {
    /// Labelled texts: a .tsv (label TAB text), a .csv with a header, a folder of .txt files per class
    texts: PathBuf,
    /// Word vectors; may be given several times, to compare them
    #[arg(long, required = true, value_name = "VECTORS")]
    vectors: Vec<PathBuf>,
    #[command(flatten)]
    limits: LimitArgs,
    /// Missing words to print of each
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..))]
    top: u16,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// How the numbers are kept.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PrecisionArg {
    Float32,
    Float16,
    Int8,
}

/// Make a table of word vectors: opened in milliseconds, read as it is needed, half or a quarter of the size
#[derive(clap::Args)]
struct Convert {
    /// Word vectors: a file of GloVe, word2vec or fastText, gzipped or not
    vectors: PathBuf,
    /// Table to write
    #[arg(short, long, value_name = "TABLE.words")]
    output: PathBuf,
    /// How the numbers are kept; with float32 heads that were taught on the file know the table too
    #[arg(long, value_enum, value_name = "PRECISION", default_value = "float16")]
    precision: PrecisionArg,
    #[command(flatten)]
    limits: LimitArgs,
    /// Replace the table if it is there
    #[arg(long)]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    match &args.command {
        Command::Nearest(args) => nearest(args),
        Command::Analogy(args) => analogy(args),
        Command::Suggest(args) => suggest(args),
        Command::Coverage(args) => coverage(args),
        Command::Convert(args) => make_table(args),
    }
}

/// The number of a word that has to be there.
fn find(vectors: &Vectors, word: &str, path: &Path) -> anyhow::Result<usize> {
    let folded = || vectors.find(&word.to_lowercase());
    vectors.find(word).or_else(folded).with_context(|| format!("{}: has no word `{}`", path.display(), plain(word)))
}

fn nearest(args: &Nearest) -> anyhow::Result<Outcome> {
    let path = &args.asked.vectors;
    let vectors = args.asked.limits.open(path)?;
    let numbers = match &args.words[..] {
        [word] if vectors.find(word).is_some() || tokens(word).count() == 1 => vec![find(&vectors, word, path)?],
        words => {
            // Of a text the words that are known say enough.
            let found = words.iter().flat_map(|text| tokens(text)).map(|word| find(&vectors, word, path));
            let (known, unknown): (Vec<_>, Vec<_>) = found.partition(Result::is_ok);
            for error in unknown.into_iter().filter_map(Result::err) {
                message(format_args!("{error}; it is left out"));
            }
            known.into_iter().filter_map(Result::ok).collect()
        }
    };
    if numbers.is_empty() {
        bail!("no word is given that {} has", path.display());
    }
    let direction = vectors.analogy(&numbers, &[])?;
    answer(&vectors, &direction, &numbers, &args.asked)
}

fn analogy(args: &Analogy) -> anyhow::Result<Outcome> {
    let path = &args.asked.vectors;
    let vectors = args.asked.limits.open(path)?;
    let [plus, minus, instead] = [&args.plus, &args.minus, &args.instead].map(|word| find(&vectors, word, path));
    let (plus, minus, instead) = (plus?, minus?, instead?);
    let direction = vectors.analogy(&[plus, instead], &[minus])?;
    answer(&vectors, &direction, &[plus, minus, instead], &args.asked)
}

fn suggest(args: &Suggest) -> anyhow::Result<Outcome> {
    let texts = Texts::open(&args.texts)?;
    let vectors = args.asked.limits.open(&args.asked.vectors)?;
    let (fold, all) = (Fold::of(&vectors), texts.texts.iter().map(String::as_str).collect::<Vec<_>>());
    let measured = Suggester::measure(&vectors, fold, &all)?;
    let suggester = Suggester::fit(&vectors, fold, all.iter().copied())?;
    let found = suggester.suggest(&args.text, args.asked.top.into())?;
    if found.is_empty() {
        bail!("no word of the text is in {}", args.asked.vectors.display());
    }
    let share = |count: u32| f64::from(count) / f64::from(measured.asked.max(1));
    let chance = |top: usize| (top as f64 / vectors.len() as f64).min(1.0);
    let mut out = std::io::stdout().lock();
    if args.asked.json {
        let top = |at: usize| {
            json!({
                "top": Suggested::TOP[at],
                "right": share(measured.right[at]),
                "by_frequency": share(measured.by_frequency[at]),
                "chance": chance(Suggested::TOP[at]),
            })
        };
        let near = |near: &Suggestion| {
            let (cosine, score) = (shortest(near.cosine), shortest(near.score));
            json!({ "word": vectors.word(near.number), "cosine": cosine, "score": score })
        };
        let object = json!({
            "text": args.text,
            "suggested": found.iter().map(near).collect::<Value>(),
            "held_out": { "asked": measured.asked, "top": (0..3).map(top).collect::<Value>() },
        });
        writeln!(out, "{object}")?;
        return Ok(Outcome::Done);
    }
    let row = |near: &Suggestion| vec![vectors.word(near.number).to_owned(), format!("{:.4}", near.cosine)];
    write!(out, "{}", table(&found.iter().map(row).collect::<Vec<_>>(), &[1]))?;
    let heading = ["", "right", "by frequency alone", "chance"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for (at, top) in Suggested::TOP.into_iter().enumerate() {
        let shares = [measured.right[at], measured.by_frequency[at]].map(|count| percent(share(count)));
        rows.push([vec![format!("first {top}")], shares.to_vec(), vec![percent(chance(top))]].concat());
    }
    writeln!(out, "\nOf {} in texts that were held out:", counted(measured.asked as usize, "next word"))?;
    write!(out, "{}", table(&rows, &[1, 2, 3]))?;
    Ok(Outcome::Done)
}

fn answer(vectors: &Vectors, direction: &[f32], asked: &[usize], args: &Asked) -> anyhow::Result<Outcome> {
    let found = vectors.nearest(direction, args.top.into(), asked)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let near = |Neighbour { number, cosine }: &Neighbour| json!({ "word": vectors.word(*number), "cosine": shortest(*cosine) });
        let words: Vec<&str> = asked.iter().map(|number| vectors.word(*number)).collect();
        writeln!(out, "{}", json!({ "asked": words, "nearest": found.iter().map(near).collect::<Value>() }))?;
        return Ok(Outcome::Done);
    }
    let row = |near: &Neighbour| vec![vectors.word(near.number).to_owned(), format!("{:.4}", near.cosine)];
    write!(out, "{}", table(&found.iter().map(row).collect::<Vec<_>>(), &[1]))?;
    Ok(Outcome::Done)
}

fn coverage(args: &CoverageArgs) -> anyhow::Result<Outcome> {
    let texts = Texts::open(&args.texts)?;
    let mut found = Vec::new();
    for path in &args.vectors {
        let vectors = args.limits.open(path)?;
        let all = texts.texts.iter().map(String::as_str);
        found.push((path, vectors.len(), vectors.dims(), Coverage::new(&vectors, Fold::of(&vectors), all)));
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        let vectors = |(path, words, dims, coverage): &(&PathBuf, usize, usize, Coverage)| {
            let mut json = coverage_json(coverage, args.top.into());
            json["vectors"] = json!(path.display().to_string());
            json["share"] = json!(coverage.share());
            json["words"] = json!(words);
            json["dims"] = json!(dims);
            json
        };
        writeln!(out, "{}", json!({ "vectors": found.iter().map(vectors).collect::<Value>() }))?;
        return Ok(Outcome::Done);
    }
    let heading = ["vectors", "words", "numbers", "tokens known", "texts with none"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for (path, words, dims, coverage) in &found {
        let (share, none) = (percent(coverage.share()), coverage.unknown_texts);
        rows.push(vec![plain_path(path), words.to_string(), dims.to_string(), share, none.to_string()]);
    }
    let tokens = found.first().map_or(0, |(.., coverage)| coverage.tokens);
    writeln!(out, "{}, {}\n", counted(texts.texts.len(), "text"), counted(tokens as usize, "token"))?;
    write!(out, "{}", table(&rows, &[1, 2, 3, 4]))?;
    for (path, .., coverage) in &found {
        if args.top > 0 && !coverage.missing.is_empty() {
            let missing = coverage.missing.iter().take(args.top.into());
            let missing: Vec<String> = missing.map(|(word, count)| format!("{} {count}", plain(word))).collect();
            writeln!(out, "\n{} does not know: {}", plain_path(path), missing.join(", "))?;
        }
    }
    Ok(Outcome::Done)
}

fn make_table(args: &Convert) -> anyhow::Result<Outcome> {
    check_output(&args.output, [file_of(&args.vectors)], None, "the table", "--output")?;
    let reader = VectorReader::open(&place(&args.vectors)?)?;
    let precision = match args.precision {
        PrecisionArg::Float32 => Precision::Float32,
        PrecisionArg::Float16 => Precision::Float16,
        PrecisionArg::Int8 => Precision::Int8,
    };
    let limits = args.limits.limits();
    let written = Written::with(&args.output, args.force, |file| {
        convert(reader, &limits, precision, &args.output, file).map_err(anyhow::Error::from)
    });
    let (written, made) = written?;
    written.name()?;
    let size = std::fs::metadata(&args.output).map_or(0, |file| file.len());
    let mut out = std::io::stdout().lock();
    if args.json {
        let object = json!({
            "output": args.output.display().to_string(),
            "words": made.words,
            "dims": made.dims,
            "precision": precision.name(),
            "bytes": size,
            "skipped": made.skipped,
        });
        writeln!(out, "{object}")?;
        return Ok(Outcome::Done);
    }
    let skipped = match made.skipped {
        0 => String::new(),
        skipped => format!(", {} left out", counted(skipped as usize, "bad word")),
    };
    writeln!(
        out,
        "{} of {} numbers, {}{skipped}\nwritten    {} ({})",
        counted(made.words as usize, "word"),
        made.dims,
        precision.name(),
        plain_path(&args.output),
        bytes(size)
    )?;
    Ok(Outcome::Done)
}
