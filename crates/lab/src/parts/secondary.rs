//! A second BIND, the secondary of the dynamic zone `acme.test` and of nothing else.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::bind::{ACME_ZONE, launch_named, options, soa_question};
use super::{make_directory, write};
use crate::description::Description;
use crate::error::LabError;
use crate::part::Part;
use crate::process::{Launch, run, tail};
use crate::programs::Programs;

/// It looks for what it missed every second.
const LIMIT: Duration = Duration::from_secs(20);

/// Writes the configuration, and a first copy of the zone: so it runs before its primary does.
pub(crate) fn prepare(description: &Description) -> Result<(), LabError> {
    make_directory(&directory(description))?;
    write(&directory(description).join("acme.test.zone"), ACME_ZONE)?;
    follow(description)
}

pub(crate) fn launch(description: &Description, programs: &Programs) -> Launch {
    let acme = &description.acme_zone;
    let question = soa_question(programs, acme.secondary, &acme.name);
    launch_named(Part::Secondary, &directory(description), question, description)
}

/// From its next start on it follows the primary.
pub(crate) fn follow(description: &Description) -> Result<(), LabError> {
    write_configuration(description, description.acme_zone.primary)
}

/// From its next start on its copy stays as it is: where it looks for changes nobody is.
pub(crate) fn go_stale(description: &Description) -> Result<(), LabError> {
    let nobody = SocketAddr::new(Ipv4Addr::new(127, 0, 0, 2).into(), description.acme_zone.primary.port());
    write_configuration(description, nobody)
}

/// Waits until the zone has the same serial number at both servers. Blocks.
pub(crate) fn wait_until_equal(description: &Description, programs: &Programs) -> Result<(), LabError> {
    let acme = &description.acme_zone;
    // An answer that is lost, or late, is one to ask for again.
    let soa = |server| run("dig", &mut soa_question(programs, server, &acme.name)).ok();
    let deadline = Instant::now() + LIMIT;
    loop {
        let (wanted, seen) = (soa(acme.primary), soa(acme.secondary));
        if wanted.is_some() && wanted == seen {
            return Ok(());
        }
        if Instant::now() > deadline {
            let what = format!("has {seen:?} and not {wanted:?} after {LIMIT:?}");
            let log = tail(&description.log(Part::Secondary));
            return Err(LabError::NotReady { part: Part::Secondary, what, log });
        }
        sleep(Duration::from_millis(10));
    }
}

fn directory(description: &Description) -> PathBuf {
    description.directory.join("dns-secondary")
}

fn write_configuration(description: &Description, primary: SocketAddr) -> Result<(), LabError> {
    let directory = directory(description);
    let text = format!(
        r#"{options}zone "{zone}" {{
    type secondary;
    file "{directory}/acme.test.zone";
    masterfile-format text;
    primaries {{ {primary} port {port}; }};
    # It is told of each change; these are for what it missed while it was away.
    min-refresh-time 1;
    max-refresh-time 1;
    min-retry-time 1;
    max-retry-time 1;
}};
"#,
        options = options(&directory, description.acme_zone.secondary),
        zone = description.acme_zone.name,
        directory = directory.display(),
        primary = primary.ip(),
        port = primary.port(),
    );
    write(&directory.join("named.conf"), &text)
}
