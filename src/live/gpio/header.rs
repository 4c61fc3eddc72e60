//! Which chip has the pins, and what it says when it refuses.

use std::io;
use std::path::{Path, PathBuf};

use gpiocdev::chip::{Chip, chips};
use gpiocdev_uapi::Error as CallError;

use super::GpioError;

/// Opens the chip of the settings. On some kernels of the Pi 5 that of the header is not the first.
pub(super) fn open(chip: &str) -> Result<Chip, GpioError> {
    if chip != "auto" {
        return Chip::from_path(chip).map_err(|error| cannot_open(Path::new(chip), &error));
    }
    let (mut found, mut failure) = (Vec::new(), None);
    for path in chips().unwrap_or_default() {
        match Chip::from_path(&path).and_then(|chip| Ok((chip.info()?.label, chip))) {
            Ok((label, chip)) if label.starts_with("pinctrl-") => return Ok(chip),
            Ok((label, _)) => found.push(format!("{} is `{}`", path.display(), label.escape_debug())),
            // It may have been the one.
            Err(error) => failure = failure.or(Some(cannot_open(&path, &error))),
        }
    }
    Err(match (failure, found.is_empty()) {
        (Some(failure), _) => failure,
        (None, true) => GpioError::NoChips,
        (None, false) => GpioError::NoHeader { found: found.join(", ") },
    })
}

fn cannot_open(path: &Path, error: &gpiocdev::Error) -> GpioError {
    let path = PathBuf::from(path);
    match kind(error) {
        Some(io::ErrorKind::PermissionDenied) => GpioError::Permission { path },
        Some(io::ErrorKind::NotFound) => GpioError::NoChip { path },
        _ if matches!(error, gpiocdev::Error::GpioChip(..)) => GpioError::NotAChip { path },
        _ => GpioError::Failed { path, doing: "open it".to_owned(), what: text(error) },
    }
}

/// What kind of error the system had, if it was the system's.
pub(super) fn kind(error: &gpiocdev::Error) -> Option<io::ErrorKind> {
    system(error).map(|error| error.kind())
}

/// As the system says it, without the names of calls.
pub(super) fn text(error: &gpiocdev::Error) -> String {
    system(error).map_or_else(|| error.to_string(), |error| error.to_string())
}

fn system(error: &gpiocdev::Error) -> Option<io::Error> {
    match error {
        gpiocdev::Error::Os(errno) | gpiocdev::Error::Uapi(_, CallError::Os(errno)) => {
            Some(io::Error::from_raw_os_error(errno.0))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(error: &gpiocdev::Error) -> String {
        cannot_open(Path::new("/dev/gpiochip0"), error).to_string()
    }

    #[test]
    fn what_is_no_chip_is_not_opened() {
        assert!(matches!(open("/dev/null"), Err(GpioError::NotAChip { .. })));
        assert!(matches!(open("/dev"), Err(GpioError::NotAChip { .. })));
        assert!(matches!(open("/dev/gpiochip0/none"), Err(GpioError::NoChip { .. } | GpioError::Failed { .. })));
        let none = open("/nowhere/gpiochip7").map(drop).expect_err("is not there").to_string();
        assert!(none.starts_with("/nowhere/gpiochip7: no such GPIO chip; `ls"), "{none}");
    }

    #[test]
    fn what_the_system_says_becomes_a_line() {
        let os = |errno| gpiocdev::Error::Os(gpiocdev_uapi::Errno(errno));
        let denied = message(&os(13));
        assert!(denied.starts_with("/dev/gpiochip0: permission denied; add the user to the group gpio"), "{denied}");
        assert!(message(&os(2)).contains("no such GPIO chip"));
        let call = gpiocdev::Error::Uapi(gpiocdev::UapiCall::GetChipInfo, CallError::Os(gpiocdev_uapi::Errno(19)));
        assert_eq!(message(&call), "/dev/gpiochip0: cannot open it: No such device (os error 19)");
    }
}
