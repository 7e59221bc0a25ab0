//! The page for owners of shops, who have no account.

use certmill_model::{CheckKind, Letter, ProblemCode};
use http::{Method, StatusCode};
use time::Duration;

use crate::support::{Bench, exchange::Call, looks::wrong, operator::Operator};

const NAME: &str = "shop.example-shops.test";

/// The path of a new link to the page of [`NAME`], as the dashboard shows it once.
async fn link(bench: &Bench) -> String {
    let operator = Operator::of(bench).await;
    let page = operator.send(&format!("/domains/{NAME}/link"), &[("language", "de")]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let (_, rest) = page.text.split_once("http://127.0.0.1:8080/setup/").expect("a link");
    format!("/setup/{}", rest.split('<').next().unwrap())
}

async fn bench() -> Bench {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    bench.add_target("lb-1").await;
    bench.register(&token, NAME).await;
    bench
}

#[tokio::test]
async fn an_owner_sees_what_to_set_what_is_there_and_when_it_is_done() {
    let bench = bench().await;
    let path = link(&bench).await;
    let seen = [format!("{NAME} A 192.0.2.44")];
    let seen: Vec<_> = seen.iter().map(String::as_str).collect();
    bench
        .look(NAME, vec![wrong(CheckKind::Addresses, &seen, ProblemCode::DnsWrongTarget, "elsewhere")])
        .await;
    let german = bench.get(&path).send().await;
    assert_eq!(german.status, StatusCode::OK);
    for words in
        ["lang=\"de\"", "Ihre Domain zeigt woandershin", "203.0.113.7", "192.0.2.44", "Nordwind", ">shop<"]
    {
        assert!(german.text.contains(words), "{words}: {}", german.text);
    }
    assert!(!german.text.contains("certmill</"), "the page has no word of ours: {}", german.text);
    let english = bench.get(&path).header("accept-language", "en-GB,en;q=0.9").send().await.text;
    assert!(
        english.contains("Your domain points somewhere else") && english.contains("hx-trigger"),
        "{english}"
    );

    bench.clock.advance(Duration::hours(1));
    let order = bench.place_order(NAME, "token").await;
    bench.issue(NAME, order).await;
    let page = bench.get(&format!("{path}?lang=en")).send().await.text;
    assert!(page.contains("Your records are right"), "{page}");
}

#[tokio::test]
async fn the_page_may_be_shown_inside_another_and_nothing_else_may() {
    let bench = bench().await;
    let page = bench.get(&link(&bench).await).send().await;
    assert!(page.header("content-security-policy").ends_with("frame-ancestors https:"));
    let other = bench.get("/login").send().await;
    assert!(other.header("content-security-policy").ends_with("frame-ancestors 'none'"));
}

#[tokio::test]
async fn the_form_on_the_page_is_taken_from_no_other_site() {
    let bench = bench().await;
    let path = format!("{}/check", link(&bench).await);
    let call = || Call::new(&bench.router, Method::POST, &path);
    for foreign in ["https://evil.example", "null", "http://127.0.0.1:8081"] {
        let refused = call().header("origin", foreign).send().await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (StatusCode::FORBIDDEN, "foreign_form"),
            "{foreign}"
        );
    }
    assert_eq!(call().send().await.code(), "foreign_form", "a browser says where a form stood");
    let unknown = format!("/setup/{}/check", certmill_vault::ApiToken::generate().expose());
    let own = Call::new(&bench.router, Method::POST, &unknown).header("origin", "http://127.0.0.1:8080");
    assert_eq!(own.send().await.status, StatusCode::GONE, "our own pages come past this");
}

#[tokio::test]
async fn whoever_asks_for_the_same_look_again_and_again_leaves_one_entry_in_the_audit_log() {
    let bench = bench().await;
    let path = format!("{}/check", link(&bench).await);
    let ask =
        || Call::new(&bench.router, Method::POST, &path).header("origin", "http://127.0.0.1:8080").send();
    let answers = tokio::join!(ask(), ask(), ask());
    for answer in [answers.0, answers.1, answers.2] {
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    }
    let audit = Operator::of(&bench).await.page("/audit?action=domain.check_requested").await.text;
    assert_eq!(audit.matches("whoever has the link").count(), 1, "{audit}");
}

#[tokio::test]
async fn a_link_ends_after_two_weeks_and_a_made_up_one_opens_nothing() {
    let bench = bench().await;
    let path = link(&bench).await;
    bench.clock.advance(Duration::days(14));
    let unknown = format!("/setup/{}", certmill_vault::ApiToken::generate().expose());
    for path in [path.as_str(), &unknown, "/setup/x", "/setup/%00", "/setup/%3Cscript%3E?lang=%22%3E"] {
        let page = bench.get(path).header("accept", "text/html").send().await;
        assert_eq!(page.status, StatusCode::GONE, "{path}");
        assert!(page.text.contains("This link has ended") && !page.text.contains("<script"), "{}", page.text);
    }
    assert_eq!(bench.post(&format!("{path}/check")).send().await.status, StatusCode::GONE);
}

#[tokio::test]
async fn a_link_opens_the_page_of_its_domain_alone() {
    let bench = bench().await;
    let path = link(&bench).await;
    let token = path.strip_prefix("/setup/").unwrap();
    assert_eq!(bench.get("/v1/domains").token(token).send().await.status, StatusCode::UNAUTHORIZED);
}

