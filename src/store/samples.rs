//! Samples: taught, listed, moved, removed.

use std::time::SystemTime;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use sha2::{Digest, Sha256};

use super::error::SampleStoreError;
use super::features::{Features, put};
use super::limits::{Limits, MadeRoom, Room, make_room};
use super::log::{Batch, forget_empty, is_open, new_batch, set_class};
use super::open::{Failed, SampleStore, count_revision, milliseconds, time};

/// The label of what shows none of the classes; so no class has this name.
pub const UNKNOWN: &str = "unknown";
/// Longest name of a class, in bytes: that of a file on most systems.
const MAX_NAME: usize = 255;

/// A photo that is shown to the store, with its label.
#[derive(Clone, Copy, Debug)]
pub struct NewSample<'a> {
    /// Bytes of the photo's file: a JPEG, or any format that [`vision`](crate::vision) reads.
    pub photo: &'a [u8],
    /// Name of its class.
    pub class: &'a str,
    /// Where it comes from: a camera, a file.
    pub source: &'a str,
    /// When it was taken, or found.
    pub time: SystemTime,
    /// Its features, if they are known already.
    pub features: Option<Features<'a>>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taught {
    /// It is a new sample.
    New {
        /// Its number.
        id: i64,
    },
    /// The same photo was a sample of another class, and is now of this one.
    Moved {
        /// Its number.
        id: i64,
        /// The class that it was of.
        from: String,
    },
    /// The same photo was a sample of this class.
    Known {
        /// Its number.
        id: i64,
    },
}

/// What came of samples that were shown to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lessons {
    /// What they are undone with, together.
    pub batch: Batch,
    /// What became of each.
    pub taught: Vec<Taught>,
    /// What had to go for them.
    pub made_room: MadeRoom,
}

impl Taught {
    /// Number of the sample.
    pub fn id(&self) -> i64 {
        let (Self::New { id } | Self::Moved { id, .. } | Self::Known { id }) = self;
        *id
    }
}

/// A sample that is in the store, without its photo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSample {
    /// Its number, which no other sample ever gets.
    pub id: i64,
    /// Name of its class.
    pub class: String,
    /// Where it comes from.
    pub source: String,
    /// When it was taken, or found.
    pub time: SystemTime,
    /// Length of the photo's file.
    pub bytes: u64,
    /// SHA-256 of the photo's file.
    pub sha256: [u8; 32],
}

