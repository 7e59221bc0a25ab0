//! The CAs: the one of `[acme]` itself, and those of `[[acme.authorities]]` behind it, in order of preference.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::Duration,
};

use certmill_acme::{CaSettings, ExternalAccount, TrustedRoots};
use certmill_engine::AuthoritySettings;
use certmill_model::LimitProfile;
use serde::Deserialize;
use toml::{Table, Value};

use super::Config;
use crate::trouble::Trouble;

/// The first CA's name, where `acme.name` says nothing else.
const FIRST: &str = "default";

/// What is told of a CA, in `[acme]` or in a block of `[[acme.authorities]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    directory_url: String,
    #[serde(default)]
    profile: String,
    #[serde(default)]
    limits: Option<Value>,
    #[serde(default)]
    trust_file: PathBuf,
    #[serde(default)]
    issuing_roots_file: PathBuf,
    #[serde(default)]
    caa_identities: Vec<String>,
    #[serde(default)]
    external_account_key_id: String,
    #[serde(default)]
    external_account_key_file: PathBuf,
}

/// The CAs, the preferred one first.
pub(crate) fn authorities(config: &Config) -> Result<Vec<AuthoritySettings>, Trouble> {
    let read = |(key, entry): (String, Entry)| entry.read(&key, config);
    let authorities = entries(config)?.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    distinct(&authorities)?;
    Ok(authorities)
}

/// What each CA allows, by the address of its directory, without a look at their files.
pub(crate) fn authority_limits(config: &Config) -> Result<Vec<(String, LimitProfile)>, Trouble> {
    let read = |(key, entry): (String, Entry)| {
        let ca = entry.settings(&key)?;
        let limits = limits(entry.limits.as_ref(), usual_limits(&ca), &format!("{key}.limits"))?;
        Ok((ca.directory_url().to_string(), limits))
    };
    entries(config)?.into_iter().map(read).collect()
}

/// What is told of each CA, and where.
fn entries(config: &Config) -> Result<Vec<(String, Entry)>, Trouble> {
    let mut entries = vec![("acme".to_owned(), first(config))];
    for (place, block) in config.acme.authorities.iter().enumerate() {
        let key = format!("acme.authorities[{place}]");
        let entry = Entry::deserialize(block.clone()).map_err(|error: toml::de::Error| {
            let what = format!("{key} makes no sense: {}", error.message());
            Trouble::plain(what, "Mend that block; docs/renewal.md shows one.")
        })?;
        entries.push((key, entry));
    }
    Ok(entries)
}

/// The names of the CAs, without a look at their files.
pub(crate) fn authority_names(config: &Config) -> Vec<String> {
    let named = |block: &Value| block.get("name").and_then(Value::as_str).map(str::to_owned);
    let further = config.acme.authorities.iter().filter_map(named);
    [first(config).name].into_iter().chain(further).collect()
}

fn first(config: &Config) -> Entry {
    let acme = &config.acme;
    Entry {
        name: if acme.name.is_empty() { FIRST.to_owned() } else { acme.name.clone() },
        directory_url: acme.directory_url.clone(),
        profile: acme.profile.clone(),
        limits: Some(acme.limits.clone()),
        trust_file: acme.trust_file.clone(),
        issuing_roots_file: acme.issuing_roots_file.clone(),
        caa_identities: acme.caa_identities.clone(),
        external_account_key_id: acme.external_account_key_id.clone(),
        external_account_key_file: acme.external_account_key_file.clone(),
    }
}

/// A name or a directory that stands there twice is a slip: accounts are kept by directory, choices by name.
fn distinct(authorities: &[AuthoritySettings]) -> Result<(), Trouble> {
    let mut seen = HashSet::new();
    for authority in authorities {
        let directory = authority.ca.directory_url().to_string();
        for (text, same) in [(&authority.name, authority.name.clone()), (&directory, place(&authority.ca))] {
            if !seen.insert(same) {
                let what = format!("acme.authorities: {text} stands there twice");
                return Err(Trouble::plain(what, "Name each CA and its directory once."));
            }
        }
    }
    Ok(())
}

impl Entry {
    fn read(self, key: &str, config: &Config) -> Result<AuthoritySettings, Trouble> {
        let name_is_fine =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        if self.name.is_empty() || !self.name.chars().all(name_is_fine) {
            let what = format!("{key}.name {:?} cannot be used", self.name);
            return Err(Trouble::plain(what, "Use lower-case letters, digits, hyphens and dots."));
        }
        let mut ca = self.settings(key)?;
        ca.trust = roots(&self.trust_file, &format!("{key}.trust_file"))?;
        ca.contacts.clone_from(&config.acme.contacts);
        ca.poll_initial_delay = Duration::from_millis(config.acme.poll_initial_delay_ms);
        ca.external_account = self.external_account(key)?;
        Ok(AuthoritySettings {
            limits: limits(self.limits.as_ref(), usual_limits(&ca), &format!("{key}.limits"))?,
            ca,
            caa_identities: self.caa_identities.iter().map(|name| name.to_ascii_lowercase()).collect(),
            issuing_roots: roots(&self.issuing_roots_file, &format!("{key}.issuing_roots_file"))?,
            profile: (!self.profile.is_empty()).then_some(self.profile),
            name: self.name,
        })
    }

