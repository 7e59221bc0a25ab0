//! The gate before a route: who calls, whether that caller may, and not too often.

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::MethodRouter,
};
use certmill_vault::ApiToken;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use time::Duration;

use super::{
    Access, Caller, Door, PeerAddress,
    caller::forbidden,
    csrf,
    pace::{Left, WINDOW},
    repeat::Sender,
};
use crate::{
    WebState,
    dashboard::{self, Visit},
    observe::RequestId,
    problem::Problem,
};

/// A session ends when it is not used for so long.
pub(crate) const SESSION_IDLE: Duration = Duration::minutes(30);

/// The longest body of a form that is sent as it is; files come by another way, with the token in their address.
const FORM_LIMIT: usize = 64 * 1024;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

#[derive(Clone)]
struct Gate {
    state: WebState,
    door: Door,
    access: Access,
    is_upload: bool,
}

/// Puts a gate before `methods`, which may be those of an upload.
pub(super) fn behind(
    state: &WebState,
    door: Door,
    access: Access,
    is_upload: bool,
    methods: MethodRouter<WebState>,
) -> MethodRouter<WebState> {
    let gate = Gate { state: state.clone(), door, access, is_upload };
    methods.route_layer(middleware::from_fn_with_state(gate, pass))
}

async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let passed = match gate.door {
        Door::Api => pass_api(&gate, request, next).await,
        Door::Page => pass_page(&gate, request, next).await,
    };
    passed.unwrap_or_else(|refused| *refused.0)
}

type Passed = Result<Response, Refused>;

/// An answer instead of what was asked for; boxed, since it is large and rare.
struct Refused(Box<Response>);

impl Refused {
    fn of(answer: impl IntoResponse) -> Self {
        Self(Box::new(answer.into_response()))
    }
}

async fn pass_api(gate: &Gate, mut request: Request, next: Next) -> Passed {
    if gate.access == Access::Open {
        return Ok(next.run(request).await);
    }
    let token = bearer_token(request.headers())?;
    let holder = gate.state.store.token_holder(&token.hash(), gate.state.now()).await.map_err(refusal)?;
    let holder = holder.ok_or_else(unknown_token)?;
    let quota = holder.quota_requests.unwrap_or(gate.state.settings.requests_per_minute);
    let left = gate.state.pace.take(holder.token_id, quota, gate.state.now());
    if let Some(seconds) = left.refused_for {
        let mut refused = too_many(left.quota).into_response();
        refused.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        return Ok(with_pace(refused, &left));
    }
    let (state, reach, token_id) = (gate.state.clone(), holder.reach, holder.token_id);
    let caller = Caller::of_token(holder, &token);
    Ok(match permitted(gate, &caller, request.method()) {
        Ok(()) => {
            introduce(gate, &mut request, caller);
            let sender = Sender { state, reach, token_id, token, is_upload: gate.is_upload };
            with_pace(sender.answer(request, next).await, &left)
        }
        Err(problem) => with_pace(problem.into_response(), &left),
    })
}

async fn pass_page(gate: &Gate, request: Request, next: Next) -> Passed {
    let settings = &gate.state.settings;
    let changes = !is_reading(request.method());
    if changes {
        csrf::require_own_origin(request.headers(), request.uri(), &settings.public_url).map_err(refusal)?;
    }
    if gate.access == Access::Open {
        return Ok(next.run(request).await);
    }
    let id = dashboard::session_id(request.headers(), &settings.public_url)
        .ok_or_else(|| log_in_first(&request))?;
    let holder = gate.state.store.session_holder(&id.hash(), gate.state.now(), SESSION_IDLE).await;
    let holder = holder.map_err(refusal)?.ok_or_else(|| log_in_first(&request))?;
    let caller = Caller::of_session(holder, &id);
    let face = caller.face.clone();
    let passed = pass_person(gate, request, next, caller).await;
    let mut answer = passed.unwrap_or_else(|refused| *refused.0);
    // Whatever page it becomes outside of here: a refusal, too, is one in the tenant's name.
    if let Some(face) = face {
        answer.extensions_mut().insert(face);
    }
    Ok(answer)
}

