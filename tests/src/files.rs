//! What stands in files.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A file and what it holds.
pub struct Found {
    /// Where, below the directory that was searched.
    pub path: PathBuf,
    /// Its bytes.
    pub content: Vec<u8>,
}

impl Found {
    /// Whether `text` stands in the path or the content, as a word of its own: three letters are
    /// in many a hash and in the base64 of many a certificate.
    pub fn mentions(&self, text: &str) -> bool {
        [self.path.as_os_str().as_bytes(), &self.content]
            .iter()
            .any(|place| stands_in(place, text.as_bytes()))
    }
}

fn stands_in(place: &[u8], word: &[u8]) -> bool {
    let goes_on = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'+');
    place.windows(word.len().max(1)).enumerate().any(|(start, window)| {
        let before = start.checked_sub(1).and_then(|before| place.get(before));
        window == word && !goes_on(before) && !goes_on(place.get(start + word.len()))
    })
}

/// Every regular file below `directory`, by path. Files that go away meanwhile are left out.
pub fn files_below(directory: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(current) = directories.pop() {
        for entry in std::fs::read_dir(&current).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(path),
                Ok(kind) if kind.is_file() => {
                    let Ok(content) = std::fs::read(&path) else { continue };
                    let path = path.strip_prefix(directory).expect("it was found below").to_owned();
                    found.push(Found { path, content });
                }
                _ => {}
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_mentioned_only_where_it_stands_alone() {
        let file = |path: &str, content: &str| Found { path: path.into(), content: content.into() };
        assert!(file("sites/a..conf", "").mentions("a."));
        assert!(file("x", "server_name a.;").mentions("a."));
        assert!(file("x", "CON").mentions("CON"));
        assert!(!file("certificates/4f0a.pem", "").mentions("a."));
        assert!(!file("x", "MIIBCONq").mentions("CON"));
    }
}
