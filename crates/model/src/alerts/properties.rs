//! What holds for every life, every failure and every look; and what other tests build on.

use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use super::*;
use crate::{DomainId, Hostname, ProblemCode, TenantId, Validity};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// The name `number`: three renewals failed because of a CAA record, and its certificate of 90 days ends in 29 days and that
/// many minutes.
pub(super) fn hit(number: u32) -> Hit {
    let not_after = NOW + Duration::days(29) + Duration::minutes(number.into());
    Hit {
        domain_id: DomainId::nil(),
        name: Hostname::parse(&format!("shop{number}.shops.example")).unwrap(),
        tenant_id: TenantId::nil(),
        code: ProblemCode::CaaForbids,
        detail: format!("CAA record of shop{number}"),
        ca: Some("ca.example".into()),
        target: None,
        unreachable: Vec::new(),
        served: Served::Valid(Validity { not_before: not_after - Duration::days(90), not_after }),
        renew_at: Some(not_after - Duration::days(30)),
        failures: 3,
        since: NOW,
        last_attempt_at: NOW,
        next_attempt_at: None,
    }
}

/// A cause that so many names have.
pub(super) fn gathered(names: u64, level: AlertLevel) -> Gathered {
    Gathered {
        cause: hit(1).cause(),
        names,
        level: Some(level),
        first: Vec::new(),
        since: NOW,
        last_attempt_at: NOW,
        next_attempt_at: None,
        detail: String::new(),
    }
}

fn look() -> impl Strategy<Value = (i64, Option<Gathered>)> {
    let seen = (1_u64..60, prop::sample::select(AlertLevel::ALL.to_vec()));
    (1_i64..400, prop::option::of(seen))
        .prop_map(|(minutes, seen)| (minutes, seen.map(|(names, level)| gathered(names, level))))
}

proptest! {
    #[test]
    fn no_letter_of_an_alert_goes_out_twice(looks in prop::collection::vec(look(), 1..60)) {
        let (mut now, mut state, mut sent) = (NOW, None, std::collections::HashSet::new());
        for (minutes, seen) in looks {
            now += Duration::minutes(minutes);
            let Some(turn) = take_turn(state, seen.as_ref(), now) else { continue };
            if let Some(word) = turn.word {
                prop_assert!(sent.insert(word.key()), "{word:?} twice");
            }
            state = (!turn.is_over).then_some(turn.state);
            if turn.is_over {
                sent.clear();
            }
        }
    }

    #[test]
    fn letters_grow_more_pressing_and_the_end_is_told_to_whom_the_beginning_was(looks in prop::collection::vec(look(), 1..60)) {
        let (mut now, mut state, mut told): (_, _, Option<AlertLevel>) = (NOW, None, None);
        for (minutes, seen) in looks {
            now += Duration::minutes(minutes);
            let Some(turn) = take_turn(state, seen.as_ref(), now) else { continue };
            match turn.word {
                Some(Word::Opened(level)) => prop_assert!(told.is_none() && level == turn.state.level),
                Some(Word::Reminder(level)) => prop_assert!(Some(level) > told),
                Some(Word::Resolved) => prop_assert!(told.is_some()),
                Some(Word::Incident(_)) | None => {}
            }
            told = if turn.is_over { None } else { turn.state.told };
            state = (!turn.is_over).then_some(turn.state);
        }
    }

    #[test]
    fn a_name_only_becomes_more_pressing_with_time(days in 1_i64..400, renew in 0.0..0.66_f64, failures in 0_u32..9) {
        let validity = Validity { not_before: NOW, not_after: NOW + Duration::days(days) };
        let renew_at = Some(NOW + validity.lifetime() * renew);
        let hit = Hit { served: Served::Valid(validity), renew_at, failures, ..hit(1) };
        let levels: Vec<_> = (0..=200).map(|part| hit.level(NOW + validity.lifetime() / 200 * part)).collect();
        prop_assert!(levels.is_sorted());
    }
}
