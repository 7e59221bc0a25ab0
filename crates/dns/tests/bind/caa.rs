//! CAA records, up the tree and through CNAME records.

use certmill_dns::{CaaForbids, CaaPermission, CaaQuestion, CaaRecords, LookupError, Resolver};
use certmill_lab::{Lab, Record};
use certmill_model::{ChallengeKind, ProblemCode};

use crate::{lab, name};

async fn found(resolver: &Resolver, text: &str) -> CaaRecords {
    resolver.caa(&name(text)).await.unwrap()
}

fn permits(records: &CaaRecords, is_wildcard: bool) -> Result<CaaPermission, CaaForbids> {
    let identities = ["letsencrypt.org".to_owned()];
    let method = ChallengeKind::Dns01;
    let account_url = "https://ca.example/acct/7";
    records.permits(&CaaQuestion { identities: &identities, is_wildcard, method, account_url })
}

fn owner(records: &CaaRecords) -> Option<&str> {
    records.found_at.as_ref().map(|place| place.owner.as_str())
}

#[tokio::test]
async fn the_records_that_rule_a_name_are_found_at_a_real_name_server() {
    let (lab, resolver) = lab().await;
    the_nearest_records_up_the_tree_rule_a_name(&lab, &resolver).await;
    the_records_where_a_cname_leads_count_and_the_way_up_goes_on_from_the_name(&lab, &resolver).await;
    lab.down().await.unwrap();
}

async fn the_nearest_records_up_the_tree_rule_a_name(lab: &Lab, resolver: &Resolver) {
    lab.set_records(&[
        Record::caa("brand.test", r#"0 issue "digicert.com""#),
        Record::caa("brand.test", r#"0 iodef "mailto:security@brand.test""#),
        Record::caa("own.brand.test", r#"0 issue "LetsEncrypt.org""#),
        Record::caa("own.brand.test", r#"0 issuewild ";""#),
    ])
    .await
    .unwrap();

    let parent = found(resolver, "*.deep.shop.brand.test").await;
    assert_eq!((parent.name.as_str(), owner(&parent)), ("deep.shop.brand.test", Some("brand.test")));
    assert_eq!(parent.seen_from, lab.description().dns_server);
    let error = permits(&parent, false).unwrap_err();
    assert_eq!(error.problem_code(), ProblemCode::CaaForbids);
    assert_eq!(
        error.to_string(),
        "brand.test CAA 0 issue \"digicert.com\" does not let letsencrypt.org issue for deep.shop.brand.test"
    );
    assert_eq!(error.fix(), "Add brand.test CAA 0 issue \"letsencrypt.org\".");

    let own = found(resolver, "own.brand.test").await;
    assert_eq!(permits(&own, false), Ok(CaaPermission::Named));
    assert_eq!(
        permits(&own, true).unwrap_err().fix(),
        "Add own.brand.test CAA 0 issuewild \"letsencrypt.org\"."
    );
    let none = found(resolver, "shop.free.test").await;
    assert_eq!((owner(&none), permits(&none, true)), (None, Ok(CaaPermission::Unrestricted)));
}

async fn the_records_where_a_cname_leads_count_and_the_way_up_goes_on_from_the_name(
    lab: &Lab,
    resolver: &Resolver,
) {
    lab.set_records(&[
        Record::cname("shop.alias.test", "lb.platform.test"),
        Record::caa("lb.platform.test", r#"0 issue ";""#),
        Record::caa("alias.test", r#"0 issue "letsencrypt.org""#),
        // Nothing at its target: what is above the target does not count, what is above the name does.
        Record::cname("up.alias.test", "lb.empty.test"),
        Record::caa("empty.test", r#"0 issue ";""#),
        Record::cname("gone.alias.test", "nobody.nowhere.test"),
        Record::cname("loop.alias.test", "loop.alias.test"),
    ])
    .await
    .unwrap();

    let target = found(resolver, "shop.alias.test").await;
    let place = target.found_at.clone().unwrap();
    assert_eq!((place.owner.as_str(), place.alias.as_deref()), ("lb.platform.test", Some("shop.alias.test")));
    assert_eq!(
        permits(&target, false).unwrap_err().fix(),
        "Add lb.platform.test CAA 0 issue \"letsencrypt.org\"."
    );
    for text in ["up.alias.test", "gone.alias.test"] {
        let above = found(resolver, text).await;
        assert_eq!((owner(&above), permits(&above, false)), (Some("alias.test"), Ok(CaaPermission::Named)));
    }
    let looped = resolver.caa(&name("loop.alias.test")).await.unwrap_err();
    // A resolver may name the circle, or only fail.
    assert!(matches!(looped, LookupError::CnameLoop(_) | LookupError::ServerFailure { .. }), "{looped}");
    // A server that knows nothing of the zone: a CA would not issue either.
    let failing = resolver.caa(&name("shop.example.com")).await.unwrap_err();
    assert!(matches!(failing, LookupError::ServerFailure { .. }), "{failing}");
}
