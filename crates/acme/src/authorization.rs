//! The authorizations of an order, and the challenges in each (RFC 8555 section 7.5).

use std::collections::HashSet;

use certmill_model::{ChallengeKind, ChallengeToken, ProblemCode};
use instant_acme::{AuthorizationHandle, AuthorizationStatus, ChallengeStatus, ChallengeType, Error, Order};

use crate::{
    AcmeError, CaProblem, Failure,
    document::challenge_problem,
    exchange::{last_body, last_was_success},
};

/// What is to be shown to the CA before it believes that a name is ours.
#[derive(Clone)]
pub enum Challenge {
    /// A file on the name's web server.
    Http01(Http01Challenge),
    /// A TXT record in DNS.
    Dns01(Dns01Challenge),
}

/// What the CA wants to find at `http://<identifier>/.well-known/acme-challenge/<token>` (RFC 8555 section 8.3).
#[derive(Clone)]
pub struct Http01Challenge {
    /// The name that it is for.
    pub identifier: String,
    /// The last part of the path.
    pub token: ChallengeToken,
    /// The body to answer with.
    pub key_authorization: String,
}

/// What the CA wants to find in one of the TXT records at `_acme-challenge.<identifier>` (RFC 8555 section 8.4). A name
/// and its wildcard have the same identifier and a value each, both wanted at the same time.
#[derive(Clone)]
pub struct Dns01Challenge {
    /// The name that it is for, without the `*.` of a wildcard.
    pub identifier: String,
    /// The text of the record: base64url of the SHA-256 of the key authorization, 43 characters.
    pub value: String,
}

/// What an authorization holds for us.
pub(crate) enum Found {
    /// A challenge to meet, and its URL.
    Pending(Challenge, String),
    /// Proved before.
    Done,
    /// Failed, or given up.
    Spent,
    /// Nothing that we could or should do.
    Unusable(AcmeError),
}

/// Fetches the authorizations that were not fetched yet. `choose` gets each name without its `*.`, and whether it is a
/// wildcard.
pub(crate) async fn find_challenges(
    order: &mut Order,
    choose: &impl Fn(&str, bool) -> ChallengeKind,
) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        found.push(find_challenge(&mut authorization?, choose));
    }
    Ok(found)
}

/// Tells the CA to look at each of the `chosen` challenges that is pending; those in `answered` were told already, and
/// it grows.
pub(crate) async fn answer_challenges(
    order: &mut Order,
    chosen: &HashSet<String>,
    answered: &mut HashSet<String>,
) -> Result<(), Error> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let ours = authorization.challenges.iter().find(|challenge| chosen.contains(&challenge.url));
        let Some(kind) = ours.map(|challenge| challenge.r#type.clone()) else { continue };
        let Some(mut challenge) = authorization.challenge(kind) else { continue };
        if challenge.status == ChallengeStatus::Pending && !answered.contains(&challenge.url) {
            match challenge.set_ready().await {
                // Taken, and found wanting at once. It may be tried again, and the authorization says what became of
                // it (RFC 8555 section 8.2).
                Err(Error::Api(_)) if last_was_success() => {}
                result => result?,
            }
            answered.insert(challenge.url.clone());
        }
    }
    Ok(())
}

/// Why authorizations failed, and by which kind of challenge. Let's Encrypt tells it in the challenge only, so all are
/// fetched anew.
pub(crate) async fn find_reasons(order: &mut Order) -> Result<Vec<(ChallengeKind, CaProblem)>, Error> {
    let mut reasons = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        authorization?.refresh().await?;
        reasons.extend(challenge_problem(&last_body()));
    }
    Ok(reasons)
}

fn find_challenge<'a>(
    authorization: &'a mut AuthorizationHandle<'a>,
    choose: &impl Fn(&str, bool) -> ChallengeKind,
) -> Found {
    match authorization.status {
        AuthorizationStatus::Pending => {}
        AuthorizationStatus::Valid => return Found::Done,
        _ => return Found::Spent,
    }
    let name = authorization.identifier().to_string();
    let identifier = authorization.identifier().identifier.authorized(false).to_string();
    let kind = choose(&identifier, authorization.wildcard);
    let Some(challenge) = authorization.challenge(challenge_type(kind)) else {
        let summary = format!("the CA offers no {kind} challenge for {name}");
        let failure = Failure::about(&name, ProblemCode::CaRejectedName, summary);
        return Found::Unusable(AcmeError::NameRejected { failure });
    };
    // A token that could be a path is an attack on clients, not a token.
    let token = match ChallengeToken::parse(&challenge.token) {
        Ok(token) => token,
        Err(invalid) => {
            let summary = format!("the CA sent a forbidden token: {invalid}");
            let failure = Failure::found(ProblemCode::CaUnavailable, summary);
            return Found::Unusable(AcmeError::NeedsOperator { failure });
        }
    };
    let authorization = challenge.key_authorization();
    let found = match kind {
        ChallengeKind::Http01 => {
            let key_authorization = authorization.as_str().to_owned();
            Challenge::Http01(Http01Challenge { identifier, token, key_authorization })
        }
        ChallengeKind::Dns01 => {
            Challenge::Dns01(Dns01Challenge { identifier, value: authorization.dns_value() })
        }
    };
    Found::Pending(found, challenge.url.clone())
}

fn challenge_type(kind: ChallengeKind) -> ChallengeType {
    match kind {
        ChallengeKind::Http01 => ChallengeType::Http01,
        ChallengeKind::Dns01 => ChallengeType::Dns01,
    }
}
