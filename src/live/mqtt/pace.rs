//! When what the camera sees is published: a label at once, numbers once a second at most, and nothing that has not changed.

use std::time::{Duration, Instant};

use super::board::{Board, How};
use super::discovery::Discovery;
use super::state::State;
use super::topics::Topics;

/// A label that flickers is not to flood the broker.
const LABEL: Duration = Duration::from_millis(100);
/// Between two of the same numbers,
const NUMBERS: Duration = Duration::from_secs(1);
/// and of the rate, which is never quite the same.
const RATE: Duration = Duration::from_secs(30);
/// What a probability has to move by: 1 %, less what `f32` is off by.
const STEP: f32 = 0.01 - 1e-5;
/// What the rate has to move by, as a share of it.
const RATE_STEP: f64 = 0.1;

/// The newest state, and what of it is on the board.
#[derive(Debug, Default)]
pub(super) struct Pace {
    newest: Option<State>,
    seen: Part<State>,
    probabilities: Part<State>,
    drift: Part<bool>,
    learned: Part<State>,
    classes: Part<Vec<String>>,
    rate: Part<f64>,
}

/// What was put on the board last, and when.
#[derive(Debug)]
struct Part<T>(Option<(T, Instant)>);

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Part<T> {
    /// When the next one is due, if `wait` says of the last one how long to wait after it.
    fn due(&self, now: Instant, wait: impl FnOnce(&T) -> Option<Duration>) -> Option<Instant> {
        match &self.0 {
            None => Some(now),
            Some((last, time)) => wait(last).map(|wait| *time + wait),
        }
    }
}

impl Pace {
    pub(super) fn show(&mut self, state: State) {
        self.newest = Some(state);
    }

    /// Puts on the board what is due, and says when something will be.
    pub(super) fn put(
        &mut self,
        now: Instant,
        topics: &Topics,
        discovery: &mut Discovery,
        board: &mut Board,
    ) -> Option<Instant> {
        let state = self.newest.as_ref()?;
        let mut next = None;
        // Whether it is to be done now.
        let mut is_due = |due: Option<Instant>| match due {
            Some(due) if due > now => {
                next = Some(next.map_or(due, |next: Instant| next.min(due)));
                false
            }
            due => due.is_some(),
        };

        let wait = |last: &State| match () {
            () if (&last.label, last.unknown) != (&state.label, state.unknown) => Some(LABEL),
            () if has_moved(last.confidence, state.confidence) => Some(NUMBERS),
            () => None,
        };
        if is_due(self.seen.due(now, wait)) {
            board.put(topics.own("state"), state.seen().to_string(), How::Retained);
            self.seen = Part(Some((state.clone(), now)));
        }
        let wait = |last: &State| (last.label != state.label || have_moved(last, state)).then_some(NUMBERS);
        if is_due(self.probabilities.due(now, wait)) {
            board.put(topics.own("probabilities"), state.probabilities().to_string(), How::Passing);
            self.probabilities = Part(Some((state.clone(), now)));
        }
        if is_due(self.drift.due(now, |&last| (last != state.drift).then_some(LABEL))) {
            board.put(topics.own("drift"), if state.drift { "ON" } else { "OFF" }, How::Retained);
            self.drift = Part(Some((state.drift, now)));
        }
        let bits = |state: &State| state.accuracy.map(|all| all.map(f64::to_bits));
        let is_other =
            |last: &State| (&last.classes, last.head, bits(last)) != (&state.classes, state.head, bits(state));
        if is_due(self.learned.due(now, |last| is_other(last).then_some(NUMBERS))) {
            board.put(topics.own("learned"), state.learned().to_string(), How::Retained);
            self.learned = Part(Some((state.clone(), now)));
        }
        let has_changed = |last: &Vec<String>| !last.iter().eq(state.classes.iter().map(|(class, _)| class));
        if is_due(self.classes.due(now, |last| has_changed(last).then_some(NUMBERS))) {
            let classes: Vec<_> = state.classes.iter().map(|(class, _)| class.clone()).collect();
            discovery.put(topics, &classes, board);
            self.classes = Part(Some((classes, now)));
        }
        // Against the larger one: the last one may be 0.
        let has_moved = |&last: &f64| (last - state.fps).abs() > RATE_STEP * last.abs().max(state.fps.abs());
        if is_due(self.rate.due(now, |last| has_moved(last).then_some(RATE))) {
            board.put(topics.own("fps"), format!("{:.1}", state.fps), How::Retained);
            self.rate = Part(Some((state.fps, now)));
        }
        next
    }
}

