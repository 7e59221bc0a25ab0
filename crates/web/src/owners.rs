//! Links for the owners of shops: made for the API and the dashboard alike, handed over by the caller or mailed.

use certmill_model::{Brand, EmailAddress, Letter, MailId, Record, SetupLinkId};
use certmill_store::{AuditEntry, Domain, NewMail, NewSetupLink, ScopedTx};
use certmill_vault::ApiToken;
use http::StatusCode;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::{
    WebState,
    access::Caller,
    brand::Face,
    problem::Problem,
    setup::{Purpose, wanted_records},
};

/// Letters that are sent to owners in a tenant's name within 24 hours. Addresses are the tenant's to choose, and what goes out under
/// our server's name must not be mail to the world. A platform that sets up more shops a day hands links over itself.
const LETTERS_A_DAY: i64 = 200;

/// A link that is wanted.
pub(crate) struct LinkWish {
    /// The language of the page, and of the mail: `en` or `de`.
    pub(crate) language: &'static str,
    /// How long it lasts.
    pub(crate) lasts: Duration,
    /// Who is to get it by mail.
    pub(crate) email: Option<EmailAddress>,
}

/// A link that was made.
pub(crate) struct MadeLink {
    pub(crate) link_id: SetupLinkId,
    /// What opens the page: it is kept nowhere.
    pub(crate) url: String,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) expires_at: OffsetDateTime,
}

/// Makes a link to the page of `domain`, and mails it if that is wanted.
pub(crate) async fn make_link(
    state: &WebState,
    caller: &Caller,
    mut tx: ScopedTx,
    domain: &Domain,
    wish: &LinkWish,
) -> Result<MadeLink, Problem> {
    let (created_at, secret) = (state.now(), ApiToken::generate());
    let link = NewSetupLink {
        link_id: SetupLinkId::new(&state.chance, created_at),
        hash: secret.hash(),
        domain,
        language: wish.language,
        expires_at: created_at + wish.lasts,
        recipient: wish.email.as_ref(),
    };
    tx.create_setup_link(&link, created_at).await?;
    let url = state.settings.public_url.setup_link(&secret);
    let made = MadeLink { link_id: link.link_id, url, created_at, expires_at: link.expires_at };
    if let Some(email) = &wish.email {
        mail_link(state, &mut tx, domain, (email, wish.language), &made).await?;
    }
    let detail = json!({
        "link": link.link_id.to_string(), "language": link.language, "expires_in": wish.lasts.whole_seconds(),
        "email": wish.email.as_ref().map(EmailAddress::as_str),
    });
    let did = caller.did("setup_link.created", "domain", domain.domain_id, &domain.name, detail);
    let entry = AuditEntry { tenant: Some(domain.tenant_id), ..did };
    tx.commit(&entry, &state.chance, created_at).await?;
    Ok(made)
}

async fn mail_link(
    state: &WebState,
    tx: &mut ScopedTx,
    domain: &Domain,
    (email, language): (&EmailAddress, &str),
    made: &MadeLink,
) -> Result<(), Problem> {
    if tx.mail_state().await?.server.is_none() {
        let detail = "no mail server is set up; make the link without it, and hand it over yourself";
        return Err(Problem::field("/email".into(), "no_mail_server", detail.into()));
    }
    let since = made.created_at - Duration::DAY;
    if let Some(first) = tx.owner_mails_reach(domain.tenant_id, LETTERS_A_DAY, since).await? {
        return Err(too_many_letters(first + Duration::DAY - made.created_at));
    }
    let setup = tx.setup(domain.domain_id).await?;
    let records = wanted_records(&domain.name, &setup).into_iter();
    let records = records.filter(|record| record.required || record.purpose != Purpose::Certificate);
    let letter = Letter::OwnerSetUp {
        brand: brand(tx, domain).await?,
        name: domain.name.to_unicode(),
        records: records
            .filter_map(|record| {
                Some(Record { name: record.name, kind: record.kind.into(), value: record.value? })
            })
            .collect(),
        link: made.url.clone(),
    };
    let mail = NewMail {
        mail_id: MailId::new(&state.chance, made.created_at),
        key: format!("owner/{}", made.link_id),
        tenant_id: Some(domain.tenant_id),
        recipient: email.as_str(),
        language,
        letter: &letter,
    };
    tx.enqueue_mail(&mail, made.created_at).await?;
    Ok(())
}

fn too_many_letters(wait: Duration) -> Problem {
    let hours = wait.whole_hours() + 1;
    let detail = format!(
        "{LETTERS_A_DAY} letters went to owners of this tenant's shops within 24 hours. Make the link without an address and hand it \
         over yourself, or come again in {hours} hours."
    );
    // 18 hours are the most that a problem says in seconds.
    let seconds = u16::try_from(wait.whole_seconds()).unwrap_or(u16::MAX).max(1);
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_letters", "Too many letters", detail);
    Problem { wait: Some(seconds), ..problem }
}

/// In whose name owners of the tenant's shops are written to.
async fn brand(tx: &mut ScopedTx, domain: &Domain) -> Result<Brand, Problem> {
    let tenant = domain.tenant_id;
    let Face { product, support, .. } = Face::new(tenant, tx.tenant_face(tenant).await?);
    Ok(Brand { sender_name: product.clone(), product, support_link: support })
}
