use proptest::prelude::*;

use super::*;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn rate() -> impl Strategy<Value = Rate> {
    (1_u32..200, 1_i64..100_000_000_000)
        .prop_map(|(capacity, micros)| Rate::new(capacity, Duration::microseconds(micros)))
}

fn drained(rate: Rate, now: OffsetDateTime) -> Bucket {
    let mut bucket = Bucket::full(now);
    while let Ok(less) = bucket.take(rate, 0, now) {
        bucket = less;
    }
    bucket
}

proptest! {
    #[test]
    fn no_interval_holds_more_than_the_capacity_and_what_came_back(
        rate in rate(),
        waits in proptest::collection::vec((0_u32..4_000, any::<bool>()), 1..400),
    ) {
        let mut bucket = Bucket::full(NOW);
        let mut now = NOW;
        let mut taken = Vec::new();
        for (wait, several) in waits {
            now += rate.interval() * (f64::from(wait) / 1_000.0);
            if several && let Ok((less, count)) = bucket.take_up_to(rate, 7, now) {
                bucket = less;
                taken.extend((0..count).map(|_| now));
            } else if let Ok(less) = bucket.take(rate, 0, now) {
                bucket = less;
                taken.push(now);
            }
        }
        for (first, from) in taken.iter().enumerate() {
            for (last, to) in taken.iter().enumerate().skip(first) {
                let came_back = (*to - *from) / rate.interval();
                prop_assert!((last - first + 1) as f64 <= f64::from(rate.capacity) + came_back + 1e-6);
            }
        }
    }

    #[test]
    fn at_the_slot_that_was_told_there_is_one_and_a_moment_before_there_is_none(rate in rate(), reserve in 0_u32..20) {
        prop_assume!(reserve < rate.capacity);
        let bucket = drained(rate, NOW);
        let slot = bucket.take(rate, reserve, NOW).unwrap_err();
        prop_assert!(bucket.take(rate, reserve, slot).is_ok());
        prop_assert!(bucket.take(rate, reserve, slot - Duration::MICROSECOND).is_err());
    }

    #[test]
    fn as_many_are_left_as_can_be_taken(rate in rate(), used in 0_u32..250, later in 0_i64..1_000_000_000) {
        let mut bucket = Bucket::full(NOW);
        for _ in 0..used {
            bucket = bucket.take(rate, 0, NOW).unwrap_or(bucket);
        }
        let now = NOW + Duration::microseconds(later);
        let left = bucket.left(rate, now);
        for _ in 0..left {
            bucket = bucket.take(rate, 0, now).unwrap();
        }
        prop_assert!(bucket.take(rate, 0, now).is_err());
    }
}

#[test]
fn a_full_bucket_gives_its_capacity_at_once_and_then_one_an_interval() {
    let rate = Rate::new(300, Duration::hours(3));
    let bucket = drained(rate, NOW);
    assert_eq!(bucket.full_at, NOW + Duration::hours(3));
    assert_eq!(bucket.take(rate, 0, NOW), Err(NOW + Duration::seconds(36)));
}

#[test]
fn what_is_given_back_can_be_taken_again() {
    let rate = Rate::new(3, Duration::HOUR);
    let back = drained(rate, NOW).give_back(rate);
    assert!(back.take(rate, 0, NOW).is_ok());
    assert_eq!(Bucket::full(NOW).give_back(rate).left(rate, NOW), 3, "never more than its capacity");
}

#[test]
fn a_held_bucket_gives_nothing_before_and_one_at_the_instant_that_the_ca_named() {
    let rate = Rate::new(300, Duration::hours(3));
    let until = NOW + Duration::hours(1);
    let held = Bucket::full(NOW).hold(Some(rate), until);
    assert_eq!(held.take(rate, 0, NOW), Err(until));
    let after = held.take(rate, 0, until).unwrap();
    assert_eq!(after.take(rate, 0, until), Err(until + Duration::seconds(36)));
    assert_eq!(held.hold(None, NOW).held_until, Some(until), "a shorter word does not shorten a longer one");
}

#[test]
fn failures_that_were_never_asked_for_empty_the_bucket_and_no_more() {
    let rate = Rate::new(5, Duration::HOUR);
    let noted = (0..9).fold(Bucket::full(NOW), |bucket, _| bucket.note(rate, NOW));
    assert_eq!(noted.take(rate, 0, NOW), Err(NOW + Duration::minutes(12)));
}

#[test]
fn a_rate_that_was_lowered_counts_from_an_empty_bucket_at_most() {
    let day = drained(Rate::new(10, Duration::DAY), NOW);
    assert_eq!(day.take(Rate::new(10, Duration::MINUTE), 0, NOW), Err(NOW + Duration::seconds(6)));
}

#[test]
fn a_tenants_bulk_work_leaves_a_reserve_for_the_single_name_of_another() {
    let rate = Rate::new(300, Duration::hours(3));
    let (mut shared, mut own, mut now, mut taken) = (Bucket::full(NOW), Bucket::full(NOW), NOW, 0);
    // A day of it, tried every second.
    for _ in 0..86_400 {
        now += Duration::SECOND;
        if let Ok(buckets) = take_fairly(rate, shared, own, now) {
            (shared, own) = buckets;
            taken += 1;
        }
        assert!(take_fairly(rate, shared, Bucket::full(now), now).is_ok(), "another's single name");
    }
    assert!(taken >= 2_400 + 240, "and takes all the rest: {taken}");
}

#[test]
fn those_who_wait_get_a_date_each_at_the_pace_of_the_refill() {
    let rate = Rate::new(300, Duration::hours(3));
    let slot = NOW + Duration::seconds(36);
    let first = next_date(rate, slot, None, 0);
    let second = next_date(rate, slot, Some(first), 0);
    assert_eq!((first, second), (slot, slot + Duration::seconds(36)));
    assert_eq!(
        next_date(rate, slot, Some(second), 1),
        second + Duration::seconds(72),
        "shared with one more"
    );
    assert_eq!(next_date(rate, slot, Some(NOW - Duration::DAY), 0), slot, "nobody waits any more");
}
