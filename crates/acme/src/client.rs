//! An open account: places orders, and finds them again.

use std::sync::Arc;

use certmill_model::{Clock, Hostname};
use instant_acme::{Account, Identifier, NewOrder};

use crate::{
    AccountCredentials, AcmeError, CaSettings, Order, account::unusable_settings, document::caa_identities,
    exchange::attempt, order::Polling, reaction::Stage, transport::Transport,
};

/// An open account at a CA. Cheap to clone; any number of orders run at once on one.
#[derive(Clone)]
pub struct Client {
    account: Account,
    identities: Arc<[String]>,
    pub(crate) transport: Transport,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) polling: Polling,
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
        let (account, note) = attempt!(Stage::Account, clock, open())?;
        let polling = Polling::new(settings.poll_initial_delay);
        // The directory was the one thing asked for.
        let identities = caa_identities(&note.body).into();
        Ok(Self { account, identities, transport, clock, polling })
    }

    /// The account's URL.
    pub fn account_url(&self) -> &str {
        self.account.id()
    }

    /// The names by which the CA goes in CAA records (`caaIdentities`, RFC 8555 section 7.1.1), lower case; empty when
    /// it tells none.
    pub fn identities(&self) -> &[String] {
        &self.identities
    }

    /// Places an order for a certificate with these names, and does nothing further: store [`Order::url`] next. A CA
    /// may answer with an order for the same names that it knows already.
    pub async fn place(&self, names: &[Hostname]) -> Result<Order, AcmeError> {
        let identifiers: Vec<_> = names.iter().map(|name| Identifier::Dns(name.to_string())).collect();
        let (order, note) =
            attempt!(Stage::NewOrder, self.clock, self.account.new_order(&NewOrder::new(&identifiers)))?;
        Ok(Order::new(self.clone(), order, &note))
    }

    /// Finds an order by its stored URL. [`AcmeError::NewOrder`] when the CA does not know it any more.
    pub async fn resume(&self, url: &str) -> Result<Order, AcmeError> {
        let (order, note) = attempt!(Stage::StoredUrl, self.clock, self.account.order(url.to_owned()))?;
        Ok(Order::new(self.clone(), order, &note))
    }
}
