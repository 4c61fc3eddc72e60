//! Settings that mean nothing.

/// A setting has a value that it cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("[{table}] {name} = {value} is not {allowed}")]
pub struct OutOfRange {
    /// Table of the settings' file.
    pub table: &'static str,
    /// Name of the setting.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What it may be.
    pub allowed: &'static str,
}

impl OutOfRange {
    /// Refuses the first of `(is it allowed, name, value, what is allowed)` that is not.
    ///
    /// # Errors
    /// That one.
    pub(super) fn check<const N: usize>(
        table: &'static str,
        settings: [(bool, &'static str, String, &'static str); N],
    ) -> Result<(), Self> {
        match settings.into_iter().find(|(is_allowed, ..)| !is_allowed) {
            Some((_, name, value, allowed)) => Err(Self { table, name, value, allowed }),
            None => Ok(()),
        }
    }
}
