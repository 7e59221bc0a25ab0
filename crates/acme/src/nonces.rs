//! Nonces that finished orders left over (RFC 8555 section 6.5).

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// More than orders finish at once; older ones are likely spent.
const MOST: usize = 256;

/// CAs keep nonces for at least this long; a stale one costs a request, as none would have.
const FRESH: Duration = Duration::from_secs(60);

/// Saves the request for a nonce at the beginning of each order: every answer brings one, and the last answer of an
/// order leaves it unused.
#[derive(Default)]
pub(crate) struct Nonces(Mutex<Vec<(String, Instant)>>);

impl Nonces {
    pub(crate) fn put(&self, nonce: String) {
        let mut nonces = self.0.lock().expect("no holder of this lock panics");
        if nonces.len() >= MOST {
            nonces.remove(0);
        }
        nonces.push((nonce, Instant::now()));
    }

    /// The youngest nonce, unless even that is old.
    pub(crate) fn take(&self) -> Option<String> {
        let mut nonces = self.0.lock().expect("no holder of this lock panics");
        let (nonce, since) = nonces.pop()?;
        if since.elapsed() > FRESH {
            nonces.clear();
            return None;
        }
        Some(nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_given_out_once() {
        let nonces = Nonces::default();
        nonces.put("a".to_owned());
        assert_eq!(nonces.take().as_deref(), Some("a"));
        assert_eq!(nonces.take(), None);
    }

    #[test]
    fn the_store_of_nonces_is_bounded() {
        let nonces = Nonces::default();
        (0..2 * MOST).for_each(|number| nonces.put(number.to_string()));
        assert_eq!(std::iter::from_fn(|| nonces.take()).count(), MOST);
    }
}