impl SampleStore {
    /// Adds samples, all or none of them. A photo that is in the store already is not there twice: of what it was called,
    /// the last holds. With `batch` they are undone together with what else is part of that. With `limits` they take the places of
    /// others where there is no room ([`Limits`]).
    ///
    /// # Errors
    /// [`SampleStoreError`]; then none was added, and nothing went.
    pub fn teach(
        &mut self,
        samples: &[NewSample<'_>],
        what: &str,
        batch: Option<Batch>,
        limits: Option<&Limits>,
    ) -> Result<Lessons, SampleStoreError> {
        self.write(|transaction| {
            // What was undone, or forgotten, is over: what comes now is undone by itself.
            let batch = match batch {
                Some(batch) if is_open(transaction, batch)? => batch,
                _ => new_batch(transaction, what, None)?,
            };
            let taught = samples.iter().map(|sample| add(transaction, batch, sample));
            let taught = taught.collect::<Result<Vec<_>, _>>()?;
            if taught.iter().all(|taught| matches!(taught, Taught::Known { .. })) {
                // Nobody has to read anything again, and there is nothing to undo.
                forget_empty(transaction)?;
                return Ok(Lessons { batch, taught, made_room: MadeRoom::default() });
            }
            let came = samples.iter().zip(&taught).filter(|(_, taught)| matches!(taught, Taught::New { .. }));
            let came = came.fold(Room::default(), |room, (sample, _)| room.with(sample));
            let made_room = limits.map(|limits| make_room(transaction, limits, Some(came))).transpose()?;
            count_revision(transaction)?;
            Ok(Lessons { batch, taught, made_room: made_room.unwrap_or_default() })
        })
    }

    /// Moves samples to another class, which is made if there is none of that name.
    ///
    /// # Errors
    /// [`SampleStoreError`]; then none was moved.
    pub fn relabel(&mut self, ids: &[i64], class: &str) -> Result<(), SampleStoreError> {
        self.change(|transaction| {
            let class_id = class_id(transaction, class)?;
            let batch = new_batch(transaction, &format!("relabel {} as {class}", samples_text(ids.len())), None)?;
            for id in ids {
                check_present(transaction, *id)?;
                set_class(transaction, batch, *id, Some(class_id))?;
            }
            Ok(())
        })
    }

    /// Removes samples. Until [`compact`](Self::compact), or until the store needs the room, this can be undone.
    ///
    /// # Errors
    /// [`SampleStoreError`]; then none was removed.
    pub fn remove(&mut self, ids: &[i64]) -> Result<(), SampleStoreError> {
        self.change(|transaction| {
            let batch = new_batch(transaction, &format!("remove {}", samples_text(ids.len())), None)?;
            for id in ids {
                check_present(transaction, *id)?;
                set_class(transaction, batch, *id, None)?;
            }
            Ok(())
        })
    }

    /// Removes a class with its samples; returns how many these were. As to undoing see [`remove`](Self::remove).
    ///
    /// # Errors
    /// [`SampleStoreError::NoClass`], or what failed.
    pub fn remove_class(&mut self, name: &str) -> Result<usize, SampleStoreError> {
        self.change(|transaction| {
            let ids = ids_of(transaction, name)?;
            let batch = new_batch(transaction, &format!("remove class {name}"), None)?;
            for id in &ids {
                set_class(transaction, batch, *id, None)?;
            }
            Ok(ids.len())
        })
    }

    /// Renames a class; if there is one of the new name, both become one. Returns how many samples were moved.
    ///
    /// # Errors
    /// [`SampleStoreError::NoClass`], [`SampleStoreError::ClassName`], or what failed.
    pub fn rename_class(&mut self, name: &str, new: &str) -> Result<usize, SampleStoreError> {
        self.change(|transaction| {
            let ids = ids_of(transaction, name)?;
            let class = class_id(transaction, new)?;
            let batch = new_batch(transaction, &format!("rename class {name} to {new}"), None)?;
            for id in &ids {
                set_class(transaction, batch, *id, Some(class))?;
            }
            Ok(ids.len())
        })
    }

    /// Names of the classes that have samples, sorted, and how many.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn classes(&self) -> Result<Vec<(String, usize)>, SampleStoreError> {
        let read = || {
            let mut query = self.db.prepare(
                "SELECT name, count(*) FROM sample JOIN class ON class.id = sample.class GROUP BY class.id ORDER BY name",
            )?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as usize)))?;
            rows.collect()
        };
        self.sql(read())
    }

    /// All samples, sorted by class and number.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn samples(&self) -> Result<Vec<StoredSample>, SampleStoreError> {
        let read = || {
            let mut query = self.db.prepare(
                "SELECT sample.id, name, source, time, bytes, sha256 FROM sample JOIN class ON class.id = sample.class
                 ORDER BY name, sample.id",
            )?;
            let rows = query.query_map([], stored)?;
            rows.collect()
        };
        self.sql(read())
    }

    /// The newest samples of a class with numbers below `before`, at most `most`, the newest first.
    ///
    /// # Errors
    /// [`SampleStoreError`].
    pub fn samples_before(&self, class: &str, before: i64, most: usize) -> Result<Vec<StoredSample>, SampleStoreError> {
        let read = || {
            let mut query = self.db.prepare(
                "SELECT sample.id, name, source, time, bytes, sha256 FROM sample JOIN class ON class.id = sample.class
                 WHERE name = ? AND sample.id < ? ORDER BY sample.id DESC LIMIT ?",
            )?;
            let rows = query.query_map(params![class, before, most as i64], stored)?;
            rows.collect()
        };
        self.sql(read())
    }

    /// A sample without its photo.
    ///
    /// # Errors
    /// [`SampleStoreError::NoSample`], also of one that was removed, or what failed.
    pub fn sample(&self, id: i64) -> Result<StoredSample, SampleStoreError> {
        let query = "SELECT sample.id, name, source, time, bytes, sha256 FROM sample
                     JOIN class ON class.id = sample.class WHERE sample.id = ?";
        self.sql(self.db.query_row(query, [id], stored).optional())?.ok_or(SampleStoreError::NoSample { id })
    }

    /// Bytes of a sample's photo.
    ///
    /// # Errors
    /// [`SampleStoreError::NoSample`], [`SampleStoreError::DamagedPhoto`], or what failed.
    pub fn photo(&self, id: i64) -> Result<Vec<u8>, SampleStoreError> {
        let query = "SELECT sha256, photo FROM sample JOIN photo ON sample = id WHERE id = ?";
        let read = |row: &Row<'_>| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, Vec<u8>>(1)?));
        let found = self.sql(self.db.query_row(query, [id], read).optional())?;
        let (sha256, photo) = found.ok_or(SampleStoreError::NoSample { id })?;
        match sha256 == <[u8; 32]>::from(Sha256::digest(&photo)) {
            true => Ok(photo),
            false => Err(SampleStoreError::DamagedPhoto { id }),
        }
    }
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredSample> {
    Ok(StoredSample {
        id: row.get(0)?,
        class: row.get(1)?,
        source: row.get(2)?,
        time: time(row.get(3)?),
        bytes: row.get::<_, i64>(4)? as u64,
        sha256: row.get(5)?,
    })
}

