//! The part of every `server` block that is certmill's, whatever the template says.

use crate::Layout;

/// TLS as every block has it. Tickets are off because nginx would encrypt them by a key that it never changes.
pub(crate) const TLS: &str = concat!(
    "    ssl_protocols TLSv1.2 TLSv1.3;\n",
    "    ssl_session_cache shared:certmill_sessions:10m;\n",
    "    ssl_session_timeout 1d;\n",
    "    ssl_session_tickets off;\n",
);

/// The `listen` lines for TLS, each with `suffix` (such as ` default_server`).
pub(crate) fn listen_tls(layout: &Layout, suffix: &str) -> String {
    let line = |listen: &String| format!("    listen {listen} ssl http2{suffix};\n");
    let lines: Vec<_> = layout.tls_listen().iter().map(line).collect();
    lines.concat()
}

/// The one PEM file of certificate, chain and key; `certificate` is its path below `live`, without extension.
pub(crate) fn certificate_lines(layout: &Layout, certificate: &str) -> String {
    let path = format!("{}/live/{certificate}.pem", layout.root());
    format!("    ssl_certificate {path};\n    ssl_certificate_key {path};\n")
}

/// `text` as it stands in a block.
pub(crate) fn indent(text: &str) -> String {
    let lines = text.lines();
    lines
        .map(|line| match line.trim_end() {
            "" => "\n".to_owned(),
            line => format!("    {line}\n"),
        })
        .collect()
}
