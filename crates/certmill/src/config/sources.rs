//! Where values come from, and which one counts.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::trouble::Trouble;

/// Environment variables begin with this; sections are parted from keys by two underscores.
const PREFIX: &str = "CERTMILL_";

/// Variables of ours that are no configuration keys.
const NOT_KEYS: [&str; 2] = ["CERTMILL_CONFIG", "CERTMILL_DIE_AT"];

/// A key in force.
pub(crate) struct Setting {
    /// `section.key`.
    pub(crate) key: String,
    /// Its value, as TOML.
    pub(crate) value: Value,
    /// Where it comes from.
    pub(crate) source: String,
}

/// The defaults, overlaid by the file and then by the environment.
pub(crate) fn merged(defaults: &str, file: Option<&Path>) -> Result<(Table, Vec<Setting>), Trouble> {
    let defaults: Table = defaults.parse().expect("the defaults are TOML");
    let mut settings = flatten(&defaults, "default", &[]);
    if let Some((path, table)) = read_file(file)? {
        let own = flatten(&table, &path.display().to_string(), &settings);
        overlay(&mut settings, own)?;
    }
    overlay(&mut settings, environment(std::env::vars()))?;
    Ok((unflatten(&settings), settings))
}

fn read_file(given: Option<&Path>) -> Result<Option<(PathBuf, Table)>, Trouble> {
    let usual = || [PathBuf::from("certmill.toml"), PathBuf::from("/etc/certmill/certmill.toml")];
    let Some(path) = given.map(Path::to_owned).or_else(|| usual().into_iter().find(|path| path.exists()))
    else {
        return Ok(None);
    };
    let shown = path.display();
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Trouble::new(format!("{shown} cannot be read"), &error, "Check the path and its permissions.")
    })?;
    // Without the line itself, which may hold a password.
    let table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
        Trouble::plain(format!("{shown} is not TOML: line {line}: {}", error.message()), "Mend that line.")
    })?;
    Ok(Some((path, table)))
}

fn environment(variables: impl Iterator<Item = (String, String)>) -> Vec<Setting> {
    let ours = variables.filter(|(name, _)| name.starts_with(PREFIX) && !NOT_KEYS.contains(&name.as_str()));
    ours.map(|(name, text)| {
        let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
        Setting { key, value: as_value(&text), source: format!("environment {name}") }
    })
    .collect()
}

/// A list or a number where the text is one as TOML, else the text itself.
fn as_value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    match parsed {
        Some(value @ (Value::Array(_) | Value::Integer(_) | Value::String(_) | Value::Table(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}

fn overlay(settings: &mut [Setting], over: Vec<Setting>) -> Result<(), Trouble> {
    for new in over {
        let Some(old) = settings.iter_mut().find(|setting| setting.key == new.key) else {
            return Err(Trouble::plain(
                format!("{}: there is no key {}", new.source, new.key),
                "Remove it or mend its spelling; `certmill config show` lists all keys.",
            ));
        };
        *old = new;
    }
    Ok(())
}

/// The keys of a table, with those of its sections. A table in the place of a `known` key is that key's value.
fn flatten(table: &Table, source: &str, known: &[Setting]) -> Vec<Setting> {
    let mut settings = Vec::new();
    collect(table, "", source, known, &mut settings);
    settings
}

fn collect(table: &Table, prefix: &str, source: &str, known: &[Setting], settings: &mut Vec<Setting>) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match value {
            Value::Table(section) if !known.iter().any(|setting| setting.key == key) => {
                collect(section, &format!("{key}."), source, known, settings);
            }
            value => settings.push(Setting { key, value: value.clone(), source: source.to_owned() }),
        }
    }
}

fn unflatten(settings: &[Setting]) -> Table {
    let mut table = Table::new();
    for setting in settings {
        match setting.key.split_once('.') {
            None => {
                table.insert(setting.key.clone(), setting.value.clone());
            }
            Some((section, key)) => {
                let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(section) = section {
                    section.insert(key.to_owned(), setting.value.clone());
                }
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn variable(name: &str, text: &str) -> Vec<Setting> {
        environment([(name.to_owned(), text.to_owned())].into_iter())
    }

    #[test]
    fn the_environment_names_sections_with_two_underscores() {
        let settings = variable("CERTMILL_WEB__LISTEN", "127.0.0.1:1");
        assert_eq!(
            (settings[0].key.as_str(), settings[0].value.as_str()),
            ("web.listen", Some("127.0.0.1:1"))
        );
        assert_eq!(variable("CERTMILL_DATABASE_URL", "x")[0].key, "database_url");
        assert_eq!(
            variable("CERTMILL_DNS__SERVERS", r#"["127.0.0.1:53"]"#)[0].value.as_array().map(Vec::len),
            Some(1)
        );
        assert!(variable("PATH", "x").is_empty() && variable("CERTMILL_CONFIG", "x").is_empty());
    }

    #[test]
    fn a_key_that_does_not_exist_is_refused() {
        let mut settings = flatten(&"[web]\nlisten = \"x\"".parse().unwrap(), "default", &[]);
        assert!(overlay(&mut settings, variable("CERTMILL_WEB__LISTEM", "x")).is_err());
        assert!(overlay(&mut settings, variable("CERTMILL_WEB__LISTEN", "y")).is_ok());
        assert_eq!(unflatten(&settings)["web"]["listen"].as_str(), Some("y"));
    }

    #[test]
    fn the_documentation_has_every_key_with_its_default_and_no_other() {
        let (mut section, mut documented) = (String::new(), BTreeMap::new());
        for line in include_str!("../../../../docs/configuration.md").lines() {
            if let Some(heading) = line.strip_prefix("## ") {
                let name = heading.strip_prefix("`[").and_then(|rest| rest.strip_suffix("]`"));
                section = name.map(|name| format!("{name}.")).unwrap_or_default();
            }
            if let Some(row) = line.strip_prefix("| `") {
                let mut cells = row.split('`').step_by(2);
                let (key, default) = (cells.next().unwrap(), cells.next().unwrap());
                documented.insert(format!("{section}{key}"), default.to_owned());
            }
        }
        let known = flatten(&crate::config::DEFAULTS.parse().unwrap(), "default", &[]);
        let known: BTreeMap<_, _> =
            known.into_iter().map(|setting| (setting.key, setting.value.to_string())).collect();
        assert_eq!(documented, known);
    }

    #[test]
    fn a_table_in_the_place_of_a_key_is_its_value() {
        let defaults = flatten(&"[acme]\nlimits = \"\"".parse().unwrap(), "default", &[]);
        let own = flatten(&"[acme.limits]\nbase = \"none\"".parse().unwrap(), "file", &defaults);
        assert_eq!((own[0].key.as_str(), own.len()), ("acme.limits", 1));
    }
}
