//! A file of the user's into the folder, without a network.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;
use topgraft_core::preprocess::{Channels, Filter, Layout, Preprocess, Resize};

use super::error::StoreError;
use super::store::{CATALOG, Kind, Known, State, Store, beside, digest, origin};
use crate::learn::save;
use crate::trunk::{Backbone, Entry, Provenance, hex};

/// A model that was added.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Added {
    /// Name, path, and what is known of it.
    pub known: Known,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether the file was copied; not if it was there already, or is [built in](State::BuiltIn).
    pub copied: bool,
    /// The preprocessing that is assumed of it, since nobody says it. Worth a warning.
    pub assumed: Option<Preprocess>,
}

impl Store {
    /// Copies a file into the folder, so that it is found by name. A file that a catalog knows by its SHA-256, or by its file
    /// name where the catalog has no sum, gets the catalog's name. Another one is a network of the user's: it gets `name`,
    /// and what a `catalog.toml` beside it says goes into the folder's own catalog.
    ///
    /// # Errors
    /// [`StoreError::NeedsName`], [`StoreError::OtherFile`] without `name`; [`StoreError::BadName`],
    /// [`StoreError::NameTaken`], [`StoreError::HasName`] for it; [`StoreError::Open`], [`StoreError::WeightsElsewhere`] for a
    /// network that cannot be used from the folder; as [`models`](Self::models), and what the system said.
    pub fn add(&self, file: &Path, name: Option<&str>) -> Result<Added, StoreError> {
        let read = |source| StoreError::Read { path: file.to_path_buf(), source };
        if !fs::metadata(file).map_err(read)?.is_file() {
            return Err(StoreError::NotAFile { path: file.to_path_buf() });
        }
        let (sha256, bytes) = digest(File::open(file).map_err(read)?, |_| Ok(())).map_err(read)?;
        let models = self.models()?;
        let by_sum = models.iter().find(|known| known.sha256 == Some(sha256));
        if let Some(known) = by_sum.filter(|known| name.is_none_or(|name| name == known.name)) {
            return self.place(file, known.clone(), sha256, bytes);
        }
        if let (Some(known), Some(_)) = (by_sum, name) {
            return Err(StoreError::HasName { path: file.to_path_buf(), known: known.name.clone() });
        }
        match name {
            None => {
                let known = identify(file, &models, sha256, bytes)?;
                self.place(file, known.clone(), sha256, bytes)
            }
            Some(name) => self.add_own(file, name, &models, sha256, bytes),
        }
    }

    /// A network that no catalog knows.
    fn add_own(
        &self,
        file: &Path,
        name: &str,
        models: &[Known],
        sha256: [u8; 32],
        bytes: u64,
    ) -> Result<Added, StoreError> {
        check_name(name)?;
        let own = self.nameless(name);
        if let Some(known) = models.iter().find(|known| known.name == name || known.file == own.file) {
            // The same one again is no mistake.
            let there = known.path.as_deref().filter(|_| known.sha256.is_none());
            let same = there.and_then(|path| digest(File::open(path).ok()?, |_| Ok(())).ok());
            if same.is_none_or(|(there, _)| there != sha256) {
                return Err(StoreError::NameTaken { name: name.into() });
            }
        }
        let backbone = Backbone::open(file)?;
        if !backbone.is_one_file() {
            return Err(StoreError::WeightsElsewhere { path: file.to_path_buf() });
        }
        let (preprocess, provenance) = backbone.preprocess();
        let described = backbone.entry().filter(|_| provenance == Provenance::Beside);
        let text = described.map(|entry| self.describe(name, entry, sha256)).transpose()?;
        let mut added = self.place(file, own, sha256, bytes)?;
        match text {
            Some(text) => {
                self.append(&text)?;
                added.known = self.find(name)?;
            }
            None => added.assumed = Some(preprocess),
        }
        Ok(added)
    }

