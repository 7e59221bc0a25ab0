//! BIND, authoritative for the zone `test` and primary of the dynamic zone `acme.test`.

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

/// The zone in which certmill writes TXT records, before it does. Short lifetimes, as in `test`.
pub(crate) const ACME_ZONE: &str = "$TTL 1\n\
    @ IN SOA ns1.acme.test. hostmaster.test. 1 3600 600 86400 1\n\
    \x20 IN NS ns1.acme.test.\n\
    \x20 IN NS ns2.acme.test.\n\
    ns1 IN A 127.0.0.1\n\
    ns2 IN A 127.0.0.1\n";

/// Writes the configuration and the zones, and makes the keys for updates.
pub(crate) fn prepare(description: &mut Description, programs: &Programs) -> Result<(), LabError> {
    let directory = description.directory.join("dns");
    make_directory(&directory)?;
    // Debian's AppArmor profile lets /usr/sbin/named read nothing in temporary directories; it does not bind a
    // copy.
    let copied = fs::copy(&programs.named, directory.join("named"));
    copied.map_err(doing("copy named"))?;
    make_key(&mut description.dns_key, programs)?;
    for key in description.acme_zone.keys.iter_mut().chain([&mut description.acme_zone.stranger]) {
        make_key(key, programs)?;
    }
    write(&directory.join("named.conf"), &configuration(&directory, description))?;
    write(&directory.join("test.zone"), &zone(&description.load_balancer_addresses()))?;
    write(&directory.join("acme.test.zone"), ACME_ZONE)
}

pub(crate) fn launch(description: &Description, programs: &Programs) -> Launch {
    let directory = description.directory.join("dns");
    let listens = description.dns_server;
    launch_named(Part::Bind, &directory, soa_question(programs, listens, "test"), description)
}

/// Starts a named with the `named.conf` of `directory`; `question` shows that it runs.
pub(crate) fn launch_named(
    part: Part,
    directory: &Path,
    question: Command,
    description: &Description,
) -> Launch {
    let mut command = Command::new(description.directory.join("dns/named"));
    command.args(["-f", "-n", "1", "-c"]).arg(directory.join("named.conf")).current_dir(directory);
    Launch { part, command, ready: Ready::Answers(question), log: description.log(part) }
}

/// Asks a server for the SOA record of a zone.
pub(crate) fn soa_question(programs: &Programs, server: SocketAddr, zone: &str) -> Command {
    let mut question = Command::new(&programs.dig);
    question.arg(format!("@{}", server.ip())).arg("-p").arg(server.port().to_string());
    question.args(["+short", "+time=1", "+tries=1", &format!("{zone}."), "SOA"]);
    question
}

/// What every named of the lab is told.
pub(crate) fn options(directory: &Path, listen: SocketAddr) -> String {
    let directory = directory.display();
    format!(
        r#"options {{
    directory "{directory}";
    pid-file "{directory}/named.pid";
    session-keyfile "{directory}/session.key";
    listen-on port {port} {{ {address}; }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
    empty-zones-enable no;
    allow-transfer {{ none; }};
    notify no;
    # The defaults, 20 a second each, are for the Internet.
    notify-rate 1000;
    serial-query-rate 1000;
    flush-zones-on-shutdown yes;
}};
controls {{ }};
logging {{
    channel log {{ stderr; severity info; print-time yes; }};
    category default {{ log; }};
    category update {{ null; }};
    category update-security {{ null; }};
    category notify {{ null; }};
    category xfer-in {{ null; }};
    category xfer-out {{ null; }};
}};
"#,
        port = listen.port(),
        address = listen.ip(),
    )
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
    write(&key.secret_file, secret)?;
    write(&key.file, &text)
}

/// For whoever asks for recursion, as the ACME server does, it is a resolver, for others the zones' authoritative server
/// alone: that ends an answer where a CNAME leads into another zone, even one of its own. What the resolver has no zone
/// for it asks nobody about, and answers SERVFAIL.
fn configuration(directory: &Path, description: &Description) -> String {
    let acme = &description.acme_zone;
    let mut text = String::new();
    for key in acme.keys.iter().chain([&acme.stranger, &description.dns_key]) {
        writeln!(text, "include \"{}\";", key.file.display()).expect(INFALLIBLE);
    }
    let grants: Vec<_> = acme.keys.iter().map(|key| format!("grant \"{}\" zonesub TXT;", key.name)).collect();
    text += &options(directory, description.dns_server);
    write!(
        text,
        r#"view "resolver" {{
    match-recursive-only yes;
    recursion yes;
    allow-recursion {{ 127.0.0.0/8; }};
    forward only;
    forwarders {{ 127.0.0.1 port 1; }};
    zone "test" {{
        type primary;
        file "{directory}/test.zone";
        allow-update {{ key lab; }};
    }};
    zone "{zone}" {{
        type primary;
        file "{directory}/acme.test.zone";
        update-policy {{ {grants} }};
        allow-transfer {{ 127.0.0.0/8; }};
        notify explicit;
        also-notify {{ {secondary} port {port}; }};
        # Else the second change within 5 s is told only after them.
        notify-delay 0;
    }};
}};
view "authoritative" {{
    zone "test" {{ in-view "resolver"; }};
    zone "{zone}" {{ in-view "resolver"; }};
}};
"#,
        directory = directory.display(),
        zone = acme.name,
        grants = grants.join(" "),
        secondary = acme.secondary.ip(),
        port = acme.secondary.port(),
    )
    .expect(INFALLIBLE);
    text
}

const INFALLIBLE: &str = "a String takes all that is written to it";

/// Short lifetimes: what a test changes must be seen at once.
fn zone(load_balancers: &[IpAddr]) -> String {
    let mut zone = String::from(
        "$TTL 1\n@ IN SOA ns.test. hostmaster.test. 1 3600 600 86400 1\n  IN NS ns.test.\nns IN A 127.0.0.1\n\
         acme IN NS ns1.acme\nacme IN NS ns2.acme\nns1.acme IN A 127.0.0.1\nns2.acme IN A 127.0.0.1\n",
    );
    for name in WILDCARDS {
        for address in load_balancers {
            writeln!(zone, "{name} IN A {address}").expect(INFALLIBLE);
        }
    }
    zone
}
