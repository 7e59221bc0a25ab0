//! Where the processors' time goes.

use std::time::Duration;

use certmill_lab::{Lab, Part, processor_time};

/// The processor time that each part has had.
pub(super) struct Usage(Vec<(&'static str, Duration)>);

impl Usage {
    /// Of every part, and of the process of certmill, if it runs.
    pub(super) async fn read(lab: &Lab, certmill: Option<u32>) -> Self {
        let balancers = 1..=lab.description().load_balancers.len() as u8;
        let groups = [
            ("pebble", vec![Part::Pebble]),
            ("postgres", vec![Part::Postgres]),
            ("bind", vec![Part::Bind, Part::Secondary]),
            ("nginx", balancers.clone().map(Part::Nginx).collect()),
            ("sshd", balancers.map(Part::Sshd).collect()),
        ];
        let mut usage = vec![("certmill", processor_time(certmill))];
        for (name, parts) in groups {
            let mut process_ids = Vec::new();
            for part in parts {
                process_ids.extend(lab.process_id(part).await);
            }
            usage.push((name, processor_time(process_ids)));
        }
        Self(usage)
    }

    /// What was added since an earlier reading of the same processes.
    pub(super) fn since(self, earlier: &Self) -> Self {
        let pairs = self.0.into_iter().zip(&earlier.0);
        Self(pairs.map(|((name, now), (_, then))| (name, now.saturating_sub(*then))).collect())
    }

    /// In words: milliseconds for each of `count` certificates.
    pub(super) fn per(&self, count: usize) -> String {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0 / count.max(1) as f64;
        let used = self.0.iter().filter(|(_, time)| !time.is_zero());
        let words = used.map(|(name, time)| format!("{name} {:.1}", milliseconds(*time)));
        format!("CPU ms each: {}", words.collect::<Vec<_>>().join(", "))
    }
}
