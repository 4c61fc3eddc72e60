//! Files of word vectors that a catalog names.

use serde::Deserialize;

use super::from_hex;

/// One file of word vectors. `words::Vectors` reads it.
///
/// ```
/// use topgraft::trunk::Catalog;
/// let glove = Catalog::builtin().vectors().iter().find(|v| v.name == "glove-6b").unwrap();
/// assert_eq!((glove.words, &glove.dimensions[..]), (400_000, &[50, 100, 200, 300][..]));
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Table")]
#[non_exhaustive]
pub struct Vectors {
    /// Name for the command line and for messages.
    pub name: String,
    /// Name of the file, without folders.
    pub file: String,
    /// SHA-256 of the file's bytes.
    pub sha256: Option<[u8; 32]>,
    /// Licence of the vectors, an SPDX expression; empty if nobody states one.
    pub licence: String,
    /// Where the vectors come from.
    pub source: String,
    /// Where the file can be downloaded.
    pub url: Option<String>,
    /// The file's size in bytes.
    pub bytes: Option<u64>,
    /// What one should know of it.
    pub note: Option<String>,
    /// Length of a word's vector; several if the file is an archive of several.
    pub dimensions: Vec<u32>,
    /// How many words have a vector.
    pub words: u64,
}

/// As it is written.
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
    dimensions: Vec<u32>,
    words: u64,
}

impl TryFrom<Table> for Vectors {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let Table { name, file, licence, source, url, bytes, note, dimensions, words, .. } = table;
        if dimensions.is_empty() || dimensions.contains(&0) {
            return Err(format!("{name}: dimensions are one or more numbers above 0"));
        }
        let sha256 = table.sha256.map(|hex| from_hex(&name, &hex)).transpose()?;
        Ok(Self { name, file, sha256, licence, source, url, bytes, note, dimensions, words })
    }
}
