//! Takes a picture of every page, into `docs/pictures`.

use certmill_tests::{Audience, Stage};

#[tokio::main]
async fn main() {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    Audience::before(&stage).await.run(&["screenshots.mjs"]).await;
}
