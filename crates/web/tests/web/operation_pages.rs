//! Long operations, as people see them.

use certmill_model::Role;
use http::StatusCode;

use crate::support::{Bench, operator::Operator};

const LINES: [&str; 3] = [
    r#"{"op":"put","name":"a.brand.test","ref":"row-<1>"}"#,
    r#"{"op":"put","name":"localhost"}"#,
    r#"{"op":"renew","name":"nobody.brand.test"}"#,
];

#[tokio::test]
async fn an_operation_is_followed_from_its_lines_to_their_results() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let path = format!("/operations/{}", bench.bulk(&token, &LINES).await);
    let operator = Operator::of(&bench).await;
    let list = operator.page("/operations").await.text;
    for words in [&path, "Bulk change", "Nordwind", "1 of 3 lines", "1 failed", "<td data-label=\"By\">test"]
    {
        assert!(list.contains(words), "{words}: {list}");
    }
    let page = operator.page(&path).await.text;
    for words in
        ["1 of 3 lines done, 1 of them failed.", "33 % done", "Waiting", "row-&#60;1&#62;", ">Cancel<"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(page.contains("http-equiv=\"refresh\"") && page.contains("hx-trigger=\"every 5s\""), "{page}");

    bench.work_off().await;
    let page = operator.page(&path).await.text;
    for words in ["Every line has its result.", "100 % done", "No domain of this name is registered here."] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains(">Cancel<") && !page.contains("http-equiv=\"refresh\""), "{page}");
    let failed = operator.page(&format!("{path}?show=failed")).await.text;
    assert!(failed.contains("nobody.brand.test") && !failed.contains("a.brand.test"), "{failed}");

    let results = bench.get(&format!("{path}/results.ndjson")).cookie(&operator.cookie).send().await;
    assert_eq!(results.text.lines().count(), 3);
    assert!(results.header("content-disposition").ends_with(".ndjson\""));
}

#[tokio::test]
async fn long_lists_of_operations_and_lines_go_on_from_page_to_page() {
    let bench = Bench::new().await;
    let (_, token) = bench.tenant("Nordwind").await;
    let lines: Vec<_> =
        (1..=51).map(|number| format!(r#"{{"op":"check","name":"x{number}.brand.test"}}"#)).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let first = bench.bulk(&token, &lines).await;
    for _ in 0..50 {
        bench.clock.advance(time::Duration::seconds(1));
        bench.bulk(&token, &LINES[..1]).await;
        bench.work_off().await;
    }
    let operator = Operator::of(&bench).await;
    let list = operator.page("/operations").await.text;
    assert!(!list.contains(&first));
    let next = list.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let second_page = operator.page(next).await.text;
    assert!(second_page.contains(&first) && second_page.contains("First page"), "{second_page}");
    assert!(!second_page.contains("rel=\"next\""), "{second_page}");

    let page = operator.page(&format!("/operations/{first}")).await.text;
    assert!(page.contains("x50.brand.test") && !page.contains("x51.brand.test"));
    let page = operator.page(&format!("/operations/{first}?after=50")).await.text;
    assert!(page.contains("x51.brand.test") && !page.contains("x50.brand.test"));
    operator.page(&format!("/operations/{first}?after=soon")).await;
}

#[tokio::test]
async fn an_operation_is_cancelled_by_a_button_of_those_who_may() {
    let bench = Bench::new().await;
    let (tenant, token) = bench.tenant("Nordwind").await;
    let path = format!("/operations/{}", bench.bulk(&token, &LINES).await);
    let link = bench.invite(Some(tenant), Role::Viewer, "eve@example.com").await;
    bench.post(&link).form(&[("password", "correct horse battery")]).send().await;
    let viewer = Operator::known_by(&bench, "eve@example.com", "correct horse battery").await;
    assert!(!viewer.page(&path).await.text.contains(">Cancel<"));
    assert_eq!(viewer.send(&format!("{path}/cancel"), &[]).await.status, StatusCode::FORBIDDEN);

    let operator = Operator::of(&bench).await;
    assert_eq!(operator.send(&format!("{path}/cancel"), &[]).await.header("location"), path);
    assert!(operator.page(&path).await.text.contains("It ends once what is under way is finished"));
    bench.work_off().await;
    let page = operator.page(&path).await.text;
    assert!(page.contains("Somebody ended it") && page.contains("Left"), "{page}");
    assert_eq!(operator.send(&format!("{path}/cancel"), &[]).await.status, StatusCode::CONFLICT);
}
