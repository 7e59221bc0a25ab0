//! What people and programs search domains by, and the free words they keep with them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{InvalidText, Label};

/// What is typed into a search: a part of a name, or a shop's id in the commerce system.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SearchText {
    typed: String,
    name: Option<String>,
}

impl SearchText {
    /// Longer than any name in any form.
    const MAX: usize = 1_000;

    /// What an index of letters tells apart.
    const SMALLEST: usize = 3;

    /// Two of four are right even where two letters changed places between the other two.
    const PIECES: usize = 4;

    /// Parses what was typed: perhaps a whole address, or letters of any script. `None`: nothing is searched for.
    pub fn parse(input: &str) -> Option<Self> {
        let typed: String = input.trim().chars().filter(|c| !c.is_control()).take(Self::MAX).collect();
        let name = part_of_name(&typed);
        if typed.is_empty() { None } else { Some(Self { typed, name }) }
    }

    /// As it was typed.
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// What names are searched for, in A-label form; `None`: no name can have it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The same, if it is long enough to be found in the middle of names: three letters make the smallest entry of the index.
    pub fn inner(&self) -> Option<&str> {
        self.name().filter(|name| name.len() >= Self::SMALLEST)
    }

    /// What a slip of the finger leaves right of a name, as two parts of it in their order: cut in pieces, one piece is wrong, or
    /// two that are neighbours, and the others are not. Of short names it leaves one part, of the shortest too little.
    pub fn besides_a_slip(&self) -> Vec<(&str, &str)> {
        // Letters of names are ASCII.
        let Some(name) = self.name() else { return Vec::new() };
        let count = (name.len() / Self::SMALLEST).min(Self::PIECES);
        let cut = |number: usize| number * name.len() / count;
        let piece = |number: usize| &name[cut(number)..cut(number + 1)];
        match count {
            0 | 1 => Vec::new(),
            2 => vec![(piece(0), ""), ("", piece(1))],
            _ => (0..count)
                .flat_map(|first| (first + 1..count).map(move |second| (first, second)))
                .map(|(first, second)| (piece(first), piece(second)))
                .collect(),
        }
    }
}

/// The letters of names that `typed` stands for. Only whole labels of other scripts can be found: what their A-labels look
/// like depends on every letter (RFC 3492).
fn part_of_name(typed: &str) -> Option<String> {
    let lower = typed.to_lowercase();
    let (_, host) = lower.split_once("://").unwrap_or(("", &lower));
    let host = host.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let labels: Option<Vec<_>> = host
        .split('.')
        .map(
            |label| {
                if label.is_ascii() { Some(label.to_owned()) } else { idna::domain_to_ascii(label).ok() }
            },
        )
        .collect();
    let name = labels?.join(".");
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'*');
    (!name.is_empty() && name.bytes().all(allowed)).then_some(name)
}

/// The words that a tenant sorts its domains by.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tags(BTreeSet<String>);

/// What a tenant keeps with a domain: short texts by name, which certmill only gives back.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Metadata(BTreeMap<String, String>);

/// Why words or texts cannot be kept with a domain.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidLabels {
    /// More than 20.
    #[error("there are more than {}", Tags::MOST)]
    TooMany,
    /// Longer than 50 characters.
    #[error("{0:?} has more than {max} characters", max = Tags::LONGEST)]
    TooLong(String),
    /// Not a short text.
    #[error("{0:?}: {1}")]
    Text(String, InvalidText),
}

impl Tags {
    const MOST: usize = 20;
    const LONGEST: usize = 50;

    /// Takes words from outside: up to 20, each of 1 to 50 printable characters. The same word twice is one.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidLabels> {
        let words: BTreeSet<_> = words.into_iter().map(word).collect::<Result<_, _>>()?;
        if words.len() > Self::MOST { Err(InvalidLabels::TooMany) } else { Ok(Self(words)) }
    }

    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Metadata {
    /// Takes texts from outside: up to 20, their names like tags, each text of 1 to 200 printable characters.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, InvalidLabels> {
        let pair = |(name, text): (&str, &str)| {
            let value = Label::parse(text).map_err(|error| InvalidLabels::Text(name.to_owned(), error))?;
            Ok((word(name)?, value.to_string()))
        };
        let pairs: BTreeMap<_, _> = pairs.into_iter().map(pair).collect::<Result<_, _>>()?;
        if pairs.len() > Tags::MOST { Err(InvalidLabels::TooMany) } else { Ok(Self(pairs)) }
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn word(text: &str) -> Result<String, InvalidLabels> {
    let word = Label::parse(text).map_err(|error| InvalidLabels::Text(text.to_owned(), error))?;
    if word.as_str().chars().count() > Tags::LONGEST {
        return Err(InvalidLabels::TooLong(text.to_owned()));
    }
    Ok(word.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(typed: &str) -> Option<String> {
        SearchText::parse(typed).and_then(|text| text.name().map(str::to_owned))
    }

    #[test]
    fn an_address_that_was_pasted_is_searched_for_by_its_host() {
        assert_eq!(name(" https://Shop.Example.com:443/cart?x=1 ").as_deref(), Some("shop.example.com"));
    }

    #[test]
    fn a_label_of_another_script_is_searched_for_as_it_stands_in_names() {
        assert_eq!(name("bücher").as_deref(), Some("xn--bcher-kva"));
        assert_eq!(name("www.bücher.ex").as_deref(), Some("www.xn--bcher-kva.ex"));
    }

    #[test]
    fn what_no_name_can_have_is_searched_for_among_the_shops_ids_alone() {
        let text = SearchText::parse("shop_48%").unwrap();
        assert_eq!((text.name(), text.typed()), (None, "shop_48%"));
    }

    #[test]
    fn two_letters_are_looked_for_at_the_beginning_alone() {
        assert_eq!(SearchText::parse("sh").unwrap().inner(), None);
        assert_eq!(SearchText::parse("sho").unwrap().inner(), Some("sho"));
        assert_eq!(SearchText::parse(" \0 "), None);
    }

    #[test]
    fn a_slip_leaves_two_pieces_of_a_name_right() {
        let slips = |typed: &str| -> Vec<(String, String)> {
            let text = SearchText::parse(typed).unwrap();
            text.besides_a_slip().iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
        };
        for (typed, meant) in [
            ("boutiqe-4213.example", "boutique-4213.example"),
            ("boutqiue-4213.example", "boutique-4213.example"),
            ("botuique-4213.exmaple", "boutique-4213.example"),
            ("cheese4231", "cheese4213"),
            ("chese421", "cheese421"),
            ("tess.ex", "tees.ex"),
        ] {
            let right =
                |(a, b): &(String, String)| meant.split_once(a).is_some_and(|(_, rest)| rest.contains(b));
            assert!(slips(typed).iter().any(right), "{typed}: {:?}", slips(typed));
        }
        assert!(slips("chees").is_empty());
        assert!(slips("Käse und Wein").is_empty());
    }

    #[test]
    fn tags_are_short_and_few_and_said_once() {
        assert_eq!(Tags::parse(["eu", "beta", "eu"]).unwrap().iter().collect::<Vec<_>>(), ["beta", "eu"]);
        let many: Vec<_> = (0..21).map(|n| n.to_string()).collect();
        assert_eq!(Tags::parse(many.iter().map(String::as_str)), Err(InvalidLabels::TooMany));
        assert!(matches!(Tags::parse(["x".repeat(51).as_str()]), Err(InvalidLabels::TooLong(_))));
        assert!(matches!(Tags::parse(["a\nb"]), Err(InvalidLabels::Text(..))));
    }
}
