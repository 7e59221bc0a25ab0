//! nginx, as a load balancer and as the shop behind it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{as_root, make_directory, write};
use crate::description::{Description, LoadBalancer};
use crate::error::{LabError, doing};
use crate::part::Part;
use crate::process::{Launch, Ready};
use crate::programs::Programs;

/// A load balancer's nginx: its configuration includes certmill's and has no server block of its own.
pub(crate) fn prepare(load_balancer: &LoadBalancer, programs: &Programs) -> Result<(), LabError> {
    make_directory(&load_balancer.root)?;
    let include = format!("include {}/current/*.conf;", load_balancer.root.display());
    write_configuration(&load_balancer.directory, &include)?;
    make_directory(&load_balancer.directory.join("bin"))?;
    let program = format!(
        "#!/bin/sh\nexec {nginx} -p {directory} -e {directory}/error.log -c {directory}/nginx.conf \"$@\"\n",
        nginx = programs.nginx.display(),
        directory = load_balancer.directory.display(),
    );
    write(&load_balancer.nginx_program, &program)?;
    fs::set_permissions(&load_balancer.nginx_program, Permissions::from_mode(0o755))
        .map_err(doing("make the nginx of a load balancer executable"))
}

/// The shop: one server for every name.
pub(crate) fn prepare_shop(description: &Description) -> Result<(), LabError> {
    let server = format!(
        "server {{\n        listen {} backlog=4096;\n        location / {{ return 200 \"this is the shop $host\\n\"; }}\n    }}",
        description.shop
    );
    write_configuration(&description.directory.join("shop"), &server)
}

pub(crate) fn launch(part: Part, directory: &Path, description: &Description, programs: &Programs) -> Launch {
    let mut command = Command::new(&programs.nginx);
    command.arg("-p").arg(directory).arg("-e").arg(directory.join("error.log"));
    command.arg("-c").arg(directory.join("nginx.conf")).args(["-g", "daemon off;"]);
    // Workers do not show the master's arguments, but they keep its working directory.
    command.current_dir(directory);
    // Before the first release a load balancer listens nowhere.
    let ready = match part {
        Part::Shop => Ready::Listens(vec![description.shop]),
        _ => Ready::WritesProcessId(directory.join("nginx.pid")),
    };
    Launch { part, command, ready, log: description.log(part) }
}

fn write_configuration(directory: &Path, servers: &str) -> Result<(), LabError> {
    make_directory(&directory.join("tmp"))?;
    make_directory(directory)?;
    let user = if as_root() { "user www-data;\n" } else { "" };
    let here = directory.display();
    let content = format!(
        r"{user}worker_processes 1;
pid {here}/nginx.pid;
error_log {here}/error.log;
events {{
    worker_connections 1000;
}}
http {{
    include /etc/nginx/mime.types;
    default_type text/plain;
    access_log off;
    server_tokens off;
    client_body_temp_path {here}/tmp/client_body;
    proxy_temp_path {here}/tmp/proxy;
    fastcgi_temp_path {here}/tmp/fastcgi;
    uwsgi_temp_path {here}/tmp/uwsgi;
    scgi_temp_path {here}/tmp/scgi;
    {servers}
}}
"
    );
    write(&directory.join("nginx.conf"), &content)
}
