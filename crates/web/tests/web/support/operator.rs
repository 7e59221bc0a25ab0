//! The dashboard, as an operator sees it.

use http::StatusCode;

use super::{Bench, exchange::Answer};

/// Somebody with an open session.
pub(crate) struct Operator<'a> {
    bench: &'a Bench,
    pub(crate) cookie: String,
    csrf: String,
}

impl<'a> Operator<'a> {
    pub(crate) async fn of(bench: &'a Bench) -> Self {
        let cookie = bench.post(&bench.login_path().await).send().await.set_cookie();
        let csrf = bench.get("/").cookie(&cookie).send().await.csrf().to_owned();
        Self { bench, cookie, csrf }
    }

    /// Somebody who logs in by a password, with a page that has a form.
    pub(crate) async fn known_by(bench: &'a Bench, email: &str, password: &str) -> Self {
        let fields = [("email", email), ("password", password)];
        let cookie = bench.post("/login").form(&fields).send().await.set_cookie();
        let csrf = bench.get("/account").cookie(&cookie).send().await.csrf().to_owned();
        Self { bench, cookie, csrf }
    }

    /// Sends a form of one of our own pages.
    pub(crate) async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields: Vec<_> = fields.iter().copied().chain([("csrf", self.csrf.as_str())]).collect();
        self.bench.post(path).cookie(&self.cookie).form(&fields).send().await
    }

    /// Fills in the form on the page `at`, which is sent to `path`, with what it hides: of which version it is a change.
    pub(crate) async fn fill(&self, at: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.page(at).await.text;
        let (_, form) = page.split_once(&format!("method=\"post\" action=\"{path}\"")).expect("the form");
        let form = form.split("</form>").next().expect("its text");
        let hidden = form.split("<input type=\"hidden\" name=\"").skip(1).filter_map(|field| {
            let (name, rest) = field.split_once("\" value=\"")?;
            Some((name, rest.split('"').next()?))
        });
        let hidden = hidden.filter(|(name, _)| *name != "csrf");
        let fields: Vec<_> = hidden.chain(fields.iter().copied()).collect();
        self.send(path, &fields).await
    }

    /// The page at `path`, which has no script and no style in its text: its policy forbids both.
    pub(crate) async fn page(&self, path: &str) -> Answer {
        let answer = self.bench.get(path).cookie(&self.cookie).send().await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (StatusCode::OK, "text/html; charset=utf-8"),
            "{path}"
        );
        let is_ours =
            |script: &str| script.starts_with(" src=\"/assets/") && script.contains("defer></script>");
        assert!(answer.text.split("<script").skip(1).all(is_ours), "{path}");
        let inline = ["style=\"", "<style", " onclick=", " onload=", " hx-on"];
        assert!(!inline.into_iter().any(|inline| answer.text.contains(inline)), "{path}");
        answer
    }
}
