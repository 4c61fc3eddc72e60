//! Labelled rows of numbers, from a CSV or NumPy file, in place of photos.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ndarray::Array2;

use super::csv::{QuoteError, Records};
use super::dataset::Dataset;
use super::lines::{self, has_ending};
use super::npy::{self, NpyError};

/// The column that holds the class, unless that is the last one.
const LABEL: &str = "label";

/// Rows of numbers with what is known of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Classes, sorted, and for each row where it stands (`table.csv:17`, the line; `x.npy[3]`, from 0) with its label. Rows
    /// without labels have 0, and there are no classes.
    pub dataset: Dataset,
    /// `[n_rows, columns]`, finite.
    pub values: Array2<f32>,
}

/// Why a file gives no rows.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The file is not there or cannot be read.
    #[error("{}: {source}; give a .csv or .npy file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is too large.
    #[error("{}: larger than 1 GiB; give fewer rows", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is no CSV: bytes that are not UTF-8.
    #[error("{}: line {line} is not UTF-8; save it as a UTF-8 CSV", path.display())]
    NotUtf8 {
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
    /// The first line is numbers.
    #[error("{}: line 1 is numbers, not the names of the columns; put a header above them", path.display())]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
    /// There is no row, or no column of numbers.
    #[error("{}: {what}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// A line has more or fewer fields than the header.
    #[error("{}: line {line} has {found} fields, and the header {expected}; mend the line", path.display())]
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
    /// A field that should be a finite number.
    #[error("{}: line {line}, column `{column}`: `{text}` is {what}", path.display())]
    Number {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: u64,
        /// Name of the column.
        column: String,
        /// What stands there.
        text: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A class without a name, or with control characters in it.
    #[error("{}: line {line} has no class in column `{column}`, or one that is not plain text", path.display())]
    Class {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: u64,
        /// Name of the column.
        column: String,
    },
    /// More classes than labels can count.
    #[error("{}: {count} classes are too many; is `{column}` the column of the class?", path.display())]
    TooManyClasses {
        /// The file.
        path: PathBuf,
        /// How many.
        count: usize,
        /// Name of the column.
        column: String,
    },
    /// It is no NumPy file that can be read.
    #[error("{}: {source}", path.display())]
    Npy {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NpyError,
    },
    /// NumPy files have no labels in them.
    #[error("{}: has no labels in it; give them by --labels, a .npy of whole numbers or a text with one a line", path.display())]
    NoLabels {
        /// The file.
        path: PathBuf,
    },
    /// A CSV file has its labels in it.
    #[error("{}: has its labels in it, in the column `label` or the last one; --labels is for .npy files", path.display())]
    TwoLabels {
        /// The file.
        path: PathBuf,
    },
    /// Rows and labels differ in number.
    #[error("{}: {labels} labels for the {rows} rows of {}", path.display(), rows_path.display())]
    Count {
        /// The file of labels.
        path: PathBuf,
        /// Its labels.
        labels: usize,
        /// The file of rows.
        rows_path: PathBuf,
        /// Its rows.
        rows: usize,
    },
    /// Rows of another length than was asked for.
    #[error("{}: rows of {found} numbers, and the head was taught on rows of {expected}", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// Numbers a row that were asked for.
        expected: usize,
        /// Numbers a row.
        found: usize,
    },
    /// One class: nothing to tell apart.
    #[error("{}: only one class, `{class}`; add rows of something else", path.display())]
    OneClass {
        /// The file.
        path: PathBuf,
        /// The only one.
        class: String,
    },
    /// A class with fewer rows than are needed.
    #[error("{}: class `{class}` has {}, at least {needed} are needed", path.display(), rows(*found))]
    TooFew {
        /// The file.
        path: PathBuf,
        /// The class.
        class: String,
        /// Its rows.
        found: usize,
        /// Rows that are needed.
        needed: usize,
    },
}

/// `1 row`, `2 rows`
fn rows(count: usize) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

impl Rows {
    /// Whether a path is that of rows and not of photos, by its ending: `.csv` or `.npy`.
    pub fn is_rows(path: &Path) -> bool {
        has_ending(path, "csv") || has_ending(path, "npy")
    }

