//! The lab as a whole.

mod control;
mod setup;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};

use certmill_postgres::Cluster;
use tokio::task::spawn_blocking;

use crate::certificates::ServerAuthority;
use crate::description::Description;
use crate::error::LabError;
use crate::fault_ca::FaultCa;
use crate::guard::Guard;
use crate::names::{self, Record};
use crate::network::Network;
use crate::part::Part;
use crate::parts::{self, pebble::PebbleOptions};
use crate::process::run;
use crate::programs::Programs;
use crate::sweep;

/// How every lab's directory is called, before some letters of chance.
pub(crate) const DIRECTORY_PREFIX: &str = "certmill-lab-";

/// What a lab consists of.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many load balancers, at most 200.
    pub load_balancers: u8,
    /// How the ACME server treats its clients.
    pub pebble: PebbleOptions,
}

impl Default for Options {
    /// Two load balancers.
    fn default() -> Self {
        Self { load_balancers: 2, pebble: PebbleOptions::default() }
    }
}

/// A running lab. Dropping it ends every process and removes the directory; [`Lab::down`] says how that went.
pub struct Lab {
    description: Description,
    programs: Programs,
    children: Mutex<HashMap<Part, Child>>,
    cluster: tokio::sync::Mutex<Option<Cluster>>,
    pebble: Mutex<PebbleOptions>,
    guard: Guard,
    network: Network,
    authority: ServerAuthority,
}

impl Lab {
    /// Brings a lab up and returns when every part runs.
    pub async fn up(options: Options) -> Result<Self, LabError> {
        let mut lab =
            spawn_blocking(move || Self::prepare(options)).await.expect("preparing does not panic")?;
        let postgres = lab.postgres_directory();
        let (cluster, children) = tokio::join!(Cluster::start(&postgres), lab.start_children());
        let cluster = cluster.map_err(LabError::Postgres)?;
        lab.description.postgres_url = cluster.url();
        *lab.cluster.get_mut() = Some(cluster);
        children?;
        parts::write(&lab.description.directory.join("lab.json"), &lab.description.to_json())?;
        Ok(lab)
    }

    /// What is where.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The lab's directory. What a test puts there goes with the lab.
    pub fn directory(&self) -> &Path {
        &self.description.directory
    }

    /// The root of the certificates that the ACME server issues, as PEM. It is another after each of its starts.
    pub async fn issuing_roots_pem(&self) -> Result<String, LabError> {
        let mut command = Command::new(&self.programs.curl);
        command.args(["--silent", "--show-error", "--fail", "--max-time", "10", "--cacert"]);
        command.arg(&self.description.acme_ca_file);
        command.arg(format!("{}/roots/0", self.description.acme_management_url));
        spawn_blocking(move || run("curl", &mut command)).await.expect("running a program does not panic")
    }

    /// A CA that does as it is told, in front of the ACME server. What it does by chance follows from `seed`. Any number
    /// can stand there.
    pub async fn fault_ca(&self, seed: u64) -> Result<FaultCa, LabError> {
        FaultCa::start(self.network.fault_ca(), self.network.pebble(), &self.authority, seed).await
    }

    /// Makes `addresses` the only ones of `name`, which is in the zone `test`.
    pub async fn set_addresses(&self, name: &str, addresses: &[IpAddr]) -> Result<(), LabError> {
        self.set_addresses_of(&[(name, addresses)]).await
    }

    /// The same for any number of names, some 20,000 in a second.
    pub async fn set_addresses_of(
        &self,
        names: &[(impl AsRef<str>, impl AsRef<[IpAddr]>)],
    ) -> Result<(), LabError> {
        names::set_addresses(&self.programs.nsupdate, &self.description, names).await
    }

    /// Sets records in the zone `test`: those of the same name and type go, and so does everything beside a CNAME.
    pub async fn set_records(&self, records: &[Record]) -> Result<(), LabError> {
        names::set_records(&self.programs.nsupdate, &self.description, records).await
    }

    /// Removes every record of `name`.
    pub async fn remove_name(&self, name: &str) -> Result<(), LabError> {
        names::remove(&self.programs.nsupdate, &self.description, name).await
    }

    /// The TXT records of the zone that certmill writes in, by name, as its primary has them.
    pub async fn txt_records(&self) -> Result<Vec<(String, String)>, LabError> {
        let (dig, zone) = (self.programs.dig.clone(), self.description.acme_zone.clone());
        let records = spawn_blocking(move || names::txt_records(&dig, &zone));
        records.await.expect("running a program does not panic")
    }

    /// Ends every process of the lab, and every other that works in its directory or names it, and removes the
    /// directory.
    pub async fn down(mut self) -> Result<(), LabError> {
        spawn_blocking(move || self.end()).await.expect("ending a lab does not panic")
    }

    fn children(&self) -> MutexGuard<'_, HashMap<Part, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn postgres_directory(&self) -> PathBuf {
        self.description.directory.join("postgres")
    }

    fn end(&mut self) -> Result<(), LabError> {
        if !self.description.directory.exists() {
            return Ok(());
        }
        let swept = sweep::sweep(&self.description.directory, Some(self.guard.process_id()));
        drop(self.cluster.get_mut().take());
        for (_, mut child) in self.children().drain() {
            let _ = child.try_wait();
        }
        swept
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "the lab was not taken down completely");
        }
    }
}
