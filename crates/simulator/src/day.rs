//! What happened on a day.

/// A day of a simulation.
#[derive(Clone, Debug)]
pub struct Day {
    /// Certificates for names that had none.
    pub new: u32,
    /// Renewals.
    pub renewed: u32,
    /// Renewals that the CA exempted because they came within its window.
    pub in_window: u32,
    /// Names that wait for a limit, at the end of the day.
    pub deferred: u32,
    /// Names that are due and wait for a worker or for the CA, at the end of the day.
    pub waiting: u32,
    /// 429s by a published limit, which our ledger should have foreseen.
    pub rate_limited: u32,
    /// Orders that met a CA which was out.
    pub unavailable: u32,
    /// Certificates that ended before they were replaced.
    pub expired: u32,
    /// Questions about renewals (RFC 9773).
    pub polls: u64,
    ages: Ages,
}

/// How long renewals were due before they were done, in steps of a fifth.
#[derive(Clone, Debug)]
pub(crate) struct Ages(Vec<u32>);

/// Enough for a year of seconds.
const STEPS: usize = 96;
const STEP: f64 = 1.2;

impl Day {
    pub(crate) fn empty() -> Self {
        Self {
            new: 0,
            renewed: 0,
            in_window: 0,
            deferred: 0,
            waiting: 0,
            rate_limited: 0,
            unavailable: 0,
            expired: 0,
            polls: 0,
            ages: Ages(Vec::new()),
        }
    }

    /// Orders that came to a certificate.
    pub fn orders(&self) -> u32 {
        self.new + self.renewed
    }

    /// The age in seconds at which `part` in `0.0..=1.0` of the day's renewals had been done, counted from when they were due.
    pub fn age(&self, part: f64) -> u32 {
        Self::age_over(std::slice::from_ref(self), part)
    }

    /// The same over several days.
    pub fn age_over(days: &[Self], part: f64) -> u32 {
        let count =
            |step: usize| days.iter().map(|day| day.ages.0.get(step).copied().unwrap_or(0)).sum::<u32>();
        let counts: Vec<u32> = (0..STEPS).map(count).collect();
        let wanted = f64::from(counts.iter().sum::<u32>()) * part;
        let mut seen = 0.0;
        let reached = counts.iter().position(|count| {
            seen += f64::from(*count);
            seen >= wanted && seen > 0.0
        });
        reached.map_or(0, |step| STEP.powi(step as i32) as u32)
    }

    pub(crate) fn note_age(&mut self, seconds: u32) {
        let step = (f64::from(seconds.max(1)).ln() / STEP.ln()).ceil() as usize;
        self.ages.0.resize(STEPS, 0);
        self.ages.0[step.min(STEPS - 1)] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_to_a_fifth() {
        let mut day = Day::empty();
        assert_eq!(day.age(0.5), 0);
        for seconds in 1..=1_000 {
            day.note_age(seconds);
        }
        assert!((500..=600).contains(&day.age(0.5)), "{}", day.age(0.5));
        assert!((990..=1_190).contains(&day.age(0.99)), "{}", day.age(0.99));
    }
}
