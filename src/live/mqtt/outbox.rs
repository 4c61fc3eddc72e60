//! What is to go to the broker next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::MqttFault;
use super::backoff::Backoff;
use super::board::{Board, How, Publish};
use super::discovery::Discovery;
use super::pace::Pace;
use super::settings::check_name;
use super::state::State;
use super::topics::Topics;

/// The largest payload that is shared, in bytes.
pub(super) const MAX_SHARED: usize = 16 << 20;
/// The most groups that a camera takes part in.
const MAX_GROUPS: usize = 8;
/// The most answers that wait; they are short, and a broker that is there takes them at once.
const MAX_ANSWERS: usize = 64;
/// A broker that hangs up when something is shared is not sent it again for so long, twice as long each time.
const SHARE_AGAIN: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(3600)];

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Subscribe(String),
    Publish(Publish),
    /// Nothing before that time, or before something is shown.
    Wait(Option<Instant>),
}

/// What is to go to the broker. While that is gone it holds the newest of all, and does not grow.
#[derive(Debug)]
pub(super) struct Outbox {
    topics: Topics,
    pace: Pace,
    discovery: Discovery,
    board: Board,
    answers: VecDeque<String>,
    is_connected: bool,
    /// Filters, and whether the broker knows of them.
    filters: Vec<(String, bool)>,
    following: Vec<String>,
    sharing: Vec<String>,
    /// Bytes of what is shared and not confirmed.
    unconfirmed: Option<usize>,
    share_again: Backoff,
    held_until: Option<Instant>,
    follows: bool,
}

impl Outbox {
    pub(super) fn new(topics: Topics, has_commands: bool) -> Self {
        let mut board = Board::default();
        board.put(topics.own("availability"), "online", How::Retained);
        let commands = has_commands.then(|| topics.own("command/+"));
        let filters = commands.into_iter().chain(topics.config("button", "+")).map(|filter| (filter, false)).collect();
        let share_again = Backoff::new(SHARE_AGAIN[0], SHARE_AGAIN[1]);
        Self {
            topics,
            pace: Pace::default(),
            discovery: Discovery::new(has_commands),
            board,
            answers: VecDeque::new(),
            is_connected: false,
            filters,
            following: Vec::new(),
            sharing: Vec::new(),
            unconfirmed: None,
            share_again,
            held_until: None,
            follows: true,
        }
    }

    pub(super) fn show(&mut self, state: State) {
        self.pace.show(state);
    }

    /// An answer is of use only to who has just asked.
    pub(super) fn answer(&mut self, text: &str) {
        if self.is_connected && self.answers.len() < MAX_ANSWERS {
            self.answers.push_back(text.to_owned());
        }
    }

    pub(super) fn share(&mut self, group: &str, payload: Arc<[u8]>) -> Result<(), MqttFault> {
        check_name("group", group)?;
        if payload.len() > MAX_SHARED {
            return Err(MqttFault::TooLarge { bytes: payload.len() });
        }
        add_group(&mut self.sharing, group)?;
        self.board.put(self.topics.fleet(group), Bytes::from_owner(payload), How::Confirmed);
        Ok(())
    }

    pub(super) fn follow(&mut self, group: &str) -> Result<(), MqttFault> {
        check_name("group", group)?;
        if add_group(&mut self.following, group)? && self.follows {
            self.filters.push((self.topics.fleet_filter(group), false));
        }
        Ok(())
    }

    /// Somebody shares more than can be read, and the broker would send it at each connection again.
    pub(super) fn stop_following(&mut self) {
        self.follows = false;
        let filters: Vec<_> = self.following.iter().map(|group| self.topics.fleet_filter(group)).collect();
        self.filters.retain(|(filter, _)| !filters.contains(filter));
    }

    /// A button is at the broker.
    pub(super) fn find_button(&mut self, topic: &str) {
        self.discovery.find(topic, &mut self.board);
    }

    /// The broker is there, and knows of nothing.
    pub(super) fn connect(&mut self) {
        self.is_connected = true;
        self.board.reset();
        self.filters.iter_mut().for_each(|(_, is_known)| *is_known = false);
    }

    /// The broker is gone; if it `has_hung_up` when it was just sent something shared, how many bytes that were, and for how long it is not
    /// sent again.
    pub(super) fn disconnect(&mut self, now: Instant, has_hung_up: bool) -> Option<(usize, Duration)> {
        self.is_connected = false;
        self.answers.clear();
        let bytes = self.unconfirmed.take().filter(|_| has_hung_up)?;
        let wait = self.share_again.next();
        self.held_until = Some(now + wait);
        Some((bytes, wait))
    }

    /// The broker has what was shared.
    pub(super) fn confirm(&mut self) {
        self.unconfirmed = None;
        self.share_again.reset();
    }

