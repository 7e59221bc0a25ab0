//! The lab itself, on the real parts.

use std::fs;
use std::io::{BufReader, Read};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use certmill_lab::{Description, Lab, LabError, LoadBalancer, Options, Part, PebbleOptions};

#[tokio::test]
async fn a_lab_with_two_load_balancers_is_up_and_goes_without_a_trace() {
    let lab = Lab::up(Options::default()).await.unwrap();
    let description = lab.description().clone();
    assert_eq!(description.load_balancers.len(), 2);
    assert!(lab.issuing_roots_pem().await.unwrap().contains("BEGIN CERTIFICATE"));
    assert!(TcpStream::connect(description.responder).is_err(), "nobody else listens there");
    let written = fs::read_to_string(description.directory.join("lab.json")).unwrap();
    assert_eq!(written, description.to_json());

    lab.down().await.unwrap();

    assert!(!description.directory.exists());
    assert_eq!(processes_naming(&description.directory), Vec::<String>::new());
    assert!(TcpStream::connect(description.smtp).is_err());
}

#[tokio::test]
async fn two_labs_stand_side_by_side_and_share_nothing() {
    let (one, other) = tokio::join!(Lab::up(one_load_balancer()), Lab::up(one_load_balancer()));
    let (one, other) = (one.unwrap(), other.unwrap());
    one.set_addresses("only-here.test", &["127.0.0.9".parse().unwrap()]).await.unwrap();

    assert_ne!(one.directory(), other.directory());
    assert_eq!(resolve(&one, "only-here.test"), addresses(&["127.0.0.9"]));
    assert_eq!(resolve(&other, "only-here.test"), Vec::<IpAddr>::new());
    one.down().await.unwrap();
    assert!(TcpStream::connect(other.description().smtp).is_ok(), "the other goes on");
}

#[tokio::test]
async fn names_resolve_as_they_are_set() {
    let lab = Lab::up(Options::default()).await.unwrap();
    let both = lab.description().load_balancer_addresses();
    assert_eq!(resolve(&lab, "anything.shops.test"), both);
    assert_eq!(resolve(&lab, "shop1.example-shops.test"), both);

    lab.set_addresses("shop1.shops.test", &addresses(&["127.0.0.7", "100::1"])).await.unwrap();
    assert_eq!(resolve(&lab, "shop1.shops.test"), addresses(&["127.0.0.7", "100::1"]));
    lab.set_addresses("shop1.shops.test", &addresses(&["127.0.0.8"])).await.unwrap();
    assert_eq!(resolve(&lab, "shop1.shops.test"), addresses(&["127.0.0.8"]));
    lab.remove_name("shop1.shops.test").await.unwrap();
    assert_eq!(resolve(&lab, "shop1.shops.test"), both, "the wildcard answers again");

    let error = lab.set_addresses("shop.example", &both).await.unwrap_err();
    assert!(matches!(error, LabError::ProgramFailed { program: "nsupdate", .. }), "{error}");
}

#[tokio::test]
async fn a_thousand_names_are_set_at_once() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let names: Vec<(String, Vec<IpAddr>)> =
        (0..1000).map(|number| (format!("bulk{number}.test"), addresses(&["127.0.0.3"]))).collect();
    lab.set_addresses_of(&names).await.unwrap();
    assert_eq!(resolve(&lab, "bulk0.test"), addresses(&["127.0.0.3"]));
    assert_eq!(resolve(&lab, "bulk999.test"), addresses(&["127.0.0.3"]));
}

#[tokio::test]
async fn a_login_reaches_the_nginx_of_its_own_load_balancer() {
    let lab = Lab::up(Options::default()).await.unwrap();
    for load_balancer in &lab.description().load_balancers {
        let version = ssh(lab.description(), load_balancer, "nginx -v");
        assert!(text(&version.stderr).starts_with("nginx version:"), "{version:?}");

        let test = ssh(lab.description(), load_balancer, "nginx -t");
        let conf = load_balancer.nginx_conf.display();
        assert_eq!(
            text(&test.stderr),
            format!(
                "nginx: the configuration file {conf} syntax is ok\nnginx: configuration file {conf} test is successful\n"
            )
        );
    }
}