async fn pass_person(gate: &Gate, request: Request, next: Next, mut caller: Caller) -> Passed {
    let (settings, changes) = (&gate.state.settings, !is_reading(request.method()));
    permitted(gate, &caller, request.method()).map_err(refusal)?;
    caller.visit = Visit::of(request.method(), request.uri(), request.headers(), &caller.csrf);
    let says = caller.visit.flash.is_some();
    let mut request = if changes { with_token(request, &caller.csrf).await? } else { request };
    introduce(gate, &mut request, caller);
    let mut answer = next.run(request).await;
    if says && is_page(&answer) {
        answer.headers_mut().append(SET_COOKIE, dashboard::said(&settings.public_url));
    }
    Ok(answer)
}

fn permitted(gate: &Gate, caller: &Caller, method: &Method) -> Result<(), Problem> {
    match gate.access {
        Access::Needs(permission) if !caller.may(permission) => Err(forbidden(permission)),
        Access::Needs(_) if caller.only_reads() && !is_reading(method) => Err(Problem::suspended()),
        _ => Ok(()),
    }
}

fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn is_page(answer: &Response) -> bool {
    answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == dashboard::HTML)
}

/// Says in the request who calls.
fn introduce(gate: &Gate, request: &mut Request, mut caller: Caller) {
    let peer = PeerAddress::of(request.extensions(), request.headers(), &gate.state.settings.trusted_proxies);
    caller.actor.address = peer.0.map(|address| address.to_string());
    caller.actor.request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    request.extensions_mut().insert(caller);
}

/// The request, whose form is from our own page. A form with a file carries the token in its address, and is not read here.
async fn with_token(request: Request, token: &str) -> Result<Request, Refused> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("multipart/") {
        csrf::require_token(request.uri(), b"", token).map_err(refusal)?;
        return Ok(request);
    }
    let (head, body) = request.into_parts();
    let too_large = |_| refusal(Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE));
    let bytes = to_bytes(body, FORM_LIMIT).await.map_err(too_large)?;
    csrf::require_token(&head.uri, &bytes, token).map_err(refusal)?;
    Ok(Request::from_parts(head, Body::from(bytes)))
}

/// Leads to the page for logging in, and from there back; what only a page of ours asks for is refused instead.
fn log_in_first(request: &Request) -> Refused {
    let target = match (request.method(), request.uri().path_and_query()) {
        (&Method::GET, Some(path)) if path.as_str() != "/" => {
            format!("/login?next={}", utf8_percent_encode(path.as_str(), NON_ALPHANUMERIC))
        }
        _ => "/login".to_owned(),
    };
    Refused::of(Redirect::to(&target))
}

fn bearer_token(headers: &HeaderMap) -> Result<ApiToken, Refused> {
    let header = headers
        .get(AUTHORIZATION)
        .ok_or_else(|| unauthorized("token_missing", "Send a token: Authorization: Bearer certmill_…"))?;
    let token = header.to_str().ok().and_then(|header| {
        let (scheme, token) = header.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| ApiToken::parse(token.trim()).ok()).flatten()
    });
    token.ok_or_else(unknown_token)
}

/// One answer for a mistyped, unknown, expired or revoked token: a stranger learns nothing from it.
fn unknown_token() -> Refused {
    unauthorized("token_invalid", "The token is not valid: mistyped, expired, revoked or never given.")
}

fn unauthorized(code: &'static str, detail: &'static str) -> Refused {
    refusal(Problem::new(StatusCode::UNAUTHORIZED, code, "Not authenticated", detail))
}

fn too_many(quota: i32) -> Problem {
    let detail = format!(
        "This token may send {quota} requests a minute. Send the next one after the seconds in Retry-After."
    );
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", "Too many requests", detail)
}

fn refusal(problem: impl Into<Problem>) -> Refused {
    Refused::of(problem.into())
}

/// What is left of the quota, as draft-ietf-httpapi-ratelimit-headers writes it.
fn with_pace(mut response: Response, left: &Left) -> Response {
    let policy = format!("\"default\";q={};w={WINDOW}", left.quota);
    let now = format!("\"default\";r={};t={}", left.remaining, left.reset);
    for (name, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, now)] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_str(&value).expect("numbers are plain characters"));
    }
    response
}
