//! The watch: connects to each active name as a browser does, and compares what it sees with what is meant.
//!
//! Which load balancers a name leads to is asked of DNS, each is asked by its handshake address (its public one may be out of
//! our reach), and the worst of what they show counts.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use certmill_delivery::{ProbeError, ServedCertificate, served_certificate};
use certmill_model::{SeenServed, Validity, after_watch};
use certmill_store::{DueWatch, MeantCertificate, StoreError, Watched};
use futures_util::{StreamExt as _, stream};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::Engine;

/// Names that are taken at a time, and handshakes in flight: a bounded load, however many names are due.
const BATCH: i64 = 64;
const AT_A_TIME: usize = 16;

/// How often somebody looks whether a name is due.
const POLL: Duration = Duration::from_secs(2);

/// How long one handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What one load balancer shows.
struct Seen {
    what: SeenServed,
    detail: String,
    validity: Option<Validity>,
}

/// Watches until `stop` turns true. What goes wrong is logged and tried again.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    add_missing(&engine).await;
    while !*stop.borrow() {
        crate::measure::tick("served", engine.now());
        let pause = match watch_due_names(&engine).await {
            Ok(names) if names >= BATCH as usize => Duration::ZERO,
            Ok(_) => POLL,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "cannot look at what is served; trying again");
                POLL
            }
        };
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn add_missing(engine: &Engine) {
    loop {
        match engine.parts.store.add_missing_watches(engine.now()).await {
            Ok(0) => return,
            Ok(names) => tracing::info!(names, "what they are served with is watched from now on"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "names without a watch could not be given one");
                return;
            }
        }
    }
}

/// Looks at a batch of names that are due; answers how many there were.
pub async fn watch_due_names(engine: &Engine) -> Result<usize, StoreError> {
    let due = engine.parts.store.take_due_watches(BATCH, engine.now()).await?;
    let taken = due.len();
    let looks = stream::iter(due).map(|due| watch_name(engine, due)).buffer_unordered(AT_A_TIME);
    for outcome in looks.collect::<Vec<_>>().await {
        match outcome {
            // Another process has taken it up since.
            Ok(()) | Err(StoreError::LeaseLost) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}

async fn watch_name(engine: &Engine, due: DueWatch) -> Result<(), StoreError> {
    let seen = look(engine, &due).await?;
    let now = engine.now();
    let turn = after_watch(due.memory, seen.what, due.is_being_delivered, engine.fraction(), now);
    let watched = Watched { seen: seen.what, detail: seen.detail, validity: seen.validity, turn };
    engine.parts.store.watched(&due, &watched, &engine.parts.chance, now).await
}

async fn look(engine: &Engine, due: &DueWatch) -> Result<Seen, StoreError> {
    let load_balancers = engine.every_load_balancer().await?;
    let at = match engine.parts.resolver.addresses(&due.name).await {
        Ok(found) => {
            let found: BTreeSet<_> =
                found.v4.into_iter().map(Into::into).chain(found.v6.into_iter().map(Into::into)).collect();
            load_balancers.serve_at(&found)
        }
        // The wildcard itself has no address, and a name without one is the business of another look.
        Err(_) => BTreeSet::new(),
    };
    let looks = stream::iter(at).map(|address| look_at(due, address, engine.now()));
    let seen = looks.buffer_unordered(4).collect::<Vec<_>>().await;
    let nobody = || Seen {
        what: SeenServed::Unreachable,
        detail: "The name leads to no load balancer that can be looked at.".to_owned(),
        validity: None,
    };
    // The worst counts; one that cannot be reached only if there is no other.
    Ok(seen.into_iter().min_by_key(|seen| badness(seen.what)).unwrap_or_else(nobody))
}

fn badness(seen: SeenServed) -> u8 {
    match seen {
        SeenServed::Invalid => 0,
        SeenServed::Other => 1,
        SeenServed::Right => 2,
        SeenServed::Unreachable => 3,
    }
}

async fn look_at(due: &DueWatch, address: SocketAddr, now: OffsetDateTime) -> Seen {
    match served_certificate(address, &due.name, HANDSHAKE).await {
        Ok(served) => judge(&served, &due.certificates, address, now),
        Err(ProbeError::Refused { detail }) => Seen {
            what: SeenServed::Invalid,
            detail: format!("{address} refuses a browser's handshake: {detail}"),
            validity: None,
        },
        Err(error @ (ProbeError::Unreachable(_) | ProbeError::TimedOut)) => {
            Seen { what: SeenServed::Unreachable, detail: format!("{address}: {error}"), validity: None }
        }
    }
}

/// What was issued to us was checked when it came (name, chain, dates, key): here it is enough to know it again, whole, and to
/// see that it has not ended. Whatever else stands there is nothing that a browser was meant to get.
fn judge(
    served: &ServedCertificate,
    meant: &[MeantCertificate],
    address: SocketAddr,
    now: OffsetDateTime,
) -> Seen {
    let fingerprint = served.fingerprint();
    let known = meant.iter().enumerate().find(|(_, meant)| meant.fingerprint == fingerprint);
    let invalid = |detail: String| Seen { what: SeenServed::Invalid, detail, validity: None };
    let Some((place, known)) = known else {
        return invalid(format!("{address} shows a certificate that is not valid for the name, or not ours"));
    };
    if now < known.validity.not_before || now >= known.validity.not_after {
        return invalid(format!("{address} shows a certificate that has ended"));
    }
    if !has_chain(served, &known.fullchain) {
        return invalid(format!("{address} shows the certificate without its chain"));
    }
    let what = if place == 0 { SeenServed::Right } else { SeenServed::Other };
    let detail = if place == 0 {
        String::new()
    } else {
        format!("{address} shows an earlier certificate, valid until {}", known.validity.not_after.date())
    };
    Seen { what, detail, validity: Some(known.validity) }
}

fn has_chain(served: &ServedCertificate, fullchain: &str) -> bool {
    let meant = CertificateDer::pem_slice_iter(fullchain.as_bytes()).skip(1).filter_map(Result::ok);
    let meant: Vec<_> = meant.map(|certificate| certificate.to_vec()).collect();
    served.chain == meant
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn served(leaf: u8) -> ServedCertificate {
        ServedCertificate { leaf_der: vec![leaf], chain: Vec::new() }
    }

    fn meant(leaf: u8, days: i64) -> MeantCertificate {
        let not_after = NOW + time::Duration::days(days);
        MeantCertificate {
            fingerprint: served(leaf).fingerprint().to_vec(),
            fullchain: String::new(),
            validity: Validity { not_before: NOW - time::Duration::DAY, not_after },
        }
    }

    #[test]
    fn what_is_seen_is_known_again_or_is_nothing() {
        let meant = [meant(1, 60), meant(2, 9), meant(3, -1)];
        let address = "127.0.0.1:443".parse().unwrap();
        let seen = |leaf| judge(&served(leaf), &meant, address, NOW).what;
        assert_eq!(
            [1, 2, 3, 4].map(seen),
            [SeenServed::Right, SeenServed::Other, SeenServed::Invalid, SeenServed::Invalid]
        );
        let unchained = ServedCertificate { chain: vec![vec![9]], ..served(1) };
        assert_eq!(judge(&unchained, &meant, address, NOW).what, SeenServed::Invalid);
    }
}
