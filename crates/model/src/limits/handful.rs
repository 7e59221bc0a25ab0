//! Requests that one process has reserved and is about to send.

use super::Rate;

/// Of a limit, no more than this part is reserved at once: other processes wait as well.
const LARGEST_PART: u32 = 4;

/// Requests to an endpoint that wait in this process, and those reserved for them. One look into the ledger reserves for
/// all who wait then; nothing is reserved in advance, because the CA counts a request when it comes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handful {
    waiting: u32,
    reserved: u32,
}

impl Handful {
    /// One more wants to be sent.
    pub fn queue(&mut self) {
        self.waiting += 1;
    }

    /// Lets one of those that wait go; false: more must be reserved first.
    pub fn spend(&mut self) -> bool {
        if self.reserved == 0 {
            return false;
        }
        self.reserved -= 1;
        self.give_up();
        true
    }

    /// One that waits does so no more.
    pub fn give_up(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
        self.reserved = self.reserved.min(self.waiting);
    }

    /// How many to reserve for those that wait.
    pub fn wanted(&self, rate: Rate) -> u32 {
        (self.waiting - self.reserved).min((rate.capacity / LARGEST_PART).max(1))
    }

    /// So many were reserved.
    pub fn reserve(&mut self, granted: u32) {
        self.reserved = (self.reserved + granted).min(self.waiting);
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn one_reservation_serves_all_who_wait() {
        let rate = Rate::new(100, Duration::SECOND);
        let mut handful = Handful::default();
        (0..3).for_each(|_| handful.queue());
        assert!(!handful.spend());
        assert_eq!(handful.wanted(rate), 3);
        handful.reserve(3);
        assert!(handful.spend() && handful.spend() && handful.spend() && !handful.spend());
    }

    #[test]
    fn no_process_reserves_more_than_a_quarter_at_once() {
        let mut handful = Handful::default();
        (0..100).for_each(|_| handful.queue());
        assert_eq!(handful.wanted(Rate::new(100, Duration::SECOND)), 25);
        assert_eq!(handful.wanted(Rate::new(2, Duration::SECOND)), 1);
    }

    #[test]
    fn nothing_is_kept_for_those_who_gave_up() {
        let mut handful = Handful::default();
        handful.queue();
        handful.reserve(1);
        handful.give_up();
        handful.queue();
        assert!(!handful.spend());
    }
}
