//! When which domain is to be looked at: a queue of hours, and of minutes within the current hour. A heap of ten million
//! would spend the simulation on comparing.

use crate::instant::{HOUR, MINUTE, Second};

pub(crate) struct Calendar {
    hours: Vec<Vec<u32>>,
    minutes: Vec<Vec<u32>>,
    /// The minute that is being worked on, since the origin.
    now: u32,
}

const MINUTES: u32 = HOUR / MINUTE;

impl Calendar {
    /// An empty one from `start` to `end`. What is put down behind the end is forgotten.
    pub(crate) fn new(start: Second, end: Second) -> Self {
        let minutes = (0..MINUTES).map(|_| Vec::new()).collect();
        let hours = (0..=end / HOUR).map(|_| Vec::new()).collect();
        Self { hours, minutes, now: start / MINUTE }
    }

    /// Puts `domain` down for `at`, or for the next minute if that has passed.
    pub(crate) fn put(&mut self, domain: u32, at: Second) {
        let minute = at.div_ceil(MINUTE).max(self.now + 1);
        if minute / MINUTES == self.now / MINUTES {
            self.minutes[(minute % MINUTES) as usize].push(domain);
        } else if let Some(hour) = self.hours.get_mut((minute / MINUTES) as usize) {
            hour.push(domain);
        }
    }

    /// Moves on to the next minute and hands out who was put down for it, those who have been put down elsewhere since
    /// included. `due` tells when a domain is to be looked at by now.
    pub(crate) fn next_minute(&mut self, due: impl Fn(u32) -> Second) -> Vec<u32> {
        self.now += 1;
        if self.now.is_multiple_of(MINUTES) {
            let hour =
                self.hours.get_mut((self.now / MINUTES) as usize).map(std::mem::take).unwrap_or_default();
            for domain in hour {
                // What came too late for the hour before is due at once.
                let minute = due(domain).div_ceil(MINUTE).max(self.now);
                if minute / MINUTES == self.now / MINUTES {
                    self.minutes[(minute % MINUTES) as usize].push(domain);
                }
            }
        }
        std::mem::take(&mut self.minutes[(self.now % MINUTES) as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_handed_out_once_and_never_early() {
        let at = [59, 60, 61, 3_599, 3_600, 3_601, 90_000, 999_999];
        let mut calendar = Calendar::new(0, 100_000);
        for (domain, at) in at.iter().enumerate() {
            calendar.put(domain as u32, *at);
        }
        let mut seen = Vec::new();
        for minute in 1..=100_000 / MINUTE {
            for domain in calendar.next_minute(|domain| at[domain as usize]) {
                assert!(
                    minute * MINUTE >= at[domain as usize] && minute * MINUTE < at[domain as usize] + MINUTE
                );
                seen.push(domain);
            }
        }
        assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
    }
}