#[tokio::test]
async fn a_load_balancer_serves_what_is_released_to_it_and_reaches_the_shop() {
    let lab = Lab::up(Options::default()).await.unwrap();
    let description = lab.description();
    let load_balancer = &description.load_balancers[1];
    release(load_balancer, description.shop);
    let reload = ssh(description, load_balancer, "nginx -s reload");
    assert!(reload.status.success(), "{reload:?}");

    let address = SocketAddr::new(load_balancer.address, load_balancer.http_port);
    wait_until("the load balancer listens", || TcpStream::connect(address).is_ok());
    assert_eq!(get(address, "shop7.shops.test"), "this is the shop shop7.shops.test\n");
    assert!(TcpStream::connect((description.load_balancers[0].address, 8080)).is_err());
}

#[tokio::test]
async fn the_mail_sink_takes_a_mail() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let smtp = lab.description().smtp;
    let script = format!(
        "import smtplib; smtplib.SMTP('{}', {}).sendmail('a@shops.test', 'b@shops.test', 'Subject: hello\\n\\nyou')",
        smtp.ip(),
        smtp.port()
    );
    let sent = Command::new("/usr/bin/python3").args(["-c", &script]).output().unwrap();
    assert!(sent.status.success(), "{sent:?}");

    let mail = fs::read_dir(lab.description().mail_directory.join("new")).unwrap().next().unwrap().unwrap();
    let mail = fs::read_to_string(mail.path()).unwrap();
    assert!(mail.contains("Subject: hello") && mail.contains("X-RcptTo: b@shops.test"), "{mail}");
}

#[tokio::test]
async fn each_part_stops_and_starts_alone() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let description = lab.description();
    release(&description.load_balancers[0], description.shop);
    lab.restart(Part::Nginx(1)).await.unwrap();
    let pebble = description.acme_directory_url.strip_prefix("https://").unwrap();
    let pebble: SocketAddr = pebble.strip_suffix("/dir").unwrap().parse().unwrap();
    let nginx =
        SocketAddr::new(description.load_balancers[0].address, description.load_balancers[0].http_port);
    let ssh = description.load_balancers[0].ssh();
    for (part, address) in [
        (Part::Pebble, pebble),
        (Part::Bind, description.dns_server),
        (Part::Nginx(1), nginx),
        (Part::Sshd(1), ssh),
        (Part::Shop, description.shop),
        (Part::Mail, description.smtp),
    ] {
        wait_until(&format!("{part} listens"), || TcpStream::connect(address).is_ok());
        lab.stop(part).await.unwrap();
        assert!(TcpStream::connect(address).is_err(), "{part} still listens");
        lab.start(part).await.unwrap();
        wait_until(&format!("{part} listens again"), || TcpStream::connect(address).is_ok());
    }
    let socket = description.directory.join("postgres/.s.PGSQL.5432");
    lab.stop(Part::Postgres).await.unwrap();
    assert!(!socket.exists());
    lab.start(Part::Postgres).await.unwrap();
    assert!(socket.exists());
    assert!(matches!(lab.stop(Part::Sshd(2)).await, Err(LabError::NoSuchPart(_))));
}

#[tokio::test]
async fn a_restarted_pebble_has_other_options_and_another_root() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let before = lab.issuing_roots_pem().await.unwrap();
    lab.restart_pebble(PebbleOptions { nonce_reject: 0, authorization_reuse: 0 }).await.unwrap();
    assert_ne!(lab.issuing_roots_pem().await.unwrap(), before);
    let log = fs::read_to_string(lab.description().log(Part::Pebble)).unwrap();
    assert!(log.contains("reject 5%") && log.contains("reject 0%"), "{log}");
}

#[tokio::test]
async fn a_part_that_does_not_start_is_named_with_the_end_of_its_log() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let load_balancer = &lab.description().load_balancers[0];
    lab.stop(Part::Nginx(1)).await.unwrap();
    fs::write(&load_balancer.nginx_conf, "nonsense;").unwrap();

    let error = lab.start(Part::Nginx(1)).await.unwrap_err().to_string();

    assert!(error.starts_with("lb1-nginx ended with exit status: 1"), "{error}");
    assert!(error.contains("unknown directive \"nonsense\""), "{error}");
}

