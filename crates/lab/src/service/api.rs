//! certmill's REST API, as a commerce backend calls it.

use std::error::Error;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::ServiceError;

/// An answer later than this is none.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// Between two looks at a domain.
const POLL: Duration = Duration::from_millis(50);

/// The API for the holder of one token.
#[derive(Clone)]
pub struct Api {
    address: SocketAddr,
    token: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// What the API answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body as JSON; as a string where it is none.
    pub body: Value,
}

impl Api {
    pub(super) fn new(address: SocketAddr, token: &str) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(tcp);
        Self { address, token: token.to_owned(), client }
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Sends a request, whatever the answer. `path` is sent as it is.
    pub async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, ServiceError> {
        let no_answer = |source| ServiceError::NoAnswer { request: format!("{method} {path}"), source };
        let answer = timeout(ANSWER_LIMIT, self.exchange(method, path, body)).await;
        answer.unwrap_or_else(|elapsed| Err(elapsed.into())).map_err(no_answer)
    }

    /// Registers a domain or changes it; `body` may be null. Refusals are errors.
    pub async fn put(&self, name: &str, body: &Value) -> Result<Value, ServiceError> {
        self.expect("PUT", &domain_path(name), Some(body).filter(|body| !body.is_null())).await
    }

    /// The document of a domain.
    pub async fn get(&self, name: &str) -> Result<Value, ServiceError> {
        self.expect("GET", &domain_path(name), None).await
    }

    /// Removes a domain.
    pub async fn delete(&self, name: &str) -> Result<Value, ServiceError> {
        self.expect("DELETE", &domain_path(name), None).await
    }

    /// The documents of all domains, by name.
    pub async fn list(&self) -> Result<Vec<Value>, ServiceError> {
        self.pages("/v1/domains").await
    }

    /// All that happened to a domain, oldest first.
    pub async fn timeline(&self, name: &str) -> Result<Vec<Value>, ServiceError> {
        self.pages(&format!("{}/timeline", domain_path(name))).await
    }

    /// The documents of all load balancers, by name.
    pub async fn targets(&self) -> Result<Vec<Value>, ServiceError> {
        Ok(entries(self.expect("GET", "/v1/targets", None).await?))
    }

    /// Waits until every load balancer has a release and all that it should have; for the platform.
    pub async fn wait_for_targets(&self, limit: Duration) -> Result<(), ServiceError> {
        let deadline = Instant::now() + limit;
        loop {
            let targets = self.targets().await?;
            let ready = |target: &Value| target["state"] == "in_sync" && target["release"].is_number();
            if targets.iter().all(ready) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(ServiceError::TooLate {
                    name: "a load balancer".to_owned(),
                    last: targets.into(),
                });
            }
            sleep(POLL).await;
        }
    }

    /// Waits until a domain has this status, and returns its document.
    pub async fn wait_for_status(
        &self,
        name: &str,
        status: &str,
        limit: Duration,
    ) -> Result<Value, ServiceError> {
        self.wait_for(name, limit, |domain| domain["status"] == status).await
    }

    /// Waits until the document of a domain is as wanted.
    pub async fn wait_for(
        &self,
        name: &str,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, ServiceError> {
        let deadline = Instant::now() + limit;
        loop {
            let last = self.get(name).await?;
            if wanted(&last) {
                return Ok(last);
            }
            if Instant::now() > deadline {
                return Err(ServiceError::TooLate { name: name.to_owned(), last });
            }
            sleep(POLL).await;
        }
    }

    async fn pages(&self, path: &str) -> Result<Vec<Value>, ServiceError> {
        let mut all = Vec::new();
        let mut next = format!("{path}?limit=1000");
        loop {
            let page = self.expect("GET", &next, None).await?;
            let cursor = page["next_cursor"].as_str().map(str::to_owned);
            all.extend(entries(page));
            let Some(cursor) = cursor else { return Ok(all) };
            next = format!("{path}?limit=1000&cursor={cursor}");
        }
    }

    /// Sends a request; refusals are errors. `path` is sent as it is.
    pub async fn expect(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ServiceError> {
        let Answer { status, body } = self.send(method, path, body).await?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        Err(ServiceError::Refused { request: format!("{method} {path}"), status, body })
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let response = self.client.request(request.body(Full::new(bytes))?).await?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await?.to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_else(|_| text()) })
    }
}

/// `/v1/domains/{name}`, with everything percent-encoded that a name in a path may not hold.
pub fn domain_path(name: &str) -> String {
    name.bytes().fold("/v1/domains/".to_owned(), |mut path, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(char::from(byte));
            }
            _ => write!(path, "%{byte:02X}").expect("a String takes all that is written to it"),
        }
        path
    })
}

fn entries(mut page: Value) -> Vec<Value> {
    match page["data"].take() {
        Value::Array(entries) => entries,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::domain_path;

    #[test]
    fn an_international_name_is_percent_encoded_as_utf8() {
        assert_eq!(domain_path("bücher.test"), "/v1/domains/b%C3%BCcher.test");
        assert_eq!(domain_path("a/../b"), "/v1/domains/a%2F..%2Fb");
    }
}
