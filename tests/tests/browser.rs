//! What people do with certmill, done in a real Chromium by `web/tests`.

use certmill_tests::{Audience, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn people_use_the_pages_in_a_real_browser_with_and_without_javascript() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let audience = Audience::before(&stage).await.with_many_shops().await.with_hostile_words().await;
    audience.run(&["--test-reporter=spec", "suite.mjs"]).await;
}
