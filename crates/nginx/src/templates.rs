//! The templates: built-in ones, and those of the operator's directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use certmill_model::{Form, TemplateMistake, TemplateRef};

use crate::directives::{self, InvalidDirectives};
use crate::manifest::sha256_hex;
use crate::sandbox::{DEDICATED_VALUES, SHARED_VALUES, Sandbox};
use crate::tags::{self, DEFAULTS, InvalidTag};

/// The largest template, in bytes.
const MAX_SIZE: u64 = 64 * 1024;

/// Raised when the renderer itself writes something else than before, so that every shard is rendered anew.
const RENDERER: &str = "1";

macro_rules! built_in {
    ($($file:literal)*) => {
        [$(($file, include_str!(concat!("../../../templates/nginx/", $file)))),*]
    };
}

const BUILT_IN: [(&str, &str); 5] = built_in! {
    "defaults.conf"
    "redirect.shared.conf"
    "storefront-cached.shared.conf"
    "storefront.dedicated.conf"
    "storefront.shared.conf"
};

/// Checked templates, ready to render.
#[derive(Clone, Debug)]
pub struct Templates {
    /// By file name, `defaults.conf` among them.
    sources: BTreeMap<String, String>,
    /// Those that were served once and cannot be read any more, by file name: nothing is rendered from them, and what is live of
    /// them can stay.
    unreadable: BTreeMap<String, Unreadable>,
}

/// A template that cannot be read any more.
#[derive(Clone, Debug)]
struct Unreadable {
    source: String,
    words: String,
}

/// Why a directory of templates was not taken. Every variant names the file.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The directory or a file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A `.conf` file whose name says neither its template nor its form.
    #[error("{} is no name of a template: it must be <name>.shared.conf, <name>.dedicated.conf or {DEFAULTS}, the name \
             in lower-case letters, digits and hyphens", path.display())]
    FileName {
        /// The file.
        path: PathBuf,
    },
    /// More than 64 KiB.
    #[error("{} is larger than {MAX_SIZE} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A tag that templates may not have.
    #[error("in {}", path.display())]
    Tag {
        /// The file.
        path: PathBuf,
        /// The line, and what is wrong there.
        #[source]
        source: InvalidTag,
    },
    /// Not the template language.
    #[error("in {}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, and what is wrong there.
        #[source]
        source: minijinja::Error,
    },
    /// Not whole directives, or one that no template may use.
    #[error("in {}", path.display())]
    Directives {
        /// The file.
        path: PathBuf,
        /// The line, and what is wrong there.
        #[source]
        source: InvalidDirectives,
    },
}

impl TemplateError {
    /// What is wrong and where, for the person who writes it; what concerns the text as a whole is at its beginning.
    pub fn mistake(&self) -> TemplateMistake {
        let (line, column, what) = match self {
            Self::Tag { source, .. } => (source.line, source.column, source.what.clone()),
            Self::Directives { source, .. } => (source.line, source.column, source.what.clone()),
            Self::Syntax { source, .. } => {
                let what = source.detail().map_or_else(|| source.to_string(), str::to_owned);
                (source.line().unwrap_or(1), 1, what)
            }
            Self::Unreadable { .. } | Self::FileName { .. } | Self::TooLarge { .. } => {
                (1, 1, self.to_string())
            }
        };
        TemplateMistake { line, column, what }
    }
}

/// A reference to a template that is not there.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no template {0:?}")]
pub struct UnknownTemplate(pub String);

impl Templates {
    /// The templates that certmill brings along.
    pub fn built_in() -> Self {
        let own = |(file, source): (&str, &str)| (file.to_owned(), source.to_owned());
        Self { sources: BUILT_IN.into_iter().map(own).collect(), unreadable: BTreeMap::new() }
    }

