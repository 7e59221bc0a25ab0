//! The renewal of one certificate as a state machine: state in, answer and time in, state out.

use time::{Duration, OffsetDateTime};

use super::{Forecast, RenewalAnswer, SuggestedWindow, Validity};
use crate::Chance;

/// A CA whose certificates are due at once must not be asked in a circle: the least time until a renewal, and the least part
/// of its life that a certificate serves whose CA wants it replaced in its very first answer.
const SOONEST_RENEWAL: Duration = Duration::HOUR;
const SERVED_AT_FIRST: i32 = 20;

/// The bounds of a CA's wish when to be asked again (RFC 9773 section 4.3.2).
const SHORTEST_POLL: Duration = Duration::MINUTE;
const LONGEST_POLL: Duration = Duration::DAY;

/// When a CA is asked again that did not say when, or said nothing of use (RFC 9773 section 4.3.3).
const USUAL_POLL: Duration = Duration::hours(6);

/// How much later than planned a CA is asked again that did not say when, as a part of the wait.
const POLL_JITTER: f64 = 0.1;

/// When a certificate is renewed, and when its CA is asked about that. It belongs to one certificate and ends with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RenewalPlan {
    /// When the certificate is renewed.
    pub renew_at: OffsetDateTime,
    /// What the CA last suggested.
    pub window: Option<SuggestedWindow>,
    /// The page on which the CA says why.
    pub explanation_url: Option<String>,
    /// When the CA is asked; `None` if not at all or not any more.
    pub poll_at: Option<OffsetDateTime>,
    /// How often in a row it had no answer of use.
    pub poll_failures: u32,
}

