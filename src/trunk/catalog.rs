//! What is known about networks that an ONNX file does not say: how their input is made, whose they are, where to cut.

mod vectors;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::Deserialize;
use topgraft_core::preprocess::{Channels, Filter, Layout, Preprocess, Resize};

pub use vectors::Vectors;

/// The most bytes of a catalog or of a file of labels.
const MAX_BYTES: u64 = 1 << 20;

/// Names of ImageNet's 1000 classes, in the order of the outputs of networks trained on it.
///
/// ```
/// let labels: Vec<&str> = topgraft::trunk::imagenet_labels().collect();
/// assert_eq!((labels.len(), labels[0]), (1000, "tench"));
/// ```
pub fn imagenet_labels() -> impl Iterator<Item = &'static str> {
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/imagenet_labels.txt")).lines()
}

/// Known backbones, as a `catalog.toml` lists them.
///
/// ```
/// use topgraft::trunk::Catalog;
/// let entry = Catalog::builtin().find_by_file("efficientnet_lite0.f16.onnx").unwrap();
/// assert_eq!((entry.licence.as_str(), entry.preprocess().width), ("Apache-2.0", 224));
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    #[serde(rename = "backbone")]
    entries: Vec<Entry>,
    #[serde(default)]
    vectors: Vec<Vectors>,
}

/// One backbone of a catalog. The licence, the source, the checksum, the cuts, the labels, and what is needed to download it
/// may be left out.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Table")]
#[non_exhaustive]
pub struct Entry {
    /// Name for the command line and for messages.
    pub name: String,
    /// Name of the ONNX file, without folders.
    pub file: String,
    /// SHA-256 of the ONNX file's bytes.
    pub sha256: Option<[u8; 32]>,
    /// Licence of the weights, an SPDX expression.
    pub licence: String,
    /// Where the weights come from.
    pub source: String,
    /// Where the file can be downloaded.
    pub url: Option<String>,
    /// The ONNX file's size in bytes.
    pub bytes: Option<u64>,
    /// What one should know of it.
    pub note: Option<String>,
    /// Layers to cut at, the default first.
    pub cuts: Vec<Cut>,
    labels: Option<String>,
    /// Where the catalog lies; `None` for the built-in one.
    folder: Option<PathBuf>,
    preprocess: Preprocess,
}

/// A layer to cut at.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Cut {
    /// Name of the ONNX node, or of its output.
    pub layer: String,
    /// How many features a cut there gives.
    pub feature_dim: usize,
}

/// Why a catalog, or the labels that it names, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The file is not there or cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is too long to be what it should be.
    #[error("{} is longer than {limit} bytes; it is no catalog and no list of labels", path.display())]
    TooLarge {
        /// Path of the file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// The text is no catalog.
    #[error("the catalog {} is malformed: {reason}", path.display())]
    Malformed {
        /// Path of the file.
        path: PathBuf,
        /// Line, field, and what is wrong with it.
        reason: String,
    },
    /// The entry names a file of labels outside its folder, or one that is not built in.
    #[error("the catalog's entry {entry} has labels = {labels:?}; name a file beside the catalog")]
    Labels {
        /// The entry's name.
        entry: String,
        /// What it says.
        labels: String,
    },
}

impl Catalog {
    /// The catalog that is part of this program.
    pub fn builtin() -> &'static Self {
        static BUILTIN: OnceLock<Catalog> = OnceLock::new();
        BUILTIN.get_or_init(|| {
            let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/catalog.toml"));
            toml::from_str(text).expect("models/catalog.toml is well-formed: a unit test reads it")
        })
    }

    /// Reads a catalog file of at most 1 MiB.
    ///
    /// # Errors
    /// [`CatalogError::Read`], [`CatalogError::TooLarge`] or [`CatalogError::Malformed`].
    pub fn open(path: &Path) -> Result<Self, CatalogError> {
        let text = read(path)?;
        // The parser's own display is a drawing of several lines.
        let malformed = |e: toml::de::Error| {
            let line = e.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            CatalogError::Malformed {
                path: path.into(),
                reason: format!("line {line}: {}", e.message().replace('\n', " ")),
            }
        };
        let mut catalog: Self = toml::from_str(&text).map_err(malformed)?;
        for entry in &mut catalog.entries {
            entry.folder = Some(path.with_file_name(""));
        }
        Ok(catalog)
    }

    /// All entries, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All files of word vectors, in the order of the file.
    pub fn vectors(&self) -> &[Vectors] {
        &self.vectors
    }

    /// The entry whose ONNX file has that SHA-256.
    pub fn find_by_sha256(&self, sha256: [u8; 32]) -> Option<&Entry> {
        self.entries.iter().find(|e| e.sha256 == Some(sha256))
    }

    /// The entry of that ONNX file name.
    pub fn find_by_file(&self, file: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.file == file)
    }
}

impl Entry {
    /// How a picture becomes the backbone's input.
    pub fn preprocess(&self) -> Preprocess {
        self.preprocess
    }

