//! The configuration, and the first one.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use certmill_vault::MasterKey;

use super::say;
use crate::{config::Config, trouble::Trouble};

/// Makes a data directory with a master key, and a configuration that names it.
/// Answers where the configuration is.
pub(crate) fn init(directory: &Path) -> Result<PathBuf, Trouble> {
    let fix = "Choose another directory, or check its permissions.";
    std::fs::create_dir_all(directory)
        .map_err(|error| Trouble::new(format!("{} cannot be made", directory.display()), &error, fix))?;
    let directory = directory
        .canonicalize()
        .map_err(|error| Trouble::new(format!("{} cannot be used", directory.display()), &error, fix))?;
    write_new(&directory.join("master.key"), MasterKey::generate().to_line().as_bytes())?;
    let config = directory.join("certmill.toml");
    let data = toml::Value::String(directory.display().to_string());
    write_new(&config, format!("{FIRST_CONFIG}\ndata_directory = {data}\n").as_bytes())?;
    say(format!("made {}\nmade {}", directory.join("master.key").display(), config.display()));
    say(
        "Keep a copy of master.key somewhere else: without it nothing sealed can be read, and no backup holds it.",
    );
    say(format!("Next: certmill --config {} all", config.display()));
    Ok(config)
}

/// Prints each key in force and where it comes from; what is secret is not shown.
pub(crate) fn show_config(config: &Config) {
    for setting in &config.settings {
        let value = match (setting.key.as_str(), setting.value.as_str()) {
            ("database_url", Some(url)) => toml::Value::String(without_password(url)),
            _ => setting.value.clone(),
        };
        say(format!("{} = {value}    # {}", setting.key, setting.source));
    }
}

const FIRST_CONFIG: &str = "\
# certmill's configuration. `certmill config show` lists every key, its value and where it comes from.
# Without database_url, certmill runs a private PostgreSQL in the data directory.
# Without acme.directory_url, certificates come from Let's Encrypt's staging environment.
";

/// Never over something that is there, and for our eyes only.
fn write_new(path: &Path, content: &[u8]) -> Result<(), Trouble> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content));
    written.map_err(|error| {
        let fix = match error.kind() {
            ErrorKind::AlreadyExists => "It is there already and was left alone. Choose another directory.",
            _ => "Check the directory's permissions.",
        };
        Trouble::new(format!("{} cannot be written", path.display()), &error, fix)
    })
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let hidden = match rest.rsplit_once('@') {
        Some((credentials, rest)) => match credentials.split_once(':') {
            Some((user, _)) => format!("{user}:…@{rest}"),
            None => format!("{credentials}@{rest}"),
        },
        None => rest.to_owned(),
    };
    let parameters: Vec<_> = hidden
        .split('&')
        .map(|parameter| match parameter.split_once("password=") {
            Some((before, _)) => format!("{before}password=…"),
            None => parameter.to_owned(),
        })
        .collect();
    format!("{scheme}://{}", parameters.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_database_url_is_not_shown() {
        assert_eq!(without_password("postgres://u:secret@h/d"), "postgres://u:…@h/d");
        assert_eq!(without_password("postgres://u:sec@ret@h/d"), "postgres://u:…@h/d");
        assert_eq!(
            without_password("postgres:///d?host=/x&password=secret&user=u"),
            "postgres:///d?host=/x&password=…&user=u"
        );
        assert_eq!(without_password("postgres:///d?host=/x"), "postgres:///d?host=/x");
    }
}
