//! `/setup/{link}`: the page for a shop's owner, who has no account: three steps, in plain words, under the tenant's name.

use axum::{
    Extension,
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
};
use certmill_model::{CheckResult, DomainStatus, Problem as DomainProblem};
use certmill_store::{Actor, Domain, Reach, Setup, SetupLinkHolder};
use certmill_vault::ApiToken;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT_LANGUAGE, CONTENT_SECURITY_POLICY},
};
use serde::Deserialize;

use super::{
    moment::Moment,
    owner_words::{self, Advice, Language, OwnerWords},
    pages::{self, OwnerGonePage, OwnerPage},
};
use crate::{
    WebState,
    access::PeerAddress,
    brand::Face,
    look::look_now,
    observe::RequestId,
    problem::Problem,
    setup::{self, Purpose, WantedRecord},
};

/// The platform's own pages may show this one inside themselves; any page over TLS may, for it does nothing but look.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors https:";

#[derive(Default, Deserialize)]
pub(super) struct OwnerQuery {
    /// The language that the reader switched to.
    #[serde(default)]
    lang: String,
}

/// One of the three steps.
pub(super) struct Step {
    pub(super) number: u8,
    pub(super) words: &'static str,
    /// `done`, `now` or `later`.
    pub(super) state: &'static str,
    pub(super) state_words: &'static str,
}

/// A record to set, as forms of DNS providers ask for it.
pub(super) struct OwnerRecord {
    pub(super) kind: &'static str,
    pub(super) host: String,
    pub(super) name: String,
    pub(super) zone: String,
    pub(super) value: String,
    pub(super) seen: Vec<String>,
    pub(super) tone: &'static str,
    pub(super) icon: &'static str,
    pub(super) state: &'static str,
}

/// Records of which one is enough, or the only one.
pub(super) struct OwnerGroup {
    pub(super) note: &'static str,
    pub(super) records: Vec<OwnerRecord>,
}

/// The page.
pub(super) async fn show(
    State(state): State<WebState>,
    Path(link): Path<String>,
    Query(query): Query<OwnerQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some((link, holder)) = holder(&state, &link).await? else { return Ok(gone(&query, &headers)) };
    let language = language(&query, &headers, &holder.language);
    let mut tx = state.store.read(Reach::Tenant(holder.tenant_id)).await?;
    let face = Face::new(holder.tenant_id, tx.tenant_face(holder.tenant_id).await?);
    let Some(domain) = tx.domain(holder.domain_id).await? else { return Ok(gone(&query, &headers)) };
    let setup = tx.setup(domain.domain_id).await?;
    let problems = tx.problems(domain.domain_id).await?;
    let page = page(&state, &link, &holder, language, face, &domain, &setup, &problems);
    Ok(framed(pages::answer(StatusCode::OK, &page)))
}

/// Looks now, and leads back to the page. Looks that come too soon after one another are not made.
pub(super) async fn check(
    State(state): State<WebState>,
    Path(link): Path<String>,
    Query(query): Query<OwnerQuery>,
    PeerAddress(address): PeerAddress,
    Extension(RequestId(request_id)): Extension<RequestId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some((link, holder)) = holder(&state, &link).await? else { return Ok(gone(&query, &headers)) };
    let mut tx = state.store.read(Reach::Tenant(holder.tenant_id)).await?;
    let Some(domain) = tx.domain(holder.domain_id).await? else { return Ok(gone(&query, &headers)) };
    let actor = Actor {
        kind: "shop_owner",
        id: tx.setup_link_id(&link.hash()).await?.map(|id| id.to_string()),
        name: "whoever has the link".into(),
        request_id: Some(request_id),
        keyed: None,
        address: address.map(|address| address.to_string()),
    };
    drop(tx);
    look_now(&state, &domain, &actor).await?;
    let language = language(&query, &headers, &holder.language);
    Ok(Redirect::to(&format!("/setup/{}?lang={}", link.expose(), language.code())).into_response())
}

async fn holder(state: &WebState, link: &str) -> Result<Option<(ApiToken, SetupLinkHolder)>, Problem> {
    let Ok(link) = ApiToken::parse(link) else { return Ok(None) };
    let holder = state.store.setup_link_holder(&link.hash(), state.now()).await?;
    Ok(holder.map(|holder| (link, holder)))
}

fn gone(query: &OwnerQuery, headers: &HeaderMap) -> Response {
    let language = language(query, headers, "en");
    framed(pages::answer(
        StatusCode::GONE,
        &OwnerGonePage { words: language.words(), language: language.code() },
    ))
}

fn framed(mut answer: Response) -> Response {
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer
}

/// What the reader switched to, else what the browser prefers, else what the link was made for.
fn language(query: &OwnerQuery, headers: &HeaderMap, of_link: &str) -> Language {
    let preferred = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let preferred = preferred.split(',').filter_map(|tag| Language::of(tag.trim().get(..2)?));
    Language::of(&query.lang)
        .or(preferred.into_iter().next())
        .or(Language::of(of_link))
        .unwrap_or(Language::English)
}

