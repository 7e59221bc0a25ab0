//! The half of the bare loop.

use std::path::PathBuf;
use std::process::Stdio;

use certmill_lab::Lab;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::{LONGEST_CERTIFICATE, Settings, prepare_half};
use crate::bench::error::BenchError;
use crate::bench::usage::Usage;
use crate::bench::{LIMIT, POLL_INITIAL_DELAY_MS};
use crate::screen::Screen;

const SUFFIX: &str = "bare.test";

/// What the bare loop did.
pub(super) struct Bare {
    /// Certificates in a second.
    pub(super) per_second: f64,
}

/// Runs the bare loop on a fresh ACME server.
pub(super) async fn measure(lab: &Lab, settings: &Settings, screen: &Screen) -> Result<Bare, BenchError> {
    let program = find()?;
    let names: Vec<String> = (0..settings.domains).map(|number| format!("bare{number}.{SUFFIX}")).collect();
    prepare_half(lab, &names).await?;
    let before = Usage::read(lab, None).await;
    let mut command = Command::new(program);
    command.args(arguments(lab, settings)).current_dir(lab.directory());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let stuck = |what: String| BenchError::Stuck { half: "the bare loop", what };
    let limit = LIMIT + LONGEST_CERTIFICATE * settings.domains as u32;
    let output =
        timeout(limit, command.output()).await.map_err(|_| stuck(format!("not within {limit:?}")))?;
    let output = output.map_err(|error| BenchError::BareLoop(error.to_string()))?;
    let usage = Usage::read(lab, None).await.since(&before);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let result: Value = serde_json::from_str(&text).map_err(|_| BenchError::BareLoop(text))?;
    if result["certificates"] != settings.domains {
        return Err(stuck(result.to_string()));
    }
    let per_second =
        result["certificates_per_second"].as_f64().ok_or_else(|| BenchError::BareLoop(result.to_string()))?;
    screen
        .say(format_args!("  bare loop  {per_second:6.1} certificates/s   {}", usage.per(settings.domains)));
    Ok(Bare { per_second })
}

fn arguments(lab: &Lab, settings: &Settings) -> Vec<String> {
    let description = lab.description();
    [
        ("--directory", description.acme_directory_url.clone()),
        ("--trust", description.acme_ca_file.display().to_string()),
        ("--names-suffix", SUFFIX.to_owned()),
        ("--count", settings.domains.to_string()),
        ("--concurrency", settings.concurrency.to_string()),
        ("--responder", description.responder.to_string()),
        ("--poll-initial-ms", POLL_INITIAL_DELAY_MS.to_owned()),
    ]
    .into_iter()
    .flat_map(|(option, value)| [option.to_owned(), value])
    .collect()
}

/// Among the examples of the build that the running program is of.
fn find() -> Result<PathBuf, BenchError> {
    let own = std::env::current_exe().unwrap_or_default();
    let program = own.with_file_name("examples").join("bare_loop");
    if program.is_file() { Ok(program) } else { Err(BenchError::BareLoopMissing(program)) }
}
