//! What is worked on first, and what is not worked on any more.

use std::collections::HashMap;

use time::OffsetDateTime;

use crate::{DomainId, TenantId};

/// A domain that is due.
#[derive(Clone, Copy, Debug)]
pub struct DueDomain {
    /// The domain.
    pub domain: DomainId,
    /// Whose it is.
    pub tenant: TenantId,
    /// When its certificate ends; `None` without one.
    pub expires_at: Option<OffsetDateTime>,
    /// Since when it is due.
    pub due_at: OffsetDateTime,
}

/// Of this many places one goes to a new name while there are any: renewals of a whole fleet take hours, and they have
/// days left.
const PLACES_PER_NEW_NAME: usize = 4;

/// Claims in a row that came to no record, after which a domain's step is not run any more: it takes its worker with it.
pub const LOST_CLAIMS: u32 = 5;

/// Chooses up to `room` of `due`, in the order in which they are to be worked on: those with the least life left first, by
/// the day, with new names in between. Within a day, and within the new names, tenants take turns.
pub fn line_up(due: Vec<DueDomain>, room: usize) -> Vec<DomainId> {
    let (held, new): (Vec<_>, Vec<_>) = due.into_iter().partition(|domain| domain.expires_at.is_some());
    let day = |domain: &DueDomain| domain.expires_at.map(|at| at.unix_timestamp().div_euclid(86_400));
    let mut held = in_turns(held, day).into_iter();
    let mut new = in_turns(new, |_| ()).into_iter();
    let mut line = Vec::with_capacity(room);
    while line.len() < room {
        let turn_of_new = line.len() % PLACES_PER_NEW_NAME == PLACES_PER_NEW_NAME - 1;
        let next =
            if turn_of_new { new.next().or_else(|| held.next()) } else { held.next().or_else(|| new.next()) };
        let Some(next) = next else { break };
        line.push(next.domain);
    }
    line
}

/// Whether a domain's step is run no more, after so many claims in a row that were lost.
pub fn is_poison(lost_claims: u32) -> bool {
    lost_claims >= LOST_CLAIMS
}

/// By class; within a class each tenant's first, then each tenant's second, and so on.
fn in_turns<C: Ord + std::hash::Hash + Copy>(
    mut due: Vec<DueDomain>,
    class: impl Fn(&DueDomain) -> C,
) -> Vec<DueDomain> {
    due.sort_by_key(|domain| (domain.expires_at, domain.due_at, domain.domain));
    let mut turns: HashMap<(C, TenantId), usize> = HashMap::new();
    let mut ordered: Vec<_> = due
        .into_iter()
        .map(|domain| {
            let turn = turns.entry((class(&domain), domain.tenant)).or_default();
            *turn += 1;
            (class(&domain), *turn, domain)
        })
        .collect();
    ordered.sort_by_key(|(class, turn, _)| (*class, *turn));
    ordered.into_iter().map(|(_, _, domain)| domain).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use time::Duration;
    use uuid::Uuid;

    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn due(number: u128, tenant: u128, days_left: Option<i64>) -> DueDomain {
        DueDomain {
            domain: DomainId::from_uuid(Uuid::from_u128(number)),
            tenant: TenantId::from_uuid(Uuid::from_u128(tenant)),
            expires_at: days_left.map(|days| NOW + Duration::days(days)),
            due_at: NOW - Duration::days(1) + Duration::seconds(number as i64),
        }
    }

    fn numbers(line: &[DomainId]) -> Vec<u128> {
        line.iter().map(|domain| domain.uuid().as_u128()).collect()
    }

    #[test]
    fn the_least_life_left_comes_first_and_then_what_is_new() {
        let line = line_up(vec![due(1, 1, None), due(2, 1, Some(20)), due(3, 1, Some(2))], 9);
        assert_eq!(numbers(&line), [3, 2, 1]);
    }

    #[test]
    fn a_single_new_name_comes_before_the_second_of_another_tenants_import() {
        let mut domains: Vec<_> = (1..=50_000).map(|number| due(number, 1, None)).collect();
        domains.push(due(60_000, 2, None));
        assert_eq!(numbers(&line_up(domains, 3)), [1, 60_000, 2]);
    }

    #[test]
    fn new_names_are_not_kept_waiting_by_the_renewal_of_a_fleet() {
        let mut domains: Vec<_> = (1..=100).map(|number| due(number, 1, Some(10))).collect();
        domains.push(due(500, 2, None));
        assert_eq!(numbers(&line_up(domains, 5)), [1, 2, 3, 500, 4]);
    }

    #[test]
    fn tenants_take_turns_among_what_ends_on_the_same_day() {
        let domains = vec![due(1, 1, Some(3)), due(2, 1, Some(3)), due(3, 2, Some(3)), due(4, 2, Some(1))];
        assert_eq!(numbers(&line_up(domains, 9)), [4, 1, 3, 2]);
    }

    #[test]
    fn a_step_that_was_lost_five_times_in_a_row_is_not_run_again() {
        assert!(!is_poison(4));
        assert!(is_poison(5));
    }

    proptest! {
        #[test]
        fn of_new_names_no_tenant_gets_two_more_than_another_that_still_waits(
            tenants in proptest::collection::vec(0_u128..6, 0..200),
            room in 0_usize..250,
        ) {
            let domains: Vec<_> =
                tenants.iter().enumerate().map(|(number, tenant)| due(number as u128, *tenant, None)).collect();
            let line: HashSet<_> = line_up(domains.clone(), room).into_iter().collect();
            prop_assert_eq!(line.len(), room.min(domains.len()), "nobody twice, and no place is left free");
            let count = |tenant: u128, taken: bool| {
                let of = |domain: &&DueDomain| domain.tenant.uuid().as_u128() == tenant;
                domains.iter().filter(of).filter(|domain| line.contains(&domain.domain) == taken).count()
            };
            for waiting in (0..6).filter(|tenant| count(*tenant, false) > 0) {
                for other in 0..6 {
                    prop_assert!(count(other, true) <= count(waiting, true) + 1);
                }
            }
        }

        #[test]
        fn whoever_has_less_life_left_by_a_day_is_never_behind(
            lives in proptest::collection::vec((0_u128..4, 0_i64..60), 0..100),
            room in 0_usize..120,
        ) {
            let domains: Vec<_> = lives
                .iter()
                .enumerate()
                .map(|(number, (tenant, days))| due(number as u128, *tenant, Some(*days)))
                .collect();
            let line = line_up(domains, room);
            let days: Vec<_> = numbers(&line).iter().map(|number| lives[*number as usize].1).collect();
            prop_assert!(days.is_sorted());
        }
    }
}
