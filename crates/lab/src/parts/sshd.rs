//! The sshd of a load balancer, and the keys on both sides.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{as_root, make_directory, write};
use crate::description::{Description, LoadBalancer};
use crate::error::{LabError, doing};
use crate::part::Part;
use crate::process::{Launch, Ready, run};
use crate::programs::Programs;

/// The key that certmill and the tests log in with.
pub(crate) fn make_client_key(description: &Description, programs: &Programs) -> Result<(), LabError> {
    let directory = description.ssh_private_key.parent().expect("the key is in a directory of the lab");
    make_directory(directory)?;
    make_key(&description.ssh_private_key, "certmill", programs)?;
    if as_root() {
        // Where sshd locks itself in before a login; Debian makes it when its own sshd starts.
        make_directory(Path::new("/run/sshd"))?;
    }
    Ok(())
}

/// Writes the configuration and makes the host key.
pub(crate) fn prepare(
    load_balancer: &mut LoadBalancer,
    client_key: &Path,
    programs: &Programs,
) -> Result<(), LabError> {
    let directory = load_balancer.directory.clone();
    make_directory(&directory)?;
    let host_key = directory.join("ssh_host_ed25519_key");
    make_key(&host_key, &load_balancer.name, programs)?;
    load_balancer.ssh_host_key = public_key(&host_key)?;
    write(&directory.join("authorized_keys"), &format!("{}\n", public_key(client_key)?))?;
    write(&directory.join("sshd_config"), &configuration(load_balancer))
}

pub(crate) fn launch(
    part: Part,
    load_balancer: &LoadBalancer,
    description: &Description,
    programs: &Programs,
) -> Launch {
    // sshd starts itself anew for each connection and wants its own absolute path for it.
    let mut command = Command::new(&programs.sshd);
    command.args(["-D", "-e", "-f"]).arg(load_balancer.directory.join("sshd_config"));
    Launch { part, command, ready: Ready::Listens(vec![load_balancer.ssh()]), log: description.log(part) }
}

fn make_key(path: &Path, comment: &str, programs: &Programs) -> Result<(), LabError> {
    let mut command = Command::new(&programs.ssh_keygen);
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"]).arg(path);
    run("ssh-keygen", &mut command).map(drop)
}

/// Type and key, without the comment.
fn public_key(private_key: &Path) -> Result<String, LabError> {
    let path = private_key.with_extension("pub");
    let text = fs::read_to_string(&path).map_err(doing(format!("read {}", path.display())))?;
    Ok(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

fn configuration(load_balancer: &LoadBalancer) -> String {
    let directory = load_balancer.directory.display();
    format!(
        "ListenAddress {listen}
HostKey {directory}/ssh_host_ed25519_key
AuthorizedKeysFile {directory}/authorized_keys
PidFile {directory}/sshd.pid
AllowUsers {user}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
UseDNS no
PrintMotd no
MaxStartups 200:30:400
MaxSessions 100
SetEnv PATH={directory}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME={directory}
Subsystem sftp internal-sftp
",
        listen = load_balancer.ssh(),
        user = load_balancer.ssh_user,
    )
}
