//! Less memory on a board that has little.

/// Boards with less than this many kilobytes: those of 1 GB and 512 MB.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LITTLE: u64 = 1_200_000;

/// Makes glibc give back what is freed, where memory is little. By default it keeps what the loading of a network takes for a moment,
/// 50 MB, and only the environment can tell it otherwise, before the program starts: so the program starts once more in its own
/// place. It stays the same process, and where that cannot be done it goes on as it is. A pass takes a little longer then
/// (docs/live.md), so it is not done where memory is plenty.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::os::unix::process::CommandExt;
        const SETTINGS: [(&str, &str); 2] =
            [("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_TRIM_THRESHOLD_", "67108864")];
        let is_said = SETTINGS.iter().any(|(name, _)| std::env::var_os(name).is_some());
        if is_said || total().is_none_or(|kilobytes| kilobytes >= LITTLE) {
            return;
        }
        let Ok(program) = std::env::current_exe() else { return };
        // Returns only if it fails.
        let _ = std::process::Command::new(program).args(std::env::args_os().skip(1)).envs(SETTINGS).exec();
    }
}

/// Kilobytes of memory that the machine has.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn total() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix(" kB")?.parse().ok()
}
