//! A load balancer on loopback: a real nginx in a directory of its own, and releases for it.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test binary uses its part of this module")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use certmill_delivery::{CertificateFile, Connection, Connector, Release, Session, TargetConfig};
use certmill_model::{Hostname, TemplateRef, UpstreamAddress};
use certmill_nginx::{DomainConfig, Layout, Manifest, Templates};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

pub mod sshd;

pub const WAIT: Duration = Duration::from_secs(10);

/// One load balancer with what is on it and around it.
pub struct Place {
    pub directory: TempDir,
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub upstream: SocketAddr,
    pub responder: SocketAddr,
    nginx: Option<Child>,
    _reservation: TcpListener,
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("cm-")
            // nginx's workers come in here.
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .unwrap();
        let (address, reservation) = own_address();
        let [http, https, upstream, responder] =
            [8080, 8443, 9000, 8402].map(|port| SocketAddr::new(address, port));
        let place =
            Self { directory, http, https, upstream, responder, nginx: None, _reservation: reservation };
        fs::create_dir(place.path("conf")).unwrap();
        fs::write(place.conf(), place.conf_text()).unwrap();
        place
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    pub fn root(&self) -> PathBuf {
        self.path("certmill")
    }

    pub fn conf(&self) -> PathBuf {
        self.path("conf/nginx.conf")
    }

    fn conf_text(&self) -> String {
        let user = if is_root() { "user www-data;\n" } else { "" };
        let directory = self.directory.path().display();
        format!(
            "{user}pid {directory}/nginx.pid;\nerror_log {directory}/error.log;\ndaemon off;\nworker_processes 1;\n\
             events {{}}\nhttp {{\n    access_log off;\n    include  {directory}/certmill/current/*.conf;\n\
             \x20   client_body_temp_path {directory}/t1;\n    proxy_temp_path {directory}/t2;\n\
             \x20   fastcgi_temp_path {directory}/t3;\n    uwsgi_temp_path {directory}/t4;\n    scgi_temp_path {directory}/t5;\n}}\n"
        )
    }

    pub fn config(&self) -> TargetConfig {
        TargetConfig {
            root: self.root().to_str().unwrap().to_owned(),
            nginx: vec!["nginx".to_owned()],
            nginx_conf: self.conf().to_str().unwrap().to_owned(),
            certificate_group: is_root().then(|| "www-data".to_owned()),
        }
    }

    pub fn connector(&self) -> Connector {
        Connector::new(&self.path("data")).unwrap()
    }

    pub fn local(&self) -> Session {
        self.connector().open(&Connection::Local, self.config()).unwrap()
    }

    pub fn layout(&self) -> Layout {
        let listen = |address: SocketAddr| vec![address.to_string()];
        let responder = UpstreamAddress::parse(&self.responder.to_string()).unwrap();
        let root = self.root();
        let root = root.to_str().unwrap();
        Layout::new(root, &listen(self.http), &listen(self.https), self.https.port(), vec![responder])
            .unwrap()
    }

    pub fn domain(&self, id: &str, name: &str, template: &str) -> DomainConfig {
        DomainConfig {
            domain: format!("dom_{id:0>26}").parse().unwrap(),
            name: Hostname::parse(name).unwrap(),
            template: TemplateRef::parse(template).unwrap(),
            upstream: UpstreamAddress::parse(&self.upstream.to_string()).unwrap(),
        }
    }

    /// Starts nginx and waits until its master has written its pid.
    pub fn start_nginx(&mut self) {
        let _ = fs::remove_file(self.path("nginx.pid"));
        let child = Command::new("nginx").arg("-c").arg(self.conf()).stderr(Stdio::null()).spawn();
        self.nginx = Some(child.expect("nginx is installed"));
        wait_until("nginx runs", || self.path("nginx.pid").metadata().is_ok_and(|file| file.len() > 0));
    }

    /// Ends nginx as a power cut would, workers and all.
    pub fn kill_nginx(&mut self) {
        let Some(mut child) = self.nginx.take() else { return };
        let master = child.id();
        let children =
            fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap_or_default();
        child.kill().unwrap();
        child.wait().unwrap();
        for worker in children.split_whitespace() {
            let _ = Command::new("kill").args(["-9", worker]).output();
            // Dead, though perhaps not yet reaped, is gone enough: its sockets are closed.
            let command_line = format!("/proc/{worker}/cmdline");
            wait_until("the worker is gone", || fs::read(&command_line).unwrap_or_default().is_empty());
        }
    }

