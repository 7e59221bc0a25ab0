//! Where webhooks may go, as operators say it.

use certmill_model::{Network, WebhookDestinations};
use certmill_notify::webhook::{Sender, system_lookup};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::Config;
use crate::trouble::Trouble;

/// Where webhooks may go.
pub(crate) fn webhook_destinations(config: &Config) -> Result<WebhookDestinations, Trouble> {
    let parse = |text: &String| {
        text.parse::<Network>().map_err(|error| {
            Trouble::new(
                format!("webhooks.allow_networks: {text:?} makes no sense"),
                &error,
                "Write it as an address and a length, as in 10.1.0.0/16.",
            )
        })
    };
    let allowed = config.webhooks.allow_networks.iter().map(parse);
    Ok(WebhookDestinations::allowing(allowed.collect::<Result<_, _>>()?))
}

/// The way to webhook endpoints.
pub(crate) fn webhook_sender(config: &Config) -> Result<Sender, Trouble> {
    let roots = roots(config)?;
    Sender::new(webhook_destinations(config)?, roots, system_lookup()).map_err(|error| {
        Trouble::new(
            "no webhooks can be sent",
            &error,
            "Install the system's root certificates (ca-certificates).",
        )
    })
}

fn roots(config: &Config) -> Result<Vec<CertificateDer<'static>>, Trouble> {
    let path = &config.webhooks.trust_file;
    if path.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    let fix = "Set it to a PEM file with at least one certificate, or leave it out.";
    let shown = path.display();
    let pem = std::fs::read(path)
        .map_err(|error| Trouble::new(format!("webhooks.trust_file {shown} cannot be read"), &error, fix))?;
    let roots: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| Trouble::new(format!("webhooks.trust_file {shown} makes no sense"), &error, fix))?;
    if roots.is_empty() {
        return Err(Trouble::plain(format!("webhooks.trust_file {shown} holds no certificate"), fix));
    }
    Ok(roots)
}
