//! From contacts to what is asked for.

use std::time::{Duration, Instant};

use super::contact::Contact;
use super::settings::{ButtonSettings, Role};
use super::{Action, GpioSettings};

/// Nobody presses a button for longer: it is stuck, wet, or its wires touch.
const STUCK: Duration = Duration::from_secs(60);

/// What comes of buttons.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Action(Action),
    /// Something is wrong with one.
    Said(String),
}

#[derive(Debug)]
struct Button {
    gpio: u32,
    role: Role,
    name: String,
    contact: Contact,
    /// Whether it was said that it is stuck.
    is_said: bool,
}

/// All buttons, and which of them is held.
#[derive(Debug)]
pub(super) struct Buttons {
    debounce: Duration,
    buttons: Vec<Button>,
    /// Indices of those of classes that are pressed, the newest last. One that is pressed and not among them does not count until
    /// it was released.
    held: Vec<usize>,
    /// The class of the newest.
    class: Option<String>,
    outcomes: Vec<Outcome>,
}

impl Buttons {
    /// None is pressed, until [`begin`](Self::begin) says otherwise. Buttons without a purpose are left out.
    pub(super) fn new(settings: &GpioSettings, now: Instant) -> Self {
        let button = |button: &ButtonSettings| {
            let (gpio, name) = (button.gpio, button.name());
            Some(Button { gpio, role: button.role()?, name, contact: Contact::new(false, now), is_said: false })
        };
        let buttons = settings.button.iter().filter_map(button).collect();
        Self { debounce: Duration::ZERO, buttons, held: Vec::new(), class: None, outcomes: Vec::new() }
    }

    /// Their GPIOs.
    pub(super) fn gpios(&self) -> Vec<u32> {
        self.buttons.iter().map(|button| button.gpio).collect()
    }

    /// GPIOs of those that are pressed.
    pub(super) fn down(&self) -> Vec<u32> {
        self.buttons.iter().filter(|button| button.contact.is_down()).map(|button| button.gpio).collect()
    }

    /// The lines were opened. A button that is pressed already was not pressed to ask for anything.
    pub(super) fn begin(&mut self, levels: &[(u32, bool)], debounce: Duration, now: Instant) {
        self.debounce = debounce;
        for button in &mut self.buttons {
            let is_down = levels.contains(&(button.gpio, true));
            (button.contact, button.is_said) = (Contact::new(is_down, now), false);
        }
    }

    /// A line is at a level, as an edge or the line itself says.
    pub(super) fn see(&mut self, gpio: u32, pressed: bool, now: Instant) {
        let Some(index) = self.buttons.iter().position(|button| button.gpio == gpio) else { return };
        if self.buttons[index].contact.see(pressed, now, self.debounce) {
            self.changed(index);
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant) {
        for index in 0..self.buttons.len() {
            if self.buttons[index].contact.settle(now, self.debounce) {
                self.changed(index);
            }
            let Button { gpio, name, contact, is_said, .. } = &mut self.buttons[index];
            if contact.is_down() && !*is_said && contact.lasts(now) >= STUCK {
                *is_said = true;
                self.outcomes.push(Outcome::Said(format!(
                    "{name}, GPIO {gpio}, has been pressed for {} s: is it stuck, wet, or do its wires touch? it does not count \
                     until it was released",
                    STUCK.as_secs()
                )));
                self.let_go(index);
            }
        }
    }

    /// The lines have failed: whether anything is still pressed cannot be known.
    pub(super) fn release(&mut self) {
        self.held.clear();
        self.update();
    }

    /// When time alone changes something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.buttons.iter().filter_map(|button| button.contact.deadline()).min()
    }

    /// Whether a class is held.
    pub(super) fn is_held(&self) -> bool {
        self.class.is_some()
    }

    /// What came of it since the last call.
    pub(super) fn take(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.outcomes)
    }

    /// A contact has gone up or down.
    fn changed(&mut self, index: usize) {
        let button = &mut self.buttons[index];
        button.is_said = false;
        match (&button.role, button.contact.is_down()) {
            (Role::Class(_), true) => {
                self.held.push(index);
                self.update();
            }
            // What would be taken back is being taught.
            (Role::Undo, true) if !self.held.is_empty() => {}
            (Role::Undo, true) => self.outcomes.push(Outcome::Action(Action::Undo)),
            (_, false) => self.let_go(index),
        }
    }

    fn let_go(&mut self, index: usize) {
        self.held.retain(|held| *held != index);
        self.update();
    }

    /// Says which class is held, if it is another one now.
    fn update(&mut self) {
        let class = self.held.last().and_then(|index| match &self.buttons[*index].role {
            Role::Class(class) => Some(class),
            Role::Undo => None,
        });
        if class != self.class.as_ref() {
            self.class = class.cloned();
            self.outcomes.push(Outcome::Action(Action::Hold(self.class.clone())));
        }
    }
}
