//! Commands on a target, and what their failures mean.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use crate::process::{Finished, RunError, run};
use crate::transport::Transport;
use crate::{DeliveryError, TargetConfig};

/// For steps that only touch files.
pub(crate) const SHORT: Duration = Duration::from_secs(60);
/// For transfers, and for nginx, which reads a certificate for each dedicated block.
pub(crate) const LONG: Duration = Duration::from_secs(900);

/// A target and the way to it.
pub(crate) struct Target {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) config: TargetConfig,
}

impl Target {
    /// Runs a script that gets the words of the nginx command behind its own arguments.
    pub(crate) async fn nginx_script(
        &self,
        step: &'static str,
        script: &str,
        arguments: &[&str],
        within: Duration,
    ) -> Result<String, DeliveryError> {
        let nginx = self.config.nginx.iter().map(String::as_str);
        let all: Vec<&str> = arguments.iter().copied().chain(nginx).collect();
        self.script(step, script, &all, Vec::new(), within).await
    }

    /// Runs a script with `$1` the root and then `arguments`; returns what it says.
    pub(crate) async fn script(
        &self,
        step: &'static str,
        script: &str,
        arguments: &[&str],
        input: Vec<u8>,
        within: Duration,
    ) -> Result<String, DeliveryError> {
        let all: Vec<&str> =
            [self.config.root.as_str()].into_iter().chain(arguments.iter().copied()).collect();
        let finished = run(self.transport.shell(script, &all), input, within).await;
        let finished = finished.map_err(|error| not_run(step, &error))?;
        match finished.code {
            Some(0) => Ok(finished.stdout),
            _ => Err(self.failed(step, &finished)),
        }
    }

    /// Sends what is in the directory `source` into `destination` below the root.
    pub(crate) async fn rsync(
        &self,
        step: &'static str,
        options: &[&str],
        source: &Path,
        destination: &str,
    ) -> Result<(), DeliveryError> {
        let destination = format!("{}/{destination}", self.config.root);
        let command = self.transport.rsync(options, source, &destination);
        let finished = run(command, Vec::new(), LONG).await.map_err(|error| not_run(step, &error))?;
        match finished.code {
            Some(0) => Ok(()),
            _ => Err(self.failed(step, &finished)),
        }
    }

    /// The error that a script means by its exit code: the agreement is in `scripts/common.sh`.
    fn failed(&self, step: &'static str, finished: &Finished) -> DeliveryError {
        if let Some(error) = self.transport.failure(finished) {
            return error;
        }
        let detail = finished.stderr.trim().to_owned();
        match finished.code {
            Some(81) => DeliveryError::Drifted { detail },
            Some(82) => DeliveryError::OlderRelease { current: detail.parse().unwrap_or_default() },
            Some(83) => DeliveryError::Busy,
            Some(84) => {
                let (what, fix) = detail.rsplit_once('\n').unwrap_or((&detail, "see `certmill target test`"));
                DeliveryError::NotPrepared { what: what.to_owned(), fix: fix.to_owned() }
            }
            Some(85) => DeliveryError::TestFailed { output: detail },
            Some(86) => DeliveryError::ReloadFailed { output: detail },
            _ => DeliveryError::StepFailed { step, detail },
        }
    }
}

fn not_run(step: &'static str, error: &RunError) -> DeliveryError {
    match error {
        RunError::Start { program, source } if source.kind() == ErrorKind::NotFound => {
            DeliveryError::NotPrepared {
                what: error.to_string(),
                fix: format!("install {program} on this machine"),
            }
        }
        _ => DeliveryError::StepFailed { step, detail: error.to_string() },
    }
}