    /// Copies the file to where `known` has its own, unless it is there.
    fn place(&self, file: &Path, known: Known, sha256: [u8; 32], bytes: u64) -> Result<Added, StoreError> {
        let added = |known, copied| Added { known, sha256, bytes, copied, assumed: None };
        if known.state == State::BuiltIn {
            return Ok(added(known, false));
        }
        let target = self.folder().join(&known.file);
        let there = File::open(&target).and_then(|file| digest(file, |_| Ok(())));
        if there.is_ok_and(|there| there == (sha256, bytes)) {
            return Ok(added(known, false));
        }
        self.make_folder()?;
        let read = |source| StoreError::Read { path: file.to_path_buf(), source };
        let write = |source| StoreError::Io { path: target.clone(), source };
        // Not the name that the file has for now, which its own errors tell.
        let mut copy = temporary(self.folder()).map_err(|error| write(error.kind().into()))?;
        let mut written = Ok(());
        let copied = digest(File::open(file).map_err(read)?, |piece| match copy.write_all(piece) {
            Ok(()) => Ok(()),
            Err(error) => {
                written = Err(error);
                Err(io::ErrorKind::Other.into())
            }
        });
        written.map_err(write)?;
        if copied.map_err(read)? != (sha256, bytes) {
            return Err(read(io::Error::other("it changed while it was copied; try again")));
        }
        copy.as_file().sync_all().map_err(write)?;
        // Whatever was downloaded under this name before is gone.
        let _ = fs::remove_file(origin(&target));
        copy.persist(&target).map_err(|error| write(error.error))?;
        sync_folder(self.folder());
        Ok(added(self.located(known), true))
    }

    fn make_folder(&self) -> Result<(), StoreError> {
        fs::create_dir_all(self.folder()).map_err(|source| StoreError::Io { path: self.folder().to_path_buf(), source })
    }

    /// The entry of the folder's catalog for a network that `entry` describes elsewhere; its labels are copied.
    fn describe(&self, name: &str, entry: &Entry, sha256: [u8; 32]) -> Result<String, StoreError> {
        let labels = match entry.labels()? {
            None => None,
            Some(labels) => {
                let file = format!("{name}.labels.txt");
                self.make_folder()?;
                save(&self.folder().join(&file), (labels.join("\n") + "\n").as_bytes(), true)?;
                Some(file)
            }
        };
        Ok(table(name, entry, &sha256, labels.as_deref()))
    }

    /// Adds an entry to the folder's own catalog, unless it has one of that text.
    fn append(&self, entry: &str) -> Result<(), StoreError> {
        let path = self.folder().join(CATALOG);
        let io = |source| StoreError::Io { path: path.clone(), source };
        // Not the catalog itself, which is replaced. Until the file is closed.
        let lock = File::create(beside(&self.folder().join("catalog"), "lock")).map_err(io)?;
        lock.lock().map_err(io)?;
        self.own_catalog()?;
        let mut text = if path.exists() { fs::read_to_string(&path).map_err(io)? } else { String::new() };
        if !text.contains(entry) {
            text.extend(["\n", entry]);
            save(&path, text.trim_start().as_bytes(), true)?;
        }
        Ok(())
    }
}

/// A file that goes when it is dropped, with the mode of any new file: what the umask leaves.
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut options = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        options.permissions(fs::Permissions::from_mode(0o666));
    }
    options.tempfile_in(folder)
}

/// The model that a file is by its name.
fn identify<'k>(file: &Path, models: &'k [Known], sha256: [u8; 32], bytes: u64) -> Result<&'k Known, StoreError> {
    let path = || file.to_path_buf();
    let called = file.file_name().and_then(|name| name.to_str());
    let Some(known) = models.iter().find(|known| Some(known.file.as_str()) == called) else {
        return Err(StoreError::NeedsName { path: path(), sha256: hex(&sha256) });
    };
    let other = |expected, found| StoreError::OtherFile { path: path(), known: known.name.clone(), expected, found };
    match (known.sha256, known.bytes) {
        (Some(sum), _) => Err(other(format!("SHA-256 {}", hex(&sum)), format!("SHA-256 {}", hex(&sha256)))),
        (None, Some(size)) if size != bytes => Err(other(format!("{size} bytes"), format!("its size of {bytes}"))),
        // A network without an entry has no sum either, but it is the user's own name for it.
        (None, _) if matches!(known.kind, Kind::Backbone(None)) => {
            Err(StoreError::NeedsName { path: path(), sha256: hex(&sha256) })
        }
        (None, _) => Ok(known),
    }
}

/// Refuses what could not be the name of a file everywhere, or would need quotes in a shell.
fn check_name(name: &str) -> Result<(), StoreError> {
    let good = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    match good && begins && name.len() <= 100 && !name.ends_with(".onnx") {
        true => Ok(()),
        false => Err(StoreError::BadName { name: name.into() }),
    }
}

