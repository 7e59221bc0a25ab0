//! The guides, as they stand in the folder `docs`.

use certmill_model::ProblemCode;

/// A guide.
pub(super) struct Guide {
    /// Its place: `/docs/{name}`.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    /// Markdown.
    pub(super) text: &'static str,
}

macro_rules! guide {
    ($name:literal, $title:literal, $about:literal) => {
        Guide {
            name: $name,
            title: $title,
            about: $about,
            text: include_str!(concat!("../../../../docs/", $name, ".md")),
        }
    };
}

/// Those that people need who use certmill; what operators need at a shell is not among them.
pub(super) const ALL: &[Guide] = &[
    guide!("dashboard", "The dashboard", "One domain, many at once, operations, certificates."),
    guide!(
        "domains",
        "Domains",
        "Whose a name is, and what a tenant must show before a certificate is ordered."
    ),
    guide!("dns", "DNS", "What shop owners set at their DNS provider, and what it is for."),
    guide!("problems", "Problems", "Every kind of problem, and what mends it."),
    guide!("renewal", "Renewal", "When certificates are renewed, and why then."),
    guide!("mail", "Alerts and mail", "What people are told, when, and how to be told less."),
    guide!("people", "People and programs", "Roles, passwords, tokens, and the log of who did what."),
    guide!("templates", "Templates", "How load balancers serve a domain, and how that is changed."),
    guide!("api", "The API", "Register domains, read how they fare, follow what happens."),
    guide!("errors", "Errors of the API", "Every code that a refusal has, and what to do about it."),
    guide!(
        "webhooks",
        "Webhooks and events",
        "What is sent to your programs, and how they know that it is ours."
    ),
];

const PROBLEMS: &str = include_str!("../../../../docs/problems.md");

pub(super) fn find(name: &str) -> Option<&'static Guide> {
    ALL.iter().find(|guide| guide.name == name)
}

/// What is written about problems of this kind, without its heading.
pub(super) fn problem(code: ProblemCode) -> Option<&'static str> {
    PROBLEMS.split("\n## ").find_map(|section| {
        let (heading, text) = section.split_once('\n')?;
        (heading == code.as_str()).then_some(text)
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// The codes in the sources below `path`: what stands behind the status where a problem is made.
    fn codes(path: &Path, found: &mut Vec<String>) {
        let plain =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":_".contains(&byte));
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                codes(&path, found);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            for call in text.split("Problem::new(").skip(1) {
                let arguments = call.trim_start().split_once(", \"");
                let code =
                    arguments.filter(|(status, _)| plain(status)).and_then(|(_, rest)| rest.split_once('"'));
                found.extend(code.map(|(code, _)| code.to_owned()));
            }
        }
    }

    #[test]
    fn every_code_of_a_refusal_has_its_section() {
        let mut found = Vec::new();
        codes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        assert!(found.len() > 30, "{found:?}");
        let errors = find("errors").expect("a guide").text;
        let is_missing = |code: &&String| !errors.contains(&format!("\n### {code}\n"));
        let missing: Vec<_> = found.iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "docs/errors.md lacks {missing:?}");
    }

    /// The names of guides that pages below `path` lead to.
    fn linked(path: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                linked(&path, found);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let is_of_name = |c: char| c.is_ascii_lowercase() || c == '-';
            let names =
                text.split("\"/docs/").skip(1).map(|rest| rest.chars().take_while(|c| is_of_name(*c)));
            found.extend(names.map(String::from_iter).filter(|name: &String| !name.is_empty()));
        }
    }

    #[test]
    fn a_page_leads_to_no_guide_that_is_not_there() {
        let mut found = Vec::new();
        linked(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates/pages"), &mut found);
        assert!(found.len() > 2, "{found:?}");
        let missing: Vec<_> = found.iter().filter(|name| find(name).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn every_kind_of_problem_has_its_section() {
        for code in ProblemCode::ALL {
            let section = problem(*code).unwrap_or_else(|| panic!("docs/problems.md lacks {code}"));
            assert!(section.contains("\n- "), "{code}: what to do about it is missing");
        }
    }
}
