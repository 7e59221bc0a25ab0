//! What a killed process of ours leaves in the directory: a running server, its children, its pid file.

use std::fs;
use std::time::Duration;

use crate::error::ClusterError;
use crate::home::{Home, io_error};
use crate::process;

/// How long a fast shutdown may take: it ends with a checkpoint.
const FAST_SHUTDOWN: Duration = Duration::from_secs(60);
/// How long the children of a killed server may take to notice.
const CHILDREN: Duration = Duration::from_secs(10);

/// Ends the server that is left in `home`, whose lock we hold: whoever started it is gone.
pub(crate) fn end(home: &Home) -> Result<(), ClusterError> {
    let Some(process_id) = postmaster_process_id(home) else {
        return Ok(());
    };
    let data = home.data();
    if process::names_in_command_line(process_id, &data) {
        tracing::info!(process_id, "ending the PostgreSQL server that an earlier process left behind");
        process::signal(process_id, "INT");
        // Its entry in /proc stays when its parent never asks for it; its command line does not.
        let gone = process::wait_until(FAST_SHUTDOWN, || !process::names_in_command_line(process_id, &data));
        return if gone { Ok(()) } else { Err(already_running(home, process_id)) };
    }
    if process::works_in(process_id, &data) {
        return Err(already_running(home, process_id));
    }
    wait_for_children(home)?;
    if process::exists(process_id) {
        // The number is somebody else's by now, and PostgreSQL would take that process for its own.
        let path = data.join("postmaster.pid");
        fs::remove_file(&path).map_err(io_error(&path))?;
    }
    Ok(())
}

/// The process id in the server's own pid file, which may be stale.
pub(crate) fn postmaster_process_id(home: &Home) -> Option<u32> {
    let text = fs::read_to_string(home.data().join("postmaster.pid")).ok()?;
    text.lines().next()?.trim().parse().ok()
}

/// The children of a killed server end by themselves; until then they hold its shared memory.
fn wait_for_children(home: &Home) -> Result<(), ClusterError> {
    let mut last = None;
    process::wait_until(CHILDREN, || {
        last = process::any_that_works_in(&home.data());
        last.is_none()
    });
    last.map_or(Ok(()), |process_id| Err(already_running(home, process_id)))
}

fn already_running(home: &Home, process_id: u32) -> ClusterError {
    ClusterError::AlreadyRunning { directory: home.directory().to_owned(), process_id }
}