    /// Reads labelled rows. CSV: a header, then the class in the column `label`, or without one in the last column, and
    /// numbers in all others. NumPy: an array `[n, columns]` of f32 or f64, and `labels`: `[n]` whole numbers, or a text with a
    /// class a line.
    ///
    /// # Errors
    /// [`RowsError`], the first thing that is wrong.
    pub fn labelled(path: &Path, labels: Option<&Path>) -> Result<Self, RowsError> {
        if has_ending(path, "npy") {
            let labels = labels.ok_or_else(|| RowsError::NoLabels { path: path.to_owned() })?;
            let values = read_npy(path)?;
            let names = read_labels(labels)?;
            if names.len() != values.nrows() {
                let (path, rows_path) = (labels.to_owned(), path.to_owned());
                return Err(RowsError::Count { path, labels: names.len(), rows_path, rows: values.nrows() });
            }
            let places = (0..values.nrows()).map(|row| place(path, row)).collect();
            return Self::new(labels, places, values, names, LABEL);
        }
        if labels.is_some() {
            return Err(RowsError::TwoLabels { path: path.to_owned() });
        }
        Table::read(path, |names| names.iter().position(|name| name == LABEL).or(Some(names.len() - 1)))?.rows(path)
    }

    /// Reads rows of `columns` numbers whose class does not matter: in a CSV with one more column the one `label`, or without
    /// such the last, is passed over.
    ///
    /// # Errors
    /// As [`labelled`](Self::labelled); [`RowsError::Columns`].
    pub fn unlabelled(path: &Path, columns: usize) -> Result<Self, RowsError> {
        let rows = if has_ending(path, "npy") {
            let values = read_npy(path)?;
            let places = (0..values.nrows()).map(|row| place(path, row)).collect();
            Self::new(path, places, values, Vec::new(), LABEL)?
        } else {
            let table = Table::read(path, |names| match names.iter().position(|name| name == LABEL) {
                None if names.len() == columns + 1 => Some(columns),
                found => found,
            })?;
            Table { labels: None, ..table }.rows(path)?
        };
        rows.check_columns(path, columns).map(|()| rows)
    }

    /// Whether the rows have so many numbers.
    ///
    /// # Errors
    /// [`RowsError::Columns`].
    pub fn check_columns(&self, path: &Path, columns: usize) -> Result<(), RowsError> {
        match self.values.ncols() {
            found if found != columns => Err(RowsError::Columns { path: path.to_owned(), expected: columns, found }),
            _ => Ok(()),
        }
    }

    /// Whether there are two classes and `needed` rows of each.
    ///
    /// # Errors
    /// [`RowsError::OneClass`], [`RowsError::TooFew`].
    pub fn check_teachable(&self, path: &Path, needed: usize) -> Result<(), RowsError> {
        if let [class] = self.dataset.classes.as_slice() {
            return Err(RowsError::OneClass { path: path.to_owned(), class: class.clone() });
        }
        match self.dataset.class_below(needed) {
            Some((class, found)) => {
                Err(RowsError::TooFew { path: path.to_owned(), class: class.to_owned(), found, needed })
            }
            None => Ok(()),
        }
    }

    /// Which row stands at a place of [`dataset`](Self::dataset).
    pub fn index(&self) -> HashMap<&Path, usize> {
        self.dataset.samples.iter().enumerate().map(|(row, sample)| (sample.path.as_path(), row)).collect()
    }

    fn new(
        path: &Path,
        places: Vec<PathBuf>,
        values: Array2<f32>,
        names: Vec<String>,
        column: &str,
    ) -> Result<Self, RowsError> {
        let dataset = Dataset::of_names(places, &names).map_err(|count| {
            let (path, column) = (path.to_owned(), column.to_owned());
            RowsError::TooManyClasses { path, count, column }
        })?;
        Ok(Self { dataset, values })
    }
}

/// `x.npy[3]`
fn place(path: &Path, row: usize) -> PathBuf {
    let mut place = path.as_os_str().to_owned();
    place.push(format!("[{row}]"));
    place.into()
}

