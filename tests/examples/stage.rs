//! Holds a stage for whoever works on the tests in `web/tests`: prints what belongs into STAGE, and stays until Ctrl-C.

use std::io::{self, Write};

use certmill_tests::{Audience, Stage};

#[tokio::main]
async fn main() -> io::Result<()> {
    let stage = Stage::set().await;
    let _running = stage.start().await;
    let audience = Audience::before(&stage).await.with_hostile_words().await;
    writeln!(io::stdout(), "{}", audience.description())?;
    tokio::signal::ctrl_c().await
}
