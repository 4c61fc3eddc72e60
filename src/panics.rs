//! Panics of other people's code, made into values without a word on standard error.
//!
//! tract and the photo decoders assert in places that a hostile file can reach, and a damaged file must not end a program
//! that has a camera running. This needs `panic = "unwind"`, Rust's default.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside of [`caught`].
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Calls; a panic comes back as its payload. The panic hook, which would print the panic's message, is not run for it;
/// other panics go to the hook that was there before the first call.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    static HOOK: Once = Once::new();
    // A hook cannot be set while panicking, as in a destructor.
    if !std::thread::panicking() {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                // A thread that is ending has no locals any more.
                if !QUIET.try_with(Cell::get).unwrap_or(false) {
                    before(info);
                }
            }));
        });
    }
    let outside = QUIET.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(call));
    QUIET.set(outside);
    result
}

/// The first 200 characters of such a message, on one line.
pub(crate) fn brief(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_guarded_panics_are_quiet() {
        assert_eq!(caught(|| 3).unwrap(), 3);
        let payload = caught(|| {
            assert!(QUIET.get());
            assert!(caught(|| panic!("inner")).is_err());
            assert!(QUIET.get(), "still inside");
            panic!("outer")
        });
        assert_eq!(payload.map(|()| 0).unwrap_err().downcast_ref(), Some(&"outer"));
        assert!(!QUIET.get());
    }
}
