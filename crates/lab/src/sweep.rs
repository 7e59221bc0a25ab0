//! The processes of a lab, found in /proc and ended by their ids.
//!
//! No pid files: one could only be believed if the process of that id named the directory, and every process
//! that does is found without. Sessions outlive sshd and workers outlive a killed nginx; they are found too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{self, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::{LabError, doing};

/// How long processes may take after SIGINT, and again after SIGKILL.
const LIMIT: Duration = Duration::from_secs(5);

/// Ends every process that names `directory` in its command line or works in it, and what descends from those,
/// then removes the directory. Blocks. `spared` is left alone.
pub(crate) fn sweep(directory: &Path, spared: Option<u32>) -> Result<(), LabError> {
    let still_there = end_processes(|processes| {
        let mut found = processes.naming(directory);
        found.retain(|process_id| Some(*process_id) != spared);
        processes.with_descendants(found)
    });
    if !still_there.is_empty() {
        let process_ids = still_there.into_iter().collect();
        return Err(LabError::StillRunning { directory: directory.to_owned(), process_ids });
    }
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(doing(format!("remove {}", directory.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Ends the processes that `select` finds, those that it finds later too. Returns those that would not end.
pub(crate) fn end_processes(select: impl Fn(&Processes) -> BTreeSet<u32>) -> BTreeSet<u32> {
    let mut remaining = BTreeSet::new();
    for signal in ["INT", "KILL"] {
        // What SIGINT does to each part: PostgreSQL shuts down fast, the others end at once.
        let deadline = Instant::now() + LIMIT;
        let mut signalled = BTreeSet::new();
        loop {
            // Those found before stay in it: a child's tie to its parent is gone with the parent.
            let processes = Processes::read();
            remaining.extend(select(&processes));
            remaining.retain(|process_id| processes.0.contains_key(process_id));
            if remaining.is_empty() {
                return remaining;
            }
            send(signal, remaining.difference(&signalled));
            signalled.extend(&remaining);
            if Instant::now() > deadline {
                break;
            }
            sleep(Duration::from_millis(10));
        }
    }
    remaining
}

/// All processes that could be ended: neither this one, nor those that it descends from, nor dead ones.
pub(crate) struct Processes(BTreeMap<u32, Process>);

struct Process {
    parent: u32,
    command_line: Vec<u8>,
}

impl Processes {
    pub(crate) fn read() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let process_ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut all: BTreeMap<u32, Process> =
            process_ids.filter_map(|id: u32| Some((id, Process::read(id)?))).collect();
        let mut ancestor = Some(process::id());
        while let Some(process) = ancestor.and_then(|id| all.remove(&id)) {
            ancestor = Some(process.parent);
        }
        Self(all)
    }

    fn naming(&self, directory: &Path) -> BTreeSet<u32> {
        let names = |(id, process): &(&u32, &Process)| {
            mentions(&process.command_line, directory.as_os_str().as_bytes())
                || fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|path| path.starts_with(directory))
        };
        self.0.iter().filter(names).map(|(id, _)| *id).collect()
    }

    pub(crate) fn with_descendants(&self, mut found: BTreeSet<u32>) -> BTreeSet<u32> {
        found.retain(|id| self.0.contains_key(id));
        loop {
            let is_new =
                |(id, process): &(&u32, &Process)| !found.contains(id) && found.contains(&process.parent);
            let children: Vec<u32> = self.0.iter().filter(is_new).map(|(id, _)| *id).collect();
            if children.is_empty() {
                return found;
            }
            found.extend(children);
        }
    }
}

impl Process {
    /// `None` when it is gone, or dead and not yet asked for by its parent.
    fn read(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The second field is the program's name in parentheses and may hold anything, parentheses too.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let command_line = fs::read(format!("/proc/{id}/cmdline")).ok()?;
        (!matches!(state, "Z" | "X")).then_some(Self { parent, command_line })
    }
}

/// Whether `path` stands in `command_line`, not as the beginning of a longer name.
fn mentions(command_line: &[u8], path: &[u8]) -> bool {
    command_line.windows(path.len()).enumerate().any(|(start, window)| {
        let next = command_line.get(start + path.len());
        window == path && !next.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    })
}

/// Sends a signal, named as `kill` does: `TERM`. Blocks.
pub(crate) fn send<'a>(signal: &str, process_ids: impl Iterator<Item = &'a u32>) {
    let process_ids: Vec<String> = process_ids.map(u32::to_string).collect();
    if process_ids.is_empty() {
        return;
    }
    // The shell's own `kill` is on every system; some ids may be gone by now, which is what is wanted.
    let script = format!("kill -{signal} {}", process_ids.join(" "));
    if let Err(error) = Command::new("sh").args(["-c", &script]).output() {
        tracing::error!(%error, "cannot send a signal");
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_longer_name_is_not_a_mention() {
        assert!(mentions(b"nginx\0-p\0/tmp/lab-a/lb1\0", b"/tmp/lab-a"));
        assert!(mentions(b"nginx -c /tmp/lab-a", b"/tmp/lab-a"));
        assert!(!mentions(b"nginx\0-p\0/tmp/lab-ab\0", b"/tmp/lab-a"));
    }

    #[test]
    fn a_process_that_works_in_the_directory_is_ended_with_its_children_and_the_directory_removed() {
        let directory = tempfile::tempdir().unwrap().keep();
        let mut shell = Command::new("sh");
        shell.args(["-c", "cd / && sleep 61 & trap '' INT; wait"]).current_dir(&directory);
        let mut shell = shell.stdin(Stdio::null()).spawn().unwrap();
        let children = || Processes::read().with_descendants([shell.id()].into());
        while children().len() < 2 {
            sleep(Duration::from_millis(5));
        }
        let ended = children();

        sweep(&directory, None).unwrap();

        shell.wait().unwrap();
        let processes = Processes::read();
        assert!(ended.iter().all(|id| !processes.0.contains_key(id)), "{ended:?}");
        assert!(!directory.exists());
    }

    #[test]
    fn a_spared_process_goes_on() {
        let directory = tempfile::tempdir().unwrap().keep();
        let mut spared = Command::new("sleep").arg("62").current_dir(&directory).spawn().unwrap();
        sweep(&directory, Some(spared.id())).unwrap();
        assert!(spared.try_wait().unwrap().is_none());
        spared.kill().unwrap();
        spared.wait().unwrap();
    }
}
