//! Labelled texts, in place of photos.

use std::path::{Path, PathBuf};

use ndarray::Array2;
use rayon::prelude::*;
use walkdir::WalkDir;

use super::csv::{QuoteError, Records};
use super::dataset::Dataset;
use super::lines::{self, has_ending};
use super::rows::Rows;
use super::text_trunk::{TextError, TextTrunk};
use crate::words::TextFeatures;

/// The columns of a table, by their names.
const LABEL: &str = "label";
const TEXT: &str = "text";

/// Texts with labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Texts {
    /// Classes, sorted, and for each text where it stands (`reviews.tsv:17`, the line, or its file) with its label.
    pub dataset: Dataset,
    /// The texts, none of them blank.
    pub texts: Vec<String>,
}

/// Why a file or folder gives no texts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextsError {
    /// It is not there or cannot be read.
    #[error("{}: {source}; give a .tsv (label TAB text), a .csv with a header, or a folder that holds one folder of .txt files per class", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is too large.
    #[error("{}: larger than 1 GiB; give fewer texts", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Bytes that are not UTF-8.
    #[error("{}: line {line} is not UTF-8; save it as UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: u64,
    },
    /// A line without a tab.
    #[error("{}: line {line} has no tab; each line is a label, a tab and the text", path.display())]
    NoTab {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: u64,
    },
    /// A quote that is not closed, or has text behind it.
    #[error("{}: line {line} has a quote that is not closed, or text behind one; mend the line", path.display())]
    Quote {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: u64,
    },
    /// A line has more or fewer fields than the header.
    #[error("{}: line {line} has {found} fields, and the header {expected}; put texts with commas in quotes", path.display())]
    Ragged {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: u64,
        /// Fields of the header.
        expected: usize,
        /// Fields of the line.
        found: usize,
    },
    /// The header of a table does not say which columns.
    #[error("{}: the header has no columns `label` and `text`, separated by commas; name them so", path.display())]
    NoColumns {
        /// The file.
        path: PathBuf,
    },
    /// A class without a name, or with control characters in it.
    #[error("{}: line {line} has no class, or one that is not plain text", path.display())]
    Class {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: u64,
    },
    /// A text without a sign in it.
    #[error("{}: line {line} has no text; remove the line", path.display())]
    Blank {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: u64,
    },
    /// A file without a sign in it.
    #[error("{}: no text in this file; remove it", path.display())]
    BlankFile {
        /// The file.
        path: PathBuf,
    },
    /// A class name that is not UTF-8, or has control characters in it.
    #[error("{:?}: the folder's name is not plain text; rename it", path)]
    ClassName {
        /// The folder.
        path: PathBuf,
    },
    /// There is no text.
    #[error("{}: no text in it; give lines of a label, a tab and the text, or a folder of .txt files per class", path.display())]
    Empty {
        /// The file or folder.
        path: PathBuf,
    },
    /// A class folder without a text.
    #[error("{}: no .txt file in this class; add some or remove the folder", path.display())]
    EmptyClass {
        /// The folder.
        path: PathBuf,
    },
    /// More classes than labels can count.
    #[error("{}: {count} classes are too many; is the first column the label?", path.display())]
    TooManyClasses {
        /// The file.
        path: PathBuf,
        /// How many.
        count: usize,
    },
    /// One class: nothing to tell apart.
    #[error("{}: only one class, `{class}`; add texts of something else", path.display())]
    OneClass {
        /// The file.
        path: PathBuf,
        /// The only one.
        class: String,
    },
    /// A class with fewer texts than are needed.
    #[error("{}: class `{class}` has {}, at least {needed} are needed", path.display(), if *found == 1 { "1 text".to_owned() } else { format!("{found} texts") })]
    TooFew {
        /// The file.
        path: PathBuf,
        /// The class.
        class: String,
        /// Its texts.
        found: usize,
        /// Texts that are needed.
        needed: usize,
    },
}

/// A text with where it stands and its class.
type Labelled = (PathBuf, String, String);

