//! What is to be at the broker, topic by topic, and what of it is there already. It holds one payload a topic, so it does not grow
//! while the broker is gone.

use bytes::Bytes;

/// How a payload is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Who subscribes later gets it too.
    Retained,
    /// Only for who is there.
    Passing,
    /// Retained, and the broker says that it has it.
    Confirmed,
}

/// Something to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Publish {
    pub topic: String,
    pub payload: Bytes,
    pub how: How,
}

/// What is to be at the broker, in the order in which it came first.
#[derive(Debug, Default)]
pub(super) struct Board(Vec<(Publish, bool)>);

impl Board {
    /// Puts a payload in the place of the one before. The same one again is nothing new. An empty one takes away what is
    /// retained.
    pub(super) fn put(&mut self, topic: String, payload: impl Into<Bytes>, how: How) {
        let new = Publish { topic, payload: payload.into(), how };
        match self.0.iter_mut().find(|(old, _)| old.topic == new.topic) {
            Some((old, _)) if *old == new => {}
            Some(place) => *place = (new, false),
            None => self.0.push((new, false)),
        }
    }

    /// The next one to publish, which is taken as published then. Those that are confirmed can be left for later.
    pub(super) fn next(&mut self, with_confirmed: bool) -> Option<Publish> {
        let wanted =
            |(publish, is_sent): &(Publish, bool)| !is_sent && (with_confirmed || publish.how != How::Confirmed);
        let at = self.0.iter().position(wanted)?;
        // Classes come and go, and each would leave an empty button behind. What a lost connection leaves of these is found
        // when it is there again.
        if self.0[at].0.payload.is_empty() && self.0[at].0.how == How::Retained {
            return Some(self.0.remove(at).0);
        }
        self.0[at].1 = true;
        Some(self.0[at].0.clone())
    }

    /// A broker that may have none of it.
    pub(super) fn reset(&mut self) {
        self.0.iter_mut().for_each(|(_, is_sent)| *is_sent = false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(board: &mut Board) -> Vec<(String, Bytes)> {
        std::iter::from_fn(|| board.next(true)).map(|publish| (publish.topic, publish.payload)).collect()
    }

    fn pairs(pairs: &[(&str, &'static str)]) -> Vec<(String, Bytes)> {
        pairs.iter().map(|(topic, payload)| ((*topic).to_owned(), Bytes::from(*payload))).collect()
    }

    #[test]
    fn the_newest_is_published_once_and_again_after_a_reset() {
        let mut board = Board::default();
        board.put("a".into(), "1", How::Retained);
        board.put("b".into(), "1", How::Passing);
        board.put("a".into(), "2", How::Retained);
        assert_eq!(rest(&mut board), pairs(&[("a", "2"), ("b", "1")]));
        board.put("a".into(), "2", How::Retained);
        assert_eq!(rest(&mut board), []);
        board.reset();
        assert_eq!(rest(&mut board), pairs(&[("a", "2"), ("b", "1")]));
    }

    #[test]
    fn what_is_taken_away_leaves_nothing() {
        let mut board = Board::default();
        (0..1000).for_each(|i| {
            board.put(format!("{i}"), "1", How::Retained);
            board.put(format!("{i}"), "", How::Retained);
        });
        assert_eq!(rest(&mut board).len(), 1000);
        board.reset();
        assert_eq!((rest(&mut board).len(), board.0.len()), (0, 0));
    }

    #[test]
    fn what_is_confirmed_can_wait() {
        let mut board = Board::default();
        board.put("big".into(), "1", How::Confirmed);
        board.put("a".into(), "1", How::Retained);
        assert_eq!(board.next(false).unwrap().topic, "a");
        assert_eq!(board.next(false), None);
        assert_eq!(board.next(true).unwrap().topic, "big");
        // A withdrawal is said to each broker anew.
        board.put("big".into(), "", How::Confirmed);
        assert_eq!(rest(&mut board), pairs(&[("big", "")]));
        board.reset();
        assert_eq!(rest(&mut board), pairs(&[("a", "1"), ("big", "")]).into_iter().rev().collect::<Vec<_>>());
    }
}
