use proptest::prelude::*;

use super::*;

/// One refused name a line, as a JSON string, so that a control character can be written.
const REFUSED: &str = include_str!("../../../tests/corpus/names-refused.txt");
/// `input<TAB>A-label form`, both as JSON strings.
const CONVERTED: &str = include_str!("../../../tests/corpus/names-converted.txt");

fn lines(corpus: &str) -> impl Iterator<Item = &str> {
    corpus.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[test]
fn every_name_of_the_refused_corpus_is_refused() {
    let accepted: Vec<_> = lines(REFUSED)
        .map(|line| serde_json::from_str::<String>(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .filter_map(|name| Hostname::parse(&name).ok())
        .collect();
    assert!(lines(REFUSED).count() > 100);
    assert_eq!(accepted, []);
}

#[test]
fn every_name_of_the_converted_corpus_has_its_one_canonical_form() {
    for line in lines(CONVERTED) {
        let (input, wanted) = line.split_once('\t').expect("two columns");
        let (input, wanted): (String, String) =
            (serde_json::from_str(input).unwrap(), serde_json::from_str(wanted).unwrap());
        assert_eq!(Hostname::parse(&input).map(|name| name.0), Ok(wanted), "{input:?}");
    }
}

#[test]
fn an_error_says_what_is_wrong() {
    let cases = [
        ("", InvalidHostname::Empty),
        ("localhost", InvalidHostname::SingleLabel),
        ("co.uk", InvalidHostname::PublicSuffix("co.uk".into())),
        ("*.github.io", InvalidHostname::PublicSuffix("github.io".into())),
        ("a_b.com", InvalidHostname::ForbiddenCharacter('_')),
        ("a*.com", InvalidHostname::MisplacedWildcard),
        ("127.0.0.1", InvalidHostname::IpAddress),
        ("[::1]", InvalidHostname::IpAddress),
        ("a\u{202e}b.com", InvalidHostname::InvisibleCharacter(0x202e)),
        ("\u{212a}elvin.com", InvalidHostname::LookAlike("kelvin.com".into())),
        ("\u{440}\u{430}ypal.com", InvalidHostname::MixedScripts("\u{440}\u{430}ypal".into())),
        ("a.163", InvalidHostname::NumericTopLevel),
    ];
    for (input, wanted) in cases {
        assert_eq!(Hostname::parse(input), Err(wanted), "{input:?}");
    }
}

#[test]
fn www_and_apex_are_each_others_counterpart() {
    let apex = Hostname::parse("shop.example.com").unwrap();
    let www = apex.www_counterpart().unwrap();
    assert_eq!(www.as_str(), "www.shop.example.com");
    assert_eq!(www.www_counterpart(), Some(apex));
    assert_eq!(Hostname::parse("www.co.uk").unwrap().www_counterpart(), None);
}

#[test]
fn the_registered_domain_is_one_label_below_the_public_suffix() {
    let name = Hostname::parse("*.a.b.shop.co.uk").unwrap();
    assert_eq!((name.registered_domain(), name.base()), ("shop.co.uk", "a.b.shop.co.uk"));
}

#[test]
fn a_stored_name_stays_a_name_whatever_becomes_a_public_suffix() {
    assert_eq!(Hostname::from_stored("github.io").map(|name| name.0), Ok("github.io".into()));
    for bad in ["", "a b.com", "A.com", "a;.com"] {
        assert!(Hostname::from_stored(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn whatever_is_accepted_is_plain_and_stays_itself(input in "\\PC{0,80}|[a-z*.-]{1,60}|[a-zä.]{1,20}\\.(com|de)") {
        if let Ok(name) = Hostname::parse(&input) {
            prop_assert!(name.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.*".contains(&b)));
            prop_assert!(name.as_str().len() <= 253);
            prop_assert_eq!(Hostname::parse(name.as_str()), Ok(name.clone()));
            prop_assert_eq!(Hostname::parse(&name.to_unicode()), Ok(name));
        }
    }
}