    /// The built-in templates and those of `directory`, which win where the file name is the same.
    pub fn with_directory(directory: &Path) -> Result<Self, TemplateError> {
        let mut templates = Self::built_in();
        let unreadable = |source| TemplateError::Unreadable { path: directory.to_owned(), source };
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "conf") {
                let (file, source) = load(&path)?;
                templates.sources.insert(file, source);
            }
        }
        Ok(templates)
    }

    /// The same, with `source` in the place of the template `name` in `form`, or beside the others.
    pub fn with(&self, name: &str, form: Form, source: &str) -> Result<Self, TemplateError> {
        let file = file_name(name, form);
        let path = Path::new(&file);
        if source.len() as u64 > MAX_SIZE {
            return Err(TemplateError::TooLarge { path: path.to_owned() });
        }
        check(path, &file, source)?;
        let mut templates = self.clone();
        templates.unreadable.remove(&file);
        templates.sources.insert(file, source.to_owned());
        Ok(templates)
    }

    /// The same without the template `name` in `form`, which is served and whose text cannot be read any more, as `error` says.
    #[must_use]
    pub fn with_unreadable(&self, name: &str, form: Form, source: &str, error: &TemplateError) -> Self {
        let file = file_name(name, form);
        let mistake = error.mistake();
        let words = format!(
            "the text of the template {name}:{} cannot be read: line {}: {}",
            form.as_str(),
            mistake.line,
            mistake.what
        );
        let mut templates = self.clone();
        templates.sources.remove(&file);
        templates.unreadable.insert(file, Unreadable { source: source.to_owned(), words });
        templates
    }

    /// Why the template that `reference` means cannot be read any more, if that is so.
    pub fn unreadable(&self, reference: &TemplateRef) -> Option<&str> {
        let form = self.resolve(reference).ok()?;
        self.unreadable.get(&file_name(reference.name(), form)).map(|one| one.words.as_str())
    }

    /// Why templates cannot be read any more, if there are such.
    pub fn complaint(&self) -> Option<String> {
        let words: Vec<_> = self.unreadable.values().map(|one| one.words.as_str()).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// The form in which `reference` is served.
    pub fn resolve(&self, reference: &TemplateRef) -> Result<Form, UnknownTemplate> {
        let forms = match reference.form() {
            Some(form) => vec![form],
            None => vec![Form::Shared, Form::Dedicated],
        };
        forms
            .into_iter()
            .find(|form| self.source(reference.name(), *form).is_some())
            .ok_or_else(|| UnknownTemplate(reference.to_string()))
    }

    /// All templates by name and form.
    pub fn list(&self) -> Vec<(String, Form)> {
        let known = |file: &String| parse_file_name(file).map(|(name, form)| (name.to_owned(), form));
        self.sources.keys().filter_map(known).collect()
    }

    /// Changes whenever a shard rendered before could be rendered otherwise now: SHA-256 in hexadecimal.
    pub fn fingerprint(&self) -> String {
        let unreadable = self.unreadable.iter().map(|(file, one)| (file, &one.source));
        let sources: BTreeMap<_, _> = self.sources.iter().chain(unreadable).collect();
        let all: Vec<_> = sources
            .iter()
            .map(|(file, source)| format!("{file} {}\n", sha256_hex(source.as_bytes())))
            .collect();
        sha256_hex(format!("{RENDERER}\n{}", all.concat()).as_bytes())
    }

    /// The text of a template, whether it can be read or not.
    pub fn source(&self, name: &str, form: Form) -> Option<&str> {
        let file = file_name(name, form);
        let unreadable = || self.unreadable.get(&file).map(|one| &one.source);
        self.sources.get(&file).or_else(unreadable).map(String::as_str)
    }

    pub(crate) fn is_unreadable(&self, name: &str, form: Form) -> bool {
        self.unreadable.contains_key(&file_name(name, form))
    }

    pub(crate) fn sandbox(&self) -> Sandbox<'_> {
        let mut sandbox = Sandbox::new();
        for (file, source) in &self.sources {
            sandbox.add(file, source).expect("templates are checked when loaded");
        }
        sandbox
    }
}

/// The file of a template.
pub(crate) fn file_name(name: &str, form: Form) -> String {
    format!("{name}.{}.conf", form.as_str())
}

fn parse_file_name(file: &str) -> Option<(&str, Form)> {
    let (name, form) = file.strip_suffix(".conf")?.split_once('.')?;
    let form = [Form::Shared, Form::Dedicated].into_iter().find(|known| known.as_str() == form)?;
    TemplateRef::parse(name).is_ok_and(|parsed| parsed.form().is_none()).then_some((name, form))
}

fn load(path: &Path) -> Result<(String, String), TemplateError> {
    let owned = || path.to_owned();
    let file = path.file_name().and_then(|file| file.to_str());
    let file = file.filter(|file| *file == DEFAULTS || parse_file_name(file).is_some());
    let file = file.ok_or_else(|| TemplateError::FileName { path: owned() })?;
    let unreadable = |source| TemplateError::Unreadable { path: owned(), source };
    if fs::metadata(path).map_err(unreadable)?.len() > MAX_SIZE {
        return Err(TemplateError::TooLarge { path: owned() });
    }
    let source = fs::read_to_string(path).map_err(unreadable)?;
    check(path, file, &source)?;
    Ok((file.to_owned(), source))
}

fn check(path: &Path, file: &str, source: &str) -> Result<(), TemplateError> {
    let path = path.to_owned();
    let variables = match parse_file_name(file) {
        Some((_, Form::Dedicated)) => DEDICATED_VALUES,
        // The defaults are included by both forms.
        _ => SHARED_VALUES,
    };
    let flat = match tags::flatten(source, variables, file != DEFAULTS) {
        Ok(flat) => flat,
        Err(source) => return Err(TemplateError::Tag { path, source }),
    };
    if let Err(source) = Sandbox::new().add(file, source) {
        return Err(TemplateError::Syntax { path, source });
    }
    directives::check(&flat.text).map_err(|mut source| {
        source.column = flat.column_in_source(source.line, source.column);
        TemplateError::Directives { path, source }
    })
}

#[cfg(test)]
#[path = "templates_tests.rs"]
mod tests;
