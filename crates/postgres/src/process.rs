//! Processes that are not our children, looked at through /proc.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Sends `signal` ("INT") to a process; one that is gone already is no failure.
pub(crate) fn signal(process_id: u32, signal: &str) {
    // The shell's own `kill` is on every system; the program of that name is not.
    let script = format!("kill -{signal} {process_id}");
    if let Err(error) = Command::new("sh").args(["-c", &script]).output() {
        tracing::warn!(%error, process_id, "cannot send a signal");
    }
}

/// Whether one of the process's arguments is `path`.
pub(crate) fn names_in_command_line(process_id: u32, path: &Path) -> bool {
    let Ok(command_line) = fs::read(format!("/proc/{process_id}/cmdline")) else {
        return false;
    };
    command_line.split(|byte| *byte == 0).any(|argument| argument == path.as_os_str().as_encoded_bytes())
}

pub(crate) fn works_in(process_id: u32, path: &Path) -> bool {
    fs::read_link(format!("/proc/{process_id}/cwd")).is_ok_and(|directory| directory == path)
}

pub(crate) fn exists(process_id: u32) -> bool {
    Path::new("/proc").join(process_id.to_string()).exists()
}

/// A process whose working directory is `path`.
pub(crate) fn any_that_works_in(path: &Path) -> Option<u32> {
    fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|process_id| works_in(*process_id, path))
}

/// Whether `condition` came true before `limit` was over. Blocks.
pub(crate) fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(Duration::from_millis(10));
    }
    true
}
