//! Takes a picture of every page, and of the mails in a directory, into `docs/pictures`.

use certmill_tests::{Audience, Stage};

#[tokio::main]
async fn main() {
    let letters = std::env::args().nth(1).expect("the directory of the mails: see `make screenshots`");
    let letters = std::path::absolute(letters).expect("a path");
    let stage = Stage::set().await;
    let _running = stage.start().await;
    Audience::before(&stage).await.run(&["screenshots.mjs", letters.to_str().expect("UTF-8")]).await;
}
