//! Texts of templates on pages: how two differ, and where one is wrong.

use certmill_model::TemplateMistake;
use similar::TextDiff;

/// Lines that are shown before and behind a mistake.
const AROUND: usize = 3;

/// A line of a comparison. Its mark is part of the text, so that nothing depends on colours.
pub(super) struct DiffLine {
    pub(super) is_new: bool,
    pub(super) is_gone: bool,
    pub(super) text: String,
}

/// A line of a text that is wrong somewhere.
pub(super) struct NumberedLine {
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) is_wrong: bool,
}

/// A mistake, with the lines around it.
pub(super) struct Mistake {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) what: String,
    pub(super) lines: Vec<NumberedLine>,
}

/// How `new` differs from `old`; empty: in nothing.
pub(super) fn compared(old: &str, new: &str) -> Vec<DiffLine> {
    let diff = TextDiff::from_lines(old, new);
    lines(&diff.unified_diff().header("served", "this").to_string())
}

/// The lines of a comparison as `diff -u` writes it, without its head.
pub(super) fn lines(unified: &str) -> Vec<DiffLine> {
    let line = |text: &str| DiffLine {
        is_new: text.starts_with('+'),
        is_gone: text.starts_with('-'),
        text: text.to_owned(),
    };
    unified.lines().skip(2).map(line).collect()
}

impl Mistake {
    pub(super) fn new(mistake: TemplateMistake, source: &str) -> Self {
        let TemplateMistake { line, column, what } = mistake;
        let shown = source.lines().enumerate().map(|(at, text)| (at + 1, text));
        let shown = shown.skip_while(|(number, _)| number + AROUND < line);
        let lines = shown.take_while(|(number, _)| *number <= line + AROUND);
        let numbered = |(number, text): (usize, &str)| NumberedLine {
            number,
            text: text.to_owned(),
            is_wrong: number == line,
        };
        Self { line, column, what, lines: lines.map(numbered).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_marks_lines_without_colours() {
        let lines = compared("a\nb\nc\n", "a\nB\nc\n");
        let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["@@ -1,3 +1,3 @@", " a", "-b", "+B", " c"]);
        assert!(lines[2].is_gone && lines[3].is_new && !lines[1].is_new);
        assert!(compared("a\n", "a\n").is_empty());
    }

    #[test]
    fn a_mistake_is_shown_with_the_lines_around_it() {
        let source = "gzip on;\n".repeat(20);
        let mistake = TemplateMistake { line: 10, column: 3, what: "wrong".into() };
        let shown = Mistake::new(mistake, &source);
        let numbers: Vec<_> = shown.lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [7, 8, 9, 10, 11, 12, 13]);
        assert!(shown.lines.iter().all(|line| line.is_wrong == (line.number == 10)));
    }
}
