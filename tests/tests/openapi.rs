//! The API against its own description: schemathesis sends what the description allows and what it forbids.

use std::path::{Path, PathBuf};

use certmill_lab::service::Api;
use certmill_tests::Stage;
use serde_json::Value;
use tokio::process::Command;

/// Ample: a run takes a few seconds for each ten operations.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(300);

/// As many as schemathesis has, but one.
const CHECKS: usize = 13;

/// What is deleted is shown until the load balancers have let it go: its deletion is answered 202.
const NOT_CHECKED: &str = "use_after_free";

#[tokio::test(flavor = "multi_thread")]
async fn the_api_answers_as_its_description_says_to_a_tenant_and_to_the_platform() {
    let stage = Stage::set().await;
    // With its workers: a look that is asked for is answered when one has looked.
    let _running = stage.start().await;
    for name in ["wolle.example-shops.test", "tee.example-shops.test"] {
        stage.put(name).await;
    }
    let platform = stage.service.platform_api().await.unwrap();
    for (who, api) in [("tenant", &stage.shops), ("platform", &platform)] {
        hold(&stage, who, api).await;
    }
}

#[expect(clippy::print_stdout, reason = "the figures are shown when they are asked for")]
async fn hold(stage: &Stage, who: &str, api: &Api) {
    let report = stage.lab.directory().join(format!("schemathesis-{who}.json"));
    let mut command = Command::new(program());
    command.arg("--config-file").arg(workspace().join("tests/schemathesis/schemathesis.toml")).arg("run");
    command.arg(format!("http://{}/openapi.json", stage.lab.description().responder));
    command.args([
        "--exclude-checks",
        NOT_CHECKED,
        "--no-color",
        "--header",
        &format!("Authorization: Bearer {}", api.token()),
    ]);
    command.args(["--report", "json", "--report-json-path"]).arg(&report);
    command.env("SCHEMATHESIS_HOOKS", workspace().join("tests/schemathesis/hooks.py"));
    // Python keeps what it compiled beside the file.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.current_dir(stage.lab.directory()).env("HOME", stage.lab.directory()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await.expect("schemathesis ends in time");
    let output = output.expect("schemathesis runs; scripts/fetch-test-tools installs it");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "as {who}:\n{said}{}", String::from_utf8_lossy(&output.stderr));

    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let (operations, cases) = (&report["operations"], &report["test_cases"]);
    assert_eq!(operations["tested"], operations["selected"], "every operation is tested: {operations}");
    println!(
        "{who}: {} operations x {CHECKS} checks in {} cases, {} failures",
        operations["tested"], cases["generated"], cases["unique_failures"]
    );
}

/// Where scripts/fetch-test-tools puts it: in the target folder that this test is of.
fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let candidates = own.ancestors().map(|directory| directory.join("schemathesis/bin/schemathesis"));
    let mut found = candidates.filter(|path| path.is_file());
    found.next().expect("scripts/fetch-test-tools installs schemathesis")
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}