/// An entry as models/catalog.toml has them.
fn table(name: &str, entry: &Entry, sha256: &[u8; 32], labels: Option<&str>) -> String {
    let Preprocess { width, height, layout, channels, resize, filter, mean, scale } = entry.preprocess();
    let channels_word = match channels {
        Channels::Rgb => "rgb",
        Channels::Bgr => "bgr",
        Channels::Grey => "grey",
    };
    let layout = match layout {
        Layout::Nchw => "nchw",
        Layout::Nhwc => "nhwc",
    };
    let resize = match resize {
        Resize::Squeeze => r#"{ rule = "squeeze" }"#.into(),
        Resize::CenterCrop { fraction } => format!(r#"{{ rule = "center-crop", fraction = {fraction:?} }}"#),
    };
    let filter = match filter {
        Filter::Bilinear => "bilinear",
        Filter::Bicubic => "bicubic",
    };
    let mut text = format!(
        "[[backbone]]\nname = {}\nfile = {}\nsha256 = \"{}\"\n",
        quoted(name),
        quoted(&format!("{name}.onnx")),
        hex(sha256)
    );
    for (key, value) in
        [("licence", Some(&entry.licence)), ("source", Some(&entry.source)), ("note", entry.note.as_ref())]
    {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text += &format!("{key} = {}\n", quoted(value));
        }
    }
    text += &format!(
        "input = {{ width = {width}, height = {height}, layout = \"{layout}\", channels = \"{channels_word}\" }}\n\
         mean = {:?}\nscale = {:?}\nresize = {resize}\nfilter = \"{filter}\"\n",
        &mean[..channels.count()],
        &scale[..channels.count()],
    );
    if !entry.cuts.is_empty() {
        let cut = |cut: &crate::trunk::Cut| {
            format!("  {{ layer = {}, feature_dim = {} }},\n", quoted(&cut.layer), cut.feature_dim)
        };
        text += &format!("cuts = [\n{}]\n", entry.cuts.iter().map(cut).collect::<String>());
    }
    text + &labels.map_or(String::new(), |labels| format!("labels = {}\n", quoted(labels)))
}

/// A basic string of TOML, which has JSON's escapes.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string").replace('\u{7f}', "\\u007f")
}

/// The new name is durable once the folder is; that a folder cannot be synced is no failure.
pub(super) fn sync_folder(folder: &Path) {
    if cfg!(unix) {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trunk::Catalog;

    #[test]
    fn names_that_are_none_are_refused() {
        for good in ["a", "my_net-1.2", "0", &"a".repeat(100)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in
            ["", ".", "..", "../a", "a/b", "/a", "-a", ".a", "a b", "a\\b", "ü", "a\n", "a.onnx", &"a".repeat(101)]
        {
            assert!(matches!(check_name(bad), Err(StoreError::BadName { .. })), "{bad}");
        }
    }

    #[test]
    fn an_entry_that_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(CATALOG);
        let odd = "[[backbone]]\nname = 'odd'\nfile = 'odd.onnx'\nmean = [114.5]\nscale = [1e-7]\n\
            input = { width = 8, height = 9, layout = 'nhwc', channels = 'grey' }\nresize = { rule = 'squeeze' }\n\
            filter = 'bicubic'\nsource = \"\\\"a\\\\\\n\\u007f\\u0001ü\"\ncuts = [{ layer = 'a\"b', feature_dim = 7 }]\n";
        std::fs::write(&path, odd).unwrap();
        let odd = Catalog::open(&path).unwrap();
        for entry in Catalog::builtin().entries().iter().chain(odd.entries()) {
            std::fs::write(&path, table("x", entry, &[7; 32], None)).unwrap();
            let read = &Catalog::open(&path).unwrap().entries()[0].clone();
            assert_eq!((read.name.as_str(), read.file.as_str(), read.sha256), ("x", "x.onnx", Some([7; 32])));
            assert_eq!((read.preprocess(), &read.cuts), (entry.preprocess(), &entry.cuts), "{}", entry.name);
            assert_eq!((&read.licence, &read.source, &read.note), (&entry.licence, &entry.source, &entry.note));
        }
    }
}
