//! Whole simulations, small ones.

use std::sync::LazyLock;

use time::Duration;

use crate::*;

/// 5,000 names at a CA that lets an account order 300 new ones in three hours.
fn small() -> Scenario {
    Scenario {
        domains: 5_000,
        days: 120,
        lifetime: Duration::days(45),
        limits: "orders-per-3h=300".parse().unwrap(),
        ramp: 0,
        outages: Vec::new(),
        revocations: Vec::new(),
        imports: Vec::new(),
        seed: 1,
    }
}

fn run(scenario: &Scenario) -> Outcome {
    simulate(scenario, |_, _| {})
}

static CALM: LazyLock<Outcome> = LazyLock::new(|| run(&small()));

/// What must hold whatever happens. In a small fleet chance adds to a day what it does not in a large one.
fn assert_well(outcome: &Outcome) {
    assert_eq!((outcome.expired(), outcome.foreseeable(), outcome.without()), (0, 0, 0));
    let settled = outcome.settled().expect("there was time to settle");
    let most = 1.1 * settled.mean + (3.0 * settled.mean.sqrt()).max(10.0);
    assert!(f64::from(settled.peak) <= most, "{}", table(outcome));
}

#[test]
fn names_that_came_all_at_once_are_renewed_evenly_for_ever_after() {
    assert_well(&CALM);
    let new: Vec<_> = CALM.days.iter().map(|day| day.new).collect();
    assert!((2_650..=2_700).contains(&new[0]), "a burst of 300, and 2,400 a day: {new:?}");
    let (late, renewed) = CALM.days[70..]
        .iter()
        .fold((0, 0), |(late, renewed), day| (late + day.renewed - day.in_window, renewed + day.renewed));
    assert!(late * 20 < renewed, "nearly all are renewed within their window: {late} of {renewed} are not");
}

#[test]
fn a_ledger_that_knows_nothing_runs_into_limits_that_were_published() {
    let scenario = Scenario { days: 3, ..small() };
    let limits = scenario.limits.clone().unknown_to_us();
    let outcome = run(&Scenario { limits, ..scenario });
    assert!(outcome.foreseeable() > 100, "{} were counted", outcome.foreseeable());
}

#[test]
fn a_ledger_that_does_not_count_requests_runs_into_the_limits_of_the_load_balancer() {
    let scenario = Scenario { days: 3, ..small() };
    let limits = scenario.limits.clone().with_unknown_requests();
    let outcome = run(&Scenario { limits, ..scenario });
    assert!(outcome.foreseeable() > 10, "{} were counted", outcome.foreseeable());
    let unavailable: u32 = outcome.days.iter().map(|day| day.unavailable).sum();
    assert_eq!(unavailable, 0, "a limit is no outage");
}

#[test]
fn an_outage_of_a_day_at_the_worst_hour_costs_no_certificate_and_leaves_no_wave() {
    let outages = vec!["worst+24h".parse().unwrap()];
    let outcome = run(&Scenario { outages, ..small() });
    assert_well(&outcome);
    let unavailable: u32 = outcome.days.iter().map(|day| day.unavailable).sum();
    assert!((5..2_000).contains(&unavailable), "the CA is found out, and then left alone: {unavailable}");
    assert!(outcome.raw().unwrap().peak > outcome.settled().unwrap().peak, "what waited was caught up with");
}

#[test]
fn a_tenth_is_replaced_within_a_day_when_it_is_revoked() {
    let revocations = vec!["60:10".parse().unwrap()];
    let outcome = run(&Scenario { revocations, ..small() });
    assert_well(&outcome);
    let (revoked, left, took) = outcome.replacements().next().unwrap();
    assert!((430..570).contains(&revoked) && left == 0 && took < Duration::DAY, "{revoked} {left} {took}");
}

#[test]
fn a_revocation_in_the_middle_of_an_outage_is_heard_of_when_it_is_over() {
    let (revocations, outages) = (vec!["60:10".parse().unwrap()], vec!["59.5+24h".parse().unwrap()]);
    let outcome = run(&Scenario { outages, revocations, ..small() });
    assert_eq!((outcome.expired(), outcome.foreseeable()), (0, 0));
    let (_, left, took) = outcome.replacements().next().unwrap();
    assert!(left == 0 && took > Duration::hours(12) && took < Duration::hours(24), "{took}");
}

#[test]
fn an_import_as_large_as_a_third_of_the_fleet_is_spread_once() {
    let imports = vec!["40:1500".parse().unwrap()];
    assert_well(&run(&Scenario { imports, ..small() }));
}

#[test]
fn every_usual_lifetime_is_renewed_in_time_and_without_waves() {
    for (hours, days) in [(160, 40), (64 * 24, 180), (90 * 24, 200), (200 * 24, 420)] {
        let lifetime = Duration::hours(hours);
        let limits = "orders-per-3h=1200".parse().unwrap();
        assert_well(&run(&Scenario { lifetime, days, limits, domains: 3_000, ..small() }));
    }
}

#[test]
fn the_same_seed_is_the_same_year() {
    let scenario = Scenario { domains: 500, days: 60, ..small() };
    assert_eq!(csv(&run(&scenario)), csv(&run(&scenario)));
    assert_ne!(csv(&run(&scenario)), csv(&run(&Scenario { seed: 2, ..scenario })));
}

#[test]
fn the_table_ends_with_the_verdict_and_the_csv_has_a_line_per_day() {
    let table = table(&CALM);
    let verdict = table.lines().last().unwrap();
    assert!(
        verdict.starts_with("peak/mean = 1.") && verdict.ends_with(", expiries = 0, foreseeable 429s = 0")
    );
    assert_eq!(csv(&CALM).lines().count(), 121);
    assert!(charts(&CALM).iter().all(|(_, svg)| svg.starts_with("<svg") && svg.ends_with("</svg>\n")));
}
