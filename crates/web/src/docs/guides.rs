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

/// Those that people need who use certmill; what operators need at a shell is not among them.
pub(super) const ALL: &[Guide] = &[
    Guide {
        name: "dashboard",
        title: "The dashboard",
        about: "One domain, many at once, operations, certificates.",
        text: include_str!("../../../../docs/dashboard.md"),
    },
    Guide {
        name: "api",
        title: "The API",
        about: "Register domains, read how they fare, follow what happens.",
        text: include_str!("../../../../docs/api.md"),
    },
    Guide {
        name: "errors",
        title: "Errors of the API",
        about: "Every code that a refusal has, and what to do about it.",
        text: ERRORS,
    },
    Guide {
        name: "dns",
        title: "DNS",
        about: "What shop owners set at their DNS provider, and what it is for.",
        text: include_str!("../../../../docs/dns.md"),
    },
    Guide {
        name: "problems",
        title: "Problems",
        about: "Every kind of problem, and what mends it.",
        text: PROBLEMS,
    },
];

const PROBLEMS: &str = include_str!("../../../../docs/problems.md");
const ERRORS: &str = include_str!("../../../../docs/errors.md");

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
        let is_missing = |code: &&String| !ERRORS.contains(&format!("\n### {code}\n"));
        let missing: Vec<_> = found.iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "docs/errors.md lacks {missing:?}");
    }

    #[test]
    fn every_kind_of_problem_has_its_section() {
        for code in ProblemCode::ALL {
            let section = problem(*code).unwrap_or_else(|| panic!("docs/problems.md lacks {code}"));
            assert!(section.contains("\n- "), "{code}: what to do about it is missing");
        }
    }
}
