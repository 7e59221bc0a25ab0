//! How a tenant appears to its own people and to the owners of its shops: a name, a colour, a place to ask for help.

use std::{fmt, str::FromStr};

use crate::{InvalidText, InvalidWebhookUrl, Label, WebhookUrl};

/// The contrast of text with what is behind it (WCAG 2.2, success criterion 1.4.3).
const ENOUGH: f64 = 4.5;

/// The darkest of the light surfaces that stand behind text in the accent colour, and the lightest of the dark ones.
const LIGHT_SURFACE: Colour = Colour([0xed, 0xf0, 0xf4]);
const DARK_SURFACE: Colour = Colour([0x24, 0x2e, 0x3a]);

/// Steps in which a colour is made darker or lighter.
const STEPS: u32 = 64;

/// A colour as screens show it (sRGB): red, green, blue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Colour([u8; 3]);

/// The colour of links and buttons. White can be read on it, and it can be read on every light surface; on dark ones a lighter
/// shade of it stands in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AccentColour(Colour);

/// Why a text is no [`AccentColour`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidAccent {
    /// It is written in another way.
    #[error("it is not written as # and six hexadecimal digits, as in #0f766e")]
    Form,
    /// Too light for white text on it, and to be text itself.
    #[error(
        "it is too light: white text on it has a contrast of {on_white:.1}:1, and it has one of {on_surface:.1}:1 on a light \
         surface; both need 4.5:1 (WCAG 2.2 AA). Try {suggestion}, the same colour but darker"
    )]
    TooLight {
        /// The contrast with white.
        on_white: f64,
        /// The contrast with the darkest light surface.
        on_surface: f64,
        /// The lightest shade of it that will do.
        suggestion: AccentColour,
    },
}

impl AccentColour {
    /// The shade of it for dark surfaces: as little lighter as can be read there. Black can be read on it.
    pub fn on_dark(self) -> impl fmt::Display {
        self.0.until_readable_on(DARK_SURFACE, Colour([0xff; 3]))
    }
}

impl FromStr for AccentColour {
    type Err = InvalidAccent;

    fn from_str(text: &str) -> Result<Self, InvalidAccent> {
        let colour = Colour::parse(text).ok_or(InvalidAccent::Form)?;
        let on_surface = colour.contrast(LIGHT_SURFACE);
        if on_surface < ENOUGH {
            let suggestion = Self(colour.until_readable_on(LIGHT_SURFACE, Colour([0; 3])));
            let on_white = colour.contrast(Colour([0xff; 3]));
            return Err(InvalidAccent::TooLight { on_white, on_surface, suggestion });
        }
        Ok(Self(colour))
    }
}

