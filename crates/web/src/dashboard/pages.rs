//! The pages, as askama sees them. Everything printed is escaped.

use askama::Template;
use axum::response::{IntoResponse, Response};
use certmill_store::Found;
use http::{StatusCode, header::CONTENT_TYPE};

use super::{
    HTML,
    actions::{ChangeForm, NewDomainForm},
    alerts::AlertCard,
    dns::DnsCard,
    domain::{CertificateCard, EventEntry, ProblemCard, Step as DomainStep},
    frame::Frame,
    inventory::{CertificateLine, Choice, OrderLine},
    list::{Chip, ListQuery, Narrowing, Row},
    moment::Moment,
    overview::{CauseRow, PlatformPart, Tile},
    owner::{OwnerGroup, Step},
    owner_words::{Advice, OwnerWords},
    past::{CertificateRow, OrderRow, PlacementRow, Weeks},
    pictures::Chart,
    words::Look,
};
use crate::{brand::Face, problem::Problem};

/// Answers with `page`.
pub(crate) fn answer(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, [(CONTENT_TYPE, HTML)], html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page does not render");
            Problem::internal().into_response()
        }
    }
}

/// Refuses a form that was filled in when another version than the one that is there was shown.
pub(super) fn unchanged_since<T: PartialEq>(shown: T) -> impl FnOnce(T) -> Result<(), Problem> {
    move |revision| {
        if revision == shown {
            return Ok(());
        }
        let words = "It was changed meanwhile. What is there now is shown below; change it again.";
        Err(Problem::new(StatusCode::CONFLICT, "changed_meanwhile", "Changed meanwhile", words))
    }
}

/// Whether a page keeps itself up to date: by htmx, which takes its live areas anew, or without scripts by loading it again.
pub(super) enum Refresh {
    /// Nothing is under way.
    Idle,
    /// It does.
    On {
        /// The page's own address.
        here: String,
        /// The address that stops it.
        pause: String,
    },
    /// It was stopped; the address lets it go on.
    Paused(String),
}

impl Refresh {
    pub(super) fn new(under_way: bool, paused: bool, address: impl Fn(&str) -> String) -> Self {
        match (under_way, paused) {
            (false, _) => Self::Idle,
            (true, false) => Self::On { here: address(""), pause: address("off") },
            (true, true) => Self::Paused(address("")),
        }
    }
}

/// The release, for the foot of every page.
pub(crate) fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// What needs somebody, and how it all stands.
#[derive(Template)]
#[template(path = "overview.html")]
pub(super) struct OverviewPage {
    pub(super) frame: Frame,
    pub(super) is_empty: bool,
    pub(super) causes: Vec<CauseRow>,
    pub(super) alerts: String,
    pub(super) has_alerts: bool,
    pub(super) tiles: Vec<Tile>,
    pub(super) expiry: Chart,
    /// The instant that the sums are of.
    pub(super) as_of: Option<Moment>,
    pub(super) platform: Option<PlatformPart>,
    pub(super) may_change: bool,
    pub(super) origin: String,
}

/// All certificates.
#[derive(Template)]
#[template(path = "certificates.html")]
pub(super) struct CertificatesPage {
    pub(super) frame: Frame,
    pub(super) choices: Vec<Choice>,
    pub(super) rows: Vec<CertificateLine>,
    pub(super) next: Option<String>,
    pub(super) first: Option<String>,
}

/// All orders.
#[derive(Template)]
#[template(path = "orders.html")]
pub(super) struct OrdersPage {
    pub(super) frame: Frame,
    pub(super) choices: Vec<Choice>,
    pub(super) rows: Vec<OrderLine>,
    pub(super) next: Option<String>,
    pub(super) first: Option<String>,
}

/// Alerts.
#[derive(Template)]
#[template(path = "alerts.html")]
pub(super) struct AlertsPage {
    pub(super) frame: Frame,
    pub(super) is_open: bool,
    pub(super) alerts: Vec<AlertCard>,
}

