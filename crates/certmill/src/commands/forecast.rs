//! What is planned: renewals by day.

use std::collections::BTreeMap;

use super::say;
use crate::{database::Database, trouble::Trouble};

/// The longest bar.
const WIDTH: u64 = 48;

pub(super) async fn run(database: &Database) -> Result<(), Trouble> {
    let store = certmill_store::connect_engine(&database.url, 1).await?;
    let mut days = BTreeMap::new();
    for (hour, renewals) in store.planned_renewals().await? {
        *days.entry(hour.date()).or_default() += u64::from(renewals);
    }
    if days.is_empty() {
        say("no renewal is planned: there are no certificates yet");
    }
    let most = days.values().copied().max().unwrap_or(1);
    for (day, renewals) in days {
        let bar = "#".repeat((renewals * WIDTH).div_ceil(most) as usize);
        say(format!("{day}  {bar:<width$}  {renewals}", width = WIDTH as usize));
    }
    Ok(())
}