impl fmt::Display for AccentColour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Colour {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        if is_plain { Some(Self([part(0)?, part(2)?, part(4)?])) } else { None }
    }

    /// WCAG 2.2, "relative luminance": from 0 (black) to 1 (white).
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// WCAG 2.2, "contrast ratio": from 1 to 21.
    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// The colour itself, or as far on the way to `end` as it has to go until it can be read on `surface`.
    fn until_readable_on(self, surface: Self, end: Self) -> Self {
        let shades = (0..=STEPS).map(|step| self.towards(end, step));
        shades.into_iter().find(|shade| shade.contrast(surface) >= ENOUGH).unwrap_or(end)
    }

    fn towards(self, end: Self, step: u32) -> Self {
        let mix = |from: u8, to: u8| (u32::from(from) * (STEPS - step) + u32::from(to) * step) / STEPS;
        let parts = [0, 1, 2].map(|part| mix(self.0[part], end.0[part]));
        Self(parts.map(|part| u8::try_from(part).unwrap_or(u8::MAX)))
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// What a tenant calls the product: a [`Label`] that fits into the head of a page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProductName(Label);

/// Why a text is no [`ProductName`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidProductName {
    /// It is no [`Label`].
    #[error(transparent)]
    Text(#[from] InvalidText),
    /// It does not fit.
    #[error("it has more than {} characters", ProductName::MAX)]
    TooLong,
}

impl ProductName {
    const MAX: usize = 40;

    /// Parses a name from outside.
    pub fn parse(input: &str) -> Result<Self, InvalidProductName> {
        let label = Label::parse(input)?;
        if label.as_str().chars().count() > Self::MAX {
            return Err(InvalidProductName::TooLong);
        }
        Ok(Self(label))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// A page where people find help: an `https` address, of the form that webhooks have too.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SupportUrl(String);

impl SupportUrl {
    /// Parses an address from outside.
    pub fn parse(input: &str) -> Result<Self, InvalidWebhookUrl> {
        let url: WebhookUrl = input.parse()?;
        if url.is_https() { Ok(Self(url.to_string())) } else { Err(InvalidWebhookUrl::Scheme) }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a tenant appears. What is not set is certmill's, or the tenant's plain name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Branding {
    /// What the product is called.
    pub product_name: Option<ProductName>,
    /// Where people find help.
    pub support_url: Option<SupportUrl>,
    /// The colour of links and buttons.
    pub accent: Option<AccentColour>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_what_wcag_says_it_is() {
        let contrast = |one: &str, two: &str| {
            let (one, two) = (Colour::parse(one).unwrap(), Colour::parse(two).unwrap());
            format!("{:.2}", one.contrast(two))
        };
        // The well-known greys at the limit, and the ends.
        assert_eq!(contrast("#000000", "#ffffff"), "21.00");
        assert_eq!(contrast("#767676", "#ffffff"), "4.54");
        assert_eq!(contrast("#777777", "#ffffff"), "4.48");
        assert_eq!(contrast("#0000ff", "#0000ff"), "1.00");
    }

    #[test]
    fn a_colour_that_is_too_light_is_refused_with_one_that_is_not() {
        for light in ["#ffcc00", "#ffffff", "#767676", "#00ffff"] {
            let Err(InvalidAccent::TooLight { suggestion, .. }) = light.parse::<AccentColour>() else {
                panic!("{light} is taken");
            };
            let suggested: Result<AccentColour, _> = suggestion.to_string().parse();
            assert_eq!(suggested, Ok(suggestion), "{light}");
        }
        let words = "#ffcc00".parse::<AccentColour>().unwrap_err().to_string();
        assert!(words.contains("contrast of 1.5:1") && words.contains("Try #"), "{words}");
    }

    #[test]
    fn every_colour_that_is_taken_can_be_read_everywhere() {
        let (white, black) = (Colour([0xff; 3]), Colour([0; 3]));
        let parts = [0, 0x33, 0x66, 0x99, 0xcc, 0xff];
        let all = parts.iter().flat_map(|r| parts.iter().flat_map(move |g| parts.map(|b| [*r, *g, b])));
        for accent in all.filter_map(|parts| Colour(parts).to_string().parse::<AccentColour>().ok()) {
            let dark = Colour::parse(&accent.on_dark().to_string()).unwrap();
            for (text, behind) in
                [(white, accent.0), (accent.0, LIGHT_SURFACE), (dark, DARK_SURFACE), (black, dark)]
            {
                assert!(text.contrast(behind) >= ENOUGH, "{accent}: {text} on {behind}");
            }
        }
    }

    #[test]
    fn only_six_digits_are_a_colour() {
        for bad in ["", "#fff", "0f766e", "#0f766g", "#0f766e;", "red", "#é0f76", "#+1+1+1", "#0F766E "] {
            assert_eq!(bad.parse::<AccentColour>(), Err(InvalidAccent::Form), "{bad}");
        }
        assert_eq!("#0F766E".parse::<AccentColour>().unwrap().to_string(), "#0f766e");
    }

    #[test]
    fn help_is_at_an_https_address_and_a_name_fits_a_head() {
        assert_eq!(SupportUrl::parse("https://Help.Example/x").unwrap().as_str(), "https://help.example/x");
        for bad in ["http://help.example", "javascript:alert(1)", "https://a@b", "help.example", ""] {
            assert!(SupportUrl::parse(bad).is_err(), "{bad}");
        }
        assert!(ProductName::parse("Läden 北").is_ok());
        assert_eq!(ProductName::parse(&"x".repeat(41)), Err(InvalidProductName::TooLong));
    }
}
