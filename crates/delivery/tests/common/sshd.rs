//! A real sshd on loopback.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use certmill_delivery::SshSettings;

use super::{is_root, own_address, wait_until};

pub struct Sshd {
    pub address: SocketAddr,
    directory: PathBuf,
    child: Option<Child>,
    _reservation: TcpListener,
}

impl Sshd {
    /// Makes keys in `directory` and starts.
    pub fn start(directory: &Path) -> Self {
        fs::create_dir_all(directory).unwrap();
        for key in ["host", "other_host", "id", "stranger"] {
            make_key(&directory.join(key));
        }
        fs::copy(directory.join("id.pub"), directory.join("authorized_keys")).unwrap();
        let (address, reservation) = own_address();
        let address = SocketAddr::new(address, 8022);
        let mut sshd =
            Self { address, directory: directory.to_owned(), child: None, _reservation: reservation };
        sshd.run("host");
        sshd
    }

    /// Ends it, and every connection it has.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = child.id();
        let sessions = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        child.kill().unwrap();
        child.wait().unwrap();
        for session in sessions.split_whitespace() {
            let _ = Command::new("kill").args(["-9", session]).output();
        }
    }

    /// Starts again, with this host key.
    pub fn run(&mut self, host_key: &str) {
        if is_root() {
            // Debian's sshd separates its privileges there.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let directory = self.directory.display();
        let config = format!(
            "ListenAddress {}\nHostKey {directory}/{host_key}\nAuthorizedKeysFile {directory}/authorized_keys\n\
             PidFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n\
             PermitRootLogin yes\nMaxSessions 100\n",
            self.address
        );
        let file = self.directory.join("sshd_config");
        fs::write(&file, config).unwrap();
        let child =
            Command::new("/usr/sbin/sshd").args(["-D", "-f"]).arg(&file).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("openssh-server is installed"));
        wait_until("sshd answers", || TcpStream::connect(self.address).is_ok());
    }

    pub fn settings(&self) -> SshSettings {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let host_key = fs::read_to_string(self.directory.join("host.pub")).unwrap();
        let words: Vec<_> = host_key.split_whitespace().take(2).collect();
        SshSettings {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            user: String::from_utf8(user).unwrap().trim().to_owned(),
            identity_file: self.directory.join("id"),
            host_key: words.join(" "),
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn make_key(path: &Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status();
    assert!(made.unwrap().success());
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}
