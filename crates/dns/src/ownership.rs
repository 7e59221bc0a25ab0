//! What the owner of a name says of whose it is: TXT records, looked up by themselves.

use std::net::SocketAddr;

use certmill_model::OwnershipRecord;
use hickory_proto::rr::{RData, RecordType};

use crate::{LookupError, Resolver, name, record_text::quoted};

/// More values than anybody has at such a name.
const MAX_VALUES: usize = 16;

/// The TXT values at one name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwnershipValues {
    /// The values; a value of several strings is one text.
    values: Vec<Vec<u8>>,
    /// The resolver that said so.
    pub seen_from: SocketAddr,
}

impl OwnershipValues {
    /// Whether `value` is among them.
    pub fn contain(&self, value: &str) -> bool {
        self.values.iter().any(|seen| seen == value.as_bytes())
    }

    /// The values as people read them in a zone file.
    pub fn lines(&self, record: &OwnershipRecord) -> Vec<String> {
        self.values.iter().map(|value| format!("{} TXT {}", record.name, quoted(value))).collect()
    }
}

impl Resolver {
    /// Looks up the TXT values where `record` belongs. Behind a CNAME record there are none: whoever a name is pointed at
    /// does not say whose it is.
    pub async fn ownership(&self, record: &OwnershipRecord) -> Result<OwnershipValues, LookupError> {
        let name = name::parse(&record.name)?;
        let lookup = self.bounded(&name, self.look_up(&name, RecordType::TXT)).await?;
        let own = lookup.records.iter().filter(|_| lookup.chain.is_empty());
        let values = own.filter_map(|data| match data {
            RData::TXT(value) => Some(value.txt_data.concat()),
            _ => None,
        });
        Ok(OwnershipValues { values: values.take(MAX_VALUES).collect(), seen_from: lookup.server })
    }
}

#[cfg(test)]
mod tests {
    use certmill_model::Hostname;

    use super::*;
    use crate::testing::resolver;

    fn record(name: &str) -> OwnershipRecord {
        OwnershipRecord::new(&Hostname::parse(name).unwrap(), "wanted")
    }

    #[tokio::test]
    async fn every_value_of_its_own_counts_and_none_behind_a_cname_record() {
        let (resolver, _) = resolver(&[
            ("_certmill-verify.shop.com", "TXT other"),
            ("_certmill-verify.shop.com", "TXT wanted"),
            ("_certmill-verify.led.com", "CNAME elsewhere.net"),
            ("elsewhere.net", "TXT wanted"),
        ])
        .await;
        let seen = resolver.ownership(&record("shop.com")).await.unwrap();
        assert!(seen.contain("wanted") && seen.contain("other") && !seen.contain("want"));
        assert_eq!(seen.lines(&record("shop.com"))[0], "_certmill-verify.shop.com TXT \"other\"");
        assert!(!resolver.ownership(&record("led.com")).await.unwrap().contain("wanted"));
        assert!(!resolver.ownership(&record("empty.com")).await.unwrap().contain("wanted"));
    }
}