/// All domains.
#[derive(Template)]
#[template(path = "list.html")]
pub(super) struct ListPage {
    pub(super) frame: Frame,
    pub(super) refresh: Refresh,
    pub(super) chips: Vec<Chip>,
    pub(super) narrowings: Vec<Narrowing>,
    /// How many suit, where that is not said by a chip.
    pub(super) count: Option<String>,
    /// How many suit, in any case.
    pub(super) all: String,
    /// What may be done with many: a word for it, an icon and words.
    pub(super) actions: [(&'static str, (&'static str, &'static str)); 5],
    pub(super) found: Found,
    pub(super) rows: Vec<Row>,
    /// Whether nobody has registered a domain yet.
    pub(super) is_empty: bool,
    pub(super) may_change: bool,
    /// Whether domains of several tenants are listed.
    pub(super) is_platform: bool,
    pub(super) next: Option<String>,
    pub(super) first: Option<String>,
    pub(super) export: String,
    pub(super) origin: String,
    pub(super) query: ListQuery,
}

/// One domain.
#[derive(Template)]
#[template(path = "domain.html")]
pub(super) struct DomainPage {
    pub(super) frame: Frame,
    pub(super) refresh: Refresh,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) name_unicode: String,
    pub(super) tenant: String,
    pub(super) external_id: Option<String>,
    pub(super) template: Option<String>,
    pub(super) look: Look,
    pub(super) sentence: &'static str,
    pub(super) advice: Option<&'static str>,
    pub(super) dns: Option<DnsCard>,
    pub(super) key_type: &'static str,
    pub(super) health: Option<Look>,
    pub(super) since: Moment,
    pub(super) registered: Moment,
    pub(super) next_action: Option<Moment>,
    pub(super) problems: Vec<ProblemCard>,
    pub(super) certificate: Option<CertificateCard>,
    pub(super) lanes: Weeks,
    pub(super) events: Vec<EventEntry>,
    pub(super) orders: Vec<OrderRow>,
    pub(super) certificates: Vec<CertificateRow>,
    pub(super) placements: Vec<PlacementRow>,
    pub(super) tags: Vec<String>,
    /// Until when the order waits for a limit of the CA.
    pub(super) deferral: Option<Moment>,
    /// Whether the reader may change the domain.
    pub(super) may_change: bool,
    pub(super) steps: Vec<DomainStep>,
    /// Why there can be no look now.
    pub(super) check_hindrance: Option<&'static str>,
    pub(super) origin: String,
    /// The domain as the API answers it.
    pub(super) json: String,
    /// Whether older events are left out.
    pub(super) is_cut: bool,
}

/// The form for another domain.
#[derive(Template)]
#[template(path = "domain_new.html")]
pub(super) struct NewDomainPage<'a> {
    pub(super) frame: Frame,
    pub(super) form: &'a NewDomainForm,
    /// The tenants to choose from; empty: the reader's own.
    pub(super) tenants: &'a [(String, String)],
    /// The field that is wrong, and why.
    pub(super) fault: Option<(&'static str, String)>,
    pub(super) origin: &'a str,
}

/// The form for what is wanted of a domain.
#[derive(Template)]
#[template(path = "domain_change.html")]
pub(super) struct ChangeDomainPage<'a> {
    pub(super) frame: Frame,
    pub(super) name: &'a str,
    pub(super) name_unicode: String,
    pub(super) form: &'a ChangeForm,
    pub(super) templates: &'a [String],
    pub(super) key_types: Vec<(&'static str, &'static str)>,
    pub(super) fault: Option<(&'static str, String)>,
}

/// Whether a domain is to be removed.
#[derive(Template)]
#[template(path = "domain_remove.html")]
pub(super) struct RemoveDomainPage<'a> {
    pub(super) frame: Frame,
    pub(super) name: &'a str,
    pub(super) name_unicode: String,
}

/// A link for the shop's owner, shown once.
#[derive(Template)]
#[template(path = "setup_link.html")]
pub(super) struct SetupLinkPage<'a> {
    pub(super) frame: Frame,
    pub(super) name: &'a str,
    pub(super) name_unicode: String,
    /// Whether there is a mail server.
    pub(super) can_mail: bool,
    pub(super) link: Option<String>,
    pub(super) expires: Option<Moment>,
    pub(super) mailed_to: Option<String>,
    /// The field that is wrong, and why, with what was sent.
    pub(super) fault: Option<(&'static str, String)>,
    pub(super) email: String,
    pub(super) is_german: bool,
}

/// Address and password.
#[derive(Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage<'a> {
    pub(super) next: &'a str,
    pub(super) email: &'a str,
    pub(super) fault: Option<&'a str>,
}

/// The page for a shop's owner.
#[derive(Template)]
#[template(path = "owner.html")]
pub(super) struct OwnerPage<'a> {
    pub(super) words: &'static OwnerWords,
    pub(super) language: &'static str,
    /// The language to switch to.
    pub(super) other: &'static str,
    pub(super) link: &'a str,
    pub(super) face: Face,
    pub(super) name: String,
    pub(super) name_unicode: String,
    pub(super) headline: &'static str,
    pub(super) tone: &'static str,
    /// Whether the domain is secure.
    pub(super) is_done: bool,
    /// Whether the page keeps itself up to date.
    pub(super) is_live: bool,
    pub(super) steps: Vec<Step>,
    pub(super) groups: Vec<OwnerGroup>,
    pub(super) advice: Vec<Advice>,
    /// When the records were last looked at: for programs and for people.
    pub(super) looked: Option<(String, String)>,
    pub(super) expires: (String, String),
}

/// A link for a shop's owner that opens nothing.
#[derive(Template)]
#[template(path = "owner_gone.html")]
pub(super) struct OwnerGonePage {
    pub(super) words: &'static OwnerWords,
    pub(super) language: &'static str,
}

/// The button behind a login link.
#[derive(Template)]
#[template(path = "link.html")]
pub(super) struct LinkPage<'a> {
    pub(super) link: &'a str,
}

/// A new password, by the link of an invitation or a reset.
#[derive(Template)]
#[template(path = "password.html")]
pub(super) struct PasswordPage<'a> {
    pub(super) link: &'a str,
    pub(super) name: &'a str,
    pub(super) email: &'a str,
    /// Whether it is the first one.
    pub(super) is_new: bool,
    pub(super) fault: Option<&'a str>,
    /// How the tenant of whose user it is appears; `None`: the platform's own people see certmill.
    pub(super) face: Option<Face>,
}

/// A link that sets no password.
#[derive(Template)]
#[template(path = "stale_password_link.html")]
pub(super) struct StalePasswordLinkPage;

/// A login link that opens nothing.
#[derive(Template)]
#[template(path = "stale_link.html")]
pub(super) struct StaleLinkPage;

/// Something else than what was asked for.
#[derive(Template)]
#[template(path = "error.html")]
pub(super) struct ErrorPage<'a> {
    status: u16,
    title: &'a str,
    detail: &'a str,
    request_id: &'a str,
    theme: Option<&'a str>,
    /// How the tenant of who asked appears, where that is known.
    face: Option<&'a Face>,
}

impl<'a> ErrorPage<'a> {
    pub(super) fn new(
        problem: &'a Problem,
        request_id: &'a str,
        theme: Option<&'a str>,
        face: Option<&'a Face>,
    ) -> Self {
        let status = problem.status.as_u16();
        Self { status, title: &problem.title, detail: &problem.detail, request_id, theme, face }
    }
}
