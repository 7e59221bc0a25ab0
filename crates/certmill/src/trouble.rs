//! An error as an operator reads it: what, why, what to do.

use std::{error::Error, process::ExitCode};

/// Something that ends a command.
pub(crate) struct Trouble {
    pub(crate) what: String,
    why: Option<String>,
    fix: String,
    code: u8,
}

impl Trouble {
    /// What went wrong, the error behind it, and what to do.
    pub(crate) fn new(
        what: impl Into<String>,
        error: &(dyn Error + 'static),
        fix: impl Into<String>,
    ) -> Self {
        let mut why = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            why.push_str(": ");
            why.push_str(&error.to_string());
            source = error.source();
        }
        Self { what: what.into(), why: Some(why), fix: fix.into(), code: 1 }
    }

    /// The same without an error behind it.
    pub(crate) fn plain(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), why: None, fix: fix.into(), code: 1 }
    }

    /// Something that was asked for does not exist: exit code 3.
    pub(crate) fn not_found(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { code: 3, ..Self::plain(what, fix) }
    }

    /// Something needs a person before it can go on: exit code 4.
    pub(crate) fn needs_action(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { code: 4, ..Self::plain(what, fix) }
    }

    /// Says it, and answers the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("certmill: {}", self.what);
        if let Some(why) = &self.why {
            eprintln!("  why: {why}");
        }
        eprintln!("  do:  {}", self.fix);
        ExitCode::from(self.code)
    }
}

/// Any failure of the database, in the middle of a command.
impl From<certmill_store::StoreError> for Trouble {
    fn from(error: certmill_store::StoreError) -> Self {
        Self::new(
            "the database cannot be used",
            &error,
            "Check database_url, and that `certmill migrate` has run.",
        )
    }
}
