//! How many attempts begin at a time, and how many of them one tenant may have under way.

/// Room for attempts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WebhookRoom {
    /// So many may begin.
    pub all: usize,
    /// So many of one tenant may be under way, with those that are.
    pub of_one: usize,
}

/// What may begin where `free` places are left; `None`: nothing. A tenant has no more than a quarter of what the others leave
/// free, and one turn takes half of it: however many fill their share, there is a place for whoever comes next.
pub fn webhook_room(free: usize) -> Option<WebhookRoom> {
    (free > 0).then(|| WebhookRoom { all: free.div_ceil(2), of_one: free.div_ceil(4) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: usize = 512;

    /// What so many tenants have under way who never have enough, and whose attempts never end.
    fn filled(tenants: usize) -> Vec<usize> {
        let mut under_way = vec![0_usize; tenants];
        loop {
            let used: usize = under_way.iter().sum();
            let Some(room) = webhook_room(PLACES - used) else { return under_way };
            // Whoever has the fewest comes first, as they are claimed.
            for _ in 0..room.all {
                let fewest = under_way.iter_mut().min().expect("there are tenants");
                *fewest += usize::from(*fewest < room.of_one);
            }
            if under_way.iter().sum::<usize>() == used {
                return under_way;
            }
        }
    }

    #[test]
    fn whoever_comes_next_finds_room_however_many_take_what_they_get() {
        for tenants in [1, 2, 8, 20, 100, 300] {
            let under_way = filled(tenants);
            let free = PLACES - under_way.iter().sum::<usize>();
            assert!(free >= 1 && under_way.iter().all(|own| *own >= 1), "{tenants}: {free} of {under_way:?}");
        }
        assert!(filled(1)[0] >= 100, "alone, a tenant has many");
        assert_eq!(webhook_room(0), None);
        assert_eq!(webhook_room(1), Some(WebhookRoom { all: 1, of_one: 1 }));
    }
}