    /// Its directory, and what is usual beside it.
    fn settings(&self, key: &str) -> Result<CaSettings, Trouble> {
        CaSettings::new(&self.directory_url).map_err(|error| {
            let fix = "Set it to the https:// address of the CA's directory.";
            Trouble::new(format!("{key}.directory_url makes no sense"), &error, fix)
        })
    }

    fn external_account(&self, key: &str) -> Result<Option<ExternalAccount>, Trouble> {
        let (id, file) = (&self.external_account_key_id, &self.external_account_key_file);
        match (id.is_empty(), file.as_os_str().is_empty()) {
            (true, true) => return Ok(None),
            (false, false) => {}
            _ => {
                let what = format!(
                    "{key}: of external_account_key_id and external_account_key_file only one is set"
                );
                return Err(Trouble::plain(what, "Set both, as the CA gave them to you, or neither."));
            }
        }
        let key = format!("{key}.external_account_key_file");
        let fix = "Put the HMAC key there, as the CA shows it (base64url).";
        let text = std::fs::read_to_string(file)
            .map_err(|error| Trouble::new(format!("{key} {} cannot be read", file.display()), &error, fix))?;
        let account = ExternalAccount::new(id, &text)
            .map_err(|error| Trouble::new(format!("{key} makes no sense"), &error, fix))?;
        Ok(Some(account))
    }
}

/// A built-in profile by its name, or a table: a `base`, and what differs from it. Without a word the `usual` one of the CA.
fn limits(wanted: Option<&Value>, usual: &str, key: &str) -> Result<LimitProfile, Trouble> {
    let fix = "Name letsencrypt, letsencrypt-staging or none, or write a table as in docs/renewal.md.";
    let nonsense = |why: &str| Trouble::plain(format!("{key} makes no sense: {why}"), fix);
    let named = |name: &str| {
        LimitProfile::named(name).ok_or_else(|| nonsense(&format!("there is no built-in profile {name:?}")))
    };
    let profile = match wanted {
        None => named(usual)?,
        Some(Value::String(name)) if name.is_empty() => named(usual)?,
        Some(Value::String(name)) => named(name)?,
        Some(Value::Table(table)) => own_limits(table, usual, key, named)?,
        Some(_) => return Err(nonsense("it is neither a name nor a table")),
    };
    profile
        .check()
        .map_err(|error| Trouble::plain(format!("{key} makes no sense: {error}"), "Mend that limit."))?;
    Ok(profile)
}

fn own_limits(
    table: &Table,
    usual: &str,
    key: &str,
    named: impl Fn(&str) -> Result<LimitProfile, Trouble>,
) -> Result<LimitProfile, Trouble> {
    let base = match table.get("base") {
        None => usual,
        Some(base) => base.as_str().unwrap_or_default(),
    };
    let mut merged = Table::try_from(named(base)?).expect("limits are plain TOML");
    for (name, value) in table.iter().filter(|(name, _)| *name != "base") {
        match (merged.get_mut(name), value) {
            (Some(Value::Table(old)), Value::Table(new)) => old.extend(new.clone()),
            _ => {
                merged.insert(name.clone(), value.clone());
            }
        }
        // One by one, so that the error names the key.
        if let Err(error) = LimitProfile::deserialize(Value::Table(merged.clone())) {
            let what = format!("{key}.{name} makes no sense: {}", error.message());
            return Err(Trouble::plain(what, "Mend that limit; 300/3h is 300 in three hours."));
        }
    }
    Ok(LimitProfile::deserialize(Value::Table(merged)).expect("each key was read before"))
}

/// The profile of a CA that is known by its address.
fn usual_limits(ca: &CaSettings) -> &'static str {
    match place(ca).split('/').next() {
        Some("acme-v02.api.letsencrypt.org") => "letsencrypt",
        Some("acme-staging-v02.api.letsencrypt.org") => "letsencrypt-staging",
        _ => "none",
    }
}

/// Host, port and path of a CA's directory, in the same letters for all addresses that lead there: host names have no case, and
/// 443 is the port where none is named (RFC 3986 section 6.2.3).
fn place(ca: &CaSettings) -> String {
    let uri = ca.directory_url();
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let port = uri.port_u16().filter(|port| *port != 443).map(|port| format!(":{port}"));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    format!("{host}{}{path}", port.unwrap_or_default())
}