fn read(path: &Path) -> Result<Vec<u8>, RowsError> {
    let bytes = lines::read(path).map_err(|source| RowsError::Read { path: path.to_owned(), source })?;
    bytes.ok_or_else(|| RowsError::TooLarge { path: path.to_owned() })
}

fn read_npy(path: &Path) -> Result<Array2<f32>, RowsError> {
    npy::matrix(&read(path)?).map_err(|source| RowsError::Npy { path: path.to_owned(), source })
}

/// A class for each row.
fn read_labels(path: &Path) -> Result<Vec<String>, RowsError> {
    let bytes = read(path)?;
    if has_ending(path, "npy") {
        let numbers = npy::integers(&bytes).map_err(|source| RowsError::Npy { path: path.to_owned(), source })?;
        return Ok(numbers.iter().map(ToString::to_string).collect());
    }
    let lines = bytes.strip_suffix(b"\n").unwrap_or(&bytes).split(|byte| *byte == b'\n');
    let class = |(line, text): (u64, &[u8])| {
        let text = std::str::from_utf8(text).map_err(|_| RowsError::NotUtf8 { path: path.to_owned(), line })?;
        plain_class(text).ok_or_else(|| RowsError::Class { path: path.to_owned(), line, column: LABEL.to_owned() })
    };
    (1..).zip(lines).map(class).collect()
}

/// The class that stands in a field, if a head file can hold its name.
fn plain_class(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| topgraft_core::format::is_plain(text)).map(str::to_owned)
}

/// What a CSV file holds.
struct Table {
    /// Lines, from 1 on.
    lines: Vec<u64>,
    columns: usize,
    values: Vec<f32>,
    /// What stands in the column of the class, and its name.
    labels: Option<(Vec<String>, String)>,
}

