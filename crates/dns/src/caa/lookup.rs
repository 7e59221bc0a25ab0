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