fn roots(path: &Path, key: &str) -> Result<Option<TrustedRoots>, Trouble> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let fix = "Set it to a PEM file with at least one certificate, or leave it out.";
    let pem = std::fs::read_to_string(path)
        .map_err(|error| Trouble::new(format!("{key} {} cannot be read", path.display()), &error, fix))?;
    TrustedRoots::from_pem(&pem)
        .map(Some)
        .map_err(|error| Trouble::new(format!("{key} makes no sense"), &error, fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELSEWHERE: &str = "https://ca.example/directory";

    fn read(limits: &str) -> Result<LimitProfile, String> {
        let table: Table = format!("limits = {limits}").parse().unwrap();
        super::limits(table.get("limits"), "none", "acme.limits").map_err(|trouble| trouble.what)
    }

    #[test]
    fn limits_are_a_name_or_what_differs_from_one() {
        assert_eq!(read(r#""none""#), Ok(LimitProfile::default()));
        let own = read(r#"{ base = "letsencrypt", orders_per_account = "50000/3h" }"#).unwrap();
        let built_in = LimitProfile::named("letsencrypt").unwrap();
        assert_eq!(own.orders_per_account.unwrap().capacity, 50_000);
        assert_eq!(own.certificates_per_name_set, built_in.certificates_per_name_set);
        assert!(own.exempts_renewals, "the base says so");
        let exempting = read(r#"{ exempts_renewals = true, orders_per_account = "100/1h" }"#).unwrap();
        assert!(exempting.exempts_renewals && !read("{}").unwrap().exempts_renewals);
        let requests =
            read(r#"{ base = "letsencrypt", requests = { new_order = "9/s" } }"#).unwrap().requests;
        assert_eq!(requests.len(), built_in.requests.len());
    }

    #[test]
    fn the_limits_of_lets_encrypt_are_known_by_its_address() {
        let limits = |url| usual_limits(&CaSettings::new(url).unwrap());
        for directory in [
            "https://acme-v02.api.letsencrypt.org/directory",
            "https://ACME-v02.api.LetsEncrypt.org/directory",
            "https://acme-v02.api.letsencrypt.org:443/directory",
        ] {
            assert_eq!(limits(directory), "letsencrypt", "{directory}");
        }
        for elsewhere in [
            ELSEWHERE,
            "https://acme-v02.api.letsencrypt.org:14000/directory",
            "https://acme-v02.api.letsencrypt.org.ca.example/directory",
            "https://ca.example/acme-v02.api.letsencrypt.org/directory",
        ] {
            assert_eq!(limits(elsewhere), "none", "{elsewhere}");
        }
        let usual = super::limits(None, "letsencrypt", "acme.limits").map_err(|trouble| trouble.what);
        assert_eq!(usual, Ok(LimitProfile::named("letsencrypt").unwrap()));
    }

    fn authority(name: &str, directory_url: &str) -> AuthoritySettings {
        AuthoritySettings {
            name: name.to_owned(),
            ca: CaSettings::new(directory_url).unwrap(),
            limits: LimitProfile::default(),
            caa_identities: Vec::new(),
            issuing_roots: None,
            profile: None,
        }
    }

    #[test]
    fn a_ca_that_is_written_in_two_ways_stands_there_twice() {
        let two = |name, url| distinct(&[authority("one", ELSEWHERE), authority(name, url)]);
        for same in [ELSEWHERE, "https://CA.example/directory", "https://ca.example:443/directory"] {
            let trouble = two("two", same).unwrap_err();
            assert!(trouble.what.ends_with("/directory stands there twice"), "{}", trouble.what);
        }
        for other in ["https://ca.example/Directory", "https://ca.example:8443/directory"] {
            assert!(two("two", other).is_ok(), "{other}");
        }
        assert!(two("one", "https://other.example/directory").is_err());
    }

    #[test]
    fn limits_that_make_no_sense_are_refused_with_their_key_and_the_reason() {
        for (limits, words) in [
            (r#""letsencrpyt""#, "no built-in profile \"letsencrpyt\""),
            ("7", "neither a name nor a table"),
            (r#"{ orders = "1/h" }"#, "acme.limits.orders makes no sense: unknown field"),
            (r#"{ orders_per_account = "1/w" }"#, "acme.limits.orders_per_account makes no sense"),
            (r#"{ orders_per_account = "0/h" }"#, "orders_per_account = 0/1h: a capacity of 0"),
            (r#"{ exempts_renewals = "yes" }"#, "acme.limits.exempts_renewals makes no sense"),
            (r#"{ requests = { new_odrer = "1/s" } }"#, "acme.limits.requests makes no sense"),
        ] {
            let error = read(limits).unwrap_err();
            assert!(error.contains(words), "{limits}: {error}");
        }
    }
}