    /// Every file below the root but the certificates, with its content; links with their target.
    pub fn tree(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        walk(&self.root(), &mut files);
        files
    }

    pub fn curl_https(&self, name: &str, path: &str, more: &[&str]) -> String {
        let port = self.https.port();
        let resolve = format!("{name}:{port}:{}", self.https.ip());
        let url = format!("https://{name}:{port}{path}");
        curl(&[&["--resolve", &resolve, &url], more].concat())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.kill_nginx();
    }
}

pub fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl").args(["-sS", "-k", "--max-time", "10"]).args(arguments).output();
    let output: Output = output.expect("curl is installed");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn walk(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            let target = fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes();
            files.insert(path, target);
        } else if path.is_dir() {
            walk(&path, files);
        } else {
            let content = fs::read(&path).unwrap();
            files.insert(path, content);
        }
    }
}

/// A release in the making: what the engine keeps in the database.
#[derive(Clone, Default)]
pub struct Build {
    pub manifest: Manifest,
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Build {
    pub fn render(place: &Place, templates: &Templates, number: i64, domains: &[DomainConfig]) -> Self {
        let layout = place.layout();
        let mut build = Self::default();
        for shard in 0..=255 {
            let own: Vec<_> = domains.iter().filter(|one| one.domain.shard() == shard).cloned().collect();
            let rendered = templates.render_shard(&layout, shard, &own);
            assert_eq!(rendered.refused, []);
            build.manifest = build.manifest.with_shard_replaced(shard, &rendered.files);
            build.files.extend(rendered.files);
        }
        let upstreams: BTreeSet<_> = domains.iter().map(|one| one.upstream.clone()).collect();
        let paths: Vec<_> = build.manifest.paths().map(str::to_owned).collect();
        let top = templates.render_top(&layout, number, paths, &upstreams);
        assert_eq!(top.refused, []);
        build.manifest = build.manifest.with_top_replaced(&top.files);
        build.files.extend(top.files);
        build
    }

    /// Everything, for a target that has nothing.
    pub fn whole(&self, number: i64) -> Release {
        self.since(number, None)
    }

    pub fn since(&self, number: i64, previous: Option<(i64, &Self)>) -> Release {
        let before = previous.map(|(_, build)| build.manifest.clone()).unwrap_or_default();
        let diff = self.manifest.diff(&before);
        let content = |path: String| (path.clone(), self.files[&path].clone());
        Release {
            number,
            previous: previous.map(|(number, _)| number),
            changed: diff.changed.into_iter().map(content).collect(),
            removed: diff.removed,
            manifest: self.manifest.to_text(),
        }
    }
}

/// A self-signed certificate for a domain, with its key, and its fingerprint.
pub fn certificate(config: &DomainConfig) -> (CertificateFile, [u8; 32]) {
    let made = rcgen::generate_simple_self_signed(vec![config.name.to_string()]).unwrap();
    let pem = made.cert.pem() + &made.signing_key.serialize_pem();
    let fingerprint = Sha256::digest(made.cert.der()).into();
    (CertificateFile::new(config.domain, pem.into_bytes().into()), fingerprint)
}

/// Sends, tests and activates, as the engine does.
pub async fn deliver(session: &Session, release: &Release) {
    session.send_release(release).await.unwrap();
    session.test(release.number).await.unwrap();
    session.activate(release.number).await.unwrap();
    session.reload().await.unwrap();
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0).unwrap()
}

/// An address at which nobody else listens as long as the listener lives: a free port would not stay free until somebody
/// listens there. Behind those of labs, which end with 127.95.
pub fn own_address() -> (IpAddr, TcpListener) {
    // Processes that start together look in different places first.
    let first = (std::process::id().wrapping_mul(2_654_435_761) >> 16) as u16;
    let reserve = |offset| {
        let [third, fourth] = first.wrapping_add(offset).to_be_bytes();
        let address = IpAddr::from(Ipv4Addr::new(127, 96, third, fourth));
        Some((address, TcpListener::bind((address, 7999)).ok()?))
    };
    (0..=u16::MAX).find_map(reserve).unwrap()
}

pub fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < WAIT, "{what}: not within {WAIT:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Answers every request with a body that begins with `name`, then the request itself.
pub fn serve_http(address: SocketAddr, name: &'static str) {
    use std::io::{Read, Write};
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or_default();
            let body = format!("{name}\n{}", String::from_utf8_lossy(&request[..length]));
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
}
