//! What has come from the broker, and what has happened to it, until the loop asks.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// The most that waits, so that a flood of commands does not fill the memory.
const MOST: usize = 256;
/// The most bytes of shared payloads that wait. More stay with the broker until the loop has taken these.
const MOST_BYTES: usize = 64 << 20;
/// How long they stay there. A loop that has not asked for so long will not ask any more.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something that has come, or happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// The newest frame is of this class; the name is not checked beyond having no control characters.
    Teach(String),
    /// The last change of the samples is to be taken back.
    Undo,
    /// The samples are to be as they were for this version of the head, or for the one before the present one.
    RollBack(Option<i64>),
    /// Another node of a group shares this, at most 16 MiB; empty: nothing any more.
    Shared {
        /// The group.
        group: String,
        /// The node.
        node: String,
        /// What.
        payload: Vec<u8>,
    },
    /// The broker is there.
    Connected,
    /// The broker is gone or not there yet, in one line. It is tried again.
    Lost(String),
    /// The broker does not let this program do something, or is not to be trusted, in one line; somebody has to do what the line
    /// says. It is tried again.
    Refused(String),
    /// Something came that is no command, in one line.
    BadCommand(String),
}

/// What waits to be asked for.
#[derive(Default)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    taken: Notify,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<Message>,
    /// What was said of the broker last.
    said: Option<Message>,
}

impl Waiting {
    fn push(&mut self, message: Message) {
        if self.messages.len() == MOST {
            // A flood of commands is no reason to lose what others share.
            let is_other = |message: &Message| !matches!(message, Message::Shared { .. });
            let oldest = self.messages.iter().position(is_other).unwrap_or(0);
            self.messages.remove(oldest);
        }
        self.messages.push_back(message);
    }

    /// Bytes of shared payloads but those that the node's newest one takes the place of.
    fn bytes_without(&self, from: (&str, &str)) -> usize {
        let bytes = |message: &Message| match message {
            Message::Shared { payload, .. } if !is_from(message, from) => payload.len(),
            _ => 0,
        };
        self.messages.iter().map(bytes).sum()
    }
}

/// Whether it is what this node of this group shares.
fn is_from(message: &Message, from: (&str, &str)) -> bool {
    matches!(message, Message::Shared { group, node, .. } if (group.as_str(), node.as_str()) == from)
}

impl Inbox {
    /// Takes them all, the oldest first.
    pub(super) fn drain(&self) -> Vec<Message> {
        let messages = self.lock().messages.drain(..).collect();
        self.taken.notify_one();
        messages
    }

    /// Adds one; of many only the newest stay.
    pub(super) fn add(&self, message: Message) {
        let mut waiting = self.lock();
        if !matches!(&message, Message::BadCommand(_)) || waiting.messages.back() != Some(&message) {
            waiting.push(message);
        }
    }

    /// Adds what happened to the broker, unless it was said last.
    pub(super) fn say(&self, message: Message) {
        let mut waiting = self.lock();
        if waiting.said.as_ref() != Some(&message) {
            waiting.said = Some(message.clone());
            waiting.push(message);
        }
    }

    /// Adds a shared payload in the place of the node's one before; waits until there is room for it.
    pub(super) async fn add_shared(&self, group: &str, node: &str, payload: &[u8]) {
        // Copied before anything is locked: it may be large.
        let message = Message::Shared { group: group.to_owned(), node: node.to_owned(), payload: payload.to_vec() };
        loop {
            {
                let mut waiting = self.lock();
                let others = waiting.bytes_without((group, node));
                if others == 0 || others + payload.len() <= MOST_BYTES {
                    waiting.messages.retain(|message| !is_from(message, (group, node)));
                    return waiting.push(message);
                }
            }
            // A call between the two leaves its word here.
            if tokio::time::timeout(PATIENCE, self.taken.notified()).await.is_err() {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floods_are_bounded_and_troubles_said_once() {
        let inbox = Inbox::default();
        (0..1000).for_each(|i| inbox.add(Message::RollBack(Some(i))));
        let messages = inbox.drain();
        assert_eq!((messages.len(), messages.last()), (MOST, Some(&Message::RollBack(Some(999)))));
        for _ in 0..3 {
            inbox.say(Message::Lost("gone".into()));
            inbox.add(Message::BadCommand("what".into()));
        }
        inbox.add(Message::Undo);
        inbox.add(Message::Undo);
        inbox.say(Message::Connected);
        inbox.say(Message::Lost("gone".into()));
        assert_eq!(inbox.drain().len(), 6, "the first two, both undos, and the last two");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_newest_shared_wins_and_more_waits_for_room() {
        let inbox = Inbox::default();
        let payload = vec![7; MOST_BYTES / 2];
        inbox.add_shared("g", "a", b"old").await;
        inbox.add_shared("g", "b", &payload).await;
        inbox.add_shared("g", "a", &payload).await;
        let third = inbox.add_shared("g", "c", b"x");
        tokio::pin!(third);
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut third).await.is_err(), "it waits");
        let nodes = inbox.drain().into_iter().filter_map(|message| match message {
            Message::Shared { node, payload, .. } => Some((node, payload.len())),
            _ => None,
        });
        assert_eq!(nodes.collect::<Vec<_>>(), [("b".to_owned(), MOST_BYTES / 2), ("a".to_owned(), MOST_BYTES / 2)]);
        third.await;
        assert_eq!(inbox.drain().len(), 1);
    }
}
