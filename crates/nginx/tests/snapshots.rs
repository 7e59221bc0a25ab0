//! A small release, byte by byte. `UPDATE_SNAPSHOTS=1 cargo test -p certmill-nginx` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs};

use certmill_model::{Hostname, TemplateRef, UpstreamAddress};
use certmill_nginx::{DomainConfig, Layout, Manifest, Templates};

fn domain(id: &str, name: &str, template: &str, upstream: &str) -> DomainConfig {
    DomainConfig {
        domain: format!("dom_{id:0>26}").parse().unwrap(),
        name: Hostname::parse(name).unwrap(),
        template: TemplateRef::parse(template).unwrap(),
        upstream: UpstreamAddress::parse(upstream).unwrap(),
    }
}

fn small_release() -> BTreeMap<String, Vec<u8>> {
    let templates = Templates::built_in();
    let listen = |address: &str| vec![address.to_owned()];
    let responder = UpstreamAddress::parse("127.9.2.1:8402").unwrap();
    let (http, https) = (listen("127.9.1.1:8080"), listen("127.9.1.1:8443"));
    let layout = Layout::new("/srv/certmill", &http, &https, 8443, vec![responder]).unwrap();
    let domains = [
        domain("1", "shop1.example.com", "storefront", "10.0.0.5:8080"),
        domain("801", "*.shop2.example.com", "storefront", "[::1]:8080"),
        domain("g01", "www.shop3.example.com", "redirect", "10.0.0.5:8080"),
        domain("r01", "shop4.example.com", "storefront-cached", "10.0.0.5:8080"),
        domain("2", "shop5.example.com", "storefront:dedicated", "shops.internal:3000"),
    ];
    let mut files = BTreeMap::new();
    for shard in 0..=255 {
        let of_shard: Vec<_> = domains.iter().filter(|one| one.domain.shard() == shard).cloned().collect();
        let rendered = templates.render_shard(&layout, shard, &of_shard);
        assert_eq!(rendered.refused, []);
        files.extend(rendered.files);
    }
    let upstreams: BTreeSet<_> = domains.iter().map(|one| one.upstream.clone()).collect();
    let top = templates.render_top(&layout, 7, files.keys().cloned().collect::<Vec<_>>(), &upstreams);
    assert_eq!(top.refused, []);
    let manifest = Manifest::default().with_top_replaced(&top.files);
    files.extend(top.files);
    let manifest =
        files.iter().fold(manifest, |manifest, (path, _)| match certmill_nginx::shard_of_path(path) {
            None => manifest,
            Some(shard) => {
                let of_shard =
                    files.iter().filter(|(path, _)| certmill_nginx::shard_of_path(path) == Some(shard));
                manifest.with_shard_replaced(
                    shard,
                    &of_shard.map(|(path, text)| (path.clone(), text.clone())).collect(),
                )
            }
        });
    files.insert("MANIFEST".to_owned(), manifest.to_text().into_bytes());
    files
}

fn read_tree(directory: &Path, below: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_tree(&path, below, files);
        } else {
            let name = path.strip_prefix(below).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

#[test]
fn a_small_release_is_what_it_was_byte_by_byte() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let rendered = small_release();
    if env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let _ = fs::remove_dir_all(&directory);
        for (path, text) in &rendered {
            let path = directory.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    let mut stored = BTreeMap::new();
    read_tree(&directory, &directory, &mut stored);
    assert_eq!(rendered.keys().collect::<Vec<_>>(), stored.keys().collect::<Vec<_>>());
    for (path, text) in &rendered {
        let (text, stored) = (String::from_utf8_lossy(text), String::from_utf8_lossy(&stored[path]));
        assert_eq!(text, stored, "{path}");
    }
}

#[test]
fn a_first_release_has_no_domains_and_still_answers_challenges() {
    let templates = Templates::built_in();
    let listen = |port: &str| vec![port.to_owned()];
    let responders = ["10.0.0.1:80", "10.0.0.2:80"].map(|address| UpstreamAddress::parse(address).unwrap());
    let layout = Layout::new("/srv/c", &listen("80"), &listen("443"), 443, responders.to_vec()).unwrap();
    let top = templates.render_top(&layout, 1, [""; 0], &BTreeSet::new());
    let main = String::from_utf8(top.files["certmill.conf"].clone()).unwrap();
    assert!(main.contains("proxy_pass http://certmill_responders;"));
    assert!(main.contains("server 10.0.0.1:80;\n    server 10.0.0.2:80;\n"));
    assert_eq!(main.matches("server {").count(), 2);
    assert!(!main.contains("https://$host:443"));
}

#[test]
fn a_template_in_use_that_is_gone_leaves_only_its_own_domains_out() {
    let templates = Templates::built_in();
    let responder = UpstreamAddress::parse("127.0.0.1:1").unwrap();
    let layout = Layout::new("/srv/c", &["80".into()], &["443".into()], 443, vec![responder]).unwrap();
    let paths = ["names/gone/00.conf", "names/storefront/00.conf"];
    let top = templates.render_top(&layout, 1, paths, &BTreeSet::new());
    assert_eq!(top.refused, [("gone".to_owned(), "there is no template \"gone\"".to_owned())]);
    assert!(top.files.contains_key("servers/storefront.conf"));
    let main = String::from_utf8(top.files["certmill.conf"].clone()).unwrap();
    assert!(!main.contains("gone"));
}