    /// What to do now.
    pub(super) fn next(&mut self, now: Instant) -> Action {
        if let Some((filter, is_known)) = self.filters.iter_mut().find(|(_, is_known)| !is_known) {
            *is_known = true;
            return Action::Subscribe(filter.clone());
        }
        if let Some(text) = self.answers.pop_front() {
            let payload = Bytes::from(text);
            return Action::Publish(Publish { topic: self.topics.own("answer"), payload, how: How::Passing });
        }
        self.held_until = self.held_until.filter(|&until| until > now);
        // First what has changed: what is on the board may be old.
        let next = self.pace.put(now, &self.topics, &mut self.discovery, &mut self.board);
        match self.board.next(self.held_until.is_none() && self.unconfirmed.is_none()) {
            Some(publish) => {
                if publish.how == How::Confirmed {
                    self.unconfirmed = Some(publish.payload.len());
                }
                Action::Publish(publish)
            }
            None => Action::Wait(next.into_iter().chain(self.held_until).min()),
        }
    }
}

/// Whether the group is new.
fn add_group(groups: &mut Vec<String>, group: &str) -> Result<bool, MqttFault> {
    if groups.iter().any(|other| other == group) {
        return Ok(false);
    }
    if groups.len() == MAX_GROUPS {
        return Err(MqttFault::Groups);
    }
    groups.push(group.to_owned());
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is done until there is nothing more.
    fn rest(outbox: &mut Outbox, now: Instant) -> Vec<String> {
        let next = || match outbox.next(now) {
            Action::Subscribe(filter) => Some(format!("+ {filter}")),
            Action::Publish(publish) => Some(publish.topic),
            Action::Wait(_) => None,
        };
        std::iter::from_fn(next).collect()
    }

    fn outbox() -> Outbox {
        Outbox::new(Topics::new("t", "n", ""), true)
    }

    #[test]
    fn after_a_reconnect_all_is_there_again_once() {
        let (mut outbox, now) = (outbox(), Instant::now());
        (0..10_000).for_each(|i| outbox.show(State { head: Some(i), ..State::default() }));
        (0..1000).for_each(|_| outbox.answer("nobody is there"));
        outbox.follow("g").unwrap();
        outbox.follow("g").unwrap();
        outbox.connect();
        let all = [
            "+ t/n/command/+",
            "+ t/fleet/g/+",
            "t/n/availability",
            "t/n/state",
            "t/n/probabilities",
            "t/n/drift",
            "t/n/learned",
            "t/n/fps",
        ];
        assert_eq!(rest(&mut outbox, now), all);
        outbox.answer("done");
        assert_eq!(rest(&mut outbox, now), ["t/n/answer"]);
        assert_eq!(outbox.disconnect(now, true), None);
        outbox.connect();
        assert_eq!(rest(&mut outbox, now), all);
    }

    #[test]
    fn what_a_broker_hangs_up_on_is_not_sent_at_once_again() {
        let (mut outbox, now) = (outbox(), Instant::now());
        let minute = Duration::from_secs(60);
        outbox.share("g", Arc::from([1; 100])).unwrap();
        outbox.share("h", Arc::from([1; 100])).unwrap();
        outbox.connect();
        assert!(rest(&mut outbox, now).ends_with(&["t/fleet/g/n".to_owned()]), "one at a time");
        assert_eq!(outbox.disconnect(now, true), Some((100, minute)));
        outbox.connect();
        assert_eq!(rest(&mut outbox, now), ["+ t/n/command/+", "t/n/availability"]);
        assert_eq!(outbox.next(now), Action::Wait(Some(now + minute)));
        assert_eq!(rest(&mut outbox, now + minute), ["t/fleet/g/n"]);
        outbox.confirm();
        assert_eq!(rest(&mut outbox, now + minute), ["t/fleet/h/n"]);
        assert_eq!(outbox.disconnect(now + minute, true), Some((100, minute)), "the first one went well");
    }

    #[test]
    fn groups_are_bounded() {
        let mut outbox = outbox();
        (0..MAX_GROUPS).for_each(|i| outbox.follow(&i.to_string()).unwrap());
        assert!(matches!(outbox.follow("x"), Err(MqttFault::Groups)));
        assert!(matches!(outbox.follow("a/b"), Err(MqttFault::Name { name: "group", .. })));
        assert!(matches!(outbox.share("a", vec![0; MAX_SHARED + 1].into()), Err(MqttFault::TooLarge { .. })));
        outbox.stop_following();
        outbox.connect();
        assert_eq!(rest(&mut outbox, Instant::now()), ["+ t/n/command/+", "t/n/availability"]);
    }
}
