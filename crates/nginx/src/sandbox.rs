//! Where templates run: no files, no functions, no filters, strict about undefined values, bounded.

use std::io::{self, Write};

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};

use crate::directives;

/// Instructions of one rendering; a template at its size limit needs fewer.
const FUEL: u64 = 20_000;
/// Bytes of one rendered text.
const MAX_OUTPUT: usize = 256 * 1024;
/// Bytes of one value.
const MAX_VALUE: usize = 512;

/// What a template of the shared form gets.
pub(crate) struct SharedValues<'a> {
    pub(crate) template: &'a str,
    pub(crate) https_port: u16,
}

/// What a template of the dedicated form gets.
pub(crate) struct DedicatedValues<'a> {
    pub(crate) shared: SharedValues<'a>,
    pub(crate) domain: String,
    pub(crate) name: &'a str,
    pub(crate) wildcard: bool,
    pub(crate) upstream: String,
    pub(crate) redirect: Option<String>,
}

/// The names of the values that each form gets.
pub(crate) const SHARED_VALUES: &[&str] = &["template", "https_port"];
pub(crate) const DEDICATED_VALUES: &[&str] =
    &["template", "https_port", "domain", "name", "wildcard", "upstream", "redirect"];

impl From<SharedValues<'_>> for Value {
    fn from(values: SharedValues<'_>) -> Self {
        let all = [Value::from(values.template), Value::from(values.https_port)];
        Value::from_pairs(SHARED_VALUES.iter().copied().zip(all))
    }
}

impl From<DedicatedValues<'_>> for Value {
    fn from(values: DedicatedValues<'_>) -> Self {
        let all = [
            Value::from(values.shared.template),
            Value::from(values.shared.https_port),
            Value::from(values.domain),
            Value::from(values.name),
            Value::from(values.wildcard),
            Value::from(values.upstream),
            Value::from(values.redirect),
        ];
        Value::from_pairs(DEDICATED_VALUES.iter().copied().zip(all))
    }
}

/// Templates in use, compiled.
pub(crate) struct Sandbox<'a>(Environment<'a>);

impl<'a> Sandbox<'a> {
    pub(crate) fn new() -> Self {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(50);
        environment.set_formatter(write_value);
        environment.set_syntax(syntax());
        Self(environment)
    }

    /// Compiles `source` under `name`; the error has the line.
    pub(crate) fn add(&mut self, name: &'a str, source: &'a str) -> Result<(), Error> {
        self.0.add_template(name, source)
    }

    /// Renders the body of a `server` block, and checks that it is one; the error is for the person who wrote it.
    pub(crate) fn render(&self, name: &str, values: impl Into<Value>) -> Result<String, String> {
        let template = self.0.get_template(name).map_err(|error| error.to_string())?;
        let mut output = Bounded(Vec::new());
        template.render_captured_to(values, &mut output).map_err(|error| error.to_string())?;
        let text = String::from_utf8(output.0).expect("templates and values are UTF-8");
        // A condition can leave out half a directive, so what was rendered is checked, not only what was loaded.
        directives::check(&text).map_err(|error| error.to_string())?;
        Ok(text)
    }
}

/// Tags leave no empty lines behind.
fn syntax() -> SyntaxConfig {
    let mut builder = SyntaxConfig::builder();
    builder.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    builder.build().expect("the delimiters are the usual ones")
}

/// Values reach nginx only in characters that end no word there.
fn write_value(out: &mut Output, _: &mut State, value: &Value) -> Result<(), Error> {
    if value.is_number() {
        return out.write_str(&value.to_string()).map_err(Error::from);
    }
    let text = value.as_str().ok_or_else(|| {
        Error::new(ErrorKind::BadSerialization, "the value is empty here: ask with if first")
    })?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:*/".contains(&byte);
    if text.is_empty() || text.len() > MAX_VALUE || !text.bytes().all(allowed) {
        let detail = format!("not allowed in nginx configuration: {text:?}");
        return Err(Error::new(ErrorKind::InvalidOperation, detail));
    }
    out.write_str(text).map_err(Error::from)
}

struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::Error::other("the template writes too much"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, name: Option<&str>) -> Result<String, String> {
        let mut sandbox = Sandbox::new();
        sandbox.add("t", source).map_err(|error| error.to_string())?;
        let list = Value::from(vec![1, 2]);
        sandbox.render("t", Value::from_pairs([("name", Value::from(name)), ("list", list)]))
    }

    #[test]
    fn a_value_cannot_become_a_directive() {
        assert_eq!(render("set $a {{ name }};", Some("x.example")).unwrap(), "set $a x.example;");
        for bad in ["x; } server {", "a b", "a\nb", "$host", "", "a\"b", "ä", "{", "#"] {
            assert!(render("set $a {{ name }};", Some(bad)).is_err(), "{bad:?}");
        }
        assert!(render("{{ name }} x;", Some("include")).is_err());
    }

    #[test]
    fn what_is_undefined_empty_or_no_scalar_is_an_error() {
        for bad in ["set $a {{ other }};", "set $a {{ name }};", "set $a {{ list }};"] {
            assert!(render(bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn time_and_output_are_bounded() {
        assert!(
            render("{% for a in list %}{% for b in range(100000) %}{% endfor %}{% endfor %}", None).is_err()
        );
        assert!(render(&"#".repeat(MAX_OUTPUT + 1), None).is_err());
    }

    #[test]
    fn half_a_directive_left_out_by_a_condition_is_found() {
        assert!(render("{% if name %}add_header {% endif %}include /etc/passwd;", None).is_err());
    }
}