impl RenewalPlan {
    /// The plan for a certificate that came in `now`, whose CA can be asked (`asks_ca`) or not.
    pub fn first(
        validity: Validity,
        asks_ca: bool,
        forecast: &Forecast,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Self {
        let jittered = validity.jittered(chance.fraction());
        let renew_at = level(validity, jittered, forecast, chance, now).max(now + SOONEST_RENEWAL);
        Self {
            renew_at,
            window: None,
            explanation_url: None,
            poll_at: asks_ca.then_some(now),
            poll_failures: 0,
        }
    }

    /// The plan after the CA's `answer`. The instant of a renewal is chosen once per window and kept while the window is
    /// the same: chosen anew at each poll, it would drift forward.
    #[must_use]
    pub fn answered(
        &self,
        validity: Validity,
        answer: &RenewalAnswer,
        forecast: &Forecast,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> Self {
        let failures = self.poll_failures.saturating_add(1);
        let next = |wait| Some(now + wait).filter(|at| *at < validity.not_after);
        match answer {
            RenewalAnswer::Window { window, explanation_url, retry_after } => Self {
                renew_at: self.renewal_in(*window, validity, forecast, chance, now),
                window: Some(*window),
                explanation_url: explanation_url.clone(),
                poll_at: next(wish(*retry_after).unwrap_or_else(|| jittered(USUAL_POLL, chance))),
                poll_failures: 0,
            },
            RenewalAnswer::Busy { retry_after } => {
                let wait = wish(*retry_after).unwrap_or_else(|| jittered(patience(failures), chance));
                Self { poll_at: next(wait), poll_failures: failures, ..self.clone() }
            }
            RenewalAnswer::Useless => {
                let wait = jittered(USUAL_POLL, chance);
                Self { poll_at: next(wait), poll_failures: failures, ..self.clone() }
            }
        }
    }

    fn renewal_in(
        &self,
        window: SuggestedWindow,
        validity: Validity,
        forecast: &Forecast,
        chance: &Chance,
        now: OffsetDateTime,
    ) -> OffsetDateTime {
        let fallback = validity.fallback();
        // The windows of a revoked certificate lie in the past and move on with every answer.
        let still_past = |before: SuggestedWindow| before.is_past(now) && window.is_past(now);
        let unchanged = self.window.is_some_and(|before| before == window || still_past(before));
        // Only what was due at once waits beyond the fallback.
        let was_due_at_once = self.renew_at > fallback;
        if unchanged || was_due_at_once {
            return self.renew_at;
        }
        let soonest = match self.window {
            None => now.max(self.renew_at.min(now + SOONEST_RENEWAL)).max(served_at_first(validity)),
            Some(_) => now,
        };
        let chosen = if window.is_past(now) {
            now
        } else {
            level(validity, window.pick(fallback, chance.fraction()), forecast, chance, now)
        };
        chosen.max(soonest).min(fallback)
    }
}

/// Counted from its issuance: a first answer that comes late, perhaps because the CA was away, is heeded at once.
fn served_at_first(validity: Validity) -> OffsetDateTime {
    validity.not_before + validity.lifetime() / SERVED_AT_FIRST
}

/// Moves a renewal out of an overfull hour, but never into the past.
fn level(
    validity: Validity,
    at: OffsetDateTime,
    forecast: &Forecast,
    chance: &Chance,
    now: OffsetDateTime,
) -> OffsetDateTime {
    forecast.level(at, validity.floor().max(now), validity.cycle(), chance)
}

/// A CA's wish, within bounds.
fn wish(retry_after: Option<Duration>) -> Option<Duration> {
    retry_after.map(|wait| wait.clamp(SHORTEST_POLL, LONGEST_POLL))
}

/// The wait after the failure number `failures` in a row: 1, 2, 4 … minutes, and six hours at most.
fn patience(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(10);
    (SHORTEST_POLL * (1_i32 << doublings)).min(USUAL_POLL)
}

/// So that certificates whose CA was away together do not ask it together.
fn jittered(wait: Duration, chance: &Chance) -> Duration {
    wait + wait * (POLL_JITTER * chance.fraction())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
    const LIFE: Validity =
        Validity { not_before: START, not_after: START.saturating_add(Duration::days(45)) };

    fn window(start: Duration, end: Duration) -> SuggestedWindow {
        SuggestedWindow::new(START + start, START + end).unwrap()
    }

    fn answer(window: SuggestedWindow) -> RenewalAnswer {
        let retry_after = Some(Duration::hours(6));
        RenewalAnswer::Window { window, explanation_url: None, retry_after }
    }

    fn first(chance: &Chance) -> RenewalPlan {
        RenewalPlan::first(LIFE, true, &Forecast::default(), chance, START)
    }

    fn answered(plan: &RenewalPlan, answer: &RenewalAnswer, now: OffsetDateTime) -> RenewalPlan {
        plan.answered(LIFE, answer, &Forecast::default(), &Chance::seeded(3), now)
    }

    #[test]
    fn the_instant_is_kept_while_the_window_is_the_same_and_chosen_anew_when_it_moves() {
        let suggested = answer(window(Duration::days(29), Duration::days(30)));
        let plan = answered(&first(&Chance::seeded(1)), &suggested, START);
        let other_chance = Chance::seeded(9);
        let again =
            plan.answered(LIFE, &suggested, &Forecast::default(), &other_chance, START + Duration::DAY);
        assert_eq!(again.renew_at, plan.renew_at);
        let earlier = window(Duration::days(20), Duration::days(21));
        let moved = answered(&plan, &answer(earlier), START + Duration::DAY);
        assert!(earlier.contains(moved.renew_at));
    }

    #[test]
    fn a_window_in_the_past_means_now_once_however_it_slides() {
        let plan = answered(
            &first(&Chance::seeded(1)),
            &answer(window(Duration::days(29), Duration::days(30))),
            START,
        );
        let now = START + Duration::days(3);
        let past = |hours| answer(window(Duration::hours(hours), Duration::hours(hours + 1)));
        let urgent = answered(&plan, &past(70), now);
        assert_eq!(urgent.renew_at, now);
        assert_eq!(answered(&urgent, &past(76), now + Duration::hours(6)).renew_at, now);
    }

    #[test]
    fn a_ca_that_wants_everything_replaced_at_once_is_not_asked_in_a_circle() {
        let past = answer(window(-Duration::hours(2), -Duration::HOUR));
        let plan = answered(&first(&Chance::seeded(1)), &past, START);
        assert_eq!(plan.renew_at, START + Duration::hours(54), "a twentieth of its life");
        let hours = Validity { not_before: START, not_after: START + Duration::hours(10) };
        let plan = RenewalPlan::first(hours, true, &Forecast::default(), &Chance::seeded(1), START);
        let plan = plan.answered(hours, &past, &Forecast::default(), &Chance::seeded(1), START);
        assert_eq!(plan.renew_at, START + SOONEST_RENEWAL);
        let stillborn = Validity { not_before: START, not_after: START + Duration::SECOND };
        let plan = RenewalPlan::first(stillborn, true, &Forecast::default(), &Chance::seeded(1), START);
        assert_eq!(plan.renew_at, START + SOONEST_RENEWAL);
        let chance = Chance::seeded(1);
        assert_eq!(
            plan.answered(stillborn, &past, &Forecast::default(), &chance, START).renew_at,
            plan.renew_at
        );
    }

    #[test]
    fn a_first_answer_that_comes_late_is_heeded_within_the_hour() {
        let now = START + Duration::days(5);
        let past = answer(window(Duration::days(4), Duration::days(4) + Duration::HOUR));
        assert_eq!(answered(&first(&Chance::seeded(1)), &past, now).renew_at, now + SOONEST_RENEWAL);
    }

    #[test]
    fn a_window_beyond_the_fallback_is_not_waited_for() {
        let late = answer(window(Duration::days(40), Duration::days(44)));
        let plan = answered(&first(&Chance::seeded(1)), &late, START);
        assert_eq!(plan.renew_at, LIFE.fallback());
    }

    #[test]
    fn the_ca_is_asked_again_when_it_wants_within_a_minute_and_a_day() {
        let plan = first(&Chance::seeded(1));
        let window = window(Duration::days(29), Duration::days(30));
        for (wish, wait) in [
            (Duration::ZERO, Duration::MINUTE),
            (Duration::hours(5), Duration::hours(5)),
            (Duration::days(400), Duration::DAY),
        ] {
            let answer = RenewalAnswer::Window { window, explanation_url: None, retry_after: Some(wish) };
            assert_eq!(answered(&plan, &answer, START).poll_at, Some(START + wait));
        }
    }

    #[test]
    fn a_busy_ca_is_asked_less_and_less_often_and_answers_of_no_use_wait_six_hours() {
        let mut plan = first(&Chance::seeded(1));
        let renew_at = plan.renew_at;
        for minutes in [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360] {
            plan = answered(&plan, &RenewalAnswer::Busy { retry_after: None }, START);
            let wait = plan.poll_at.unwrap() - START;
            let step = Duration::minutes(minutes);
            assert!(wait >= step && wait <= step * 1.1, "{wait} after {} failures", plan.poll_failures);
        }
        plan = answered(&plan, &RenewalAnswer::Useless, START);
        assert!(plan.poll_at.unwrap() - START >= Duration::hours(6));
        assert_eq!((plan.renew_at, plan.poll_failures), (renew_at, 12));
    }

    #[test]
    fn a_ca_is_not_asked_about_what_has_ended() {
        let plan = first(&Chance::seeded(1));
        let last_day = LIFE.not_after - Duration::HOUR;
        assert_eq!(answered(&plan, &RenewalAnswer::Useless, last_day).poll_at, None);
        let silent = RenewalPlan::first(LIFE, false, &Forecast::default(), &Chance::seeded(1), START);
        assert_eq!(silent.poll_at, None);
    }
}
