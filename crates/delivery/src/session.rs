//! The steps of a delivery to one target.

use std::sync::Arc;

use certmill_model::DomainId;
use sha2::{Digest, Sha256};

use crate::certificates::path_of;
use crate::connector::Inner;
use crate::release::hex;
use crate::staging::lay_out;
use crate::target::{LONG, SHORT, Target};
use crate::{CertificateFile, DeliveryError, Release};

/// Scripts that run on the target; each begins with the common part.
macro_rules! script {
    ($file:literal) => {
        concat!(include_str!("scripts/common.sh"), include_str!(concat!("scripts/", $file)))
    };
}

/// Deliveries to one target. Every step can be repeated.
pub struct Session {
    target: Target,
    places: Arc<Inner>,
}

/// What was found on a target that is ready for deliveries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TargetFacts {
    /// As nginx says it, such as `nginx/1.22.1`.
    pub nginx_version: String,
    /// As rsync says it, such as `3.5.0`.
    pub rsync_version: String,
    /// Free space below the root, in bytes.
    pub free_bytes: u64,
    /// The number of the live release.
    pub current: Option<i64>,
}

/// What is live on a target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TargetStatus {
    /// The number of the live release.
    pub current: Option<i64>,
    /// Whether its files are those of its `MANIFEST`.
    pub verified: bool,
}

/// What making a release live did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Activation {
    /// It is live now.
    Flipped {
        /// What was live before.
        previous: Option<i64>,
    },
    /// It was live already, from an attempt whose end was not seen.
    AlreadyCurrent,
}

/// A release of fewer bytes is laid out in memory, where the machine has such a place.
const IN_MEMORY: usize = 64 << 20;

impl Session {
    pub(crate) fn new(target: Target, places: Arc<Inner>) -> Self {
        Self { target, places }
    }

    /// Makes the directories, and checks that everything a delivery needs is there.
    pub async fn prepare(&self) -> Result<TargetFacts, DeliveryError> {
        let group = self.target.config.certificate_group.as_deref().unwrap_or_default();
        let arguments = [&self.target.config.nginx_conf, group];
        let said = self
            .target
            .nginx_script("preparing the target", script!("prepare.sh"), &arguments, SHORT)
            .await?;
        let value = |key: &str| {
            let mut lines = said.lines();
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default()
        };
        Ok(TargetFacts {
            nginx_version: value("nginx").to_owned(),
            rsync_version: value("rsync").to_owned(),
            free_bytes: value("free_kib").parse::<u64>().unwrap_or_default() * 1024,
            current: release_number(value("current")),
        })
    }

    /// Puts the certificates in place, each file by a rename.
    pub async fn send_certificates(&self, certificates: &[CertificateFile]) -> Result<(), DeliveryError> {
        if certificates.is_empty() {
            return Ok(());
        }
        let files = certificates.iter().map(|file| (file.path(), file.pem())).collect();
        let staged = lay_out(self.places.secret_place.clone(), files).await?;
        let group = self.target.config.certificate_group.as_ref().map(|name| format!("--chown=:{name}"));
        let options: &[&str] = match &group {
            // nginx's workers read the files in the shared form.
            Some(group) => &["--chmod=D0750,F0640", "--group", group],
            None => &["--chmod=D0700,F0600"],
        };
        self.target.rsync("sending certificates", options, staged.path(), "live").await
    }

    /// Removes the certificates of these domains.
    pub async fn remove_certificates(&self, domains: &[DomainId]) -> Result<(), DeliveryError> {
        let paths: Vec<_> = domains.iter().map(|domain| path_of(*domain) + "\n").collect();
        let input = paths.concat().into_bytes();
        self.target
            .script("removing certificates", script!("remove_certificates.sh"), &[], input, SHORT)
            .await
            .map(drop)
    }

