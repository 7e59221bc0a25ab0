use super::*;

fn with_file(file: &str, text: &str) -> Result<Templates, TemplateError> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(file), text).unwrap();
    Templates::with_directory(directory.path())
}

/// An error in words, as an operator sees it.
fn refused(file: &str, text: &str) -> String {
    let error = with_file(file, text).unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}

#[test]
fn every_built_in_template_passes_the_checks_of_an_operators() {
    for (file, source) in BUILT_IN {
        check(Path::new(file), file, source).unwrap();
    }
}

#[test]
fn a_reference_without_form_is_shared_where_there_is_that_form() {
    let templates = with_file("special.dedicated.conf", "return 204;").unwrap();
    let form = |reference: &str| templates.resolve(&TemplateRef::parse(reference).unwrap());
    assert_eq!(form("storefront"), Ok(Form::Shared));
    assert_eq!(form("storefront:dedicated"), Ok(Form::Dedicated));
    assert_eq!(form("special"), Ok(Form::Dedicated));
    assert_eq!(form("special:shared"), Err(UnknownTemplate("special:shared".into())));
    assert!(templates.list().contains(&("special".into(), Form::Dedicated)));
    assert_eq!(templates.list().len(), 5);
}

#[test]
fn an_operators_file_takes_the_place_of_a_built_in_one_and_changes_the_fingerprint() {
    let built_in = Templates::built_in();
    let own = with_file("defaults.conf", "server_tokens off;\n").unwrap();
    assert_eq!(own.list(), built_in.list());
    assert_ne!(own.fingerprint(), built_in.fingerprint());
    assert_eq!(own.sources[DEFAULTS], "server_tokens off;\n");
    assert_eq!(built_in.fingerprint(), Templates::built_in().fingerprint());
}

#[test]
fn a_refused_template_is_named_with_its_line() {
    for (file, text, words) in [
        ("a.shared.conf", "server_tokens off;\nset $x {{ name }};", "line 2: \"name\" is no value"),
        ("a.dedicated.conf", "set $x {{ nmae }};", "it gets template, https_port, domain, name"),
        ("a.shared.conf", "{% if https_port %}", "a.shared.conf:1"),
        ("a.shared.conf", "\nroot /etc;", "line 2: the directive \"root\""),
        ("a.shared.conf", "return 204", "not ended by ;"),
        ("defaults.conf", "{% include \"defaults.conf\" %}", "not allowed"),
        ("Upper.shared.conf", "", "no name of a template"),
        ("a.conf", "", "no name of a template"),
        ("a.other.conf", "", "no name of a template"),
        ("a.shared.conf", &"#".repeat(70_000), "larger than 65536 bytes"),
    ] {
        let said = refused(file, text);
        assert!(said.contains(words) && said.contains(file), "{said}");
    }
}

#[test]
fn other_files_of_the_directory_are_left_alone() {
    assert!(with_file("README.md", "{{ nonsense").is_ok());
}

#[test]
fn the_examples_in_the_documentation_are_templates() {
    let text = include_str!("../../../docs/templates.md");
    let examples: Vec<_> =
        text.split("```nginx\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let file = example.trim_start_matches("{# ").split(':').next().unwrap();
        assert!(with_file(file, example).is_ok(), "{:?}", with_file(file, example));
    }
}

#[test]
fn a_text_that_cannot_be_read_is_known_and_counts_for_the_fingerprint_as_before() {
    let (name, form) = ("storefront", Form::Shared);
    let reference = TemplateRef::parse(name).unwrap();
    let error = Templates::built_in().with(name, form, "root /etc;").unwrap_err();
    let source = Templates::built_in().source(name, form).unwrap().to_owned();
    // Checks have become stricter, the text is the same.
    let unreadable = Templates::built_in().with_unreadable(name, form, &source, &error);
    assert_eq!(unreadable.fingerprint(), Templates::built_in().fingerprint());
    assert_eq!(unreadable.resolve(&reference), Ok(form));
    let words = unreadable.unreadable(&reference).unwrap();
    assert!(words.contains("storefront:shared") && words.contains("the directive \"root\""), "{words}");
    assert_eq!(unreadable.complaint().as_deref(), Some(words));
    let mended = unreadable.with(name, form, "return 204;").unwrap();
    assert_eq!((mended.unreadable(&reference), mended.complaint()), (None, None));
}
