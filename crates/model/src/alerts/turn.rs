//! What becomes of an alert: opened, told again as it grows more pressing, resolved. Each letter once.

use time::{Duration, OffsetDateTime};

use super::{AlertLevel, Gathered};

/// More names than this are an incident.
const CROWD: u64 = 20;

/// How long a first letter waits for the rest of what happens at the same time, so that it can say how many there are.
const SETTLES: Duration = Duration::minutes(10);

/// The same when shoppers may notice soon.
const SETTLES_SOON: Duration = Duration::minutes(2);

/// How long a cause must be gone before it counts as mended.
const QUIET: Duration = Duration::minutes(15);

/// An alert, as it is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AlertState {
    /// When its cause was first seen.
    pub opened_at: OffsetDateTime,
    /// How pressing it is now.
    pub level: AlertLevel,
    /// The most pressing level that a letter told of.
    pub told: Option<AlertLevel>,
    /// A letter told of it as an incident.
    pub is_incident: bool,
    /// Its cause was not seen since.
    pub quiet_since: Option<OffsetDateTime>,
}

/// What a letter says.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Word {
    /// The first, at this level.
    Opened(AlertLevel),
    /// It has grown more pressing.
    Reminder(AlertLevel),
    /// Many names have it.
    Incident(AlertLevel),
    /// It is over.
    Resolved,
}

impl Word {
    /// What tells the letters of one alert apart; none is sent twice.
    pub fn key(self) -> &'static str {
        match self {
            Self::Opened(level) | Self::Reminder(level) => level.as_str(),
            Self::Incident(_) => "incident",
            Self::Resolved => "resolved",
        }
    }

    /// How pressing it is; `None`: whoever was told before is told.
    pub fn level(self) -> Option<AlertLevel> {
        match self {
            Self::Opened(level) | Self::Reminder(level) | Self::Incident(level) => Some(level),
            Self::Resolved => None,
        }
    }
}

/// One look's consequence for an alert.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AlertTurn {
    /// What is kept of it.
    pub state: AlertState,
    /// The letter that goes out.
    pub word: Option<Word>,
    /// It is over.
    pub is_over: bool,
}

/// What becomes of the alert `before` (`None`: there is none), of whose cause a look at `now` has `seen` this. `None`: there
/// still is none.
pub fn take_turn(
    before: Option<AlertState>,
    seen: Option<&Gathered>,
    now: OffsetDateTime,
) -> Option<AlertTurn> {
    let found = seen.and_then(|seen| Some((seen.names, seen.level?)));
    match (before, found) {
        (None, None) => None,
        (Some(state), None) => Some(quiet(state, now)),
        (None, Some((names, level))) => {
            let state =
                AlertState { opened_at: now, level, told: None, is_incident: false, quiet_since: None };
            Some(told(state, names, now))
        }
        (Some(state), Some((names, level))) => {
            Some(told(AlertState { level, quiet_since: None, ..state }, names, now))
        }
    }
}

fn quiet(state: AlertState, now: OffsetDateTime) -> AlertTurn {
    let since = state.quiet_since.unwrap_or(now);
    let is_over = now - since >= QUIET;
    // Who was told nothing is told no end of it.
    let word = (is_over && state.told.is_some()).then_some(Word::Resolved);
    AlertTurn { state: AlertState { quiet_since: Some(since), ..state }, word, is_over }
}

fn told(state: AlertState, names: u64, now: OffsetDateTime) -> AlertTurn {
    let is_new = state.told < Some(state.level);
    let word = match state.told {
        _ if names > CROWD && !state.is_incident => Some(Word::Incident(state.level)),
        None if now - state.opened_at >= settles(state.level) => Some(Word::Opened(state.level)),
        Some(_) if is_new => Some(Word::Reminder(state.level)),
        _ => None,
    };
    let told = if word.is_some() { state.told.max(Some(state.level)) } else { state.told };
    let is_incident = state.is_incident || matches!(word, Some(Word::Incident(_)));
    AlertTurn { state: AlertState { told, is_incident, ..state }, word, is_over: false }
}

fn settles(level: AlertLevel) -> Duration {
    if level >= AlertLevel::Urgent { SETTLES_SOON } else { SETTLES }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::properties::gathered;

    const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    /// The letters of looks at these minutes, at each of which so many names were seen at a level.
    fn words(looks: &[(i64, u64, Option<AlertLevel>)]) -> Vec<Word> {
        let (mut state, mut words) = (None, Vec::new());
        for (minute, names, level) in looks {
            let seen = level.map(|level| gathered(*names, level));
            if let Some(turn) = take_turn(state, seen.as_ref(), START + Duration::minutes(*minute)) {
                words.extend(turn.word);
                state = (!turn.is_over).then_some(turn.state);
            }
        }
        words
    }

    use AlertLevel::{Expired, Late, Notice, Page, Urgent};

    #[test]
    fn a_letter_goes_out_at_each_level_once_and_when_it_is_over() {
        let letters = words(&[
            (0, 1, Some(Late)),
            (10, 1, Some(Late)),
            (20, 1, Some(Late)),
            (30, 1, Some(Urgent)),
            (40, 1, Some(Late)),
            (50, 1, Some(Urgent)),
            (60, 1, Some(Page)),
            (70, 1, Some(Expired)),
            (80, 0, None),
            (95, 0, None),
        ]);
        let reminders = [Urgent, Page, Expired].map(Word::Reminder);
        assert_eq!(letters[0], Word::Opened(Late));
        assert_eq!(letters[1..4], reminders);
        assert_eq!(letters[4..], [Word::Resolved]);
    }

    #[test]
    fn many_names_of_one_moment_make_one_letter() {
        assert_eq!(
            words(&[(0, 3, Some(Notice)), (2, 400, Some(Notice)), (12, 1_000, Some(Notice))]),
            [Word::Incident(Notice)]
        );
    }

    #[test]
    fn what_was_over_before_anybody_was_told_is_never_told() {
        assert_eq!(words(&[(0, 1, Some(Notice)), (5, 0, None), (30, 0, None)]), []);
    }

    #[test]
    fn a_cause_that_is_gone_for_a_moment_is_not_over() {
        let letters =
            [(0, 1, Some(Late)), (10, 1, Some(Late)), (15, 0, None), (20, 1, Some(Late)), (25, 0, None)];
        assert_eq!(words(&letters), [Word::Opened(Late)]);
    }

    #[test]
    fn what_shoppers_notice_soon_is_told_within_minutes() {
        assert_eq!(words(&[(0, 1, Some(Expired)), (2, 1, Some(Expired))]), [Word::Opened(Expired)]);
    }
}
