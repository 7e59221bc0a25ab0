//! An open account: places orders, and finds them again.

use std::{collections::BTreeMap, sync::Arc};

use certmill_model::{Clock, Hostname, ProblemCode};
use instant_acme::{Account, CertificateIdentifier, Identifier, NewOrder, RevocationRequest};
use rustls_pki_types::CertificateDer;

use crate::{
    AccountCredentials, AcmeError, CaSettings, DirectoryMeta, Failure, Order,
    account::unusable_settings,
    directory::Directory,
    exchange::{attempt, last_created},
    polling::Polling,
    reaction::Stage,
    transport::Transport,
};

/// An open account at a CA. Cheap to clone; any number of orders run at once on one.
#[derive(Clone)]
pub struct Client {
    account: Account,
    pub(crate) transport: Transport,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) polling: Polling,
}

/// What to order.
#[derive(Clone, Copy, Debug)]
pub struct PlaceOrder<'a> {
    /// The names of the certificate.
    pub names: &'a [Hostname],
    /// The certificate that the new one takes the place of, as [`crate::certificate_id`] names it; to be named only to
    /// the CA that issued it. Left out where the CA knows no renewal information (RFC 9773 section 5).
    pub replaces: Option<&'a str>,
    /// The kind of certificate, one of [`Client::profiles`]; the CA's usual one without.
    pub profile: Option<&'a str>,
}

impl<'a> PlaceOrder<'a> {
    /// An order for names alone.
    pub fn of(names: &'a [Hostname]) -> Self {
        Self { names, replaces: None, profile: None }
    }
}

impl Client {
    /// Opens the account: fetches the CA's directory, and nothing else.
    pub async fn open(
        settings: &CaSettings,
        credentials: &AccountCredentials,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AcmeError> {
        credentials.check(settings)?;
        let transport = Transport::new(settings).map_err(unusable_settings)?;
        let open = || async {
            let builder = Account::builder_with_http(Box::new(transport.clone()));
            builder.from_credentials(credentials.parse()?).await
        };
        let (account, _) = attempt!(Stage::Account, clock, open())?;
        let polling = Polling::new(settings.poll_initial_delay);
        Ok(Self { account, transport, clock, polling })
    }

    /// The account's URL.
    pub fn account_url(&self) -> &str {
        self.account.id()
    }

    /// What the CA said of itself when the account was opened.
    pub fn meta(&self) -> &DirectoryMeta {
        &self.directory().meta
    }

    /// The names by which the CA goes in CAA records (`caaIdentities`, RFC 8555 section 7.1.1), lower case; empty when
    /// it tells none.
    pub fn identities(&self) -> &[String] {
        &self.meta().caa_identities
    }

    /// The kinds of certificate that the CA offers: their names, and what it says about each.
    pub fn profiles(&self) -> &BTreeMap<String, String> {
        &self.meta().profiles
    }

    /// Whether the CA tells when certificates should be renewed (RFC 9773).
    pub fn has_renewal_info(&self) -> bool {
        self.directory().renewal_info.is_some()
    }

    /// Places an order, and does nothing further: store [`Order::url`] next. A CA may answer with an order for the same
    /// names that it knows already. A profile that the CA does not offer is [`AcmeError::WithoutProfile`] before
    /// anything is sent.
    pub async fn place(&self, order: &PlaceOrder<'_>) -> Result<Order, AcmeError> {
        let PlaceOrder { names, replaces, profile } = *order;
        self.check_profile(profile)?;
        let identifiers: Vec<_> = names.iter().map(|name| Identifier::Dns(name.to_string())).collect();
        let mut new_order = NewOrder::new(&identifiers);
        let replaces = replaces.filter(|_| self.has_renewal_info()).and_then(identifier);
        let stage = Stage::NewOrder { replaces: replaces.is_some(), profile: profile.is_some() };
        if let Some(certificate) = replaces {
            new_order = new_order.replaces(certificate);
        }
        if let Some(profile) = profile {
            new_order = new_order.profile(profile);
        }
        let (order, note) = attempt!(stage, self.clock, self.create(&new_order))?;
        Ok(Order::new(self.clone(), order, &note, profile.is_some()))
    }

    /// Finds an order by its stored URL. [`AcmeError::NewOrder`] when the CA does not know it any more.
    pub async fn resume(&self, url: &str) -> Result<Order, AcmeError> {
        let (order, note) = attempt!(Stage::StoredUrl, self.clock, self.account.order(url.to_owned()))?;
        Ok(Order::new(self.clone(), order, &note, false))
    }

    /// Revokes a certificate of this account (RFC 8555 section 7.6), for no particular reason. One that was revoked
    /// before is a success.
    pub async fn revoke(&self, leaf_der: &[u8]) -> Result<(), AcmeError> {
        let certificate = &CertificateDer::from(leaf_der);
        let request = RevocationRequest { certificate, reason: None };
        match attempt!(Stage::Revocation, self.clock, self.account.revoke(&request)) {
            Err(error) if !is_revoked(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// The library gives an order up that the CA has made when it does not like the CA's answer, such as one that does
    /// not repeat `replaces`. But an order that was made counts against limits: it is looked at, and used.
    async fn create(&self, new_order: &NewOrder<'_>) -> Result<instant_acme::Order, instant_acme::Error> {
        match self.account.new_order(new_order).await {
            Ok(order) => Ok(order),
            Err(error) => match last_created() {
                Some(url) => self.account.order(url).await,
                None => Err(error),
            },
        }
    }

    fn check_profile(&self, profile: Option<&str>) -> Result<(), AcmeError> {
        match profile.filter(|profile| !self.profiles().contains_key(*profile)) {
            None => Ok(()),
            Some(unknown) => {
                let summary = format!("the CA offers no profile {unknown:?}");
                Err(AcmeError::WithoutProfile { failure: Failure::found(ProblemCode::Internal, summary) })
            }
        }
    }

    pub(crate) fn directory(&self) -> &Directory {
        self.transport.directory().expect("an account is opened with the directory")
    }
}

fn is_revoked(error: &AcmeError) -> bool {
    error.problem().is_some_and(|problem| problem.short_kind() == "alreadyRevoked")
}

/// A certificate's name in the form that the library takes; `None` for what is no such name.
fn identifier(certificate_id: &str) -> Option<CertificateIdentifier<'_>> {
    let (authority_key_identifier, serial) = certificate_id.split_once('.')?;
    Some(CertificateIdentifier {
        authority_key_identifier: authority_key_identifier.into(),
        serial: serial.into(),
    })
}
