//! The lab as a whole.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};

use certmill_postgres::Cluster;
use tokio::task::spawn_blocking;

use crate::description::Description;
use crate::error::{LabError, doing};
use crate::guard::Guard;
use crate::names;
use crate::network::Network;
use crate::part::Part;
use crate::parts::pebble::PebbleOptions;
use crate::parts::{self, bind, mail, make_directory, nginx, pebble, sshd};
use crate::process::{self, Launch, Starting, run};
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

    /// Stops a part and every process of it. A part that does not run stays so.
    pub async fn stop(&self, part: Part) -> Result<(), LabError> {
        self.check(part)?;
        if part == Part::Postgres {
            if let Some(cluster) = self.cluster.lock().await.take() {
                cluster.stop().await;
            }
            return Ok(());
        }
        let Some(mut child) = self.children().remove(&part) else { return Ok(()) };
        spawn_blocking(move || {
            process::end(child.id());
            child.wait().map(drop).map_err(doing(format!("wait for {part}")))
        })
        .await
        .expect("ending a process does not panic")
    }

    /// Starts a part that was stopped, or that ended by itself, and returns when it runs.
    pub async fn start(&self, part: Part) -> Result<(), LabError> {
        self.check(part)?;
        if part == Part::Postgres {
            let mut cluster = self.cluster.lock().await;
            if cluster.is_none() {
                *cluster =
                    Some(Cluster::start(&self.postgres_directory()).await.map_err(LabError::Postgres)?);
            }
            return Ok(());
        }
        if self.children().get_mut(&part).is_some_and(|child| matches!(child.try_wait(), Ok(None))) {
            return Ok(());
        }
        self.wait_for(part, self.launch(part).spawn()?).await
    }

    /// Stops and starts a part.
    pub async fn restart(&self, part: Part) -> Result<(), LabError> {
        self.stop(part).await?;
        self.start(part).await
    }

    /// Restarts the ACME server, which forgets everything, with other options.
    pub async fn restart_pebble(&self, options: PebbleOptions) -> Result<(), LabError> {
        *self.pebble.lock().unwrap_or_else(PoisonError::into_inner) = options;
        self.restart(Part::Pebble).await
    }

    /// The root of the certificates that the ACME server issues, as PEM. It is another after each of its starts.
    pub async fn issuing_roots_pem(&self) -> Result<String, LabError> {
        let mut command = Command::new(&self.programs.curl);
        command.args(["--silent", "--show-error", "--fail", "--max-time", "10", "--cacert"]);
        command.arg(&self.description.acme_ca_file);
        command.arg(format!("{}/roots/0", self.description.acme_management_url));
        spawn_blocking(move || run("curl", &mut command)).await.expect("running a program does not panic")
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

    /// Removes every record of `name`.
    pub async fn remove_name(&self, name: &str) -> Result<(), LabError> {
        names::remove(&self.programs.nsupdate, &self.description, name).await
    }

    /// Ends every process of the lab, and every other that works in its directory or names it, and removes the
    /// directory.
    pub async fn down(mut self) -> Result<(), LabError> {
        spawn_blocking(move || self.end()).await.expect("ending a lab does not panic")
    }

    /// Everything before the first part runs. A failure here cleans up after itself as any lab.
    fn prepare(options: Options) -> Result<Self, LabError> {
        let programs = Programs::find()?;
        let network = Network::reserve(options.load_balancers)?;
        let directory = make_lab_directory()?;
        let guard = Guard::spawn(&directory).inspect_err(|_| drop(fs::remove_dir(&directory)))?;
        let user = run("id", Command::new("id").arg("-un"))?;
        let description = Description::plan(&directory, &network, options.load_balancers, user.trim());
        let pebble = Mutex::new(options.pebble);
        let (children, cluster) = (Mutex::default(), tokio::sync::Mutex::default());
        let mut lab = Self { description, programs, children, cluster, pebble, guard, network };
        lab.write_configurations()?;
        Ok(lab)
    }

    fn write_configurations(&mut self) -> Result<(), LabError> {
        let (description, programs) = (&mut self.description, &self.programs);
        make_directory(&description.directory.join("logs"))?;
        bind::prepare(description, programs)?;
        pebble::prepare(description, &self.network)?;
        nginx::prepare_shop(description)?;
        sshd::make_client_key(description, programs)?;
        for load_balancer in &mut description.load_balancers {
            nginx::prepare(load_balancer, programs)?;
            sshd::prepare(load_balancer, &description.ssh_private_key, programs)?;
        }
        Ok(())
    }

    /// All at once: each is waited for after the last was started.
    async fn start_children(&self) -> Result<(), LabError> {
        let parts = Part::children(self.description.load_balancers.len() as u8);
        let starting: Result<Vec<(Part, Starting)>, LabError> =
            parts.into_iter().map(|part| Ok((part, self.launch(part).spawn()?))).collect();
        for (part, starting) in starting? {
            self.wait_for(part, starting).await?;
        }
        Ok(())
    }

    async fn wait_for(&self, part: Part, starting: Starting) -> Result<(), LabError> {
        let child = starting.wait_until_ready().await?;
        self.children().insert(part, child);
        Ok(())
    }

    fn launch(&self, part: Part) -> Launch {
        let (description, programs) = (&self.description, &self.programs);
        let load_balancer =
            |number| description.load_balancer(number).expect("the number of a part was checked");
        match part {
            Part::Postgres => unreachable!("the database is started by its own crate"),
            Part::Pebble => {
                let options = *self.pebble.lock().unwrap_or_else(PoisonError::into_inner);
                pebble::launch(description, programs, &self.network, options)
            }
            Part::Bind => bind::launch(description, programs),
            Part::Nginx(number) => {
                nginx::launch(part, &load_balancer(number).directory, description, programs)
            }
            Part::Sshd(number) => sshd::launch(part, load_balancer(number), description, programs),
            Part::Shop => nginx::launch(part, &description.directory.join("shop"), description, programs),
            Part::Mail => mail::launch(description),
        }
    }

    fn check(&self, part: Part) -> Result<(), LabError> {
        match part {
            Part::Nginx(number) | Part::Sshd(number) if self.description.load_balancer(number).is_none() => {
                Err(LabError::NoSuchPart(part))
            }
            _ => Ok(()),
        }
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

fn make_lab_directory() -> Result<PathBuf, LabError> {
    let directory = tempfile::Builder::new().prefix(DIRECTORY_PREFIX).tempdir();
    let directory = directory.map_err(doing("make the lab's directory"))?.keep();
    make_directory(&directory)?;
    // The name under which processes show it in /proc.
    fs::canonicalize(&directory).map_err(doing("find the lab's directory"))
}
