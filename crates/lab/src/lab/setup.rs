//! A lab before its parts run.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

use super::{DIRECTORY_PREFIX, Lab, Options};
use crate::certificates::ServerAuthority;
use crate::description::Description;
use crate::error::{LabError, doing};
use crate::guard::Guard;
use crate::network::Network;
use crate::parts::{bind, mail, make_directory, nginx, pebble, secondary, sshd};
use crate::process::run;
use crate::programs::Programs;

impl Lab {
    /// Everything before the first part runs. A failure here cleans up after itself as any lab.
    pub(super) fn prepare(options: Options) -> Result<Self, LabError> {
        let programs = Programs::find()?;
        let network = Network::reserve(options.load_balancers)?;
        let directory = make_lab_directory()?;
        let guard = Guard::spawn(&directory).inspect_err(|_| drop(fs::remove_dir(&directory)))?;
        let user = run("id", Command::new("id").arg("-un"))?;
        let description = Description::plan(&directory, &network, options.load_balancers, user.trim());
        let authority = ServerAuthority::new()?;
        let pebble = Mutex::new(options.pebble);
        let (children, cluster) = (Mutex::default(), tokio::sync::Mutex::default());
        let mut lab = Self { description, programs, children, cluster, pebble, guard, network, authority };
        lab.write_configurations()?;
        Ok(lab)
    }

    fn write_configurations(&mut self) -> Result<(), LabError> {
        let (description, programs) = (&mut self.description, &self.programs);
        make_directory(&description.directory.join("logs"))?;
        bind::prepare(description, programs)?;
        secondary::prepare(description)?;
        pebble::prepare(description, &self.network, &self.authority)?;
        mail::prepare(description, &self.authority)?;
        nginx::prepare_shop(description)?;
        sshd::make_client_key(description, programs)?;
        for load_balancer in &mut description.load_balancers {
            nginx::prepare(load_balancer, programs)?;
            sshd::prepare(load_balancer, &description.ssh_private_key, programs)?;
        }
        Ok(())
    }
}

fn make_lab_directory() -> Result<PathBuf, LabError> {
    let directory = tempfile::Builder::new().prefix(DIRECTORY_PREFIX).tempdir();
    let directory = directory.map_err(doing("make the lab's directory"))?.keep();
    make_directory(&directory)?;
    // The name under which processes show it in /proc.
    fs::canonicalize(&directory).map_err(doing("find the lab's directory"))
}
