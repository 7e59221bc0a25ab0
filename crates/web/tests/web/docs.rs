//! The documentation that is served.

use certmill_model::ProblemCode;
use http::StatusCode;

use crate::support::Bench;

#[tokio::test]
async fn every_kind_of_problem_leads_to_its_page() {
    let bench = Bench::new().await;
    for code in ProblemCode::ALL {
        let page = bench.get(&format!("/docs/problems/{code}")).send().await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (StatusCode::OK, "text/html; charset=utf-8"),
            "{code}"
        );
        assert!(page.text.contains(code.as_str()) && page.text.contains("<li>"), "{code}: {}", page.text);
    }
    assert_eq!(bench.get("/docs/problems/nonsense").send().await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_documentation_lists_every_operation_without_a_script() {
    let bench = Bench::new().await;
    let page = bench.get("/docs").send().await;
    let document = bench.get("/openapi.json").send().await.json();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(page.text.contains(&format!("id=\"{id}\"")), "{path} {id}");
        }
    }
    assert!(!page.text.contains("<script"), "{}", page.text);
    for guide in ["api", "dns", "problems"] {
        let answer = bench.get(&format!("/docs/{guide}")).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{guide}");
        assert!(page.text.contains(&format!("href=\"/docs/{guide}\"")), "{guide}");
    }
}
