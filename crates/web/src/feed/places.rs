//! How many streams there may be: each holds a connection for as long as it lasts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::response::{IntoResponse, Response};
use certmill_model::TenantId;
use certmill_store::Reach;
use http::{StatusCode, header::RETRY_AFTER};

use crate::problem::Problem;

/// Streams of this process, and those that one tenant may have of them.
const ALL: usize = 512;
const OF_ONE: usize = 32;

/// Who has streams open.
#[derive(Default)]
pub(crate) struct Places {
    taken: Mutex<HashMap<Option<TenantId>, usize>>,
}

/// The right to a stream; it ends with the stream.
pub(crate) struct Place {
    places: Arc<Places>,
    owner: Option<TenantId>,
}

impl Places {
    /// A place for somebody with this `reach`.
    pub(crate) fn take(self: &Arc<Self>, reach: Reach) -> Result<Place, Box<Response>> {
        let owner = reach.tenant();
        let mut taken = self.taken.lock().expect("nobody panics with the lock held");
        let (all, own) = (taken.values().sum::<usize>(), taken.get(&owner).copied().unwrap_or_default());
        if all >= ALL || own >= OF_ONE {
            return Err(Box::new(([(RETRY_AFTER, "30")], too_many()).into_response()));
        }
        taken.insert(owner, own + 1);
        Ok(Place { places: Arc::clone(self), owner })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().expect("nobody panics with the lock held");
        if let Some(count) = taken.get_mut(&self.owner) {
            *count -= 1;
        }
        taken.retain(|_, count| *count > 0);
    }
}

fn too_many() -> Problem {
    let detail =
        format!("There are {OF_ONE} streams of this tenant open, or too many altogether. Close one first.");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", "Too many streams", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_stream_ends() {
        let places = Arc::new(Places::default());
        let held: Vec<_> = (0..OF_ONE).map(|_| places.take(Reach::Platform).expect("a free place")).collect();
        assert!(places.take(Reach::Platform).is_err());
        drop(held);
        assert!(places.take(Reach::Platform).is_ok());
    }
}
