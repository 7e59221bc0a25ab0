//! What is used of the CAs' limits, for the API and the dashboard alike.

use certmill_model::UsedLimit;
use certmill_store::CaAccount;

use crate::WebState;

/// What is used of the limits that are not of single names; none where nothing is known of the CA any more.
pub(crate) fn used_limits(state: &WebState, account: &CaAccount) -> Vec<UsedLimit> {
    let known = state.settings.limits.iter().find(|(directory, _)| *directory == account.directory_url);
    let Some((_, limits)) = known else { return Vec::new() };
    let bucket = |kind, key: &str| {
        let found = account.buckets.iter().find(|(of, name, _)| *of == kind && name == key);
        found.map(|(_, _, bucket)| *bucket)
    };
    limits.used(bucket, state.now())
}
