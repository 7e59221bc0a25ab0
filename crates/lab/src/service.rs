//! certmill itself, run on the parts of a lab: its configuration, its commands, its processes and its API.

mod api;
mod configuration;
mod error;
mod running;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

pub use self::api::{Answer, Api, domain_path};
pub use self::configuration::CAA_IDENTITY;
pub use self::error::ServiceError;
pub use self::running::{Role, Running};
use crate::description::{Description, LoadBalancer};
use crate::lab::Lab;
use crate::parts::as_root;
use crate::programs::find_beside;

/// An installation of certmill in a lab's directory.
pub struct Service {
    program: PathBuf,
    description: Description,
    environment: Vec<(String, String)>,
}

impl Service {
    /// Everything before the first start: [`Self::prepare`], the schema, every load balancer as a target, and the zone for
    /// challenges.
    ///
    /// `environment` is set for every command and process: `CERTMILL_…` variables go before the configuration file.
    pub async fn set_up(lab: &Lab, environment: &[(&str, &str)]) -> Result<Self, ServiceError> {
        let service = Self::prepare(lab, environment).await?;
        service.run(&["migrate"]).await?;
        for load_balancer in &lab.description().load_balancers {
            service.add_target(load_balancer).await?;
        }
        service.add_zone().await?;
        Ok(service)
    }

    /// Makes the master key and the configuration file, and nothing in the database.
    pub async fn prepare(lab: &Lab, environment: &[(&str, &str)]) -> Result<Self, ServiceError> {
        let program =
            find_beside("certmill").map_err(|looked_for| ServiceError::ProgramMissing { looked_for })?;
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let service = Self {
            program,
            description: lab.description().clone(),
            environment: environment.iter().map(own).collect(),
        };
        let directory = service.data_directory().display().to_string();
        service.output(&["init", &directory]).await?;
        configuration::write(&service)?;
        service.renew_issuing_roots(lab).await?;
        Ok(service)
    }

    /// Writes down the root of the ACME server's certificates, which is another after each of its starts. Processes
    /// read it when they start.
    pub async fn renew_issuing_roots(&self, lab: &Lab) -> Result<(), ServiceError> {
        Ok(crate::parts::write(&self.issuing_roots_file(), &lab.issuing_roots_pem().await?)?)
    }

    /// Runs a command of certmill to its end, and returns what it wrote on standard output, without the last line
    /// break.
    pub async fn run(&self, arguments: &[&str]) -> Result<String, ServiceError> {
        let file = self.configuration_file().display().to_string();
        self.output(&[&["--config", &file], arguments].concat()).await
    }

    /// Adds a load balancer as a target.
    pub async fn add_target(&self, load_balancer: &LoadBalancer) -> Result<(), ServiceError> {
        let arguments = self.target_arguments(load_balancer);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.run(&arguments).await.map(drop)
    }

    /// Adds the lab's dynamic zone, written by RFC 2136 and looked at on both of its name servers.
    pub async fn add_zone(&self) -> Result<(), ServiceError> {
        let (acme, key) = (&self.description.acme_zone, self.description.acme_zone.key());
        let (primary, secondary) = (acme.primary.to_string(), acme.secondary.to_string());
        let secret_file = key.secret_file.display().to_string();
        let server = ["--provider", "rfc2136", "--server", &primary, "--protocol", "udp"];
        let key = ["--key-name", &key.name, "--algorithm", &key.algorithm, "--secret-file", &secret_file];
        let name_servers = ["--name-server", &primary, "--name-server", &secondary];
        let arguments = [&["zone", "add", &acme.name], &server[..], &key, &name_servers].concat();
        self.run(&arguments).await.map(drop)
    }

    /// Adds a tenant whose shops are the lab's, and returns the API as that tenant sees it.
    pub async fn add_tenant(&self, name: &str) -> Result<Api, ServiceError> {
        self.run(&["tenant", "add", name, "--upstream", &self.description.shop.to_string()]).await?;
        let token = self.run(&["token", "create", "--name", "backend", "--tenant", name]).await?;
        Ok(self.api(&token))
    }

    /// The API as the platform's own people see it.
    pub async fn platform_api(&self) -> Result<Api, ServiceError> {
        let token = self.run(&["token", "create", "--name", "operator", "--platform"]).await?;
        Ok(self.api(&token))
    }

    /// The API for the holder of `token`; empty: for nobody.
    pub fn api(&self, token: &str) -> Api {
        Api::new(self.description.responder, token)
    }

    /// Starts a process and returns when it is ready; one that only works is taken to be so at once.
    pub async fn start(&self, role: Role, environment: &[(&str, &str)]) -> Result<Running, ServiceError> {
        let mut running = self.spawn(role, environment)?;
        if role != Role::Work {
            running.wait_until_ready(&self.api("")).await?;
        }
        Ok(running)
    }

    /// Starts a process and does not wait for it. `environment` is for it alone, as in `CERTMILL_DIE_AT`.
    pub fn spawn(&self, role: Role, environment: &[(&str, &str)]) -> Result<Running, ServiceError> {
        let mut command = self.command();
        command.arg("--config").arg(self.configuration_file()).arg(role.as_str());
        command.envs(environment.iter().copied());
        Running::spawn(command, role, self.log())
    }

    /// What all processes write on standard error.
    pub fn log(&self) -> PathBuf {
        self.description.directory.join("logs/certmill.log")
    }

    /// certmill's data directory.
    pub fn data_directory(&self) -> PathBuf {
        self.description.directory.join("certmill")
    }

    /// The configuration file.
    pub fn configuration_file(&self) -> PathBuf {
        self.data_directory().join("certmill.toml")
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    fn issuing_roots_file(&self) -> PathBuf {
        self.data_directory().join("issuing-roots.pem")
    }

    /// The program with this installation's environment, and no arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // Whatever the caller's environment says of another installation is not meant for this one.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CERTMILL_"))
        {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // The lab finds it by this, when it goes.
        command.current_dir(&self.description.directory).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn output(&self, arguments: &[&str]) -> Result<String, ServiceError> {
        let output = self.command().args(arguments).output().await;
        let output = output.map_err(crate::error::doing(format!("run {}", self.program.display())))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
        }
        Err(ServiceError::CommandFailed {
            command: arguments.join(" "),
            code: output.status.code(),
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    fn target_arguments(&self, load_balancer: &LoadBalancer) -> Vec<String> {
        let mut arguments = vec!["target".to_owned(), "add".to_owned(), load_balancer.name.clone()];
        let mut add = |option: &str, value: String| arguments.extend([format!("--{option}"), value]);
        add("address", load_balancer.https().to_string());
        add("ssh-port", load_balancer.ssh_port.to_string());
        add("ssh-user", load_balancer.ssh_user.clone());
        add("ssh-key", self.description.ssh_private_key.display().to_string());
        add("host-key", load_balancer.ssh_host_key.clone());
        add("root", load_balancer.root.display().to_string());
        add("nginx-conf", load_balancer.nginx_conf.display().to_string());
        add("nginx", load_balancer.nginx_program.display().to_string());
        add("http-listen", load_balancer.http().to_string());
        add("https-listen", load_balancer.https().to_string());
        add("https-port", load_balancer.https_port.to_string());
        // As root nginx's workers have another user, who must read the certificates.
        if as_root() {
            add("certificate-group", "www-data".to_owned());
        }
        arguments
    }
}
