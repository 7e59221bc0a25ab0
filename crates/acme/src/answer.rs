//! The CA's answers, of which the protocol library sees a part.

use bytes::Bytes;
use http::{HeaderMap, Response, header, response::Parts};
use instant_acme::{BodyWrapper, BytesResponse};

use crate::{
    CaProblem,
    directory::is_web_url,
    exchange::{self, Note},
    transport::TransportError,
};

pub(crate) const REPLAY_NONCE: &str = "replay-nonce";

/// The answer to a request for a nonce that need not be sent.
pub(crate) fn nonce_answer(nonce: &str) -> BytesResponse {
    let response = Response::builder().header(REPLAY_NONCE, nonce).body(BodyWrapper::<Bytes>::default());
    BytesResponse::from(response.expect("a nonce that was a header value is one again"))
}

/// Keeps what the library would drop, and gives it a problem document where the CA sent something else.
pub(crate) fn note_answer(parts: Parts, body: Bytes) -> Result<BytesResponse, TransportError> {
    if parts.status.is_redirection() {
        return Err(TransportError::Redirected(parts.status.as_u16()));
    }
    let problem = (!parts.status.is_success()).then(|| {
        let problem = CaProblem::from_body(parts.status.as_u16(), &body);
        CaProblem { help: help_link(&parts.headers), ..problem }
    });
    let header = |name: &str| Some(parts.headers.get(name)?.to_str().ok()?.to_owned());
    let body = match &problem {
        Some(problem) => serde_json::to_vec(problem).expect("a problem is plain JSON").into(),
        None => body,
    };
    exchange::record(Note {
        status: Some(parts.status),
        retry_after: header("retry-after"),
        nonce: header(REPLAY_NONCE),
        location: header("location"),
        problem,
        body: body.clone(),
    });
    Ok(BytesResponse { parts, body: Box::new(body) })
}

/// The page that explains a problem (RFC 8555 section 6.7, RFC 8288).
fn help_link(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(header::LINK).into_iter().filter_map(|value| value.to_str().ok());
    let mut links = values.flat_map(|value| value.split(',')).filter_map(|link| link.split_once('>'));
    let (target, _) = links.find(|(_, relation)| relation.replace(['"', ' '], "").contains("rel=help"))?;
    let url = target.trim().strip_prefix('<')?;
    is_web_url(url).then(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_page_that_explains_a_problem_is_found() {
        let find = |value: &'static str| {
            help_link(&HeaderMap::from_iter([(header::LINK, HeaderValue::from_static(value))]))
        };
        let url = Some("https://ca.example/a".to_owned());
        for link in [
            "<https://ca.example/a>;rel=\"help\"",
            "<https://ca.example/dir>;rel=\"index\", <https://ca.example/a>; rel=help",
        ] {
            assert_eq!(find(link), url, "{link}");
        }
        for other in ["<https://ca.example/dir>;rel=\"index\"", "<x>;rel=help", "help", "<http://a>;rel=help"]
        {
            assert_eq!(find(other), None, "{other}");
        }
    }
}
