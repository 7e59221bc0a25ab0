//! Which part of a release nginx complains of.

use std::collections::BTreeMap;

use certmill_model::{DomainId, UpstreamAddress};

use crate::{shard_of_path, template_of_path};

/// The place in a release that nginx's words name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Blame {
    /// The file, relative to the release.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
}

impl Blame {
    /// Finds the first `<root>/releases/<number>/<path>:<line>` in what `nginx -t` wrote.
    pub fn find(output: &str, root: &str) -> Option<Self> {
        let prefix = format!("{root}/releases/");
        output.match_indices(&prefix).find_map(|(at, _)| parse_place(&output[at + prefix.len()..]))
    }

    /// The template whose text or whose domains the place belongs to, if it is one's.
    pub fn template(&self) -> Option<&str> {
        template_of_path(&self.path)
    }

    /// The shard of the place, if it is in one.
    pub fn shard(&self) -> Option<u8> {
        shard_of_path(&self.path)
    }

    /// The domain of the place; `file` is the text of the file. A dedicated block is headed by its domain's id; a line
    /// of the certificate map holds it.
    pub fn domain_in(&self, file: &str) -> Option<DomainId> {
        let until = file.lines().take(self.line as usize);
        if self.path.starts_with("blocks/") {
            let heads = until.filter_map(|line| line.strip_prefix("# "));
            return heads.filter_map(|id| id.parse().ok()).last();
        }
        let line = until.skip(self.line.saturating_sub(1) as usize).last()?;
        line.strip_suffix(';')?.rsplit('/').next()?.parse().ok()
    }

    /// The upstream of the place; `file` is the text of `upstreams/all.conf`.
    pub fn upstream_in(&self, file: &str) -> Option<UpstreamAddress> {
        let line = file.lines().nth(self.line.checked_sub(1)? as usize)?;
        let (_, address) = line.split_once("{ server ")?;
        UpstreamAddress::parse(address.split(';').next()?).ok()
    }
}

/// The names that nginx says another configuration on the load balancer claims as well, each with its words: of two blocks
/// nginx heeds one.
pub fn names_claimed_twice(output: &str) -> BTreeMap<String, String> {
    let name = |line: &str| {
        let (_, rest) = line.split_once("conflicting server name \"")?;
        Some(rest.split_once('"')?.0.to_ascii_lowercase())
    };
    output.lines().filter_map(|line| Some((name(line)?, line.trim().to_owned()))).collect()
}

fn parse_place(text: &str) -> Option<Blame> {
    let (_number, rest) = text.split_once('/')?;
    let (path, rest) = rest.split_once(':')?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
    let line = digits.parse().ok()?;
    let is_path = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte));
    is_path.then(|| Blame { path: path.to_owned(), line })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_found_in_the_words_of_nginx() {
        let output = "nginx: [emerg] unknown directive \"x\" in /srv/c/releases/7/servers/bad.conf:12\n\
                      nginx: configuration file /etc/nginx/nginx.conf test failed\n";
        let blame = Blame::find(output, "/srv/c").unwrap();
        assert_eq!(blame.template(), Some("bad"));
        assert_eq!((blame.shard(), blame.line), (None, 12));
        assert_eq!(Blame::find(output, "/srv/d"), None);
        assert_eq!(Blame::find("in /srv/c/releases/", "/srv/c"), None);
    }

    #[test]
    fn names_that_another_configuration_claims_are_found() {
        let output = "nginx: [warn] conflicting server name \"a.example\" on 0.0.0.0:443, ignored\n\
                      nginx: [warn] conflicting server name \"*.B.example\" on [::]:443, ignored\n\
                      nginx: [warn] conflicting server name \"a.example\" on 0.0.0.0:80, ignored\n";
        let names: Vec<_> = names_claimed_twice(output).into_keys().collect();
        assert_eq!(names, ["*.b.example", "a.example"]);
        assert!(names_claimed_twice("nginx: conflicting server name \"").is_empty());
    }

    #[test]
    fn the_domain_and_the_upstream_of_a_place_are_found() {
        let ids = ["dom_00000000000000000000000001", "dom_00000000000000000000000002"];
        let at = |path: &str, line| Blame { path: path.to_owned(), line };
        let block = format!("# {}\nserver {{\n}}\n# {}\nserver {{\n}}\n", ids[0], ids[1]);
        let found = |line| at("blocks/a/00.conf", line).domain_in(&block).unwrap().to_string();
        assert_eq!([found(3), found(5)], ids);
        let map = format!("a.example 01/{};\nb.example 02/{};\n", ids[0], ids[1]);
        let found = |line| at("maps/certificate/00.map", line).domain_in(&map);
        assert_eq!(found(2).unwrap().to_string(), ids[1]);
        let upstreams = "upstream certmill_0 { server 10.0.0.1:80; keepalive 16; }\n";
        let upstream = at("upstreams/all.conf", 1).upstream_in(upstreams).unwrap();
        assert_eq!(upstream.to_string(), "10.0.0.1:80");
    }
}
