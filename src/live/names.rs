//! Names of classes that come from elsewhere: a page, a broker.

use crate::store::{SampleStoreError, check_name};

/// The most classes that are made from there: a page with more is of no use to anybody, and each takes memory of the head.
pub const MOST_CLASSES: usize = 200;

/// Why a class cannot be called that, or cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum NameFault {
    /// No class can.
    #[error(transparent)]
    Name(#[from] SampleStoreError),
    /// A page, or another program, might read it as markup.
    #[error("the name of a class cannot have `<` or `>`; take another one")]
    Markup,
    /// There are too many.
    #[error("there are {MOST_CLASSES} classes, and no more can be made from here")]
    TooMany,
}

/// Refuses what no class can be called, and what might be read as markup.
///
/// # Errors
/// [`NameFault`].
pub fn check_name_of(name: &str) -> Result<(), NameFault> {
    check_name(name)?;
    match name.contains(['<', '>']) {
        true => Err(NameFault::Markup),
        false => Ok(()),
    }
}

/// The same, and refuses a class beside `classes` where there are [`MOST_CLASSES`].
///
/// # Errors
/// [`NameFault`].
pub fn check_new_name<S: AsRef<str>>(name: &str, classes: &[S]) -> Result<(), NameFault> {
    check_name_of(name)?;
    match classes.len() >= MOST_CLASSES && !classes.iter().any(|class| class.as_ref() == name) {
        true => Err(NameFault::TooMany),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_classes_bounded() {
        let none: [&str; 0] = [];
        assert!(check_new_name("Rotkehlchen (jung) & \"alt\" 🐦", &none).is_ok());
        for bad in ["", "<b>", "x<img src=y onerror=alert(1)>", "a/b", "..", "unknown", "a\nb", &"x".repeat(10_000)] {
            assert!(check_new_name(bad, &none).is_err(), "{bad}");
        }
        let classes: Vec<String> = (0..MOST_CLASSES).map(|number| number.to_string()).collect();
        assert!(check_new_name("3", &classes).is_ok());
        assert!(matches!(check_new_name("new", &classes), Err(NameFault::TooMany)));
        assert!(check_new_name("new", &classes[1..]).is_ok());
    }
}
