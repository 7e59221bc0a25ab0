//! Writes a release with many names in the shared form, to measure nginx with it:
//!
//! ```text
//! cargo run --release -p certmill-nginx --example measure -- /tmp/measure 100000 storefront
//! time nginx -t -c /tmp/measure/nginx.conf
//! ```
//!
//! For a template of the dedicated form each block needs its certificate, so one certificate is written for all.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;
use std::{env, fs};

use certmill_model::{DomainId, Hostname, TemplateRef, UpstreamAddress};
use certmill_nginx::{DomainConfig, Layout, Templates};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [directory, names, template] = &arguments[..] else {
        return Err("usage: measure <directory> <names> <template>".into());
    };
    let directory = fs::canonicalize(fs::create_dir_all(directory).map(|()| directory)?)?;
    let root = directory.join("certmill");
    let layout = Layout::new(
        root.to_str().ok_or("the directory is no text")?,
        &["127.0.0.1:18080".to_owned()],
        &["127.0.0.1:18443".to_owned()],
        18443,
        vec![UpstreamAddress::parse("127.0.0.1:18402")?],
    )?;
    let domains = domains(names.parse()?, &TemplateRef::parse(template)?)?;
    write_release(&layout, &root, &domains)?;
    if template.contains("dedicated") {
        write_certificates(&root, &domains)?;
    }
    fs::write(directory.join("nginx.conf"), nginx_conf(&directory))?;
    Ok(())
}

fn domains(names: u128, template: &TemplateRef) -> Result<Vec<DomainConfig>, Box<dyn Error>> {
    let upstream = UpstreamAddress::parse("127.0.0.1:18081")?;
    let domain = |number: u128| {
        Ok(DomainConfig {
            domain: id(number)?,
            name: Hostname::parse(&format!("shop-{number:07}.a-rather-long-shop-name.example"))?,
            template: template.clone(),
            upstream: upstream.clone(),
        })
    };
    (0..names).map(domain).collect()
}

/// The text form of the UUID with this value.
fn id(number: u128) -> Result<DomainId, Box<dyn Error>> {
    let digits =
        (0..26).rev().map(|digit| b"0123456789abcdefghjkmnpqrstvwxyz"[(number >> (digit * 5)) as usize & 31]);
    Ok(format!("dom_{}", digits.map(char::from).collect::<String>()).parse()?)
}

fn write_release(layout: &Layout, root: &Path, domains: &[DomainConfig]) -> Result<(), Box<dyn Error>> {
    let templates = Templates::built_in();
    let mut shards: BTreeMap<u8, Vec<DomainConfig>> = BTreeMap::new();
    for config in domains {
        shards.entry(config.domain.shard()).or_default().push(config.clone());
    }
    let mut files = BTreeMap::new();
    for (shard, domains) in shards {
        files.extend(templates.render_shard(layout, shard, &domains).files);
    }
    let upstreams: BTreeSet<_> = domains.iter().map(|config| config.upstream.clone()).collect();
    files.extend(templates.render_top(layout, 1, files.keys().collect::<Vec<_>>(), &upstreams).files);
    for (path, text) in files {
        let path = root.join("releases/1").join(path);
        fs::create_dir_all(path.parent().ok_or("a file is in a directory")?)?;
        fs::write(path, text)?;
    }
    let current = root.join("current");
    if !current.exists() {
        std::os::unix::fs::symlink("releases/1", current)?;
    }
    Ok(())
}

fn write_certificates(root: &Path, domains: &[DomainConfig]) -> Result<(), Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["measure.example".to_owned()])?;
    let pem = made.cert.pem() + &made.signing_key.serialize_pem();
    for config in domains {
        let directory = root.join(format!("live/{:02x}", config.domain.shard()));
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(format!("{}.pem", config.domain)), &pem)?;
    }
    Ok(())
}

fn nginx_conf(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "pid {directory}/nginx.pid;\nerror_log {directory}/error.log;\nworker_processes 2;\nevents {{}}\n\
         http {{\n    access_log off;\n    include {directory}/certmill/current/*.conf;\n}}\n"
    )
}
