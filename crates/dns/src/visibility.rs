//! Waiting until every name server of a zone shows what was written there: a CA asks any of them.

use std::{fmt, time::Duration};

use certmill_model::ProblemCode;
use futures_util::future::join_all;
use hickory_proto::{op::Message, rr::Name};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::name_servers::{NameServer, ServerTrouble, serial_of_zone, txt_at, values};

/// The wait before a server is asked for the second time; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The longest wait between two questions to a server.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Values that not every name server shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotVisible {
    /// Where the values belong.
    pub record_name: String,
    /// The servers that do not show all of them, with what they did last. None if there was no server to ask.
    pub servers: Vec<(NameServer, ServerTrouble)>,
}

/// Asks every server itself, again and again, until each shows all TXT `values` at `record_name` with authority, or until
/// `deadline`. Other values may stand beside them. A server that cannot be reached from here at one address because
/// this machine lacks that kind of addresses need not be, if it shows the values at another one.
pub async fn wait_until_visible(
    servers: &[NameServer],
    record_name: &str,
    values: &[&str],
    deadline: Instant,
) -> Result<(), NotVisible> {
    let watches = servers.iter().map(|server| watch(server, record_name, values, deadline));
    let outcomes: Vec<_> = servers.iter().zip(join_all(watches).await).collect();
    let troubled = troubled(&outcomes);
    if troubled.is_empty() && !servers.is_empty() {
        return Ok(());
    }
    Err(NotVisible { record_name: record_name.to_owned(), servers: troubled })
}

impl NotVisible {
    /// The kind of problem that a domain shows for it.
    pub fn problem_code(&self) -> ProblemCode {
        ProblemCode::DnsNotPropagated
    }
}

impl fmt::Display for NotVisible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.servers.is_empty() {
            return write!(f, "no name server is known that could show {}", self.record_name);
        }
        write!(f, "{} is not to be seen everywhere: ", self.record_name)?;
        let troubles = self.servers.iter().map(|(server, trouble)| format!("{server} {trouble}"));
        f.write_str(&troubles.collect::<Vec<_>>().join("; "))
    }
}

impl std::error::Error for NotVisible {}

fn troubled(outcomes: &[(&NameServer, Result<(), ServerTrouble>)]) -> Vec<(NameServer, ServerTrouble)> {
    let shows = |name: &str| outcomes.iter().any(|(server, seen)| server.name == name && seen.is_ok());
    let trouble = |(server, seen): &(&NameServer, Result<(), ServerTrouble>)| match seen {
        Ok(()) => None,
        Err(ServerTrouble::NoRoute) if shows(&server.name) => None,
        Err(trouble) => Some(((*server).clone(), trouble.clone())),
    };
    outcomes.iter().filter_map(trouble).collect()
}

/// Asks one server until it shows the values. What it did last counts, not that the time was over while it was asked.
async fn watch(
    server: &NameServer,
    record_name: &str,
    values: &[&str],
    deadline: Instant,
) -> Result<(), ServerTrouble> {
    let mut wait = FIRST_WAIT;
    let mut last = Err(ServerTrouble::Dead);
    loop {
        match timeout_at(deadline, look(server, record_name, values)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(trouble)) if is_final(&trouble) => return Err(trouble),
            Ok(seen) => last = seen,
            Err(_) => return last,
        }
        let next = Instant::now() + wait;
        if next >= deadline {
            return last;
        }
        sleep_until(next).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// What waiting does not change.
fn is_final(trouble: &ServerTrouble) -> bool {
    matches!(trouble, ServerTrouble::InvalidName | ServerTrouble::NoAddress | ServerTrouble::NoRoute)
}

async fn look(server: &NameServer, record_name: &str, wanted: &[&str]) -> Result<(), ServerTrouble> {
    let (name, message) = txt_at(server, record_name).await?;
    if shows_all(&message, &name, wanted) {
        return Ok(());
    }
    Err(ServerTrouble::Stale { serial: serial_of_zone(&message) })
}

fn shows_all(message: &Message, name: &Name, wanted: &[&str]) -> bool {
    let shown: Vec<_> = values(message, name).collect();
    wanted.iter().all(|wanted| shown.iter().any(|shown| shown == wanted.as_bytes()))
}

#[cfg(test)]
#[path = "visibility_tests.rs"]
mod tests;
