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
        name: "api",
        title: "The API",
        about: "Register domains, read how they fare, follow what happens.",
        text: include_str!("../../../../docs/api.md"),
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
    use super::*;

    #[test]
    fn every_kind_of_problem_has_its_section() {
        for code in ProblemCode::ALL {
            let section = problem(*code).unwrap_or_else(|| panic!("docs/problems.md lacks {code}"));
            assert!(section.contains("\n- "), "{code}: what to do about it is missing");
        }
    }
}
