//! The authorizations of an order, and the challenge in each (RFC 8555 section 7.5).

use std::collections::HashSet;

use certmill_model::{ChallengeToken, ProblemCode};
use instant_acme::{AuthorizationHandle, AuthorizationStatus, ChallengeStatus, ChallengeType, Error, Order};

use crate::{AcmeError, CaProblem, Failure, document::challenge_problem, exchange::last_body};

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

/// What an authorization holds for us.
pub(crate) enum Found {
    /// A challenge to meet.
    Pending(Http01Challenge),
    /// Proved before.
    Done,
    /// Failed, or given up.
    Spent,
    /// Nothing that we could or should do.
    Unusable(AcmeError),
}

/// Fetches the authorizations that were not fetched yet.
pub(crate) async fn find_challenges(order: &mut Order) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        found.push(http_01(&mut authorization?));
    }
    Ok(found)
}

/// Tells the CA to look at each pending challenge; those in `answered` were told already, and it grows.
pub(crate) async fn answer_challenges(
    order: &mut Order,
    answered: &mut HashSet<String>,
) -> Result<(), Error> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let Some(mut challenge) = authorization.challenge(ChallengeType::Http01) else {
            continue;
        };
        if challenge.status == ChallengeStatus::Pending && !answered.contains(&challenge.url) {
            challenge.set_ready().await?;
            answered.insert(challenge.url.clone());
        }
    }
    Ok(())
}

/// Why an authorization failed. Let's Encrypt tells it in the challenge only, so all are fetched anew.
pub(crate) async fn find_reason(order: &mut Order) -> Result<Option<CaProblem>, Error> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        authorization?.refresh().await?;
        if let Some(problem) = challenge_problem(&last_body()) {
            return Ok(Some(problem));
        }
    }
    Ok(None)
}

fn http_01<'a>(authorization: &'a mut AuthorizationHandle<'a>) -> Found {
    match authorization.status {
        AuthorizationStatus::Pending => {}
        AuthorizationStatus::Valid => return Found::Done,
        _ => return Found::Spent,
    }
    let identifier = authorization.identifier().to_string();
    let Some(challenge) = authorization.challenge(ChallengeType::Http01) else {
        let summary = format!("the CA offers no http-01 challenge for {identifier}");
        let failure = Failure::found(ProblemCode::CaRejectedName, summary);
        return Found::Unusable(AcmeError::NameRejected { failure });
    };
    match ChallengeToken::parse(&challenge.token) {
        Ok(token) => {
            let key_authorization = challenge.key_authorization().as_str().to_owned();
            Found::Pending(Http01Challenge { identifier, token, key_authorization })
        }
        // A token that could be a path is an attack on clients, not a token.
        Err(invalid) => {
            let summary = format!("the CA sent a forbidden token: {invalid}");
            let failure = Failure::found(ProblemCode::CaUnavailable, summary);
            Found::Unusable(AcmeError::NeedsOperator { failure })
        }
    }
}
