-- Version 1. Times are milliseconds since 1970, hashes SHA-256, numbers little-endian.

CREATE TABLE meta (
    -- Counts up with every transaction that changes the samples: by it another program sees that it has to read them again.
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES (0);

CREATE TABLE class (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- A photo is a sample once. Without a class it was removed, and is kept so that this can be undone.
CREATE TABLE sample (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    class INTEGER REFERENCES class,
    source TEXT NOT NULL,
    time INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX sample_class ON sample (class);

-- Apart from its sample: listing samples does not read photos.
CREATE TABLE photo (
    sample INTEGER PRIMARY KEY REFERENCES sample ON DELETE CASCADE,
    photo BLOB NOT NULL
) STRICT;

CREATE TABLE trunk (
    id INTEGER PRIMARY KEY,
    fingerprint BLOB NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
    feature_dim INTEGER NOT NULL
) STRICT;

CREATE TABLE feature (
    trunk INTEGER NOT NULL REFERENCES trunk ON DELETE CASCADE,
    sample INTEGER NOT NULL REFERENCES sample ON DELETE CASCADE,
    crc INTEGER NOT NULL,
    -- [feature_dim] f32
    numbers BLOB NOT NULL,
    UNIQUE (trunk, sample)
) STRICT;
CREATE INDEX feature_sample ON feature (sample);

-- What was done: the changes of one command. What is undone is done once more, the other way round, so the log only grows.
CREATE TABLE batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    what TEXT NOT NULL,
    undoes INTEGER UNIQUE REFERENCES batch
) STRICT;

CREATE TABLE change (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    batch INTEGER NOT NULL REFERENCES batch ON DELETE CASCADE,
    sample INTEGER NOT NULL REFERENCES sample ON DELETE CASCADE,
    old INTEGER REFERENCES class,
    new INTEGER REFERENCES class
) STRICT;
CREATE INDEX change_batch ON change (batch);
CREATE INDEX change_sample ON change (sample);

-- Every version of the head, and the last change that it knew; without one the log does not go back that far.
CREATE TABLE head (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    change INTEGER,
    time INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    file BLOB NOT NULL
) STRICT;

-- Frames that the head was not sure of: they wait for a label.
CREATE TABLE pending (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    source TEXT NOT NULL,
    time INTEGER NOT NULL,
    -- What the head took it for, and how probable that was.
    guess TEXT NOT NULL,
    probability REAL NOT NULL,
    trunk INTEGER NOT NULL REFERENCES trunk ON DELETE CASCADE,
    numbers BLOB NOT NULL,
    photo BLOB NOT NULL
) STRICT;