#[tokio::test]
async fn a_session_that_is_open_does_not_outlive_the_lab() {
    let lab = Lab::up(one_load_balancer()).await.unwrap();
    let directory = lab.directory().to_owned();
    let description = lab.description();
    let mut command = ssh_command(description, &description.load_balancers[0], "exec sleep 987654");
    let mut session = command.stdin(Stdio::piped()).spawn().unwrap();
    wait_until("the session is there", || !command_lines_with("sleep\0987654").is_empty());

    lab.down().await.unwrap();

    assert_eq!(processes_naming(&directory), Vec::<String>::new());
    assert_eq!(command_lines_with("sleep\0987654"), Vec::<String>::new());
    session.wait().unwrap();
}

#[test]
fn nothing_is_left_when_the_holder_of_a_lab_is_killed() {
    let (mut holder, description) = start_holder();
    let directory = description.directory;
    assert!(processes_naming(&directory).len() >= 8);

    holder.kill().unwrap();
    holder.wait().unwrap();

    wait_until("the directory is gone", || !directory.exists());
    wait_until("every process is gone", || processes_naming(&directory).is_empty());
}

#[test]
fn a_held_lab_goes_down_at_the_end_of_standard_input() {
    let (mut holder, description) = start_holder();
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    assert!(!description.directory.exists());
}

#[test]
fn the_guard_touches_no_directory_but_a_labs() {
    let directory = tempfile::tempdir().unwrap();
    let mut guard = Command::new(env!("CARGO_BIN_EXE_certmill-lab"));
    let output = guard.arg("guard").arg(directory.path()).stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("is not a lab's directory"), "{output:?}");
    assert!(directory.path().exists());
}

fn one_load_balancer() -> Options {
    Options { load_balancers: 1, ..Options::default() }
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// All addresses of `name`, in order.
fn resolve(lab: &Lab, name: &str) -> Vec<IpAddr> {
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

fn ssh(description: &Description, load_balancer: &LoadBalancer, command: &str) -> Output {
    ssh_command(description, load_balancer, command).output().unwrap()
}

/// `ssh` with the lab's key, to a host whose key is pinned.
fn ssh_command(description: &Description, load_balancer: &LoadBalancer, command: &str) -> Command {
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
fn release(load_balancer: &LoadBalancer, shop: SocketAddr) {
    let release = load_balancer.root.join("releases/1");
    fs::create_dir_all(&release).unwrap();
    let server = format!(
        "server {{ listen {}:{}; location / {{ proxy_pass http://{shop}; proxy_set_header Host $host; }} }}",
        load_balancer.address, load_balancer.http_port
    );
    fs::write(release.join("shops.conf"), server).unwrap();
    std::os::unix::fs::symlink("releases/1", load_balancer.root.join("current")).unwrap();
}

/// The body of the answer to a GET for `host`.
fn get(address: SocketAddr, host: &str) -> String {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--header"]).arg(format!("Host: {host}"));
    let output = curl.arg(format!("http://{address}/")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout)
}

/// `certmill-lab up` and what it printed.
fn start_holder() -> (Child, Description) {
    let mut holder = Command::new(env!("CARGO_BIN_EXE_certmill-lab"));
    holder.arg("up").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut output = BufReader::new(holder.stdout.take().unwrap());
    let mut json = String::new();
    while !json.ends_with("\n}\n") {
        let mut byte = [0];
        output.read_exact(&mut byte).expect("the lab comes up");
        json.push(char::from(byte[0]));
    }
    (holder, serde_json::from_str(&json).unwrap())
}

/// Command lines of the processes that name `directory` or work in it; the dead ones have none.
fn processes_naming(directory: &Path) -> Vec<String> {
    let works_there =
        |process: &PathBuf| fs::read_link(process.join("cwd")).is_ok_and(|path| path.starts_with(directory));
    let name = directory.to_str().unwrap();
    processes()
        .into_iter()
        .filter(|(process, command_line)| command_line.contains(name) || works_there(process))
        .map(|(_, command_line)| command_line)
        .collect()
}

fn command_lines_with(part: &str) -> Vec<String> {
    let all = processes().into_iter().map(|(_, command_line)| command_line);
    all.filter(|command_line| command_line.starts_with(part)).collect()
}

fn processes() -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter_map(|path| {
            let command_line = fs::read(path.join("cmdline")).ok()?;
            Some((path, text(&command_line)))
        })
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !condition() {
        assert!(Instant::now() < deadline, "in vain waited until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
