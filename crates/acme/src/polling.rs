//! When to look at an order that the CA works on: about when it was done with others lately. Each look costs both sides a
//! signature and counts against the CA's limits, so one that comes too early is worth avoiding.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// What the CA is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Awaited {
    /// That it is convinced of the challenges.
    Validation,
    /// The certificate.
    Certificate,
}

/// Waits at one CA. Cheap to clone; the clones learn together.
#[derive(Clone)]
pub(crate) struct Polling {
    initial_delay: Duration,
    usual: Arc<Mutex<Usual>>,
}

/// How long the CA usually takes.
#[derive(Clone, Copy)]
struct Usual {
    validation: Duration,
    certificate: Duration,
}

impl Polling {
    const LONGEST_DELAY: Duration = Duration::from_secs(10);

    /// The first look comes so many times later than the configured wait at most.
    const LATEST: u32 = 16;

    /// A first look that came too early lengthens the wait by a sixteenth, one that did not shortens it by a 64th: in the
    /// long run four of five come in time.
    const LONGER: f64 = 1.0 + 1.0 / 16.0;
    const SHORTER: f64 = 1.0 - 1.0 / 64.0;

    pub(crate) fn new(initial_delay: Duration) -> Self {
        let initial_delay = initial_delay.max(Duration::from_millis(1));
        let usual = Usual { validation: initial_delay, certificate: initial_delay };
        Self { initial_delay, usual: Arc::new(Mutex::new(usual)) }
    }

    /// The wait before the first look.
    pub(crate) fn first(&self, awaited: Awaited) -> Duration {
        let mut usual = *self.usual.lock().expect("no holder of this lock panics");
        *usual.of(awaited)
    }

    /// The wait before the look after one that came `delay` after the one before.
    pub(crate) fn next(delay: Duration) -> Duration {
        (delay * 2).min(Self::LONGEST_DELAY)
    }

    /// The wait before the second look: what was nearly done is done soon.
    pub(crate) fn second(&self, first: Duration) -> Duration {
        (first / 2).max(self.initial_delay)
    }

    /// Takes note of what the first look found.
    pub(crate) fn learn(&self, awaited: Awaited, was_done: bool) {
        let mut usual = self.usual.lock().expect("no holder of this lock panics");
        let usual = usual.of(awaited);
        let changed = usual.mul_f64(if was_done { Self::SHORTER } else { Self::LONGER });
        *usual = changed.clamp(self.initial_delay, self.initial_delay * Self::LATEST);
    }
}

impl Usual {
    fn of(&mut self, awaited: Awaited) -> &mut Duration {
        match awaited {
            Awaited::Validation => &mut self.validation,
            Awaited::Certificate => &mut self.certificate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INITIAL: Duration = Duration::from_millis(10);

    /// Looks `rounds` times at a CA that takes `takes`; returns how many of the first looks came in time.
    fn look(polling: &Polling, takes: Duration, rounds: u32) -> u32 {
        let mut in_time = 0;
        for _ in 0..rounds {
            let was_done = polling.first(Awaited::Validation) >= takes;
            in_time += u32::from(was_done);
            polling.learn(Awaited::Validation, was_done);
        }
        in_time
    }

    #[test]
    fn the_first_look_comes_when_the_ca_is_usually_done() {
        let polling = Polling::new(INITIAL);
        look(&polling, INITIAL * 8, 200);
        let in_time = look(&polling, INITIAL * 8, 1_000);
        assert!((700..=900).contains(&in_time), "{in_time}");
        assert!(polling.first(Awaited::Validation) < INITIAL * 9);
        assert_eq!(polling.first(Awaited::Certificate), INITIAL);
    }

    #[test]
    fn a_ca_that_has_become_fast_is_looked_at_early_again() {
        let polling = Polling::new(INITIAL);
        look(&polling, INITIAL * 100, 200);
        assert_eq!(polling.first(Awaited::Validation), INITIAL * Polling::LATEST);
        look(&polling, Duration::ZERO, 200);
        assert_eq!(polling.first(Awaited::Validation), INITIAL);
    }

    #[test]
    fn polls_become_rarer_up_to_ten_seconds() {
        let mut delay = Polling::new(Duration::from_millis(250)).first(Awaited::Validation);
        let mut total = Duration::ZERO;
        for _ in 0..10 {
            total += delay;
            delay = Polling::next(delay);
        }
        assert_eq!(delay, Polling::LONGEST_DELAY);
        assert!(total < Duration::from_secs(60));
    }
}
