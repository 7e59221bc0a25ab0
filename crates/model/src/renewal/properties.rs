//! What holds for every certificate, every answer and every chance.

use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use super::*;
use crate::Chance;

const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// The lifetimes that are or will be usual: 160 hours and 45, 64, 90 and 200 days.
const LIFETIMES: [i64; 5] = [160, 45 * 24, 64 * 24, 90 * 24, 200 * 24];

fn validity() -> impl Strategy<Value = Validity> {
    prop_oneof![prop::sample::select(LIFETIMES.to_vec()), 3_i64..10_000]
        .prop_map(|hours| Validity { not_before: START, not_after: START + Duration::hours(hours) })
}

fn answer() -> impl Strategy<Value = RenewalAnswer> {
    let seconds = |range| prop::option::of(range).prop_map(|wait: Option<i64>| wait.map(Duration::seconds));
    let window = (-10_000_000_i64..30_000_000, 1_i64..3_000_000, seconds(-10_i64..10_000_000)).prop_map(
        |(start, length, retry_after)| RenewalAnswer::Window {
            window: SuggestedWindow::new(
                START + Duration::seconds(start),
                START + Duration::seconds(start + length),
            )
            .unwrap(),
            explanation_url: None,
            retry_after,
        },
    );
    let busy = seconds(0_i64..10_000_000).prop_map(|retry_after| RenewalAnswer::Busy { retry_after });
    prop_oneof![4 => window, 1 => busy, 1 => Just(RenewalAnswer::Useless)]
}

/// Answers with what they come after the one before, in minutes; and a forecast of anything.
fn history() -> impl Strategy<Value = (Vec<(i64, RenewalAnswer)>, Forecast, u64)> {
    let answers = prop::collection::vec((1_i64..3_000, answer()), 0..8);
    let forecast = prop::collection::vec((0_i64..5_000, 0_u32..200), 0..200).prop_map(|counts| {
        Forecast::from_counts(counts.into_iter().map(|(at, count)| (START + Duration::hours(at), count)))
    });
    (answers, forecast, any::<u64>())
}

proptest! {
    #[test]
    fn no_renewal_is_later_than_the_fallback(validity in validity(), (answers, forecast, seed) in history()) {
        let chance = Chance::seeded(seed);
        let mut plan = RenewalPlan::first(validity, true, &forecast, &chance, START);
        let mut now = START;
        prop_assert!(plan.renew_at <= validity.fallback());
        for (wait, answer) in answers {
            now += Duration::minutes(wait);
            plan = plan.answered(validity, &answer, &forecast, &chance, now);
            prop_assert!(plan.renew_at <= validity.fallback());
        }
    }

    #[test]
    fn only_a_ca_makes_a_renewal_earlier_than_the_floor(validity in validity(), (answers, forecast, seed) in history()) {
        let chance = Chance::seeded(seed);
        let mut plan = RenewalPlan::first(validity, true, &forecast, &chance, START);
        prop_assert!(plan.renew_at >= validity.floor());
        for (_, answer) in answers {
            plan = plan.answered(validity, &answer, &forecast, &chance, START);
            let suggested = plan.window.map_or(validity.floor(), |window| window.start().min(validity.floor()));
            prop_assert!(plan.renew_at >= suggested.max(START));
        }
    }

    #[test]
    fn there_is_one_instant_per_window(validity in validity(), (answers, forecast, seed) in history(), now in 0_i64..100) {
        let chance = Chance::seeded(seed);
        let now = START + Duration::hours(now);
        let mut plan = RenewalPlan::first(validity, true, &forecast, &chance, now);
        for (_, answer) in answers {
            plan = plan.answered(validity, &answer, &forecast, &chance, now);
            let again = plan.answered(validity, &answer, &forecast, &chance, now + Duration::HOUR);
            if let RenewalAnswer::Window { .. } = answer {
                prop_assert_eq!(plan.renew_at, again.renew_at);
            }
        }
    }

    #[test]
    fn answers_without_a_window_leave_the_renewal_alone(validity in validity(), (_, forecast, seed) in history()) {
        let chance = Chance::seeded(seed);
        let plan = RenewalPlan::first(validity, true, &forecast, &chance, START);
        for answer in [RenewalAnswer::Useless, RenewalAnswer::Busy { retry_after: None }] {
            let after = plan.answered(validity, &answer, &forecast, &chance, START + Duration::HOUR);
            prop_assert_eq!(after.renew_at, plan.renew_at);
        }
    }

    #[test]
    fn a_ca_is_asked_at_most_once_a_minute_and_at_least_once_a_day(validity in validity(), answer in answer(), seed: u64) {
        let (forecast, chance) = (Forecast::default(), Chance::seeded(seed));
        let plan = RenewalPlan::first(validity, true, &forecast, &chance, START);
        if let Some(at) = plan.answered(validity, &answer, &forecast, &chance, START).poll_at {
            prop_assert!(at >= START + Duration::MINUTE && at <= START + Duration::DAY && at < validity.not_after);
        }
    }
}

#[test]
fn what_was_issued_on_one_day_is_not_renewed_on_one_day() {
    for hours in LIFETIMES {
        let chance = Chance::seeded(4);
        let mut forecast = Forecast::default();
        let domains = 20_000_u32;
        let issued = |number: u32| START + Duration::DAY * (f64::from(number) / f64::from(domains));
        let mut renewals: Vec<_> = (0..domains)
            .map(|number| {
                let not_before = issued(number);
                let validity = Validity { not_before, not_after: not_before + Duration::hours(hours) };
                let plan = RenewalPlan::first(validity, false, &forecast, &chance, not_before);
                forecast.add(plan.renew_at);
                (validity.cycle(), plan.renew_at)
            })
            .collect();
        renewals.sort_by_key(|(_, at)| *at);
        let cycle = renewals[0].0;
        let fair = f64::from(domains) / (cycle.as_seconds_f64() / 3_600.0);
        let fullest = renewals.iter().map(|(_, at)| forecast.load(*at)).max().unwrap();
        assert!(f64::from(fullest) < 1.5 * fair + 20.0, "{fullest} of a fair {fair} at {hours} h");
    }
}
