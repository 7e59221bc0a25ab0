//! Chance, as something that is passed in.

use std::sync::Mutex;

use rand::{Rng, SeedableRng, rngs::StdRng};
use time::OffsetDateTime;
use uuid::{Builder, Uuid};

/// A source of chance for ids and jitter. Secrets do not come from here: `vault` makes those.
pub struct Chance(Mutex<State>);

struct State {
    rng: StdRng,
    /// Of the last id: its millisecond, and its place within that.
    last: (u64, u16),
}

/// Ids of one millisecond, with the places that they begin at.
const PLACES: u16 = 1 << 12;

impl Chance {
    /// Seeded by the operating system.
    pub fn from_system() -> Self {
        Self::new(StdRng::from_os_rng())
    }

    /// The same sequence for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self::new(StdRng::seed_from_u64(seed))
    }

    /// A `UUIDv7` (RFC 9562 section 5.7) of the instant `now`. Those made one after another sort so, also within a
    /// millisecond: the 12 bits behind the time count then (section 6.2, method 1).
    pub fn uuid(&self, now: OffsetDateTime) -> Uuid {
        let millis = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        let (place, mut random) = self.state(|state| {
            let place = match state.last {
                (last, place) if last == millis => (place + 1).min(PLACES - 1),
                _ => state.rng.random_range(0..PLACES / 2),
            };
            state.last = (millis, place);
            (place, state.rng.random::<[u8; 10]>())
        });
        random[..2].copy_from_slice(&place.to_be_bytes());
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// A number in `0.0..1.0`, evenly spread.
    pub fn fraction(&self) -> f64 {
        self.state(|state| state.rng.random())
    }

    /// A label for a DNS name that nobody else has: 24 letters and digits, 120 bits.
    pub fn label(&self) -> String {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let bytes: [u8; 24] = self.state(|state| state.rng.random());
        bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
    }

    fn new(rng: StdRng) -> Self {
        Self(Mutex::new(State { rng, last: (0, 0) }))
    }

    fn state<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
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

    #[test]
    fn ids_of_one_millisecond_sort_in_the_order_they_were_made() {
        let chance = Chance::seeded(5);
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        let ids: Vec<_> = (0..1_000).map(|_| chance.uuid(now)).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }
}
