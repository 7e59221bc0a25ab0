use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::directives::{Directive, parse};

fn domain(number: u64, name: &str, template: &str) -> DomainConfig {
    // The last byte of the id is its shard.
    let id = format!("dom_{number:026}");
    DomainConfig {
        domain: id.parse().unwrap(),
        name: Hostname::parse(name).unwrap(),
        template: TemplateRef::parse(template).unwrap(),
        upstream: UpstreamAddress::parse("10.0.0.5:8080").unwrap(),
    }
}

fn layout() -> Layout {
    let responder = UpstreamAddress::parse("127.0.0.1:8402").unwrap();
    Layout::new("/srv/certmill", &["80".into()], &["443".into()], 443, vec![responder]).unwrap()
}

fn render(domains: &[DomainConfig]) -> ShardFiles {
    Templates::built_in().render_shard(&layout(), domains[0].domain.shard(), domains)
}

fn text(shard: &ShardFiles, path: &str) -> String {
    String::from_utf8(shard.files[path].clone()).unwrap()
}

/// All that a text of nginx configuration says but for the words that `is_value` knows.
fn structure(directives: Vec<Directive>, is_value: impl Fn(&str) -> bool) -> Vec<(usize, Vec<String>)> {
    let blank = |word: String| if is_value(&word) { "?".to_owned() } else { word };
    let words = |words: Vec<String>| words.into_iter().map(blank).collect();
    directives.into_iter().map(|directive| (directive.depth, words(directive.words))).collect()
}

#[test]
fn a_bad_domain_is_left_out_and_the_others_are_served() {
    let wrong_shard = domain(2, "b.example.com", "storefront");
    let shard = render(&[
        domain(1, "a.example.com", "storefront"),
        wrong_shard.clone(),
        DomainConfig {
            domain: domain(1, "a.example.com", "storefront").domain,
            ..domain(1, "c.example.com", "none")
        },
        domain(1, "*.d.example.com", "redirect"),
    ]);
    assert_eq!(text(&shard, "names/storefront/01.conf"), "server_name a.example.com;\n");
    let reasons: Vec<_> = shard.refused.iter().map(|(_, reason)| reason.clone()).collect();
    assert_eq!(
        reasons,
        [
            RefusedDomain::UnknownTemplate(UnknownTemplate("none".into())),
            RefusedDomain::NoCounterpart,
            RefusedDomain::WrongShard(2),
        ]
    );
    assert!(!shard.files.contains_key("maps/redirect/01.map"));
}

#[test]
fn the_same_name_twice_is_refused_for_the_later_domain() {
    let first = domain(1, "a.example.com", "storefront");
    let second = DomainConfig {
        domain: "dom_00000000000000000000000801".parse().unwrap(),
        template: TemplateRef::parse("storefront:dedicated").unwrap(),
        ..first.clone()
    };
    assert_eq!(second.domain.shard(), 1);
    let shard = render(&[second.clone(), first.clone()]);
    assert_eq!(shard.refused, [(second.domain, RefusedDomain::SameName(first.domain))]);
    assert!(!shard.files.keys().any(|path| path.starts_with("blocks/")));
}

#[test]
fn the_order_of_domains_does_not_matter() {
    let domains = [
        domain(1, "b.example.com", "storefront"),
        DomainConfig {
            domain: "dom_00000000000000000000000801".parse().unwrap(),
            ..domain(1, "a.example.com", "storefront:dedicated")
        },
    ];
    let reversed: Vec<_> = domains.iter().rev().cloned().collect();
    assert_eq!(render(&domains).files, render(&reversed).files);
}

#[test]
fn a_template_that_fails_for_a_domain_harms_only_that_domain() {
    let directory = tempfile::tempdir().unwrap();
    let source = "return 301 https://{{ redirect }}/;";
    fs::write(directory.path().join("own.dedicated.conf"), source).unwrap();
    let templates = Templates::with_directory(directory.path()).unwrap();
    let good = domain(1, "a.example.com", "own");
    let bad = DomainConfig {
        domain: "dom_00000000000000000000000801".parse().unwrap(),
        ..domain(1, "*.b.example.com", "own")
    };
    let shard = templates.render_shard(&layout(), 1, &[good, bad.clone()]);
    assert!(text(&shard, "blocks/own/01.conf").contains("return 301 https://www.a.example.com/;"));
    assert!(matches!(&shard.refused[..], [(id, RefusedDomain::Template(_))] if *id == bad.domain));
}

/// Names that must never come in; each line is a JSON string.
#[test]
fn no_refused_name_reaches_a_file() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/names-refused.txt");
    let corpus = fs::read_to_string(corpus).unwrap();
    let names = corpus.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut tried = 0;
    for line in names {
        // What is no text at all, such as a lone surrogate, is refused before it could be a name.
        if let Ok(name) = serde_json::from_str::<String>(line) {
            assert!(Hostname::parse(&name).is_err(), "{line}");
            tried += 1;
        }
    }
    assert!(tried > 50, "only {tried} names in the corpus");
}

proptest! {
    #[test]
    fn every_name_that_parses_gives_the_same_directives(
        name in r"(\*\.)?[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?\.([a-z]{1,9}\.){0,3}(com|co\.uk|de|github\.io)|\PC{1,60}"
    ) {
        let Ok(parsed) = Hostname::parse(&name) else { return Ok(()) };
        let shown = parsed.to_string();
        let config = |template: &str| DomainConfig { name: parsed.clone(), ..domain(1, "a.example.com", template) };

        let shard = render(&[config("storefront:dedicated")]);
        let plain = render(&[domain(1, "a.example.com", "storefront:dedicated")]);
        let block = |shard: &ShardFiles, name: &str| {
            structure(parse(&text(shard, "blocks/storefront/01.conf")).unwrap(), |word| word == name)
        };
        prop_assert_eq!(block(&shard, &shown), block(&plain, "a.example.com"));

        let shard = render(&[config("storefront")]);
        let names = parse(&text(&shard, "names/storefront/01.conf")).unwrap();
        prop_assert_eq!(&names[0].words, &["server_name".to_owned(), shown.clone()]);
        prop_assert_eq!(names.len(), 1);
        for map in ["certificate", "upstream"] {
            let entries = parse(&text(&shard, &format!("maps/{map}/01.map"))).unwrap();
            prop_assert_eq!(entries.len(), 1);
            prop_assert_eq!((entries[0].words.len(), &entries[0].words[0]), (2, &shown));
        }
    }
}