impl Texts {
    /// Reads labelled texts: of a `.csv` the columns `label` and `text` (RFC 4180, with a header; of two columns one
    /// name is enough), of any other file lines of a label, a tab and the text (a first line `label` tab `text` is
    /// a header), of a folder the `.txt` files in one folder per class.
    ///
    /// # Errors
    /// [`TextsError`], the first thing that is wrong.
    pub fn open(path: &Path) -> Result<Self, TextsError> {
        let labelled = match path.is_dir() {
            true => folder(path)?,
            false if has_ending(path, "csv") => csv(path, &read(path)?)?,
            false => tsv(path, &read(path)?)?,
        };
        if labelled.is_empty() {
            return Err(TextsError::Empty { path: path.to_owned() });
        }
        let (mut places, mut names, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for (place, class, text) in labelled {
            places.push(place);
            names.push(class);
            texts.push(text);
        }
        let dataset = Dataset::of_names(places, &names);
        let dataset = dataset.map_err(|count| TextsError::TooManyClasses { path: path.to_owned(), count })?;
        Ok(Self { dataset, texts })
    }

    /// Whether there are two classes and `needed` texts of each; `path` is for messages.
    ///
    /// # Errors
    /// [`TextsError::OneClass`], [`TextsError::TooFew`].
    pub fn check_teachable(&self, path: &Path, needed: usize) -> Result<(), TextsError> {
        if let [class] = self.dataset.classes.as_slice() {
            return Err(TextsError::OneClass { path: path.to_owned(), class: class.clone() });
        }
        match self.dataset.class_below(needed) {
            Some((class, found)) => {
                Err(TextsError::TooFew { path: path.to_owned(), class: class.to_owned(), found, needed })
            }
            None => Ok(()),
        }
    }

    /// The features of each text, on all cores, as rows that a trunk takes which was made for such, and each text's count of
    /// words. `done` is called after each, from any thread.
    ///
    /// # Errors
    /// [`TextError`], of the first text that fails.
    pub fn rows(&self, trunk: &TextTrunk, done: impl Fn() + Sync) -> Result<(Rows, Vec<TextFeatures>), TextError> {
        let one = |text: &String| trunk.features(text).inspect(|_| done());
        let features: Vec<TextFeatures> = self.texts.par_iter().map(one).collect::<Result<_, _>>()?;
        let values = features.iter().flat_map(|text| text.features.iter().copied()).collect();
        let shape = (features.len(), trunk.recipe().feature_dim());
        let values = Array2::from_shape_vec(shape, values).expect("a row of feature_dim for each text");
        Ok((Rows { dataset: self.dataset.clone(), values }, features))
    }
}

fn read(path: &Path) -> Result<String, TextsError> {
    let bytes = lines::read(path).map_err(|source| TextsError::Read { path: path.to_owned(), source })?;
    let bytes = bytes.ok_or_else(|| TextsError::TooLarge { path: path.to_owned() })?;
    let text = lines::utf8(&bytes).map_err(|line| TextsError::NotUtf8 { path: path.to_owned(), line })?;
    Ok(text.to_owned())
}

/// A class and a text that were read from a line.
fn labelled(path: &Path, line: u64, class: &str, text: &str) -> Result<Labelled, TextsError> {
    let (class, text) = (class.trim(), text.trim());
    if !topgraft_core::format::is_plain(class) {
        return Err(TextsError::Class { path: path.to_owned(), line });
    }
    match text {
        "" => Err(TextsError::Blank { path: path.to_owned(), line }),
        text => Ok((lines::place(path, line), class.to_owned(), text.to_owned())),
    }
}

fn tsv(path: &Path, text: &str) -> Result<Vec<Labelled>, TextsError> {
    let mut found = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        if content.trim().is_empty() {
            continue;
        }
        let no_tab = || TextsError::NoTab { path: path.to_owned(), line };
        let (class, text) = content.split_once('\t').ok_or_else(no_tab)?;
        let is_header = class.trim().eq_ignore_ascii_case(LABEL) && text.trim().eq_ignore_ascii_case(TEXT);
        if line == 1 && is_header {
            continue;
        }
        found.push(labelled(path, line, class, text)?);
    }
    Ok(found)
}

fn csv(path: &Path, text: &str) -> Result<Vec<Labelled>, TextsError> {
    let mut records = Records::new(text)
        .map(|record| record.map_err(|QuoteError { line }| TextsError::Quote { path: path.to_owned(), line }));
    let Some(header) = records.next() else { return Ok(Vec::new()) };
    let (_, header) = header?;
    let at = |wanted: &str| header.iter().position(|name| name.eq_ignore_ascii_case(wanted));
    let (label, text) = match (at(LABEL), at(TEXT), header.len()) {
        (Some(label), Some(text), _) => (label, text),
        (Some(label), None, 2) => (label, 1 - label),
        (None, Some(text), 2) => (1 - text, text),
        _ => return Err(TextsError::NoColumns { path: path.to_owned() }),
    };
    let mut found = Vec::new();
    for record in records {
        let (line, record) = record?;
        if record.len() != header.len() {
            let (expected, found) = (header.len(), record.len());
            return Err(TextsError::Ragged { path: path.to_owned(), line, expected, found });
        }
        found.push(labelled(path, line, &record[label], &record[text])?);
    }
    Ok(found)
}