impl Table {
    /// `label_at` tells from the header which column holds the class.
    fn read(path: &Path, label_at: impl Fn(&[Cow<'_, str>]) -> Option<usize>) -> Result<Self, RowsError> {
        let bytes = read(path)?;
        let text = lines::utf8(&bytes).map_err(|line| RowsError::NotUtf8 { path: path.to_owned(), line })?;
        let wrong_quote = |QuoteError { line }| RowsError::Quote { path: path.to_owned(), line };
        let mut records = Records::new(text).map(|record| record.map_err(wrong_quote));
        let empty = |what| RowsError::Empty { path: path.to_owned(), what };
        let (_, header) = records.next().ok_or_else(|| empty("no header, and no row in it"))??;
        let label_at = label_at(&header);
        let is_number = |(at, name): (usize, &Cow<'_, str>)| Some(at) == label_at || name.parse::<f64>().is_ok();
        let columns = header.len() - usize::from(label_at.is_some());
        if columns == 0 {
            let separated = |by| header[0].contains(by);
            return Err(empty(match () {
                () if separated(';') => "its fields are separated by `;`; save it with commas",
                () if separated('\t') => "its fields are separated by tabs; save it with commas",
                () => "no column of numbers beside the class",
            }));
        }
        // Of a table without a header the first row would be lost, its class taken for the name of the column.
        if header.iter().enumerate().all(is_number) {
            return Err(RowsError::NoHeader { path: path.to_owned() });
        }
        if header.iter().filter(|name| *name == LABEL).count() > 1 {
            return Err(empty("two columns are called `label`; rename or remove one"));
        }
        let mut table = Self { lines: Vec::new(), columns, values: Vec::new(), labels: None };
        let mut classes = Vec::new();
        for record in records {
            let (line, record) = record?;
            if record.len() != header.len() {
                let (expected, found) = (header.len(), record.len());
                return Err(RowsError::Ragged { path: path.to_owned(), line, expected, found });
            }
            for (at, (field, column)) in record.into_iter().zip(&header).enumerate() {
                if Some(at) == label_at {
                    classes.push(field.into_owned());
                    continue;
                }
                let wrong = |what| {
                    let (path, text) = (path.to_owned(), field.chars().take(40).collect());
                    RowsError::Number { path, line, column: column.to_string(), text, what }
                };
                let value: f32 = field.parse().map_err(|_| wrong("no number"))?;
                if !value.is_finite() {
                    return Err(wrong("not finite in 32 bits; leave the row out or fill it in"));
                }
                table.values.push(value);
            }
            table.lines.push(line);
        }
        if table.lines.is_empty() {
            return Err(empty("no row below the header"));
        }
        table.labels = label_at.map(|at| (classes, header[at].to_string()));
        Ok(table)
    }

    fn rows(self, path: &Path) -> Result<Rows, RowsError> {
        let Self { lines, columns, values, labels } = self;
        let (classes, column) = labels.unwrap_or_default();
        let class = |(text, line): (String, &u64)| {
            let wrong = || RowsError::Class { path: path.to_owned(), line: *line, column: column.clone() };
            plain_class(&text).ok_or_else(wrong)
        };
        let classes = classes.into_iter().zip(&lines).map(class).collect::<Result<Vec<_>, _>>()?;
        let places: Vec<PathBuf> = lines.into_iter().map(|line| lines::place(path, line)).collect();
        let values = Array2::from_shape_vec((places.len(), columns), values).expect("a number for each column");
        Rows::new(path, places, values, classes, &column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        (folder, path)
    }

    fn labelled(csv: &str) -> Result<Rows, RowsError> {
        let (_folder, path) = write("t.csv", csv.as_bytes());
        Rows::labelled(&path, None)
    }

    #[test]
    fn the_class_stands_in_the_column_label_or_the_last_one() {
        for csv in [
            "label,x,y\nb,1,2\na,3.5,-4e1\n",
            "x,y,kind\n1,2,b\r\n 3.5, -4e1 ,a",
            "\u{feff}x,label,y\n1,b,2\n\n3.5,a,-40\n",
        ] {
            let rows = labelled(csv).expect("sound");
            assert_eq!(rows.dataset.classes, ["a", "b"]);
            assert_eq!(rows.dataset.samples.iter().map(|sample| sample.label).collect::<Vec<_>>(), [1, 0]);
            assert_eq!(rows.values, ndarray::array![[1.0, 2.0], [3.5, -40.0]]);
            assert!(rows.dataset.samples[0].path.to_str().expect("text").ends_with("t.csv:2"));
            assert_eq!(rows.index()[rows.dataset.samples[1].path.as_path()], 1);
        }
    }

    #[test]
    fn what_is_wrong_with_a_table_is_said_with_line_and_column() {
        for (csv, words) in [
            ("", "t.csv: no header, and no row in it"),
            ("x,y,label\n", "t.csv: no row below the header"),
            ("label\na\n", "no column of numbers beside the class"),
            ("1,2,3\n4,5,6\n", "line 1 is numbers, not the names of the columns; put a header"),
            ("5.1,3.5,setosa\n6.2,2.9,versicolor\n", "line 1 is numbers, not the names of the columns; put a header"),
            ("x;y;label\n1;2;a\n", "separated by `;`; save it with commas"),
            ("x\ty\tlabel\n1\t2\ta\n", "separated by tabs; save it with commas"),
            ("x,label,label\n1,2,a\n", "two columns are called `label`"),
            ("x,y,label\n1,2,a\n1,a\n", "line 3 has 2 fields, and the header 3"),
            ("x,y,label\n1,2,a\n\n1,2,3,b\n", "line 4 has 4 fields"),
            ("x,y,label\n1,two,a\n", "line 2, column `y`: `two` is no number"),
            ("x,y,label\n1,2,a\n1,,a\n", "line 3, column `y`: `` is no number"),
            ("x,y,label\nnan,2,a\n", "line 2, column `x`: `nan` is not finite"),
            ("x,y,label\n1,1e60,a\n", "line 2, column `y`: `1e60` is not finite"),
            ("x,y,label\n1,2,\n", "line 2 has no class in column `label`"),
            ("x,y,label\n1,2,\"a\n", "line 2 has a quote that is not closed"),
        ] {
            let error = labelled(csv).expect_err(csv).to_string();
            assert!(error.contains(words) && error.lines().count() == 1, "{words} is not in {error}");
        }
        let (_folder, path) = write("t.csv", b"x,label\n1,a\n\xff,b\n");
        assert!(Rows::labelled(&path, None).expect_err("not UTF-8").to_string().contains("line 3 is not UTF-8"));
        assert!(matches!(Rows::labelled(&path, Some(&path)), Err(RowsError::TwoLabels { .. })));
        let missing = path.with_file_name("none.csv");
        assert!(matches!(Rows::labelled(&missing, None), Err(RowsError::Read { .. })));
        let many: String = (0..65536).map(|i| format!("1,{i}\n")).collect();
        let error = labelled(&format!("x,id\n{many}")).expect_err("too many").to_string();
        assert!(error.contains("65536 classes are too many; is `id` the column"), "{error}");
    }

    #[test]
    fn what_cannot_be_taught_says_why() {
        let (_folder, path) = write("t.csv", b"x,label\n1,a\n2,a\n");
        let rows = Rows::labelled(&path, None).expect("sound");
        assert!(matches!(rows.check_teachable(&path, 2), Err(RowsError::OneClass { .. })));
        let (_folder, path) = write("t.csv", b"x,label\n1,a\n2,a\n1,b\n");
        let rows = Rows::labelled(&path, None).expect("sound");
        assert!(rows.check_teachable(&path, 1).is_ok());
        let error = rows.check_teachable(&path, 2).expect_err("too few").to_string();
        assert!(error.ends_with("class `b` has 1 row, at least 2 are needed"), "{error}");
    }

    #[test]
    fn rows_without_labels_have_the_columns_that_were_asked_for() {
        for csv in ["x,y\n1,2\n", "x,y,kind\n1,2,?\n", "label,x,y\nc,1,2\n"] {
            let (_folder, path) = write("t.csv", csv.as_bytes());
            let rows = Rows::unlabelled(&path, 2).expect("sound");
            assert_eq!((rows.values, rows.dataset.classes.len()), (ndarray::array![[1.0, 2.0]], 0), "{csv}");
        }
        let (_folder, path) = write("t.csv", b"x,y\n1,2\n");
        let error = Rows::unlabelled(&path, 5).expect_err("other columns").to_string();
        assert!(error.contains("rows of 2 numbers, and the head was taught on rows of 5"), "{error}");
    }

    #[test]
    fn numpy_files_bring_their_labels_in_another_file() {
        let x = npy::tests::npy("<f4", "(3, 2)", &[1f32, 2.0, 3.0, 4.0, 5.0, 6.0].map(f32::to_le_bytes).concat());
        let y = npy::tests::npy("<i8", "(3,)", &[10i64, 2, 10].map(i64::to_le_bytes).concat());
        let (folder, x_path) = write("x.npy", &x);
        let labels = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            Rows::labelled(&x_path, Some(&path))
        };
        for rows in [labels("y.npy", &y), labels("y.txt", b"10\n2\r\n10\n")] {
            let rows = rows.expect("sound");
            assert_eq!(
                (rows.dataset.classes.as_slice(), rows.values.dim()),
                (["10", "2"].map(String::from).as_slice(), (3, 2))
            );
            assert_eq!(rows.dataset.counts(), [2, 1]);
            assert!(rows.dataset.samples[2].path.to_str().expect("text").ends_with("x.npy[2]"));
        }
        assert!(labels("y.txt", b"1\n2\n").expect_err("too few").to_string().contains("2 labels for the 3 rows of"));
        assert!(labels("y.txt", b"1\n\n2\n").expect_err("empty").to_string().contains("line 2 has no class"));
        assert!(labels("y.txt", b"1\n2\n\xff\n").expect_err("bytes").to_string().contains("line 3 is not UTF-8"));
        assert!(matches!(labels("y.npy", &x), Err(RowsError::Npy { .. })));
        assert!(matches!(Rows::labelled(&x_path, None), Err(RowsError::NoLabels { .. })));
        assert_eq!(Rows::unlabelled(&x_path, 2).expect("sound").values.nrows(), 3);
    }
}
