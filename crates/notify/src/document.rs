//! What is in a letter before it is text or HTML: the same in both.

use askama::Template;
use certmill_model::one_line;

/// How wide a line of text is, and the column of its labels.
const WIDTH: usize = 78;
const LABEL: usize = 8;

/// Longer than this is no name, no record and no message of a CA that anybody reads to its end.
const LONGEST: usize = 1_000;

/// Where our own pages are, and what we are called.
#[derive(Clone)]
pub struct Site {
    /// How people reach the dashboard, without a slash at the end.
    pub public_url: String,
    /// What we are called where no brand is.
    pub product: String,
}

/// A letter in both its forms.
pub struct Written {
    /// The subject: one line.
    pub subject: String,
    /// The text, complete on its own.
    pub text: String,
    /// Its HTML twin.
    pub html: String,
}

/// A text from outside: one line that can be shown.
pub(crate) fn clean(text: &str) -> String {
    one_line(text, LONGEST)
}

#[derive(Default)]
pub(crate) struct Document {
    pub(crate) language: &'static str,
    pub(crate) product: String,
    /// A word in a colour before the heading, as in `urgent`.
    pub(crate) mark: Option<Mark>,
    pub(crate) heading: String,
    pub(crate) paragraphs: Vec<String>,
    pub(crate) rows: Vec<Row>,
    pub(crate) tables: Vec<Table>,
    pub(crate) buttons: Vec<Button>,
    /// Who gets this why, and how it ends.
    pub(crate) footer: Vec<String>,
}

pub(crate) struct Mark {
    pub(crate) word: String,
    pub(crate) colour: &'static str,
}

pub(crate) struct Row {
    pub(crate) label: &'static str,
    /// Sentences; each is a paragraph of its own in HTML.
    pub(crate) lines: Vec<String>,
    /// The words of somebody else, or something to type.
    pub(crate) quote: Option<String>,
}

pub(crate) struct Table {
    /// As the label of a row, in text alone.
    pub(crate) mark: &'static str,
    pub(crate) label: String,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Cells>,
}

pub(crate) struct Cells {
    pub(crate) cells: Vec<String>,
    /// A bar behind them, in percent of the longest.
    pub(crate) bar: Option<u64>,
}

pub(crate) struct Button {
    pub(crate) label: String,
    pub(crate) url: String,
}

#[derive(Template)]
#[template(path = "letter.html")]
struct Html<'a> {
    letter: &'a Document,
}

#[derive(Template)]
#[template(path = "letter.txt")]
struct Text<'a> {
    letter: &'a Document,
}

impl Row {
    pub(crate) fn new(label: &'static str, lines: impl IntoIterator<Item = String>) -> Self {
        Self { label, lines: lines.into_iter().collect(), quote: None }
    }

    /// The row as text, behind its label.
    fn text(&self) -> String {
        let label = format!("{:LABEL$}", self.label);
        let mut text = wrapped(&label, &self.lines.join(" "));
        if let Some(quote) = &self.quote {
            text = format!("{text}\n{:LABEL$}{quote}", "");
        }
        text
    }
}

impl Table {
    /// The rows as text, in columns.
    fn text(&self) -> String {
        let columns = self.rows.iter().map(|row| row.cells.len()).max().unwrap_or_default();
        let width = |column: usize| {
            let cell = |row: &Cells| row.cells.get(column).map_or(0, |cell| cell.chars().count());
            self.rows.iter().map(cell).max().unwrap_or_default()
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let line = |row: &Cells| {
            let cells = row.cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let bar = row.bar.map(|bar| "#".repeat((bar as usize * 30).div_ceil(100)));
            let cells: Vec<_> = cells.chain(bar).collect();
            format!("{:LABEL$}{}", "", cells.join("  ")).trim_end().to_owned()
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn label_text(&self) -> String {
        wrapped(&format!("{:LABEL$}", self.mark), &self.label).trim_start().to_owned()
    }
}

impl Document {
    /// Both forms, and the subject.
    pub(crate) fn written(&self, subject: &str) -> Written {
        let rendered = "a template with values of these types renders";
        let text = Text { letter: self }.render().expect(rendered);
        let html = Html { letter: self }.render().expect(rendered);
        Written { subject: one_line(subject, 200), text: tidy(&text), html }
    }
}

/// Lines behind a label that the first of them bears, as rows have it; without one where a letter has no rows.
pub(crate) fn labelled(letter: &Document, label: &str, is_first: bool, text: &str) -> String {
    let label = if is_first { label } else { "" };
    let label = if letter.rows.is_empty() { String::new() } else { format!("{label:LABEL$}") };
    wrapped(&label, text)
}

/// A paragraph of text.
pub(crate) fn paragraph(text: &str) -> String {
    wrapped("", text)
}

/// `text` behind `label`, wrapped; what follows stands below its beginning.
fn wrapped(label: &str, text: &str) -> String {
    let indent = label.chars().count();
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a first line");
        if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    format!("{label}{}", lines.join(&format!("\n{:indent$}", "")))
}

/// One empty line between parts, none at the ends.
fn tidy(text: &str) -> String {
    let mut tidy = String::new();
    for line in text.trim().lines() {
        let line = line.trim_end();
        if !(line.is_empty() && tidy.ends_with("\n\n")) {
            tidy.push_str(line);
            tidy.push('\n');
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_row_goes_on_below_its_beginning() {
        let row = Row::new("WHAT", ["word ".repeat(30)]);
        let text = row.text();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines.len() == 3 && lines.iter().all(|line| line.len() <= WIDTH));
        assert!(lines[0].starts_with("WHAT    word") && lines[1].starts_with("        word"));
    }
}
