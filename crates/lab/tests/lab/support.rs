//! What the tests look with.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use certmill_lab::{Description, Lab, LoadBalancer, Options};

pub(crate) fn one_load_balancer() -> Options {
    Options { load_balancers: 1, ..Options::default() }
}

pub(crate) fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// All addresses of `name`, in order.
pub(crate) fn resolve(lab: &Lab, name: &str) -> Vec<IpAddr> {
    let port = lab.description().dns_server.port().to_string();
    let mut found = Vec::new();
    for record_type in ["A", "AAAA"] {
        let mut dig = Command::new("dig");
        dig.args(["@127.0.0.1", "-p", &port, "+short", name, record_type]);
        found.extend(text(&dig.output().unwrap().stdout).lines().map(|line| line.parse::<IpAddr>().unwrap()));
    }
    found.sort();
    found
}

/// The data of all records of this type at a server, in order.
pub(crate) fn dig(server: SocketAddr, name: &str, record_type: &str) -> Vec<String> {
    let mut dig = Command::new("dig");
    dig.arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string()]);
    let output = dig.args(["+short", "+time=1", "+tries=2", name, record_type]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut found: Vec<_> = text(&output.stdout).lines().map(str::to_owned).collect();
    found.sort();
    found
}

pub(crate) fn ssh(description: &Description, load_balancer: &LoadBalancer, command: &str) -> Output {
    ssh_command(description, load_balancer, command).output().unwrap()
}

/// `ssh` with the lab's key, to a host whose key is pinned.
pub(crate) fn ssh_command(description: &Description, load_balancer: &LoadBalancer, command: &str) -> Command {
    let known_hosts = description.directory.join(format!("{}.known_hosts", load_balancer.name));
    let host = format!("[{}]:{}", load_balancer.address, load_balancer.ssh_port);
    fs::write(&known_hosts, format!("{host} {}\n", load_balancer.ssh_host_key)).unwrap();
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]);
    ssh.arg("-o").arg(format!("UserKnownHostsFile={}", known_hosts.display()));
    ssh.arg("-i").arg(&description.ssh_private_key).arg("-p").arg(load_balancer.ssh_port.to_string());
    ssh.arg(format!("{}@{}", load_balancer.ssh_user, load_balancer.address)).arg(command);
    ssh
}

/// Puts one server block, a proxy to the shop, where certmill's releases go.
pub(crate) fn release(load_balancer: &LoadBalancer, shop: SocketAddr) {
    let release = load_balancer.root.join("releases/1");
    fs::create_dir_all(&release).unwrap();
    let server = format!(
        "server {{ listen {}:{}; location / {{ proxy_pass http://{shop}; proxy_set_header Host $host; }} }}",
        load_balancer.address, load_balancer.http_port
    );
    fs::write(release.join("shops.conf"), server).unwrap();
    std::os::unix::fs::symlink("releases/1", load_balancer.root.join("current")).unwrap();
}

/// Command lines of the processes that name `directory` or work in it; the dead ones have none.
pub(crate) fn processes_naming(directory: &Path) -> Vec<String> {
    let works_there =
        |process: &PathBuf| fs::read_link(process.join("cwd")).is_ok_and(|path| path.starts_with(directory));
    let name = directory.to_str().unwrap();
    processes()
        .into_iter()
        .filter(|(process, command_line)| command_line.contains(name) || works_there(process))
        .map(|(_, command_line)| command_line)
        .collect()
}

pub(crate) fn command_lines_with(part: &str) -> Vec<String> {
    let all = processes().into_iter().map(|(_, command_line)| command_line);
    all.filter(|command_line| command_line.starts_with(part)).collect()
}

pub(crate) fn processes() -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter_map(|path| {
            let command_line = fs::read(path.join("cmdline")).ok()?;
            Some((path, text(&command_line)))
        })
        .collect()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !condition() {
        assert!(Instant::now() < deadline, "in vain waited until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
