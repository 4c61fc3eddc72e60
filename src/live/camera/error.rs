//! Why a camera does not start.

use std::io;
use std::path::PathBuf;

/// Why a camera does not start. What goes wrong later is an [`Event`](super::Event).
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// The program that reads the source is not installed.
    #[error("cannot find the program {program}; install it (on Debian: sudo apt install {package})")]
    Missing {
        /// Its name.
        program: &'static str,
        /// Debian's package that has it.
        package: &'static str,
    },
    /// The file, folder or device is not there, or may not be read.
    #[error("cannot read {}: {source}; check that it exists and that you may read it", path.display())]
    Read {
        /// The file, folder or device.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The folder has no file that ends as those of photos do.
    #[error("no photo is in {}; give a folder of JPEG or PNG files", path.display())]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A setting is out of range.
    #[error("a {name} of {value} does not do; give {allowed}")]
    Setting {
        /// Which.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// There are no cameras of this kind on this operating system.
    #[error("cannot read {}: V4L2 devices are read on Linux only; give a URL", path.display())]
    NoV4l2 {
        /// The device.
        path: PathBuf,
    },
    /// The operating system gives no thread.
    #[error("cannot start a thread for the camera: {0}; end other programs")]
    Thread(io::Error),
}
