//! The small part of the template language that templates may use.
//!
//! The engine bounds time but not memory: a few lines of `{% set a = a ~ a %}` fill any machine. Without assignments,
//! loops, macros and operators a text can only grow by the values put into it, so those are refused by rule.

/// The template that others may include, and nothing else.
pub(crate) const DEFAULTS: &str = "defaults.conf";

/// A tag that no template may have, and its place.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct InvalidTag {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong, in words for the person who wrote it.
    pub what: String,
}

/// A template's text as if every condition held: values replaced by their names, tags by nothing, lines kept.
#[derive(Debug)]
pub(crate) struct Flat {
    pub(crate) text: String,
    anchors: Vec<Anchor>,
}

/// Where a line goes on behind a tag: its columns in the flat text and in the source.
#[derive(Debug)]
struct Anchor {
    line: usize,
    flat: usize,
    source: usize,
}

impl Flat {
    /// The column in the source of a column of the flat text.
    pub(crate) fn column_in_source(&self, line: usize, column: usize) -> usize {
        let before = |anchor: &&Anchor| anchor.line == line && anchor.flat <= column;
        self.anchors.iter().rev().find(before).map_or(column, |anchor| column - anchor.flat + anchor.source)
    }
}

/// Checks all tags of `source`, and flattens it.
pub(crate) fn flatten(source: &str, variables: &[&str], may_include: bool) -> Result<Flat, InvalidTag> {
    let mut flat = Flat { text: String::with_capacity(source.len()), anchors: Vec::new() };
    let mut rest = source;
    while let Some((at, close)) = next_tag(rest) {
        let (line, column) = place_after(&source[..source.len() - rest.len() + at]);
        let invalid = |what: String| InvalidTag { line, column, what };
        flat.text.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let end = inner.find(close).ok_or_else(|| invalid(format!("a tag is not closed by {close}")))?;
        let content = inner[..end].trim_matches(['-', '+']).trim();
        match close {
            "}}" => flat.text.push_str(check_variable(content, variables).map_err(invalid)?),
            "%}" => check_statement(content, variables, may_include).map_err(invalid)?,
            _ => {}
        }
        flat.text.push_str(&"\n".repeat(newlines(&inner[..end])));
        rest = &inner[end + 2..];
        let (line, source) = place_after(&source[..source.len() - rest.len()]);
        flat.anchors.push(Anchor { line, flat: place_after(&flat.text).1, source });
    }
    flat.text.push_str(rest);
    Ok(flat)
}

/// Line and column of what follows `text`, from 1.
fn place_after(text: &str) -> (usize, usize) {
    let last = text.rsplit('\n').next().unwrap_or_default();
    (1 + newlines(text), 1 + last.chars().count())
}

/// Where the next tag begins, and what ends it.
fn next_tag(text: &str) -> Option<(usize, &'static str)> {
    let closes = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")];
    closes.iter().filter_map(|(open, close)| Some((text.find(open)?, *close))).min()
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

fn check_variable<'a>(name: &'a str, variables: &[&str]) -> Result<&'a str, String> {
    if variables.contains(&name) {
        return Ok(name);
    }
    Err(format!("{name:?} is no value that this template gets; it gets {}", variables.join(", ")))
}

fn check_statement(statement: &str, variables: &[&str], may_include: bool) -> Result<(), String> {
    let words: Vec<&str> = statement.split_whitespace().collect();
    match words[..] {
        ["else" | "endif"] => Ok(()),
        ["if" | "elif", name] | ["if" | "elif", "not", name] => check_variable(name, variables).map(drop),
        ["include", name] if may_include && name.trim_matches('"') == DEFAULTS => Ok(()),
        _ => Err(format!(
            "{statement:?} is not allowed: only if, elif, else and endif on a value, and include {DEFAULTS:?}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of_error(source: &str) -> Option<usize> {
        flatten(source, &["name", "redirect"], true).err().map(|error| error.line)
    }

    #[test]
    fn values_conditions_and_the_defaults_are_allowed() {
        let source = "{# note\n #}a {{ name }};\n{% if not redirect -%}\nb{% else %}c{% endif %}\n\
                      {% include \"defaults.conf\" %}";
        let flat = flatten(source, &["name", "redirect"], true).unwrap();
        assert_eq!(flat.text, "\na name;\n\nbc\n");
    }

    #[test]
    fn a_column_of_the_flat_text_is_found_in_the_source() {
        let flat = flatten("a {{ name }} {% if name %}b c;", &["name"], true).unwrap();
        assert_eq!(flat.text, "a name b c;");
        let columns = [1, 3, 7, 8, 10].map(|column| flat.column_in_source(1, column));
        assert_eq!(columns, [1, 3, 13, 27, 29]);
    }

    #[test]
    fn the_defaults_cannot_include_themselves() {
        assert!(flatten("{% include \"defaults.conf\" %}", &[], false).is_err());
    }

    #[test]
    fn whatever_can_grow_or_reach_out_is_refused_with_its_line() {
        for bad in [
            "{% set a = name ~ name %}",
            "{% for a in name %}{% endfor %}",
            "{{ name * 1000 }}",
            "{{ 'x' * 1000000000 }}",
            "{{ name ~ name }}",
            "{{ name|upper }}",
            "{{ name.x }}",
            "{{ range(9) }}",
            "{{ other }}",
            "{% if other %}{% endif %}",
            "{% include \"/etc/passwd\" %}",
            "{% include name %}",
            "{% extends \"defaults.conf\" %}",
            "{% macro a() %}{% endmacro %}",
            "{% raw %}",
            "{% autoescape false %}",
            "{{ name",
        ] {
            assert_eq!(line_of_error(&format!("a;\n{bad}")), Some(2), "{bad}");
        }
    }
}
