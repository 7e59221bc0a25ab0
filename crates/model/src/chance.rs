//! Chance, as something that is passed in.

use std::sync::Mutex;

use rand::{Rng, SeedableRng, rngs::StdRng};
use time::OffsetDateTime;
use uuid::{Builder, Uuid};

/// A source of chance for ids and jitter. Secrets do not come from here: `vault` makes those.
pub struct Chance(Mutex<StdRng>);

impl Chance {
    /// Seeded by the operating system.
    pub fn from_system() -> Self {
        Self(Mutex::new(StdRng::from_os_rng()))
    }

    /// The same sequence for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// A `UUIDv7` (RFC 9562 section 5.7) of the instant `now`.
    pub fn uuid(&self, now: OffsetDateTime) -> Uuid {
        let millis = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        let mut random = [0; 10];
        self.rng(|rng| rng.fill(&mut random));
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// A number in `0.0..1.0`, evenly spread.
    pub fn fraction(&self) -> f64 {
        self.rng(Rng::random::<f64>)
    }

    fn rng<T>(&self, use_it: impl FnOnce(&mut StdRng) -> T) -> T {
        use_it(&mut self.0.lock().expect("no holder of this lock panics"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        assert_eq!(Chance::seeded(7).uuid(now), Chance::seeded(7).uuid(now));
        assert_ne!(Chance::seeded(7).uuid(now), Chance::seeded(8).uuid(now));
    }

    #[test]
    fn later_ids_sort_behind_earlier_ones() {
        let chance = Chance::seeded(1);
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        assert!(chance.uuid(now) < chance.uuid(now + time::Duration::milliseconds(1)));
    }
}
