//! What is told while something goes on: in colour and with a moving last line on a terminal, plain lines elsewhere.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// Standard output. That nobody reads it is no reason to stop.
pub(crate) struct Screen {
    terminal: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { terminal: io::stdout().is_terminal() && colours }
    }

    /// A line.
    pub(crate) fn say(&self, line: impl Display) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        let _ = writeln!(io::stdout(), "{clear}{line}");
    }

    /// A step that begins.
    pub(crate) fn step(&self, line: impl Display) {
        self.say(format_args!("{} {line}", self.paint("36", "==>")));
    }

    /// Something that went well.
    pub(crate) fn good(&self, line: impl Display) {
        self.say(format_args!("  {} {line}", self.paint("32", "ok")));
    }

    /// The last line on a terminal, which the next one takes the place of; nothing elsewhere.
    pub(crate) fn moving(&self, line: impl Display) {
        if self.terminal {
            let mut out = io::stdout();
            let _ = write!(out, "\r\x1b[K     {line}");
            let _ = out.flush();
        }
    }

    /// Emphasised.
    pub(crate) fn strong(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.terminal { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
