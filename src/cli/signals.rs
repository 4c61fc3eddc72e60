//! Ctrl-C, and what `systemctl stop` sends.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Is set when the program shall end: the camera's program is ended with it then. Who asks a second time does not wait for that.
pub fn stop() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The first time it is not set yet when this is asked.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    Ok(stop)
}
