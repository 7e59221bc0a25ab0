//! The way up to the records that rule a name (RFC 8659 section 3).

use certmill_model::Hostname;
use hickory_proto::rr::{RData, RecordType};

use super::{CaaPlace, CaaRecord, CaaRecords};
use crate::{
    LookupError, Resolver,
    name::{self, text},
    resolver::Lookup,
};

impl Resolver {
    /// Looks up the CAA records that rule `name` (of a wildcard, without its `*.`): those at the name or, if it has
    /// none, at the nearest level above, up to the top-level domain. Where a level is a CNAME record, the records at
    /// its target count; the way up goes on from the level itself. A server that fails is an error, as for a CA.
    pub async fn caa(&self, name: &Hostname) -> Result<CaaRecords, LookupError> {
        self.bounded(&name::parse(name.base())?, self.climb(name.base())).await
    }

    async fn climb(&self, base: &str) -> Result<CaaRecords, LookupError> {
        let mut level = base;
        loop {
            let lookup = self.look_up(&name::parse(level)?, RecordType::CAA).await?;
            let above = level.split_once('.').map(|(_, above)| above);
            match above {
                Some(above) if lookup.records.is_empty() => level = above,
                _ => return Ok(found(base, level, &lookup)),
            }
        }
    }
}

fn found(base: &str, level: &str, lookup: &Lookup) -> CaaRecords {
    let records: Vec<_> = lookup.records.iter().filter_map(record).collect();
    let alias = (!lookup.chain.is_empty()).then(|| level.to_owned());
    let place = CaaPlace { owner: text(&lookup.end), alias };
    CaaRecords {
        name: base.to_owned(),
        found_at: (!records.is_empty()).then_some(place),
        records,
        seen_from: lookup.server,
    }
}

fn record(data: &RData) -> Option<CaaRecord> {
    match data {
        RData::CAA(caa) => {
            Some(CaaRecord { flags: caa.flags(), tag: caa.tag.clone(), value: caa.value.clone() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::resolver;

    #[tokio::test]
    async fn the_way_up_ends_at_the_first_records_and_at_the_top_level_domain() {
        let (all, asked) = resolver(&[("shop.test", "CAA ca.test"), ("test", "CAA registry.test")]).await;
        let name = Hostname::parse("*.a.shop.test").unwrap();
        let found = all.caa(&name).await.unwrap();
        assert_eq!(found.found_at.unwrap().owner, "shop.test");
        assert_eq!(*asked.lock().unwrap(), ["CAA a.shop.test", "CAA shop.test"]);

        let (none, asked) = resolver(&[]).await;
        let found = none.caa(&name).await.unwrap();
        assert_eq!((found.found_at, found.records), (None, Vec::new()));
        assert_eq!(*asked.lock().unwrap(), ["CAA a.shop.test", "CAA shop.test", "CAA test"]);
    }

    #[tokio::test]
    async fn a_server_that_fails_on_the_way_ends_the_look() {
        let (resolver, _) = resolver(&[("shop.test", "SERVFAIL"), ("test", "CAA ca.test")]).await;
        let error = resolver.caa(&Hostname::parse("a.shop.test").unwrap()).await.unwrap_err();
        assert!(matches!(error, LookupError::ServerFailure { name, .. } if name == "shop.test"));
    }
}
