//! Which buttons and lights there are, and how they are wired.

use std::time::Duration;

use serde::Deserialize;

use super::GpioFault;
use crate::live::OutOfRange;
use crate::store::{UNKNOWN, check_name};

/// The last GPIO of a Raspberry Pi.
const LAST: u32 = 53;

/// Buttons and lights: the tables `[gpio]`, `[[button]]` and `[[light]]` of the settings' file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GpioSettings {
    /// What they have in common.
    pub gpio: ChipSettings,
    /// The buttons.
    pub button: Vec<ButtonSettings>,
    /// The lights.
    pub light: Vec<LightSettings>,
}

/// What all buttons and lights have in common.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChipSettings {
    /// Device of the chip; `auto` is that of the Raspberry Pi's header, wherever the kernel puts it.
    pub chip: String,
    /// Seconds within which a contact bounces, 0 to 1.
    pub debounce: f64,
    /// Whether the chip's own resistors pull buttons to where they are when they are not pressed; `false` where the board has
    /// its own.
    pub pull: bool,
}

impl Default for ChipSettings {
    /// The header's chip, 20 ms, pulled.
    fn default() -> Self {
        Self { chip: "auto".to_owned(), debounce: 0.02, pull: true }
    }
}

impl ChipSettings {
    /// How long a contact bounces.
    #[must_use]
    pub fn debounce_time(&self) -> Duration {
        Duration::try_from_secs_f64(self.debounce).unwrap_or_default()
    }
}

/// At which level of its line a button is pressed, or a light is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Active {
    /// Ground.
    Low,
    /// 3.3 V.
    High,
}

/// A button. It has either a class or `undo`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ButtonSettings {
    /// Number of its GPIO, which is not that of the pin.
    pub gpio: u32,
    /// The class that is taught while it is held.
    #[serde(default)]
    pub class: Option<String>,
    /// Whether it takes the last thing back.
    #[serde(default)]
    pub undo: bool,
    /// When it is pressed: if nothing is said, when it is low, as a button to ground is.
    #[serde(default = "low")]
    pub active: Active,
}

/// A light. It has one of a class, `drift` and `teaching`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LightSettings {
    /// Number of its GPIO, which is not that of the pin.
    pub gpio: u32,
    /// The label that it is on with; `unknown` is one, too.
    #[serde(default)]
    pub class: Option<String>,
    /// Whether it is on with the drift alarm.
    #[serde(default)]
    pub drift: bool,
    /// Whether it blinks while a class is held.
    #[serde(default)]
    pub teaching: bool,
    /// When it is on: if nothing is said, when it is high, as a light to ground is.
    #[serde(default = "high")]
    pub active: Active,
}

fn low() -> Active {
    Active::Low
}

fn high() -> Active {
    Active::High
}

/// What a button is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// To teach the class while it is held.
    Class(String),
    /// To take the last thing back.
    Undo,
}

/// What a light tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shows {
    /// The label is that of the class.
    Class(String),
    /// What is seen is none of the classes.
    Unknown,
    /// What is seen is not what was taught.
    Drift,
    /// A class is held.
    Teaching,
}

impl ButtonSettings {
    /// What it is for; `None` if that is not one thing.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        match (&self.class, self.undo) {
            (Some(class), false) => Some(Role::Class(class.clone())),
            (None, true) => Some(Role::Undo),
            _ => None,
        }
    }

    /// As messages call it.
    pub(super) fn name(&self) -> String {
        self.class
            .as_ref()
            .map_or("the undo button".to_owned(), |class| format!("the button of `{}`", class.escape_debug()))
    }
}

impl LightSettings {
    /// What it tells; `None` if that is not one thing.
    #[must_use]
    pub fn shows(&self) -> Option<Shows> {
        match (self.class.as_deref(), self.drift, self.teaching) {
            (Some(UNKNOWN), false, false) => Some(Shows::Unknown),
            (Some(class), false, false) => Some(Shows::Class(class.to_owned())),
            (None, true, false) => Some(Shows::Drift),
            (None, false, true) => Some(Shows::Teaching),
            _ => None,
        }
    }

    fn name(&self) -> String {
        match &self.class {
            Some(class) => format!("the light of `{}`", class.escape_debug()),
            None => format!("the light of {}", if self.drift { "drift" } else { "teaching" }),
        }
    }
}

impl GpioSettings {
    /// Whether there is neither a button nor a light.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.button.is_empty() && self.light.is_empty()
    }

    /// Whether they are sound.
    ///
    /// # Errors
    /// The first thing that is not.
    pub fn check(&self) -> Result<(), GpioFault> {
        let ChipSettings { ref chip, debounce, .. } = self.gpio;
        let is_chip = chip == "auto" || chip.starts_with('/');
        OutOfRange::check(
            "gpio",
            [
                (is_chip, "chip", format!("{chip:?}"), "\"auto\" or a path such as \"/dev/gpiochip0\""),
                ((0.0..=1.0).contains(&debounce), "debounce", debounce.to_string(), "within 0 and 1 seconds"),
            ],
        )?;
        let mut names: Vec<(u32, String)> = Vec::new();
        let wanted = "either a class or undo = true";
        for button in &self.button {
            let role = button.role().map(|role| matches!(role, Role::Class(_)));
            check("button", button.gpio, role, button.class.as_deref(), wanted, button.name(), &mut names)?;
        }
        let wanted = "one of class = \"...\", drift = true and teaching = true";
        for light in &self.light {
            let shows = light.shows().map(|shows| matches!(shows, Shows::Class(_)));
            check("light", light.gpio, shows, light.class.as_deref(), wanted, light.name(), &mut names)?;
        }
        Ok(())
    }
}

/// Checks one button or light; whether it has a class if it has just one purpose.
fn check(
    table: &'static str,
    gpio: u32,
    has_class: Option<bool>,
    class: Option<&str>,
    wanted: &'static str,
    name: String,
    names: &mut Vec<(u32, String)>,
) -> Result<(), GpioFault> {
    if gpio > LAST {
        return Err(GpioFault::NoGpio { table, gpio });
    }
    let has_class = has_class.ok_or(GpioFault::Purpose { table, gpio, wanted })?;
    if let Some(class) = class.filter(|_| has_class) {
        check_name(class).map_err(|error| GpioFault::Name { table, gpio, what: error.to_string() })?;
    }
    if let Some((_, first)) = names.iter().find(|(other, _)| *other == gpio) {
        return Err(GpioFault::Twice { gpio, first: first.clone(), second: name });
    }
    names.push((gpio, name));
    Ok(())
}

#[cfg(test)]
mod tests;
