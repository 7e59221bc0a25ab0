//! Pictures that tenants give as their logo.

/// A picture that can be shown: no format in which scripts may stand, small, and of a modest size on the screen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Logo(Vec<u8>);

/// Why a file is no [`Logo`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidLogo {
    /// More bytes than are kept.
    #[error("it has more than 32 KiB")]
    TooLong,
    /// None of the formats that are shown.
    #[error("it is no PNG, JPEG or WebP picture")]
    Format,
    /// Nothing, or more than a browser should be made to unpack.
    #[error("it is {0} by {1} pixels; each side has 1 to 1,024")]
    Size(u32, u32),
}

impl Logo {
    /// The longest, in bytes.
    pub const LONGEST: usize = 32 * 1024;

    /// The longest side, in pixels.
    const SIDE: u32 = 1_024;

    /// Takes the bytes of a file, whatever it is called.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, InvalidLogo> {
        if bytes.len() > Self::LONGEST {
            return Err(InvalidLogo::TooLong);
        }
        let (width, height) = size(&bytes).ok_or(InvalidLogo::Format)?;
        let suits = |side| (1..=Self::SIDE).contains(&side);
        if suits(width) && suits(height) { Ok(Self(bytes)) } else { Err(InvalidLogo::Size(width, height)) }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The media type.
    pub fn media_type(&self) -> &'static str {
        match self.0.first() {
            Some(0x89) => "image/png",
            Some(0xff) => "image/jpeg",
            _ => "image/webp",
        }
    }
}

/// Width and height of a picture, in pixels; `None`: it is of none of the formats.
fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => size_of_png(bytes),
        [0xff, 0xd8, 0xff, ..] => size_of_jpeg(bytes),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => size_of_webp(bytes),
        _ => None,
    }
}

/// From the first chunk (PNG, section 11.2.2).
fn size_of_png(bytes: &[u8]) -> Option<(u32, u32)> {
    let side = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    (bytes.get(12..16)? == b"IHDR").then_some((side(16)?, side(20)?))
}

/// From the frame header, which stands behind other segments (ITU-T T.81, section B.2.2).
fn size_of_jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let mut at = 2;
    loop {
        let (mark, kind) = (*bytes.get(at)?, *bytes.get(at + 1)?);
        match kind {
            _ if mark != 0xff => return None,
            // A filling byte.
            0xff => at += 1,
            // A frame header, of whatever coding; the others in that range are tables.
            0xc0..=0xcf if !matches!(kind, 0xc4 | 0xc8 | 0xcc) => {
                return Some((number(at + 7)?.into(), number(at + 5)?.into()));
            }
            _ => at += 2 + usize::from(number(at + 2)?.max(2)),
        }
    }
}

/// From the first chunk (RFC 9649, sections 2.5 to 2.7).
fn size_of_webp(bytes: &[u8]) -> Option<(u32, u32)> {
    let byte = |at: usize| bytes.get(at).copied().map(u32::from);
    let pair = |at: usize| Some(byte(at)? | byte(at + 1)? << 8);
    match bytes.get(12..16)? {
        b"VP8X" => {
            let side = |at: usize| Some((pair(at)? | byte(at + 2)? << 16) + 1);
            Some((side(24)?, side(27)?))
        }
        b"VP8L" => {
            let bits = pair(21)? | pair(23)? << 16;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => Some((pair(26)? & 0x3fff, pair(28)? & 0x3fff)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        [&head[..], &width.to_be_bytes(), &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat()
    }

    #[test]
    fn each_format_is_known_by_its_content_and_tells_its_size() {
        let jpeg = b"\xff\xd8\xff\xe0\0\x04AB\xff\xff\xc2\0\x11\x08\0\x20\0\x40\x03";
        let webp = |chunk: &[u8]| [b"RIFF\0\0\0\0WEBP", chunk].concat();
        let plain = webp(b"VP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x40\0\x20\0");
        let lossless = webp(&[b'V', b'P', b'8', b'L', 0, 0, 0, 0, 0x2f, 0x3f, 0xc0, 0x07, 0]);
        let extended = webp(b"VP8X\x0a\0\0\0\0\0\0\0\x3f\0\0\x1f\0\0");
        for (bytes, kind) in [
            (png(64, 32), "image/png"),
            (jpeg.to_vec(), "image/jpeg"),
            (plain, "image/webp"),
            (lossless, "image/webp"),
            (extended, "image/webp"),
        ] {
            assert_eq!(size(&bytes), Some((64, 32)), "{kind} {bytes:?}");
            assert_eq!(Logo::parse(bytes).unwrap().media_type(), kind);
        }
    }

    #[test]
    fn what_can_hold_scripts_or_is_too_large_is_refused() {
        let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
        for bad in [&svg[..], b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8X"]
        {
            assert_eq!(Logo::parse(bad.to_vec()), Err(InvalidLogo::Format), "{bad:?}");
        }
        assert_eq!(Logo::parse(png(50_000, 50_000)), Err(InvalidLogo::Size(50_000, 50_000)));
        assert_eq!(Logo::parse(png(0, 1)), Err(InvalidLogo::Size(0, 1)));
        let mut long = png(64, 64);
        long.resize(Logo::LONGEST + 1, 0);
        assert_eq!(Logo::parse(long), Err(InvalidLogo::TooLong));
    }
}
