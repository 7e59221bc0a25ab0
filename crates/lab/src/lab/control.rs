//! Parts are stopped and started, all of them or one.

use std::process::Child;
use std::sync::PoisonError;

use certmill_postgres::Cluster;
use tokio::task::spawn_blocking;

use super::Lab;
use crate::error::{LabError, doing};
use crate::part::Part;
use crate::parts::pebble::PebbleOptions;
use crate::parts::{bind, mail, nginx, pebble, secondary, sshd};
use crate::process::{self, Launch, Starting};

impl Lab {
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
        self.wait_for(part, self.launch(part)?.spawn()?).await
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

    /// Restarts the secondary name server so that it answers from its copy and follows the primary no more.
    pub async fn make_secondary_stale(&self) -> Result<(), LabError> {
        secondary::go_stale(&self.description)?;
        self.restart(Part::Secondary).await
    }

    /// Restarts the secondary name server so that it follows, and returns when it has what the primary has.
    pub async fn make_secondary_follow(&self) -> Result<(), LabError> {
        secondary::follow(&self.description)?;
        self.restart(Part::Secondary).await?;
        let (description, programs) = (self.description.clone(), self.programs.clone());
        let wait = move || secondary::wait_until_equal(&description, &programs);
        spawn_blocking(wait).await.expect("running a program does not panic")
    }

    /// The process of a part that runs, of which all its others descend.
    pub async fn process_id(&self, part: Part) -> Option<u32> {
        match part {
            Part::Postgres => self.cluster.lock().await.as_ref().map(Cluster::process_id),
            _ => self.children().get(&part).map(Child::id),
        }
    }

    /// All at once: each is waited for after the last was started.
    pub(super) async fn start_children(&self) -> Result<(), LabError> {
        let parts = Part::children(self.description.load_balancers.len() as u8);
        let starting: Result<Vec<(Part, Starting)>, LabError> =
            parts.into_iter().map(|part| Ok((part, self.launch(part)?.spawn()?))).collect();
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

    fn launch(&self, part: Part) -> Result<Launch, LabError> {
        let (description, programs) = (&self.description, &self.programs);
        let load_balancer =
            |number| description.load_balancer(number).expect("the number of a part was checked");
        Ok(match part {
            Part::Postgres => unreachable!("the database is started by its own crate"),
            Part::Pebble => {
                let options = *self.pebble.lock().unwrap_or_else(PoisonError::into_inner);
                pebble::launch(description, programs, &self.network, options)?
            }
            Part::Bind => bind::launch(description, programs),
            Part::Secondary => secondary::launch(description, programs),
            Part::Nginx(number) => {
                nginx::launch(part, &load_balancer(number).directory, description, programs)
            }
            Part::Sshd(number) => sshd::launch(part, load_balancer(number), description, programs),
            Part::Shop => nginx::launch(part, &description.directory.join("shop"), description, programs),
            Part::Mail => mail::launch(description),
        })
    }

    fn check(&self, part: Part) -> Result<(), LabError> {
        match part {
            Part::Nginx(number) | Part::Sshd(number) if self.description.load_balancer(number).is_none() => {
                Err(LabError::NoSuchPart(part))
            }
            _ => Ok(()),
        }
    }
}
