//! Runs a command with a time limit, and keeps a bounded part of what it says.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Bytes kept of each stream; a hostile target may write for ever.
const KEPT: usize = 64 * 1024;

/// A command that came to its end.
pub(crate) struct Finished {
    /// Its exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Why a command came to no end of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("cannot run {program}: {source}")]
    Start { program: String, source: io::Error },
    #[error("no end within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Runs `command` with `input`; it is killed when the time is over or the caller goes away.
pub(crate) async fn run(
    mut command: Command,
    input: Vec<u8>,
    within: Duration,
) -> Result<Finished, RunError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().map_err(|source| RunError::Start {
        program: command.as_std().get_program().to_string_lossy().into_owned(),
        source,
    })?;
    timeout(within, communicate(child, input))
        .await
        .map_err(|_| RunError::TimedOut(within))?
        .map_err(RunError::Io)
}

async fn communicate(mut child: Child, input: Vec<u8>) -> io::Result<Finished> {
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let stdout = child.stdout.take().expect("stdout is piped");
    let stderr = child.stderr.take().expect("stderr is piped");
    let feed = async move {
        // A command that ends without reading its input is judged by its exit code.
        let _ = stdin.write_all(&input).await;
        let _ = stdin.shutdown().await;
    };
    let ((), stdout, stderr, status) = tokio::join!(feed, keep(stdout), keep(stderr), child.wait());
    Ok(Finished { code: status?.code(), stdout: stdout?, stderr: stderr? })
}

/// The first part of a stream as text; the rest is read and forgotten.
async fn keep(mut stream: impl AsyncRead + Unpin) -> io::Result<String> {
    let mut kept = Vec::new();
    (&mut stream).take(KEPT as u64).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(printable(&String::from_utf8_lossy(&kept)))
}

/// `text` without terminal escapes and other controls.
fn printable(text: &str) -> String {
    let shown = |c: char| c == '\n' || c == '\t' || !c.is_control();
    text.chars().filter(|c| shown(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_killed() {
        let error = run(shell("exec sleep 60"), Vec::new(), Duration::from_millis(100)).await;
        assert!(matches!(error, Err(RunError::TimedOut(_))));
    }

    #[tokio::test]
    async fn what_is_said_is_bounded_and_printable() {
        let endless = shell("head -c 10000000 /dev/zero | tr '\\0' x; printf '\\033[31mred' >&2; exit 3");
        let finished = run(endless, Vec::new(), Duration::from_secs(20)).await.unwrap();
        assert_eq!(finished.code, Some(3));
        assert_eq!(finished.stdout.len(), KEPT);
        assert_eq!(finished.stderr, "[31mred");
    }

    #[tokio::test]
    async fn a_command_gets_its_input() {
        let finished = run(shell("wc -c"), vec![b'x'; 1_000_000], Duration::from_secs(20)).await;
        assert_eq!(finished.unwrap().stdout.trim(), "1000000");
    }
}
