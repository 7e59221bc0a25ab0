//! The first start: from the command line to a page of somebody who is logged in.

use certmill_lab::{
    Lab, Options,
    service::{Role, Service, ServiceError},
};
use certmill_tests::{own_page, send_form};

/// The path in the link that a command prints first.
fn path_of(printed: &str) -> &str {
    let link = printed.lines().next().unwrap_or_default();
    let (_, path) = link.split_once("/password/").unwrap_or_else(|| panic!("no link: {printed}"));
    path
}

fn refusal(done: Result<String, ServiceError>) -> String {
    done.expect_err("a refusal").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_chooses_a_password_by_a_link_and_logs_in() {
    let lab = Lab::up(Options::default()).await.unwrap();
    let service = Service::prepare(&lab, &[]).await.unwrap();
    let init = ["init", "--admin", "ada@platform.example"];
    let first = service.run(&init).await.unwrap();
    let second = service.run(&init).await.unwrap();
    assert_ne!(path_of(&first), path_of(&second), "as long as nobody took it, there is another one");

    let at = lab.description().responder;
    let _certmill = service.start(Role::All, &[]).await.unwrap();
    let password = |printed: &str| format!("/password/{}", path_of(printed));
    let form = "password=correct+horse+battery";
    assert_eq!(send_form(at, &password(&first), form).await.status, 410, "it ended with the second");
    let set = send_form(at, &password(&second), form).await;
    assert_eq!((set.status, set.location.as_deref()), (303, Some("/login")), "{}", set.body);
    assert_eq!(send_form(at, &password(&second), form).await.status, 410, "it works once");

    let login = "email=ada%40platform.example&password=correct+horse+battery";
    let opened = send_form(at, "/login", login).await;
    let cookie = opened.cookie.unwrap_or_else(|| panic!("no session: {}", opened.body));
    let page = own_page(at, "/tenants", &cookie).await;
    assert!(page.status == 200 && page.body.contains("ada@platform.example"), "{}", page.body);

    let words = refusal(service.run(&init).await);
    assert!(words.contains("ada@platform.example administers this platform already"), "{words}");
    let add = |role, tenant: &[&'static str]| {
        [&["user", "add", "--email", "eve@nordwind.example", "--role", role][..], tenant].concat()
    };
    let words = refusal(service.run(&add("tenant_admin", &[])).await);
    assert!(words.contains("no role of one of the platform's own people"), "{words}");
    service.add_tenant("Nordwind").await.unwrap();
    service.run(&add("tenant_admin", &["--tenant", "Nordwind"])).await.unwrap();
    let log = own_page(at, "/audit", &cookie).await.body;
    for word in ["command line", "eve@nordwind.example", "Nordwind"] {
        assert!(log.contains(word), "{word}: {log}");
    }
}
