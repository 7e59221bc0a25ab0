//! How much memory a process has held.

use std::fs;

/// How much more a process held at its worst than at the beginning.
pub struct Growth {
    process_id: u32,
    /// Kibibytes.
    at_first: u64,
}

impl Growth {
    /// From now on.
    pub fn of(process_id: u32) -> Self {
        // Sets the peak to what is held now (proc_pid_clear_refs(5)).
        fs::write(format!("/proc/{process_id}/clear_refs"), "5").unwrap();
        Self { process_id, at_first: field(process_id, "VmRSS:") }
    }

    /// Until now, in MiB.
    pub fn mebibytes(&self) -> u64 {
        field(self.process_id, "VmHWM:").saturating_sub(self.at_first) / 1024
    }
}

/// A field of `/proc/…/status`, in kibibytes.
fn field(process_id: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process_id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}
