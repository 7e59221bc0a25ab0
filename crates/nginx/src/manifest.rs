//! What a release holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::shard_of_path;

/// The files of a release by path, each with its SHA-256 in lower-case hexadecimal.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Manifest(BTreeMap<String, String>);

/// What must be sent to turn one release into another.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ManifestDiff {
    /// Paths whose content is new or another.
    pub changed: BTreeSet<String>,
    /// Paths that are no more.
    pub removed: BTreeSet<String>,
}

impl Manifest {
    /// The paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The text of a release's `MANIFEST`, as `sha256sum -c` reads it.
    pub fn to_text(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, (path, digest)| {
            writeln!(text, "{digest}  {path}").expect("writing to a string cannot fail");
            text
        })
    }

    /// Reads a `MANIFEST`; `None` if it is none.
    pub fn from_text(text: &str) -> Option<Self> {
        let lines = text.lines().map(|line| {
            let (digest, path) = line.split_once("  ")?;
            let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
            (is_digest && !path.is_empty()).then(|| (path.to_owned(), digest.to_owned()))
        });
        lines.collect::<Option<_>>().map(Self)
    }

    /// This manifest with the files of one shard replaced by `files`, which are all that the shard has.
    #[must_use]
    pub fn with_shard_replaced(&self, shard: u8, files: &BTreeMap<String, Vec<u8>>) -> Self {
        self.with_replaced(|path| shard_of_path(path) == Some(shard), files)
    }

    /// This manifest with the files that belong to no shard replaced by `files`.
    #[must_use]
    pub fn with_top_replaced(&self, files: &BTreeMap<String, Vec<u8>>) -> Self {
        self.with_replaced(|path| shard_of_path(path).is_none(), files)
    }

    /// This manifest with `path` as `live` has it; `None`: it has no such file.
    #[must_use]
    pub fn with_kept(mut self, path: &str, live: &Self) -> Option<Self> {
        self.0.insert(path.to_owned(), live.0.get(path)?.clone());
        Some(self)
    }

    /// This manifest with the files of one shard as `live` has them.
    #[must_use]
    pub fn with_shard_kept(&self, shard: u8, live: &Self) -> Self {
        let is_of_shard = |path: &str| shard_of_path(path) == Some(shard);
        let mut kept = self.with_replaced(is_of_shard, &BTreeMap::new());
        let of_shard = live.0.iter().filter(|(path, _)| is_of_shard(path));
        kept.0.extend(of_shard.map(|(path, digest)| (path.clone(), digest.clone())));
        kept
    }

    /// What differs from `previous`.
    pub fn diff(&self, previous: &Self) -> ManifestDiff {
        let changed = self.0.iter().filter(|(path, digest)| previous.0.get(*path) != Some(*digest));
        let removed = previous.0.keys().filter(|path| !self.0.contains_key(*path));
        ManifestDiff {
            changed: changed.map(|(path, _)| path.clone()).collect(),
            removed: removed.cloned().collect(),
        }
    }

    fn with_replaced(&self, is_replaced: impl Fn(&str) -> bool, files: &BTreeMap<String, Vec<u8>>) -> Self {
        let kept = self.0.iter().filter(|(path, _)| !is_replaced(path));
        let mut all: BTreeMap<_, _> = kept.map(|(path, digest)| (path.clone(), digest.clone())).collect();
        all.extend(files.iter().map(|(path, content)| (path.clone(), sha256_hex(content))));
        Self(all)
    }
}

pub(crate) fn sha256_hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(given: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        given.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect()
    }

    #[test]
    fn a_changed_shard_differs_in_its_own_files_only() {
        let first = Manifest::default()
            .with_top_replaced(&files(&[("certmill.conf", "1")]))
            .with_shard_replaced(1, &files(&[("names/a/01.conf", "x"), ("names/b/01.conf", "x")]))
            .with_shard_replaced(2, &files(&[("names/a/02.conf", "y")]));
        let second = first.with_shard_replaced(1, &files(&[("names/a/01.conf", "z")]));
        let diff = second.diff(&first);
        assert_eq!(diff.changed, BTreeSet::from(["names/a/01.conf".to_owned()]));
        assert_eq!(diff.removed, BTreeSet::from(["names/b/01.conf".to_owned()]));
        assert_eq!(second.diff(&second), ManifestDiff::default());
    }

    #[test]
    fn a_manifest_comes_back_from_its_text() {
        let manifest = Manifest::default().with_top_replaced(&files(&[("b", "1"), ("a", "")]));
        let text = manifest.to_text();
        assert!(text.starts_with("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n"));
        assert_eq!(Manifest::from_text(&text), Some(manifest));
        assert_eq!(Manifest::from_text("nonsense"), None);
    }
}