fn has_moved(before: Option<f32>, after: Option<f32>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => (before - after).abs() >= STEP || before.is_nan() != after.is_nan(),
        (before, after) => before.is_some() != after.is_some(),
    }
}

fn have_moved(before: &State, after: &State) -> bool {
    let (before, after) = (&before.probabilities, &after.probabilities);
    let moved = |((name, before), (new_name, after)): (&(String, f32), &(String, f32))| {
        name != new_name || has_moved(Some(*before), Some(*after))
    };
    before.len() != after.len() || before.iter().zip(after).any(moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Player {
        pace: Pace,
        board: Board,
        begin: Instant,
        topics: Topics,
    }

    impl Player {
        fn new() -> Self {
            let topics = Topics::new("t", "n", "");
            Self { pace: Pace::default(), board: Board::default(), begin: Instant::now(), topics }
        }

        /// What is published of a state at a time, in milliseconds, and when the next will be due.
        fn at(&mut self, time: u64, state: Option<State>) -> (Vec<String>, Option<u128>) {
            state.into_iter().for_each(|state| self.pace.show(state));
            let now = self.begin + Duration::from_millis(time);
            let next = self.pace.put(now, &self.topics, &mut Discovery::new(true), &mut self.board);
            let topics = std::iter::from_fn(|| self.board.next(true)).map(|publish| publish.topic.replace("t/n/", ""));
            (topics.collect(), next.map(|next| (next - self.begin).as_millis()))
        }
    }

    fn seen(label: &str, confidence: f32) -> Option<State> {
        let probabilities = vec![(label.to_owned(), confidence)];
        Some(State {
            label: Some(label.into()),
            confidence: Some(confidence),
            probabilities,
            fps: 9.8,
            ..State::default()
        })
    }

    #[test]
    fn labels_come_at_once_and_numbers_once_a_second() {
        let mut player = Player::new();
        assert_eq!(player.at(0, None), (vec![], None));
        assert_eq!(player.at(0, seen("cat", 0.9)).0, ["state", "probabilities", "drift", "learned", "fps"]);
        assert_eq!(player.at(50, seen("cat", 0.905)), (vec![], None), "less than 1 %");
        assert_eq!(player.at(200, seen("cat", 0.91)), (vec![], Some(1000)));
        assert_eq!(player.at(300, seen("cat", 0.9)), (vec![], None), "back again");
        assert_eq!(player.at(400, seen("dog", 0.9)), (vec!["state".into()], Some(1000)), "the label");
        assert_eq!(player.at(450, seen("cat", 0.9)).1, Some(500), "a label that flickers");
        assert_eq!(player.at(500, seen("dog", 0.7)), (vec![], Some(1000)));
        assert_eq!(player.at(1000, None), (vec!["probabilities".into()], Some(1400)));
        assert_eq!(player.at(1400, None), (vec!["state".into()], None));
        assert_eq!(player.at(9000, seen("dog", 0.7)), (vec![], None), "nothing has changed");
    }

    #[test]
    fn all_else_comes_when_it_changes() {
        let mut player = Player::new();
        player.at(0, seen("cat", 0.9));
        let state = seen("cat", 0.9).unwrap();
        let drift = State { drift: true, ..state.clone() };
        assert_eq!(player.at(500, Some(drift)).0, ["drift"]);
        let learned = State { head: Some(3), ..state.clone() };
        assert_eq!(player.at(700, Some(learned.clone())), (vec!["drift".into()], Some(1000)));
        assert_eq!(player.at(1000, None).0, ["learned"]);
        assert_eq!(player.at(2000, Some(State { fps: 9.5, ..learned.clone() })), (vec![], None));
        assert_eq!(player.at(2000, Some(State { fps: 5.0, ..learned.clone() })), (vec![], Some(30_000)));
        assert_eq!(player.at(30_000, None).0, ["fps"]);
        assert_eq!(player.at(90_000, Some(State { fps: f64::NAN, ..learned })), (vec![], None));
    }
}
