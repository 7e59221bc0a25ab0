//! Master keys and the file that holds them.

use aws_lc_rs::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use data_encoding::BASE64;
use zeroize::Zeroizing;

/// How a line of the key file begins.
const MARK: &str = "certmill-master-key-1:";

/// A key that wraps data keys.
pub struct MasterKey {
    pub(crate) id: [u8; 16],
    pub(crate) bytes: Zeroizing<[u8; 32]>,
}

/// Why a text is no key file. The text itself is never part of the message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidKeyFile {
    /// No line with a key.
    #[error("the file holds no master key")]
    Empty,
    /// A line that is no key.
    #[error("line {0} is not of the form {MARK}<44 characters of base64>")]
    Line(usize),
}

impl MasterKey {
    /// A new key.
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        SystemRandom::new().fill(&mut *bytes).expect("the system's random number generator works");
        Self::from_bytes(bytes)
    }

    /// The line that stands for this key in a key file.
    pub fn to_line(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{MARK}{}\n", BASE64.encode(&*self.bytes)))
    }

    /// Reads a key file: a key a line, the active one first; `#` begins a comment.
    pub fn parse_file(text: &str) -> Result<Vec<Self>, InvalidKeyFile> {
        let lines = text.lines().map(str::trim).enumerate();
        let keys = lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(index, line)| Self::parse_line(line).ok_or(InvalidKeyFile::Line(index + 1)))
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(InvalidKeyFile::Empty) } else { Ok(keys) }
    }

    fn parse_line(line: &str) -> Option<Self> {
        let decoded = Zeroizing::new(BASE64.decode(line.strip_prefix(MARK)?.as_bytes()).ok()?);
        Some(Self::from_bytes(Zeroizing::new(decoded.as_slice().try_into().ok()?)))
    }

    /// The id follows from the key, so that the same key has the same id in every file.
    fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"certmill master key id");
        context.update(&*bytes);
        let id = context.finish().as_ref()[..16].try_into().expect("SHA-256 has 32 bytes");
        Self { id, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_line() {
        let key = MasterKey::generate();
        let file = format!("# active\n{}\n", *key.to_line());
        let read = MasterKey::parse_file(&file).expect("a key file");
        assert_eq!((read.len(), read[0].id), (1, key.id));
    }

    #[test]
    fn an_error_names_the_line_and_shows_nothing_of_it() {
        let error = MasterKey::parse_file("# x\ncertmill-master-key-1:c2VjcmV0\n").err().expect("too short");
        assert_eq!(error, InvalidKeyFile::Line(2));
        assert!(!error.to_string().contains("c2VjcmV0"));
        assert_eq!(MasterKey::parse_file("\n").err(), Some(InvalidKeyFile::Empty));
    }
}
