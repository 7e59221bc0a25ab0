//! What stands in files.

use std::path::{Path, PathBuf};

/// A file and what it holds.
pub struct Found {
    /// Where, below the directory that was searched.
    pub path: PathBuf,
    /// Its bytes.
    pub content: Vec<u8>,
}

impl Found {
    /// Whether `text` is in the path or the content.
    pub fn mentions(&self, text: &str) -> bool {
        let needle = text.as_bytes();
        self.path.to_string_lossy().contains(text)
            || self.content.windows(needle.len().max(1)).any(|window| window == needle)
    }
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