/// The letters that are to go out now, with who gets them.
async fn letters(bench: &Bench) -> Vec<(String, Letter)> {
    bench.engine.tell_owners(9, &bench.chance, bench.now()).await.unwrap();
    let mails = bench.engine.take_due_mails(9, bench.now()).await.unwrap();
    mails.into_iter().map(|mail| (mail.recipient, mail.letter.unwrap())).collect()
}

#[tokio::test]
async fn an_owner_is_mailed_the_records_and_told_once_when_the_name_works() {
    const OWNER: &str = "owner@example-shops.test";
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let target = bench.add_target("lb-1").await;
    bench.register(&token, NAME).await;
    let path = format!("/v1/domains/{NAME}/setup-links");
    let ask = async |body: &str| bench.post(&path).token(&token).json(body.to_owned()).send().await;
    let body = format!(r#"{{"language":"de","email":"{OWNER}"}}"#);
    let refused = ask(&body).await;
    assert_eq!(
        (refused.status.as_u16(), refused.json()["errors"][0]["code"].as_str()),
        (422, Some("no_mail_server"))
    );
    bench.engine.use_mail_server(Some("mail.example.com:587")).await.unwrap();
    assert_eq!(ask(r#"{"email":"a\r\nBcc: x@example.com"}"#).await.status.as_u16(), 422);
    for _ in 0..2 {
        assert_eq!(ask(&body).await.status, StatusCode::CREATED);
    }
    let sent = letters(&bench).await;
    assert_eq!(sent.len(), 2, "each link is a letter of its own");
    for (recipient, letter) in sent {
        let Letter::OwnerSetUp { brand, name, records, link } = letter else { panic!("another letter") };
        assert_eq!((recipient.as_str(), brand.product.as_str(), name.as_str()), (OWNER, "Nordwind", NAME));
        assert_eq!((records[0].kind.as_str(), records[0].value.as_str()), ("A", "203.0.113.7"));
        assert!(link.starts_with("http://127.0.0.1:8080/setup/certmill_"));
    }
    let operator = Operator::of(&bench).await;
    let asked = operator.page(&format!("/domains/{NAME}/link")).await.text;
    assert!(asked.contains("Mail it to the owner"), "{asked}");
    let to_another = [("language", "en"), ("email", "second@example-shops.test")];
    let made = operator.send(&format!("/domains/{NAME}/link"), &to_another).await;
    assert!(made.text.contains("on its way to second@example-shops.test"), "{}", made.text);
    let wrong = operator.send(&format!("/domains/{NAME}/link"), &[("email", "second@")]).await;
    assert_eq!(wrong.status.as_u16(), 422);
    assert!(wrong.text.contains("Address: it is no e-mail address"), "{}", wrong.text);
    assert_eq!(letters(&bench).await.len(), 1);

    let order = bench.place_order(NAME, &token).await;
    bench.issue(NAME, order).await;
    bench.deliver(target).await;
    let mut told = letters(&bench).await;
    told.sort_by(|one, other| one.0.cmp(&other.0));
    let recipients: Vec<_> = told.iter().map(|(recipient, _)| recipient.as_str()).collect();
    assert_eq!(recipients, [OWNER, "second@example-shops.test"]);
    assert!(told.iter().all(|(_, letter)| matches!(letter, Letter::OwnerWorks { .. })));
    bench.clock.advance(Duration::hours(1));
    assert!(letters(&bench).await.is_empty(), "nobody is told twice");
}

#[tokio::test]
async fn a_tenant_sends_so_many_letters_to_owners_in_a_day_and_no_more() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    bench.register(&token, NAME).await;
    bench.engine.use_mail_server(Some("mail.example.com:587")).await.unwrap();
    let path = format!("/v1/domains/{NAME}/setup-links");
    let ask = async |body: &str| bench.post(&path).token(&token).json(body.to_owned()).send().await;
    // Also to the same address again and again.
    let letter = r#"{"email":"owner@example-shops.test"}"#;
    assert_eq!(ask(letter).await.status, StatusCode::CREATED);
    bench.clock.advance(Duration::hours(10));
    for _ in 1..200 {
        assert_eq!(ask(letter).await.status, StatusCode::CREATED);
        bench.clock.advance(Duration::seconds(1));
    }
    let refused = ask(letter).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "too_many_letters")
    );
    let left = 14 * 3_600 - 199;
    assert_eq!(refused.header("retry-after"), left.to_string());
    assert!(refused.text.contains("hand it over yourself"), "{}", refused.text);
    assert_eq!(ask("{}").await.status, StatusCode::CREATED, "a link without a letter is made");
    let (_, other) = bench.tenant("Bella Casa").await;
    bench.register(&other, "other.example-shops.test").await;
    let theirs = "/v1/domains/other.example-shops.test/setup-links";
    let sent = bench.post(theirs).token(&other).json(letter).send().await;
    assert_eq!(sent.status, StatusCode::CREATED, "{}", sent.text);
    bench.clock.advance(Duration::seconds(left));
    assert_eq!(ask(letter).await.status, StatusCode::CREATED, "the first one is a day ago");
    assert_eq!(ask(letter).await.code(), "too_many_letters");
}