    /// Names of the classes of the backbone's own classifier, in the order of its outputs; none if the entry names none.
    ///
    /// # Errors
    /// [`CatalogError::Read`] or [`CatalogError::TooLarge`] for the file of labels, [`CatalogError::Labels`] for its name.
    pub fn labels(&self) -> Result<Option<Vec<String>>, CatalogError> {
        let Some(file) = &self.labels else { return Ok(None) };
        let text = match &self.folder {
            // A catalog that came from somewhere must not make us read any file of the user's.
            Some(folder) if Path::new(file).file_name() == Some(file.as_ref()) => read(&folder.join(file))?,
            None if file == "imagenet_labels.txt" => return Ok(Some(imagenet_labels().map(Into::into).collect())),
            _ => return Err(CatalogError::Labels { entry: self.name.clone(), labels: file.clone() }),
        };
        Ok(Some(text.lines().map(Into::into).collect()))
    }
}

fn read(path: &Path) -> Result<String, CatalogError> {
    let failed = |source| CatalogError::Read { path: path.into(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(CatalogError::TooLarge { path: path.into(), limit: MAX_BYTES });
    }
    Ok(text)
}

/// An entry as it is written. The words are the file's; the numbers become a [`Preprocess`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: String,
    file: String,
    sha256: Option<String>,
    #[serde(default)]
    licence: String,
    #[serde(default)]
    source: String,
    url: Option<String>,
    bytes: Option<u64>,
    note: Option<String>,
    input: InputTable,
    mean: Vec<f32>,
    scale: Vec<f32>,
    resize: ResizeTable,
    filter: FilterWord,
    #[serde(default)]
    cuts: Vec<Cut>,
    labels: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputTable {
    width: u16,
    height: u16,
    layout: LayoutWord,
    channels: ChannelsWord,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum LayoutWord {
    Nchw,
    Nhwc,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ChannelsWord {
    Rgb,
    Bgr,
    Grey,
}

#[derive(Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
enum ResizeTable {
    Squeeze {},
    CenterCrop { fraction: f32 },
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum FilterWord {
    Bilinear,
    Bicubic,
}

impl TryFrom<Table> for Entry {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let Table { name, file, licence, source, url, bytes, note, input, mean, scale, cuts, labels, .. } = table;
        let channels = match input.channels {
            ChannelsWord::Rgb => Channels::Rgb,
            ChannelsWord::Bgr => Channels::Bgr,
            ChannelsWord::Grey => Channels::Grey,
        };
        // A number a channel; one alone stands for all.
        let each = |field: &str, values: &[f32]| match (values, channels.count()) {
            ([value], 1) => Ok([*value; 3]),
            (&[a, b, c], 3) => Ok([a, b, c]),
            (_, 1) => Err(format!("{name}: {field} has {} numbers, but there is one channel", values.len())),
            (_, _) => Err(format!("{name}: {field} has {} of a number for each of the three channels", values.len())),
        };
        let (mean, scale) = (each("mean", &mean)?, each("scale", &scale)?);
        let preprocess = Preprocess {
            width: input.width,
            height: input.height,
            layout: match input.layout {
                LayoutWord::Nchw => Layout::Nchw,
                LayoutWord::Nhwc => Layout::Nhwc,
            },
            channels,
            resize: match table.resize {
                ResizeTable::Squeeze {} => Resize::Squeeze,
                ResizeTable::CenterCrop { fraction } => Resize::CenterCrop { fraction },
            },
            filter: match table.filter {
                FilterWord::Bilinear => Filter::Bilinear,
                FilterWord::Bicubic => Filter::Bicubic,
            },
            mean,
            scale,
        };
        preprocess.check().map_err(|e| format!("{name}: {e}"))?;
        let sha256 = table.sha256.map(|hex| from_hex(&name, &hex)).transpose()?;
        Ok(Self { name, file, sha256, licence, source, url, bytes, note, cuts, labels, folder: None, preprocess })
    }
}

/// The SHA-256 of the entry `name`.
fn from_hex(name: &str, text: &str) -> Result<[u8; 32], String> {
    let wrong = || format!("{name}: sha256 is not 64 hexadecimal digits");
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let digits = digits.filter(|digits| digits.len() == 64).ok_or_else(wrong)?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    bytes.try_into().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "[[backbone]]\nname = 'a'\nfile = 'a.onnx'\nmean = [1, 2, 3]\nscale = [4, 5, 6]\n\
        input = { width = 8, height = 9, layout = 'nhwc', channels = 'bgr' }\nresize = { rule = 'center-crop', fraction = 0.5 }\n\
        filter = 'bilinear'\ncuts = [{ layer = 'gap', feature_dim = 7 }]\nlabels = 'l.txt'\n";

    /// Reads a catalog of that text from a folder with a file of labels.
    fn open(text: &str) -> (tempfile::TempDir, Result<Catalog, CatalogError>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::write(folder.path().join("l.txt"), "cat\ndog\n").unwrap();
        (folder, Catalog::open(&path))
    }

    #[test]
    fn the_builtin_catalog_is_well_formed() {
        let catalog = Catalog::builtin();
        assert!(!catalog.entries().is_empty());
        for entry in catalog.entries() {
            assert!(entry.sha256.is_some() && !entry.licence.is_empty() && !entry.source.is_empty());
            assert!(entry.url.is_none() || entry.bytes.is_some(), "{}: what can be downloaded has a size", entry.name);
            assert_eq!(catalog.find_by_sha256(entry.sha256.unwrap()), Some(entry));
            assert_eq!(catalog.find_by_file(&entry.file), Some(entry));
            assert!(entry.labels().unwrap().is_none_or(|l| l.len() == 1000));
        }
        let urls = catalog.entries().iter().filter_map(|e| e.url.as_deref());
        let urls = urls.chain(catalog.vectors().iter().filter_map(|v| v.url.as_deref()));
        urls.for_each(|url| assert!(url.starts_with("https://"), "{url}"));
        let names = catalog.entries().iter().map(|e| &e.name).chain(catalog.vectors().iter().map(|v| &v.name));
        let names: Vec<&String> = names.collect();
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "each name is there once");
        assert!(catalog.vectors().iter().all(|v| v.sha256.is_some() && v.bytes.is_some() && !v.source.is_empty()));
        assert_eq!(catalog.find_by_sha256([0; 32]), None);
        assert_eq!(catalog.find_by_file("none.onnx"), None);
    }

    #[test]
    fn an_entry_has_a_number_for_each_channel() {
        let grey = ENTRY.replace("'bgr'", "'grey'");
        let (_folder, refused) = open(&grey);
        assert!(refused.unwrap_err().to_string().contains("mean has 3 numbers, but there is one channel"));
        let (_folder, catalog) = open(&grey.replace("[1, 2, 3]", "[9]").replace("[4, 5, 6]", "[8]"));
        let preprocess = catalog.unwrap().find_by_file("a.onnx").unwrap().preprocess();
        assert_eq!((preprocess.channels, preprocess.mean[0], preprocess.scale[0]), (Channels::Grey, 9.0, 8.0));
        let (_folder, refused) = open(&ENTRY.replace("[1, 2, 3]", "[1]"));
        assert!(refused.unwrap_err().to_string().contains("mean has 1 of a number for each of the three channels"));
    }

    #[test]
    fn an_entry_says_all_of_the_preprocessing() {
        let (_folder, catalog) = open(ENTRY);
        let entry = catalog.unwrap().find_by_file("a.onnx").unwrap().clone();
        let expected = Preprocess {
            width: 8,
            height: 9,
            layout: Layout::Nhwc,
            channels: Channels::Bgr,
            resize: Resize::CenterCrop { fraction: 0.5 },
            filter: Filter::Bilinear,
            mean: [1.0, 2.0, 3.0],
            scale: [4.0, 5.0, 6.0],
        };
        assert_eq!(entry.preprocess(), expected);
        assert_eq!(entry.cuts, [Cut { layer: "gap".into(), feature_dim: 7 }]);
        assert_eq!(entry.labels().unwrap().unwrap(), ["cat", "dog"]);
    }

    #[test]
    fn malformed_catalogs_are_refused() {
        for (from, to, says) in [
            ("name", "nme", "nme"),
            ("'nhwc'", "'whcn'", "whcn"),
            ("fraction = 0.5", "fraction = 2", "fraction out of range"),
            ("'center-crop'", "'squeeze'", "fraction"),
            ("scale = [4", "scale = [0", "scale out of range"),
            ("[[backbone]]", "[[trunk]]", "trunk"),
            ("labels", "sha256", "64 hexadecimal digits"),
            ("labels", "bytes", "invalid type"),
            (
                "[[backbone]]",
                "[[vectors]]\nname = 'v'\nfile = 'v'\ndimensions = []\nwords = 1\n[[backbone]]",
                "above 0",
            ),
            ("[[backbone]]", "[[vectors]]\nname = 'v'\nfile = 'v'\nwords = 1\n[[backbone]]", "dimensions"),
        ] {
            match open(&ENTRY.replacen(from, to, 1)).1 {
                Err(CatalogError::Malformed { reason, .. }) => assert!(reason.contains(says), "{reason}"),
                other => panic!("{from} -> {to}: {other:?}"),
            }
        }
        assert!(matches!(open(&"#".repeat(MAX_BYTES as usize + 1)).1, Err(CatalogError::TooLarge { .. })));
        assert!(matches!(Catalog::open(Path::new("no/such/catalog.toml")), Err(CatalogError::Read { .. })));
    }

    #[test]
    fn labels_stay_in_the_catalogs_folder() {
        for labels in ["../l.txt", "/etc/hostname", ".."] {
            let (_folder, catalog) = open(&ENTRY.replace("l.txt", labels));
            let labels = catalog.unwrap().entries()[0].labels();
            assert!(matches!(labels, Err(CatalogError::Labels { .. })), "{labels:?}");
        }
        let (_folder, catalog) = open(&ENTRY.replace("l.txt", "none.txt"));
        assert!(matches!(catalog.unwrap().entries()[0].labels(), Err(CatalogError::Read { .. })));
    }
}