fn folder(path: &Path) -> Result<Vec<Labelled>, TextsError> {
    let walked = |error: walkdir::Error| TextsError::Read {
        path: error.path().unwrap_or(path).to_owned(),
        source: error.into(),
    };
    let is_visible = |entry: &walkdir::DirEntry| !entry.file_name().as_encoded_bytes().starts_with(b".");
    let mut found = Vec::new();
    let classes = WalkDir::new(path).min_depth(1).max_depth(1).follow_links(true).sort_by_file_name();
    for class in classes.into_iter().filter_entry(is_visible) {
        let class = class.map_err(walked)?;
        if !class.file_type().is_dir() {
            continue;
        }
        let name = class.file_name().to_str().filter(|name| topgraft_core::format::is_plain(name));
        let name = name.ok_or_else(|| TextsError::ClassName { path: class.path().to_owned() })?;
        let before = found.len();
        let files = WalkDir::new(class.path()).min_depth(1).follow_links(true).sort_by_file_name();
        for file in files.into_iter().filter_entry(is_visible) {
            let file = file.map_err(walked)?.into_path();
            if file.is_file() && has_ending(&file, "txt") {
                let text = read(&file)?;
                if text.trim().is_empty() {
                    return Err(TextsError::BlankFile { path: file });
                }
                found.push((file, name.to_owned(), text));
            }
        }
        if found.len() == before {
            return Err(TextsError::EmptyClass { path: class.into_path() });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::dataset::Sample;
    use super::*;

    fn open(name: &str, bytes: &[u8]) -> Result<Texts, TextsError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        Texts::open(&path)
    }

    #[test]
    fn tables_are_read_as_people_write_them() {
        let expected = vec![("good", "great, fun"), ("bad", "dull \"plot\"")];
        for (name, text) in [
            ("a.tsv", "good\tgreat, fun\nbad\tdull \"plot\"\n"),
            ("a.txt", "\u{feff}Label\tText\r\n good \t great, fun \r\n\r\nbad\tdull \"plot\""),
            ("a.csv", "id,text,label\n1,\"great, fun\",good\n2,\"dull \"\"plot\"\"\",bad\n"),
            ("a.CSV", "label,review\ngood,\"great, fun\"\nbad,\"dull \"\"plot\"\"\"\n"),
        ] {
            let texts = open(name, text.as_bytes()).expect("sound");
            let class = |sample: &Sample| texts.dataset.classes[usize::from(sample.label)].clone();
            let found: Vec<(String, String)> =
                texts.dataset.samples.iter().map(class).zip(texts.texts.clone()).collect();
            let found: Vec<(&str, &str)> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            assert_eq!(found, expected, "{name}");
            assert!(texts.dataset.samples[1].path.to_string_lossy().contains(':'));
        }
    }

    #[test]
    fn folders_of_texts_are_classes() {
        let folder = tempfile::tempdir().expect("a folder");
        for (file, text) in [("b/2.txt", "two"), ("b/1.TXT", "one"), ("a/x/3.txt", "three"), ("a/notes.md", "no")] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let texts = Texts::open(folder.path()).expect("sound");
        assert_eq!(
            (texts.dataset.classes.clone(), texts.texts),
            (vec!["a".into(), "b".into()], vec!["three".into(), "one".into(), "two".into()])
        );
        std::fs::create_dir(folder.path().join("c")).expect("made");
        assert!(matches!(Texts::open(folder.path()), Err(TextsError::EmptyClass { path }) if path.ends_with("c")));
        std::fs::write(folder.path().join("c/blank.txt"), " \n").expect("written");
        assert!(
            matches!(Texts::open(folder.path()), Err(TextsError::BlankFile { path }) if path.ends_with("blank.txt"))
        );
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        let line = |name: &str, bytes: &[u8]| match open(name, bytes).expect_err("bad") {
            TextsError::NotUtf8 { line, .. } => ("utf8", line),
            TextsError::NoTab { line, .. } => ("tab", line),
            TextsError::Quote { line, .. } => ("quote", line),
            TextsError::Ragged { line, .. } => ("ragged", line),
            TextsError::Class { line, .. } => ("class", line),
            TextsError::Blank { line, .. } => ("blank", line),
            TextsError::NoColumns { .. } => ("columns", 1),
            TextsError::Empty { .. } => ("empty", 0),
            other => panic!("{other}"),
        };
        assert_eq!(line("a.tsv", b"a\tx\nb\t\xff\n"), ("utf8", 2));
        assert_eq!(line("a.tsv", b"a\tx\nb x\n"), ("tab", 2));
        assert_eq!(line("a.tsv", b"a\tx\n\n\tx\n"), ("class", 3));
        assert_eq!(line("a.tsv", b"a\tx\nb\t \n"), ("blank", 2));
        assert_eq!(line("a.tsv", b"\n"), ("empty", 0));
        assert_eq!(line("a.csv", b""), ("empty", 0));
        assert_eq!(line("a.csv", b"label,text\n"), ("empty", 0));
        assert_eq!(line("a.csv", b"label,text\na,\"x\n"), ("quote", 2));
        assert_eq!(line("a.csv", b"label,text\na,x,y\n"), ("ragged", 2));
        assert_eq!(line("a.csv", b"x,y,z\na,b,c\n"), ("columns", 1));
        assert!(matches!(Texts::open(Path::new("/nowhere/x.tsv")), Err(TextsError::Read { .. })));
    }
}
