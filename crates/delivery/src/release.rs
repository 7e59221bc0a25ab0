//! A release on its way to a target.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::DeliveryError;

/// What turns one release on a target into the next.
#[derive(Clone, Debug)]
pub struct Release {
    /// Its number; numbers only grow.
    pub number: i64,
    /// The release whose files it begins with; `None` if `changed` has them all.
    pub previous: Option<i64>,
    /// New and changed files: content by path.
    pub changed: BTreeMap<String, Vec<u8>>,
    /// Paths that are no more.
    pub removed: BTreeSet<String>,
    /// The text of its `MANIFEST`, which names every file of it.
    pub manifest: String,
}

impl Release {
    /// Refuses paths that could lead out of the release.
    pub(crate) fn check(&self) -> Result<(), DeliveryError> {
        let all = self.changed.keys().chain(&self.removed);
        match all.into_iter().find(|path| !is_release_path(path)) {
            None => Ok(()),
            Some(path) => Err(DeliveryError::StepFailed {
                step: "checking the release",
                detail: format!("{path:?} is no path of a release"),
            }),
        }
    }
}

/// `bytes` in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

fn is_release_path(path: &str) -> bool {
    let is_part = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !part.is_empty() && !part.starts_with(['.', '-']) && part.bytes().all(allowed)
    };
    path != "MANIFEST" && path.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_in_its_release() {
        assert!(is_release_path("names/storefront-cached/0a.conf"));
        for bad in ["", "/a", "a/", "../a", "a/../b", "a b", "-a", ".a", "a\nb", "MANIFEST", "$a", "a//b"] {
            assert!(!is_release_path(bad), "{bad:?}");
        }
    }
}
