//! Buttons that teach and lights that tell, on the pins of the board.
//!
//! ```text
//! pins --Lines::next--> edges --debounced, which button is held--> Action --> the session
//! pins <--Lines::set-- lights <------------------------------------ Lights <-- what is seen
//! ```
//!
//! A button of a class is held to teach it, another one takes the last thing back. All of it is on one thread, [`Panel`]'s. What
//! must never happen is that a class is taught after the finger is gone: edges that the kernel dropped are missed by their
//! numbers, and then, and each second while a button is pressed, the pins themselves are read; lines that fail let go of what was
//! held, as does a button that is pressed for a minute.
//!
//! There was no chip to test this with: the behaviour was tested on lines that are played, [`CharacterDevice`] on a stand-in
//! for the kernel's answers.
//!
//! ```no_run
//! use topgraft::live::gpio::{Action, GpioSettings, Lights, Panel};
//!
//! let settings: GpioSettings = toml::from_str(
//!     "[[button]]\ngpio = 17\nclass = 'cat'\n[[button]]\ngpio = 27\nundo = true\n[[light]]\ngpio = 22\nclass = 'cat'",
//! )?;
//! let panel = Panel::start(settings, |action| match action {
//!     Action::Hold(Some(class)) => println!("teach {class}"),
//!     Action::Hold(None) => println!("enough"),
//!     Action::Undo => println!("take the last one back"),
//! })?;
//! panel.show(Lights { label: Some("cat".to_owned()), ..Lights::default() });
//! for text in panel.messages() {
//!     eprintln!("buttons and lights: {text}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod buttons;
mod contact;
#[cfg(target_os = "linux")]
mod device;
mod error;
#[cfg(test)]
mod fake;
mod fault;
#[cfg(target_os = "linux")]
mod header;
mod lamps;
mod lines;
mod panel;
mod reader;
mod settings;
mod shared;
#[cfg(test)]
mod tests;
mod worker;

#[cfg(target_os = "linux")]
pub use device::CharacterDevice;
pub use error::GpioError;
pub use fault::GpioFault;
pub use lines::{Edge, Lines};
pub use panel::Panel;
pub use settings::{Active, ButtonSettings, ChipSettings, GpioSettings, LightSettings, Role, Shows};

/// What a button asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The class is held from now on, instead of what was before; `None`: nothing is.
    Hold(Option<String>),
    /// The last thing that was done is to be taken back.
    Undo,
}

/// What the lights are to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lights {
    /// The smoothed label, if there is one.
    pub label: Option<String>,
    /// Whether what is seen is none of the classes, smoothed as the label is. A label [`UNKNOWN`](crate::store::UNKNOWN) says the
    /// same.
    pub unknown: bool,
    /// Whether what is seen is not what was taught.
    pub drift: bool,
    /// Whether a class is held, by a button here or by anybody else.
    pub teaching: bool,
}
