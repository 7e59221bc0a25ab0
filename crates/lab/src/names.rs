//! Changes of the zone `test` while the lab runs, and looks at the zone that certmill writes in.

use std::collections::HashSet;
use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;
use std::process::{self, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::description::{AcmeZone, Description};
use crate::error::{LabError, doing};

/// Names in one update message: 65,535 bytes are the limit of a message (RFC 1035 section 4.2.2).
const NAMES_IN_A_MESSAGE: usize = 100;

const INFALLIBLE: &str = "a String takes all that is written to it";

/// A record that the owner of a shop sets, in the zone `test`.
#[derive(Clone, Debug)]
pub struct Record {
    name: String,
    kind: &'static str,
    /// As in a zone file.
    data: String,
}

impl Record {
    /// An A or AAAA record.
    pub fn address(name: &str, address: IpAddr) -> Self {
        Self::new(name, if address.is_ipv4() { "A" } else { "AAAA" }, address.to_string())
    }

    /// A CNAME record.
    pub fn cname(name: &str, target: &str) -> Self {
        Self::new(name, "CNAME", format!("{}.", target.trim_end_matches('.')))
    }

    /// A TXT record with one string.
    pub fn txt(name: &str, text: &str) -> Self {
        Self::new(name, "TXT", format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
    }

    /// A CAA record, as in `0 issue "ca.example"`.
    pub fn caa(name: &str, data: &str) -> Self {
        Self::new(name, "CAA", data.to_owned())
    }

    fn new(name: &str, kind: &'static str, data: String) -> Self {
        Self { name: name.trim_end_matches('.').to_owned(), kind, data }
    }
}

/// Sets records, with one process for all of them.
pub(crate) async fn set_records(
    nsupdate: &Path,
    description: &Description,
    records: &[Record],
) -> Result<(), LabError> {
    let mut script = preamble(description);
    let mut replaced = HashSet::new();
    for chunk in records.chunks(NAMES_IN_A_MESSAGE) {
        for Record { name, kind, data } in chunk {
            if replaced.insert((name, kind)) {
                // Beside a CNAME nothing may stand; a server ignores what would.
                let what = if *kind == "CNAME" { "ANY" } else { kind };
                writeln!(script, "update delete {name}. CNAME\nupdate delete {name}. {what}")
                    .expect(INFALLIBLE);
            }
            writeln!(script, "update add {name}. 1 {kind} {data}").expect(INFALLIBLE);
        }
        script.push_str("send\n");
    }
    run(nsupdate, description, &script).await
}

/// Replaces the addresses of every name, with one process for all of them.
pub(crate) async fn set_addresses(
    nsupdate: &Path,
    description: &Description,
    names: &[(impl AsRef<str>, impl AsRef<[IpAddr]>)],
) -> Result<(), LabError> {
    let mut script = preamble(description);
    for chunk in names.chunks(NAMES_IN_A_MESSAGE) {
        for (name, addresses) in chunk {
            write_name(&mut script, name.as_ref(), addresses.as_ref());
        }
        script.push_str("send\n");
    }
    run(nsupdate, description, &script).await
}

/// Removes every record of `name`.
pub(crate) async fn remove(nsupdate: &Path, description: &Description, name: &str) -> Result<(), LabError> {
    let script = format!("{}update delete {}.\nsend\n", preamble(description), name.trim_end_matches('.'));
    run(nsupdate, description, &script).await
}

/// The TXT records of the dynamic zone as its primary has them: names without the last dot, and their texts.
pub(crate) fn txt_records(dig: &Path, zone: &AcmeZone) -> Result<Vec<(String, String)>, LabError> {
    let mut command = process::Command::new(dig);
    command.arg(format!("@{}", zone.primary.ip())).arg("-p").arg(zone.primary.port().to_string());
    command.args(["+noall", "+answer", "+onesoa", "+time=5", &zone.name, "AXFR"]);
    let answer = crate::process::run("dig", &mut command)?;
    // A transfer that was refused is a success of dig's, and a comment.
    if !answer.contains("SOA") {
        return Err(LabError::ProgramFailed { program: "dig", output: answer });
    }
    Ok(answer.lines().filter_map(txt_record).collect())
}

/// Out of `name TTL IN TXT "text"`.
fn txt_record(line: &str) -> Option<(String, String)> {
    let mut fields = line.split_whitespace();
    let name = fields.next()?.trim_end_matches('.').to_owned();
    let text = fields.skip(1).skip_while(|field| *field == "IN").collect::<Vec<_>>().join(" ");
    Some((name, text.strip_prefix("TXT ")?.trim_matches('"').to_owned()))
}

fn preamble(description: &Description) -> String {
    format!("server {} {}\nzone test.\n", description.dns_server.ip(), description.dns_server.port())
}

fn write_name(script: &mut String, name: &str, addresses: &[IpAddr]) {
    let name = name.trim_end_matches('.');
    for record_type in ["A", "AAAA", "CNAME"] {
        writeln!(script, "update delete {name}. {record_type}").expect(INFALLIBLE);
    }
    for address in addresses {
        let record_type = if address.is_ipv4() { "A" } else { "AAAA" };
        writeln!(script, "update add {name}. 1 {record_type} {address}").expect(INFALLIBLE);
    }
}

async fn run(nsupdate: &Path, description: &Description, script: &str) -> Result<(), LabError> {
    let mut command = Command::new(nsupdate);
    // Over TCP (-v), so that no message is too long.
    command.arg("-v").arg("-k").arg(&description.dns_key.file).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(doing("run nsupdate"))?;
    let mut input = child.stdin.take().expect("standard input is a pipe");
    let written = input.write_all(script.as_bytes()).await;
    drop(input);
    let output = child.wait_with_output().await.map_err(doing("wait for nsupdate"))?;
    if output.status.success() && written.is_ok() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::ProgramFailed { program: "nsupdate", output })
}