#[expect(clippy::too_many_arguments, reason = "what one page is made of")]
fn page<'a>(
    state: &WebState,
    link: &'a ApiToken,
    holder: &SetupLinkHolder,
    language: Language,
    face: Face,
    domain: &Domain,
    setup: &Setup,
    problems: &[DomainProblem],
) -> OwnerPage<'a> {
    let (words, now) = (language.words(), state.now());
    let records = setup::wanted_records(&domain.name, setup);
    let date = |at| language.date(&Moment::new(at, now), at);
    OwnerPage {
        words,
        language: language.code(),
        other: language.other(),
        link: link.expose(),
        face,
        name: domain.name.to_string(),
        name_unicode: domain.name.to_unicode(),
        headline: language.status(domain.status),
        tone: tone(domain.status),
        is_done: domain.status == DomainStatus::Active,
        is_live: !matches!(
            domain.status,
            DomainStatus::Active | DomainStatus::PendingDeletion | DomainStatus::Blocked
        ),
        steps: steps(domain.status, words),
        groups: groups(records, setup, domain.status, words),
        advice: advice(language, setup, problems),
        looked: setup.checks.as_ref().map(|checks| date(checks.checked_at)),
        expires: date(holder.expires_at),
    }
}

fn tone(status: DomainStatus) -> &'static str {
    match status {
        DomainStatus::Active => "good",
        DomainStatus::Moved => "warn",
        DomainStatus::Expired | DomainStatus::Failed | DomainStatus::Blocked => "bad",
        DomainStatus::Paused | DomainStatus::PendingDeletion | DomainStatus::Deleted => "idle",
        _ => "busy",
    }
}

/// How far it is: records, our look at them, the certificate.
fn steps(status: DomainStatus, words: &OwnerWords) -> Vec<Step> {
    let reached = match status {
        DomainStatus::Active => 4,
        DomainStatus::PendingIssuance | DomainStatus::PendingDeployment => 3,
        _ => 1,
    };
    let step = |number, title| {
        let (state, state_words) = match number {
            _ if number < reached => ("done", words.step_done),
            _ if number == reached => ("now", words.step_now),
            _ => ("later", words.step_later),
        };
        Step { number, words: title, state, state_words }
    };
    vec![step(1, words.step_records), step(2, words.step_check), step(3, words.step_secure)]
}

/// The records that the owner has to set. What is there only for a special case is left out, unless it is right already.
fn groups(
    records: Vec<WantedRecord>,
    setup: &Setup,
    status: DomainStatus,
    words: &OwnerWords,
) -> Vec<OwnerGroup> {
    if matches!(status, DomainStatus::PendingDeletion | DomainStatus::Blocked) {
        return Vec::new();
    }
    let mut groups: Vec<(u8, OwnerGroup)> = Vec::new();
    for record in records {
        let is_spare = record.purpose == Purpose::Certificate && !record.required;
        if is_spare && record.result != CheckResult::Pass {
            continue;
        }
        let (rank, note) = (record.rank, words.group(record.purpose));
        let Some(record) = OwnerRecord::new(record, setup, words) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == rank) {
            Some((_, group)) => group.records.push(record),
            None => groups.push((rank, OwnerGroup { note, records: vec![record] })),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

impl OwnerRecord {
    fn new(record: WantedRecord, setup: &Setup, words: &OwnerWords) -> Option<Self> {
        let (tone, icon, state) = match record.result {
            CheckResult::Pass => ("good", "check", words.record_right),
            CheckResult::Fail if record.seen.is_empty() => ("bad", "cross", words.record_missing),
            CheckResult::Fail => ("bad", "cross", words.record_wrong),
            CheckResult::Unknown if setup.checks.is_some() => ("idle", "pause", words.record_either),
            CheckResult::Unknown => ("busy", "clock", words.record_unseen),
        };
        let WantedRecord { kind, host, name, zone, seen, .. } = record;
        Some(Self { kind, host, name, zone, value: record.value?, seen, tone, icon, state })
    }
}

/// What is wrong that the owner can mend, in the owner's language; each once.
fn advice(language: Language, setup: &Setup, problems: &[DomainProblem]) -> Vec<Advice> {
    let seen = setup.checks.iter().flat_map(|checks| &checks.looks).filter_map(|look| look.problem.as_ref());
    let mut codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
    codes.extend(seen.map(|finding| finding.code));
    codes.sort_by_key(|code| code.as_str());
    codes.dedup();
    codes.into_iter().filter_map(|code| owner_words::advice(language, code)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(lang: &str, accepted: &'static str, of_link: &str) -> &'static str {
        let headers = [(ACCEPT_LANGUAGE, HeaderValue::from_static(accepted))].into_iter().collect();
        language(&OwnerQuery { lang: lang.to_owned() }, &headers, of_link).code()
    }

    #[test]
    fn the_readers_choice_comes_before_the_browsers_and_the_links() {
        assert_eq!(chosen("en", "de-DE,de;q=0.9", "de"), "en");
        assert_eq!(chosen("", "de-DE,de;q=0.9,en;q=0.8", "en"), "de");
        assert_eq!(chosen("", "fr-FR,en;q=0.5", "de"), "en");
        assert_eq!(chosen("xx", "fr", "de"), "de");
        assert_eq!(chosen("", "*, x", "??"), "en");
    }

    #[test]
    fn the_steps_go_on_with_the_domain() {
        let states = |status| {
            steps(status, Language::English.words()).iter().map(|step| step.state).collect::<Vec<_>>()
        };
        assert_eq!(states(DomainStatus::PendingDns), ["now", "later", "later"]);
        assert_eq!(states(DomainStatus::PendingIssuance), ["done", "done", "now"]);
        assert_eq!(states(DomainStatus::Active), ["done", "done", "done"]);
    }
}