    /// Puts a release beside the live one, complete and checked file by file.
    pub async fn send_release(&self, release: &Release) -> Result<(), DeliveryError> {
        release.check()?;
        let number = release.number.to_string();
        let previous = release.previous.unwrap_or_default().to_string();
        let digest = hex(&Sha256::digest(release.manifest.as_bytes()));
        let removed: Vec<_> = release.removed.iter().map(|path| format!("{path}\n")).collect();
        let removed = removed.concat().into_bytes();
        let arguments = [number.as_str(), &previous, &digest];
        let begin = script!("begin_release.sh");
        let said = self.target.script("beginning the release", begin, &arguments, removed, LONG).await?;
        if said.trim() == "present" {
            return Ok(());
        }
        let files: Vec<_> = release.changed.clone().into_iter().collect();
        let bytes: usize = files.iter().map(|(_, content)| content.len()).sum();
        // Hundreds of small files are made in memory in no time; a large release would take too much of it.
        let place = if bytes < IN_MEMORY { &self.places.secret_place } else { &self.places.place };
        let staged = lay_out(place.clone(), files).await?;
        let destination = format!("releases/{number}.partial");
        self.target
            .rsync("sending the release", &["--chmod=D0755,F0644"], staged.path(), &destination)
            .await?;
        let manifest = release.manifest.clone().into_bytes();
        self.target
            .script("checking the release", script!("finish_release.sh"), &[&number], manifest, LONG)
            .await
            .map(drop)
    }

    /// Lets nginx test its whole configuration with release `number` in the place of the live one.
    pub async fn test(&self, number: i64) -> Result<(), DeliveryError> {
        let number = number.to_string();
        let arguments = [&self.target.config.nginx_conf, number.as_str()];
        self.target.nginx_script("testing the release", script!("test.sh"), &arguments, LONG).await.map(drop)
    }

    /// Makes release `number`, which passed its test, the live one on disk.
    pub async fn activate(&self, number: i64) -> Result<Activation, DeliveryError> {
        let said = self
            .target
            .script(
                "activating the release",
                script!("activate.sh"),
                &[&number.to_string()],
                Vec::new(),
                SHORT,
            )
            .await?;
        Ok(match said.trim() {
            "already" => Activation::AlreadyCurrent,
            previous => Activation::Flipped { previous: release_number(previous) },
        })
    }

    /// Tells nginx to take up what is live on disk. It does so a while after this returns.
    pub async fn reload(&self) -> Result<(), DeliveryError> {
        self.target
            .nginx_script("reloading nginx", script!("reload.sh"), &[&self.target.config.nginx_conf], LONG)
            .await
            .map(drop)
    }

    /// Makes `previous` live again in the place of `failed`, and reloads.
    pub async fn roll_back(&self, failed: i64, previous: Option<i64>) -> Result<(), DeliveryError> {
        let arguments = [failed.to_string(), previous.unwrap_or_default().to_string()];
        let arguments = [arguments[0].as_str(), arguments[1].as_str()];
        self.target.script("rolling back", script!("roll_back.sh"), &arguments, Vec::new(), SHORT).await?;
        self.reload().await
    }

    /// Removes all releases but the live one and the `keep` newest, and what broken transfers left.
    pub async fn clean_up(&self, keep: usize) -> Result<(), DeliveryError> {
        let keep = keep.to_string();
        self.target.script("cleaning up", script!("clean_up.sh"), &[&keep], Vec::new(), SHORT).await.map(drop)
    }

    /// Removes release `number`, which never was live.
    pub async fn discard(&self, number: i64) -> Result<(), DeliveryError> {
        let number = number.to_string();
        self.target
            .script("removing a trial", script!("discard.sh"), &[&number], Vec::new(), SHORT)
            .await
            .map(drop)
    }

    /// What is live, and whether its files are as they were delivered.
    pub async fn status(&self) -> Result<TargetStatus, DeliveryError> {
        let said =
            self.target.script("looking at the target", script!("status.sh"), &[], Vec::new(), SHORT).await?;
        let (current, verified) = said.trim().split_once(' ').unwrap_or_default();
        Ok(TargetStatus { current: release_number(current), verified: verified == "verified" })
    }
}

/// A release's number as scripts write it: 0 is none.
fn release_number(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number| *number > 0)
}
