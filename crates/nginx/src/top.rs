//! The few files at the top of a release, which tie its shards together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use certmill_model::{Form, UpstreamAddress};

use crate::sandbox::SharedValues;
use crate::server_block::{TLS, certificate_lines, indent, listen_tls};
use crate::shard::{REDIRECT_VARIABLE, UPSTREAM_VARIABLE, shared_templates, upstream_name};
use crate::templates::{UnknownTemplate, file_name};
use crate::{Layout, Templates};

/// The files of a release that belong to no shard.
#[derive(Clone, Debug, Default)]
pub struct TopFiles {
    /// Content by path within the release.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Templates in use that cannot be rendered, and why. Their domains are not served; all others are.
    pub refused: Vec<(String, String)>,
    /// Paths of templates in use that cannot be read any more: what is live there is to stay.
    pub kept: BTreeSet<String>,
}

impl Templates {
    /// Renders the top of release number `release`, whose other files are `paths`; `upstreams` are those of all its
    /// domains.
    pub fn render_top(
        &self,
        layout: &Layout,
        release: i64,
        paths: impl IntoIterator<Item = impl AsRef<str>>,
        upstreams: &BTreeSet<UpstreamAddress>,
    ) -> TopFiles {
        let paths: BTreeSet<String> = paths.into_iter().map(|path| path.as_ref().to_owned()).collect();
        let sandbox = self.sandbox();
        let mut top = TopFiles::default();
        let mut rendered = Vec::new();
        for name in shared_templates(&paths) {
            let path = format!("servers/{name}.conf");
            if self.is_unreadable(name, Form::Shared) {
                rendered.push(name);
                top.kept.insert(path);
                continue;
            }
            let values = SharedValues { template: name, https_port: layout.https_port() };
            let body = match self.source(name, Form::Shared) {
                Some(_) => sandbox.render(&file_name(name, Form::Shared), values),
                None => Err(UnknownTemplate(name.to_owned()).to_string()),
            };
            match body {
                Ok(body) => {
                    rendered.push(name);
                    top.files.insert(path, body.into_bytes());
                }
                Err(reason) => top.refused.push((name.to_owned(), reason)),
            }
        }
        let main = main_file(layout, release, &rendered);
        top.files.insert("certmill.conf".to_owned(), main.into_bytes());
        let upstreams = upstreams_file(upstreams);
        top.files.insert(UPSTREAMS.to_owned(), upstreams.into_bytes());
        top
    }
}

/// The file of a release that names where requests may go.
pub const UPSTREAMS: &str = "upstreams/all.conf";

/// The one file that nginx's own configuration includes, and the only one that knows the number of its release.
fn main_file(layout: &Layout, release: i64, templates: &[&str]) -> String {
    let directory = format!("{}/releases/{release}", layout.root());
    let servers: String = templates.iter().map(|name| shared_server(layout, &directory, name)).collect();
    [
        "# Written by certmill; changes are overwritten.\n".to_owned(),
        HASHES.to_owned(),
        maps(&directory),
        cache(layout),
        responders(layout),
        format!("include {directory}/{UPSTREAMS};\n"),
        http_server(layout),
        default_server(layout),
        servers,
        format!("include {directory}/blocks/*/*.conf;\n"),
    ]
    .concat()
}

/// A name of 253 bytes needs buckets of 512; with fewer places nginx warns from 100,000 names on.
const HASHES: &str = "\
server_names_hash_bucket_size 512;
server_names_hash_max_size 1048576;
map_hash_bucket_size 512;
map_hash_max_size 1048576;
";

/// The name is the SNI at a handshake, where `$host` means nothing yet, and the host of a request without TLS. A name
/// that is not in the map gives no path, so no client's text ever becomes one.
fn maps(directory: &str) -> String {
    let map = |from: &str, to: &str, kind: &str| {
        format!(
            "map {from} {to} {{\n    hostnames;\n    default \"\";\n    include {directory}/maps/{kind}/*.map;\n}}\n"
        )
    };
    [
        "map $ssl_server_name $certmill_name {\n    default $ssl_server_name;\n    \"\" $host;\n}\n",
        &map("$certmill_name", "$certmill_certificate", "certificate"),
        &map("$host", UPSTREAM_VARIABLE, "upstream"),
        &map("$host", REDIRECT_VARIABLE, "redirect"),
    ]
    .concat()
}

fn cache(layout: &Layout) -> String {
    format!(
        "proxy_cache_path {}/cache levels=1:2 keys_zone=certmill:16m max_size=1g inactive=1d use_temp_path=off;\n",
        layout.root()
    )
}

fn responders(layout: &Layout) -> String {
    let server = |address: &UpstreamAddress| format!("    server {address};\n");
    let servers: Vec<_> = layout.responders().iter().map(server).collect();
    let servers = servers.concat();
    format!("upstream certmill_responders {{\n{servers}    keepalive 16;\n}}\n")
}

/// HTTP without TLS: challenges for any name, also one that is not in the configuration yet; a redirect to HTTPS for
/// the names that are.
fn http_server(layout: &Layout) -> String {
    let line = |listen: &String| format!("    listen {listen} default_server;\n");
    let listen: Vec<_> = layout.plain_listen().iter().map(line).collect();
    let listen = listen.concat();
    let port = layout.port_suffix();
    format!(
        "server {{\n{listen}    server_name _;\n    server_tokens off;\n\
         \x20   location ^~ /.well-known/acme-challenge/ {{\n\
         \x20       proxy_pass http://certmill_responders;\n\
         \x20       proxy_http_version 1.1;\n\
         \x20       proxy_set_header Host $host;\n\
         \x20       proxy_set_header Connection \"\";\n\
         \x20       proxy_pass_request_body off;\n\
         \x20       proxy_set_header Content-Length \"\";\n\
         \x20       proxy_connect_timeout 2s;\n\
         \x20       proxy_send_timeout 5s;\n\
         \x20       proxy_read_timeout 5s;\n\
         \x20   }}\n\
         \x20   location / {{\n\
         \x20       if ($certmill_certificate = \"\") {{\n            return 404;\n        }}\n\
         \x20       return 301 https://$host{port}$request_uri;\n\
         \x20   }}\n}}\n"
    )
}

/// Names that are not in the configuration get an alert, not somebody else's certificate.
fn default_server(layout: &Layout) -> String {
    let listen = listen_tls(layout, " default_server");
    format!("server {{\n{listen}    server_name _;\n    ssl_reject_handshake on;\n{TLS}    return 444;\n}}\n")
}

fn shared_server(layout: &Layout, directory: &str, name: &str) -> String {
    let listen = listen_tls(layout, "");
    let certificate = certificate_lines(layout, "$certmill_certificate");
    let includes = indent(&format!(
        "include {directory}/names/{name}/*.conf;\ninclude {directory}/servers/{name}.conf;"
    ));
    format!("server {{\n{listen}{certificate}{TLS}{includes}}}\n")
}

/// One line each, so that a complaint of nginx about a line is about an address.
fn upstreams_file(upstreams: &BTreeSet<UpstreamAddress>) -> String {
    upstreams.iter().fold(String::new(), |mut text, address| {
        let name = upstream_name(address);
        writeln!(text, "upstream {name} {{ server {address}; keepalive 16; }}")
            .expect("writing to a string cannot fail");
        text
    })
}
