//! What happens to a source while it is captured.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::live::log::Log;

/// Something that happened to a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When; of several damaged frames, the last one.
    pub time: SystemTime,
    /// What.
    pub kind: EventKind,
}

/// What happened. No text has a password or a line end in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// The first frame after a start came.
    Started,
    /// The source gives no more frames.
    Ended {
        /// How: the program's exit status, or what failed.
        how: String,
        /// The last line of the program's standard error.
        last_line: Option<String>,
    },
    /// No frame came for so long; the source is stopped.
    Stalled {
        /// How long.
        after: Duration,
    },
    /// The source will be started again.
    Restarting {
        /// In what time.
        after: Duration,
    },
    /// Frames, one after the other, that could not be decoded.
    Damaged {
        /// How many.
        count: u64,
        /// What is wrong with the last one.
        reason: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => write!(f, "started"),
            Self::Ended { how, last_line: None } => write!(f, "ended: {how}"),
            Self::Ended { how, last_line: Some(line) } => write!(f, "ended: {how}: {line}"),
            Self::Stalled { after } => write!(f, "stalled: no frame for {} s", after.as_secs_f64()),
            Self::Restarting { after } => write!(f, "restarting in {} s", after.as_secs_f64()),
            Self::Damaged { count: 1, reason } => write!(f, "a frame is damaged: {reason}"),
            Self::Damaged { count, reason } => write!(f, "{count} frames are damaged: {reason}"),
        }
    }
}

impl EventKind {
    /// Takes a later event in, if it is of the same damage: thousands of damaged frames are not to push out what else happened.
    pub(in crate::live) fn take_in(&mut self, later: &Self) -> bool {
        match (self, later) {
            (Self::Damaged { count, reason }, Self::Damaged { count: more, reason: newest }) => {
                *count += more;
                newest.clone_into(reason);
                true
            }
            _ => false,
        }
    }
}

/// Adds what happened now.
pub(super) fn add(log: &Log<Event>, kind: EventKind) {
    log.add(Event { time: SystemTime::now(), kind }, |last, event| {
        let taken = last.kind.take_in(&event.kind);
        if taken {
            last.time = event.time;
        }
        taken
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damaged(count: u64, reason: &str) -> EventKind {
        EventKind::Damaged { count, reason: reason.to_owned() }
    }

    #[test]
    fn damage_is_counted_up() {
        let log = Log::default();
        add(&log, EventKind::Started);
        (0..1000).for_each(|_| add(&log, damaged(1, "a")));
        add(&log, damaged(2, "b"));
        let kinds: Vec<_> = log.drain().into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [EventKind::Started, damaged(1002, "b")]);
    }

    #[test]
    fn events_are_lines() {
        let ended = |last_line: Option<&str>| EventKind::Ended {
            how: "exit status: 1".to_owned(),
            last_line: last_line.map(str::to_owned),
        };
        let lines = [
            (EventKind::Started, "started"),
            (ended(None), "ended: exit status: 1"),
            (ended(Some("no cameras available")), "ended: exit status: 1: no cameras available"),
            (EventKind::Stalled { after: Duration::from_secs(10) }, "stalled: no frame for 10 s"),
            (EventKind::Restarting { after: Duration::from_millis(500) }, "restarting in 0.5 s"),
            (damaged(1, "cut"), "a frame is damaged: cut"),
            (damaged(3, "cut"), "3 frames are damaged: cut"),
        ];
        for (kind, line) in lines {
            assert_eq!(kind.to_string(), line);
        }
    }
}
