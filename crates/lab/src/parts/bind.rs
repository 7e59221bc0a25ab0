//! BIND, authoritative for the zone `test`.

use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use super::{make_directory, write};
use crate::description::{Description, TsigKey};
use crate::error::{LabError, doing};
use crate::part::Part;
use crate::process::{Launch, Ready, run};
use crate::programs::Programs;

/// Names of shops that need no record of their own: they lead to all load balancers.
const WILDCARDS: [&str; 2] = ["*.shops", "*.example-shops"];

/// Writes the configuration and the zone, and makes the key for updates.
pub(crate) fn prepare(description: &mut Description, programs: &Programs) -> Result<(), LabError> {
    let directory = description.directory.join("dns");
    make_directory(&directory)?;
    // Debian's AppArmor profile lets /usr/sbin/named read nothing in temporary directories; it does not bind a
    // copy.
    let copied = fs::copy(&programs.named, directory.join("named"));
    copied.map_err(doing("copy named"))?;
    make_key(&mut description.dns_key, programs)?;
    write(&directory.join("named.conf"), &configuration(&directory, description.dns_server))?;
    write(&directory.join("test.zone"), &zone(&description.load_balancer_addresses()))
}

pub(crate) fn launch(description: &Description, programs: &Programs) -> Launch {
    let directory = description.directory.join("dns");
    let mut command = Command::new(directory.join("named"));
    command.args(["-f", "-n", "1", "-c"]).arg(directory.join("named.conf")).current_dir(&directory);
    let mut question = Command::new(&programs.dig);
    question.arg("@127.0.0.1").arg("-p").arg(description.dns_server.port().to_string());
    question.args(["+short", "+time=1", "+tries=1", "test.", "SOA"]);
    let log = description.log(Part::Bind);
    Launch { part: Part::Bind, command, ready: Ready::Answers(question), log }
}

fn make_key(key: &mut TsigKey, programs: &Programs) -> Result<(), LabError> {
    let mut command = Command::new(&programs.tsig_keygen);
    let text = run("tsig-keygen", command.args(["-a", &key.algorithm, &key.name]))?;
    let secret = text.split_once("secret \"").and_then(|(_, rest)| rest.split_once('"'));
    let (secret, _) = secret.ok_or_else(|| LabError::ProgramFailed {
        program: "tsig-keygen",
        output: "its output has no secret".to_owned(),
    })?;
    secret.clone_into(&mut key.secret);
    write(&key.file, &text)
}

fn configuration(directory: &Path, listen: SocketAddr) -> String {
    let directory = directory.display();
    format!(
        r#"include "{directory}/lab.key";
options {{
    directory "{directory}";
    pid-file "{directory}/named.pid";
    session-keyfile "{directory}/session.key";
    listen-on port {port} {{ {address}; }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
    empty-zones-enable no;
    notify no;
    allow-transfer {{ none; }};
}};
controls {{ }};
logging {{
    channel log {{ stderr; severity info; print-time yes; }};
    category default {{ log; }};
    category update {{ null; }};
    category update-security {{ null; }};
}};
zone "test" {{
    type primary;
    file "{directory}/test.zone";
    allow-update {{ key lab; }};
}};
"#,
        port = listen.port(),
        address = listen.ip(),
    )
}

/// Short lifetimes: what a test changes must be seen at once.
fn zone(load_balancers: &[IpAddr]) -> String {
    let mut zone = String::from(
        "$TTL 1\n@ IN SOA ns.test. hostmaster.test. 1 3600 600 86400 1\n  IN NS ns.test.\nns IN A 127.0.0.1\n",
    );
    for name in WILDCARDS {
        for address in load_balancers {
            writeln!(zone, "{name} IN A {address}").expect("a String takes all that is written to it");
        }
    }
    zone
}