/// Adds one, or finds it.
fn add(transaction: &Transaction<'_>, batch: Batch, new: &NewSample<'_>) -> Result<Taught, Failed> {
    let class = class_id(transaction, new.class)?;
    let sha256: [u8; 32] = Sha256::digest(new.photo).into();
    let known = transaction
        .query_row(
            "SELECT sample.id, name FROM sample LEFT JOIN class ON class.id = class WHERE sha256 = ?",
            [&sha256],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?)),
        )
        .optional()?;
    let (id, taught) = match known {
        Some((id, from)) => {
            // What is there may be damaged; this one is not.
            let repair = "UPDATE photo SET photo = ?1 WHERE sample = ?2 AND photo IS NOT ?1";
            transaction.execute(repair, params![new.photo, id])?;
            match from {
                Some(from) if from == new.class => (id, Taught::Known { id }),
                Some(from) => (id, Taught::Moved { id, from }),
                // It was removed.
                None => (id, Taught::New { id }),
            }
        }
        None => {
            transaction.execute(
                "INSERT INTO sample (sha256, source, time, bytes) VALUES (?, ?, ?, ?)",
                params![&sha256, new.source, milliseconds(new.time), new.photo.len() as i64],
            )?;
            let id = transaction.last_insert_rowid();
            transaction.execute("INSERT INTO photo VALUES (?, ?)", params![id, new.photo])?;
            (id, Taught::New { id })
        }
    };
    set_class(transaction, batch, id, Some(class))?;
    if let Some(features) = &new.features {
        put(transaction, id, features)?;
    }
    Ok(taught)
}

/// The class of that name, which is made if there is none.
pub(super) fn class_id(transaction: &Transaction<'_>, name: &str) -> Result<i64, Failed> {
    check_name(name)?;
    transaction.execute("INSERT OR IGNORE INTO class (name) VALUES (?)", [name])?;
    Ok(transaction.query_row("SELECT id FROM class WHERE name = ?", [name], |row| row.get(0))?)
}

/// Whether a class can be called that: the name is that of a folder when the store is exported, and part of a head file.
///
/// # Errors
/// [`SampleStoreError::ClassName`].
pub fn check_name(name: &str) -> Result<(), SampleStoreError> {
    let why = match name {
        "" => "it is empty",
        UNKNOWN => "that is what is none of the classes",
        _ if name.len() > MAX_NAME => "it is longer than 255 bytes",
        _ if name.chars().any(char::is_control) => "it has control characters",
        _ if name.trim() != name => "it begins or ends with a space",
        _ if name.contains(['/', '\\']) => "it has a slash, which no name of a folder has",
        _ if name.starts_with('.') => "it begins with a dot, and such folders are passed over",
        _ => return Ok(()),
    };
    Err(SampleStoreError::ClassName { name: name.to_owned(), why })
}

fn ids_of(transaction: &Transaction<'_>, class: &str) -> Result<Vec<i64>, Failed> {
    let mut query = transaction.prepare(
        "SELECT sample.id FROM sample JOIN class ON class.id = sample.class WHERE name = ? ORDER BY sample.id",
    )?;
    let ids = query.query_map([class], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    match ids.is_empty() {
        true => Err(SampleStoreError::NoClass { name: class.to_owned() }.into()),
        false => Ok(ids),
    }
}

fn check_present(transaction: &Transaction<'_>, id: i64) -> Result<(), Failed> {
    let query = "SELECT 1 FROM sample WHERE id = ? AND class IS NOT NULL";
    match transaction.query_row(query, [id], |_| Ok(())).optional()? {
        Some(()) => Ok(()),
        None => Err(SampleStoreError::NoSample { id }.into()),
    }
}

/// `1 sample`, `2 samples`
pub(super) fn samples_text(count: usize) -> String {
    format!("{count} sample{}", if count == 1 { "" } else { "s" })
}
