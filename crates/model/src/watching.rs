//! What follows from a look at what a name is served with, as a browser sees it.

use time::{Duration, OffsetDateTime};

use crate::status::{UnknownStatus, closed_set};

closed_set! {
    /// What a handshake with a name showed.
    SeenServed {
        /// The certificate that is meant, with its chain, within its dates.
        Right = "right",
        /// Another one of ours that is valid for the name.
        Other = "other",
        /// Nothing that a browser takes.
        Invalid = "invalid",
        /// No load balancer of ours at the name, or none that answers: nothing to judge by.
        Unreachable = "unreachable",
    }
}

/// Looks in a row that must show the same before it counts: one may fall into a reload.
const LOOKS: u32 = 2;

/// What is remembered from look to look.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct WatchMemory {
    /// Looks in a row that showed something wrong.
    pub wrong_looks: u32,
    /// Since when.
    pub wrong_since: Option<OffsetDateTime>,
    /// Whether a problem was opened.
    pub has_alarmed: bool,
}

/// What follows from a look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WatchTurn {
    /// What is remembered.
    pub memory: WatchMemory,
    /// A problem is opened, or kept up to date.
    pub opens: bool,
    /// The problem that was opened is closed.
    pub closes: bool,
    /// The wait until the next look.
    pub wait: Duration,
}

/// What follows from a look that showed `seen`. While a delivery of the name is under way, what is wrong does not count yet.
/// `chance` in `0.0..1.0` spreads what came together.
pub fn after_watch(
    before: WatchMemory,
    seen: SeenServed,
    is_being_delivered: bool,
    chance: f64,
    now: OffsetDateTime,
) -> WatchTurn {
    let spread = |wait: Duration, more: Duration| wait + more * chance.clamp(0.0, 1.0);
    let stay = |wait| WatchTurn { memory: before, opens: false, closes: false, wait };
    match seen {
        SeenServed::Right => WatchTurn {
            memory: WatchMemory::default(),
            opens: false,
            closes: before.has_alarmed,
            wait: spread(Duration::hours(8), Duration::hours(8)),
        },
        SeenServed::Unreachable => stay(spread(Duration::minutes(30), Duration::minutes(30))),
        _ if is_being_delivered => stay(spread(Duration::minutes(2), Duration::minutes(1))),
        SeenServed::Other | SeenServed::Invalid => {
            let wrong_looks = before.wrong_looks.saturating_add(1);
            let opens = wrong_looks >= LOOKS;
            let memory = WatchMemory {
                wrong_looks,
                wrong_since: before.wrong_since.or(Some(now)),
                has_alarmed: before.has_alarmed || opens,
            };
            let minutes = if opens { 10 } else { 1 };
            WatchTurn {
                memory,
                opens,
                closes: false,
                wait: spread(Duration::minutes(minutes), Duration::MINUTE),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn turns(looks: &[(SeenServed, bool)]) -> Vec<(bool, bool)> {
        let mut memory = WatchMemory::default();
        let turn = |(seen, delivering): &(SeenServed, bool)| {
            let turn = after_watch(memory, *seen, *delivering, 0.0, NOW);
            memory = turn.memory;
            (turn.opens, turn.closes)
        };
        looks.iter().map(turn).collect()
    }

    #[test]
    fn the_second_wrong_look_opens_and_the_first_right_one_closes() {
        use SeenServed::{Invalid, Other, Right};
        let looks = [(Invalid, false), (Other, false), (Invalid, false), (Right, false), (Right, false)];
        assert_eq!(
            turns(&looks),
            [(false, false), (true, false), (true, false), (false, true), (false, false)]
        );
    }

    #[test]
    fn what_is_being_delivered_alarms_nobody() {
        use SeenServed::{Other, Right};
        assert_eq!(turns(&[(Other, true), (Other, true), (Right, false)]), [(false, false); 3]);
    }

    #[test]
    fn what_cannot_be_reached_says_nothing() {
        use SeenServed::{Invalid, Unreachable};
        let looks = [(Invalid, false), (Unreachable, false), (Invalid, false)];
        assert_eq!(turns(&looks), [(false, false), (false, false), (true, false)]);
    }

    #[test]
    fn names_that_are_right_are_looked_at_twice_a_day_and_spread() {
        let wait = |chance| after_watch(WatchMemory::default(), SeenServed::Right, false, chance, NOW).wait;
        assert_eq!([wait(0.0), wait(1.0)], [Duration::hours(8), Duration::hours(16)]);
    }
}
