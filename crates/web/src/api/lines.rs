//! Lines that come in bit by bit, as many as there are, of which none is ever held that is too long.

/// The longest that a line may be, in bytes.
pub(super) const LONGEST: usize = 16 * 1024;

/// A line that came in.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Line {
    /// Its text; it may be empty.
    Text(String),
    /// It is longer than a line may be.
    TooLong,
    /// It is no UTF-8.
    NotUtf8,
}

/// Takes bytes, and gives lines.
#[derive(Default)]
pub(super) struct Lines {
    open: Vec<u8>,
    /// The open line is too long already: the rest of it is left out.
    is_too_long: bool,
}

impl Lines {
    /// Takes `bytes`; the lines that end with them, without what ends them.
    pub(super) fn take<'a>(&'a mut self, bytes: &'a [u8]) -> impl Iterator<Item = Line> + 'a {
        bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|part| {
            let (part, ends) = part.strip_suffix(b"\n").map_or((part, false), |part| (part, true));
            if self.is_too_long || self.open.len() + part.len() > LONGEST {
                self.is_too_long = true;
                self.open.clear();
            } else {
                self.open.extend_from_slice(part);
            }
            ends.then(|| self.end())
        })
    }

    /// The last line, if nothing ended it.
    pub(super) fn rest(mut self) -> Option<Line> {
        (self.is_too_long || !self.open.is_empty()).then(|| self.end())
    }

    fn end(&mut self) -> Line {
        let bytes = std::mem::take(&mut self.open);
        if std::mem::take(&mut self.is_too_long) {
            return Line::TooLong;
        }
        let bytes = bytes.strip_suffix(b"\r").map_or(bytes.as_slice(), |bytes| bytes);
        String::from_utf8(bytes.to_vec()).map_or(Line::NotUtf8, Line::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<Line> {
        let mut lines = Lines::default();
        let mut found: Vec<_> = Vec::new();
        for part in parts {
            found.extend(lines.take(part));
        }
        found.extend(lines.rest());
        found
    }

    fn text(text: &str) -> Line {
        Line::Text(text.to_owned())
    }

    #[test]
    fn lines_are_found_wherever_the_bytes_are_cut() {
        let whole = b"one\r\n\ntw\xc3\xb6\nthree";
        let expected = [text("one"), text(""), text("twö"), text("three")];
        for cut in 0..=whole.len() {
            assert_eq!(lines(&[&whole[..cut], &whole[cut..]]), expected, "{cut}");
        }
        let bytes: Vec<_> = whole.chunks(1).collect();
        assert_eq!(lines(&bytes), expected);
        assert_eq!(lines(&[b"one\n"]), [text("one")]);
        assert_eq!(lines(&[]), []);
    }

    #[test]
    fn a_line_that_is_too_long_or_no_text_harms_no_other() {
        let long = vec![b'x'; LONGEST + 1];
        let just = vec![b'y'; LONGEST];
        let found = lines(&[b"a\n", &long, &long, b"\n\xff\nb\n", &just, b"\n", &long]);
        let just = String::from_utf8(just).unwrap();
        assert_eq!(
            found,
            [text("a"), Line::TooLong, Line::NotUtf8, text("b"), Line::Text(just), Line::TooLong]
        );
    }

    #[test]
    fn no_more_than_one_line_is_held() {
        let mut taken = Lines::default();
        for _ in 0..100 {
            assert_eq!(taken.take(&vec![b'x'; 100_000]).count(), 0);
            assert!(taken.open.capacity() <= 2 * LONGEST, "{}", taken.open.capacity());
        }
    }
}
