//! The paths of a release, and whose each is.

/// The path of shard `shard` of `kind`, such as `names/storefront`.
pub(crate) fn shard_path(kind: &str, shard: u8, extension: &str) -> String {
    format!("{kind}/{shard:02x}.{extension}")
}

/// The shard that a file of a release belongs to; `None` for the files at the top.
pub fn shard_of_path(path: &str) -> Option<u8> {
    let file = match split(path)? {
        ("names" | "blocks", _, file) => file.strip_suffix(".conf")?,
        ("maps", _, file) => file.strip_suffix(".map")?,
        _ => return None,
    };
    let is_hex = file.len() == 2 && file.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u8::from_str_radix(file, 16).ok()).flatten()
}

/// The template that a file of a release was made from; `None` where several share it.
pub fn template_of_path(path: &str) -> Option<&str> {
    match path.strip_prefix("servers/") {
        Some(file) => file.strip_suffix(".conf").filter(|name| !name.contains('/')),
        None => match split(path)? {
            ("names" | "blocks", template, _) => Some(template),
            _ => None,
        },
    }
}

fn split(path: &str) -> Option<(&str, &str, &str)> {
    let mut parts = path.split('/');
    let found = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_its_shard_and_its_template() {
        for (path, shard, template) in [
            ("names/storefront/0a.conf", Some(10), Some("storefront")),
            ("blocks/storefront/ff.conf", Some(255), Some("storefront")),
            ("maps/certificate/00.map", Some(0), None),
            ("servers/redirect.conf", None, Some("redirect")),
            ("certmill.conf", None, None),
            ("upstreams/all.conf", None, None),
            ("names/storefront/0A.conf", None, Some("storefront")),
            ("maps/certificate/+1.map", None, None),
        ] {
            assert_eq!(shard_of_path(path), shard, "{path}");
            assert_eq!(template_of_path(path), template, "{path}");
        }
    }
}
