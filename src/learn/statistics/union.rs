//! The newest statistics of several devices, and the head of all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::{MAX_CLASSES, Statistics, StatisticsError, StatisticsFault, StatisticsHead, TrunkIdentity};
use crate::learn::model::Model;
use crate::learn::scaling::Scaling;
use crate::trunk::Trunk;

/// The most devices.
pub const MAX_NODES: usize = 64;
/// The longest name of a device, in bytes.
const MAX_NODE_NAME: usize = 255;

/// Why a device's statistics are not part of the union.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum UnionError {
    /// A name that is none.
    #[error("`{}` cannot be the name of a device: it is empty, longer than {MAX_NODE_NAME} bytes or has control characters", node.escape_debug())]
    Node {
        /// The name, or the beginning of it.
        node: String,
    },
    /// As many devices as there may be.
    #[error("`{}` is not merged: there are {MAX_NODES} devices already; let one withdraw", node.escape_debug())]
    Full {
        /// The one that is too many.
        node: String,
    },
    /// What it sent is damaged, or something else. What it sent before still counts.
    #[error("what `{}` has sent is not used: {source}", node.escape_debug())]
    Parse {
        /// The device.
        node: String,
        /// What is wrong.
        source: StatisticsFault,
    },
    /// What it sent is sound, but not for this union. What it sent before does not count any more.
    #[error("what `{}` has sent is not used: {source}", node.escape_debug())]
    Unlike {
        /// The device.
        node: String,
        /// What is wrong.
        source: StatisticsError,
    },
}

/// The newest statistics of each of up to [`MAX_NODES`] devices, all of one trunk. Whatever way they came, the same ones give the same
/// head, bit for bit; what a device has withdrawn, or sent anew, is forgotten.
///
/// ```
/// use topgraft::learn::{Scaling, Statistics, StatisticsHead, Union};
/// use topgraft::trunk::Trunk;
///
/// let trunk = Trunk::rows(2);
/// let sent = |class: &str, row: [f32; 2]| {
///     let made = Statistics::of_rows(&trunk, Scaling::L2, &[class.to_owned()], &[0, 0], &[row, row].concat());
///     made.map(|statistics| statistics.to_bytes())
/// };
/// let mut union = Union::new(&trunk);
/// assert!(union.put("porch", &sent("cat", [1.0, 0.0])?)?);
/// assert!(union.put("garden", &sent("fox", [0.0, 1.0])?)?);
/// assert_eq!(union.model(StatisticsHead::Lda)?.labels, ["cat", "fox"]);
/// assert!(union.put("garden", &[])?, "it withdraws");
/// assert!(union.model(StatisticsHead::Lda).is_err(), "there is one class left");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Union {
    trunk: TrunkIdentity,
    nodes: BTreeMap<String, Statistics>,
    revision: u64,
}

impl Union {
    /// Of no device yet, and for features of this trunk, scaled to length 1.
    pub fn new(trunk: &Trunk) -> Self {
        Self { trunk: TrunkIdentity::of(trunk), nodes: BTreeMap::new(), revision: 0 }
    }

    /// Takes what a device has sent in place of what it sent before; nothing at all is what a device sends that withdraws. Whether the
    /// union is another one now.
    ///
    /// # Errors
    /// [`UnionError`]. Where that is [`Unlike`](UnionError::Unlike), what the device sent before is outdated, and goes.
    pub fn put(&mut self, node: &str, bytes: &[u8]) -> Result<bool, UnionError> {
        if bytes.is_empty() {
            return Ok(self.remove(node));
        }
        self.check_place(node)?;
        let parsed = Statistics::parse(bytes);
        self.insert(node, parsed.map_err(|source| UnionError::Parse { node: node.to_owned(), source })?)
    }

    /// The same of statistics that are there already, as the device's own.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn insert(&mut self, node: &str, mut statistics: Statistics) -> Result<bool, UnionError> {
        self.check_place(node)?;
        if let Err(source) = self.check(node, &statistics) {
            self.remove(node);
            return Err(UnionError::Unlike { node: node.to_owned(), source });
        }
        // What each device calls its network is its own affair.
        statistics.trunk = self.trunk.clone();
        if self.nodes.get(node) == Some(&statistics) {
            return Ok(false);
        }
        self.nodes.insert(node.to_owned(), statistics);
        self.revision += 1;
        Ok(true)
    }

    /// Forgets a device; whether it was there.
    pub fn remove(&mut self, node: &str) -> bool {
        let was_there = self.nodes.remove(node).is_some();
        self.revision += u64::from(was_there);
        was_there
    }

    /// The devices that are part of it, by name, with their newest statistics.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (&str, &Statistics)> {
        self.nodes.iter().map(|(node, statistics)| (node.as_str(), statistics))
    }

    /// Counts up whenever the union becomes another one.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Those of the samples of all devices.
    ///
    /// # Errors
    /// [`StatisticsError::Nothing`] if there is no device, or too many samples.
    pub fn statistics(&self) -> Result<Statistics, StatisticsError> {
        Statistics::merge(self.nodes.values())
    }

    /// The head of the samples of all devices.
    ///
    /// # Errors
    /// As [`statistics`](Self::statistics) and [`Statistics::model`].
    pub fn model(&self, kind: StatisticsHead) -> Result<Model, StatisticsError> {
        self.statistics()?.model(kind)
    }

    /// Whether there is room for that device.
    fn check_place(&self, node: &str) -> Result<(), UnionError> {
        if node.is_empty() || node.len() > MAX_NODE_NAME || node.contains(char::is_control) {
            return Err(UnionError::Node { node: node.chars().take(40).collect() });
        }
        if self.nodes.len() >= MAX_NODES && !self.nodes.contains_key(node) {
            return Err(UnionError::Full { node: node.to_owned() });
        }
        Ok(())
    }

    /// Whether statistics can be merged with those of the others.
    fn check(&self, node: &str, statistics: &Statistics) -> Result<(), StatisticsError> {
        let own = Statistics {
            trunk: self.trunk.clone(),
            scaling: Scaling::L2,
            classes: Vec::new(),
            counts: Vec::new(),
            sums: Vec::new(),
            scatter: Vec::new(),
        };
        own.check_like(statistics)?;
        let others = self.nodes.iter().filter(|(other, _)| *other != node).flat_map(|(_, others)| &others.classes);
        let names: BTreeSet<&String> = others.chain(&statistics.classes).collect();
        match names.len() {
            ..=MAX_CLASSES => Ok(()),
            classes => Err(StatisticsError::TooManyClasses { classes }),
        }
    }
}
