//! The files of one shard: what there is for each domain.

use std::collections::{BTreeMap, BTreeSet};

use certmill_model::{DomainId, Form, Hostname, TemplateRef, UpstreamAddress};
use sha2::{Digest, Sha256};

use crate::path::shard_path;
use crate::sandbox::{DedicatedValues, Sandbox, SharedValues};
use crate::server_block::{TLS, certificate_lines, indent, listen_tls};
use crate::templates::{UnknownTemplate, file_name};
use crate::{Layout, Templates};

/// A domain as the load balancers are to serve it.
#[derive(Clone, Debug)]
pub struct DomainConfig {
    /// Its id, which names its certificate's file.
    pub domain: DomainId,
    /// Its name.
    pub name: Hostname,
    /// The template it is served by.
    pub template: TemplateRef,
    /// Where its requests go.
    pub upstream: UpstreamAddress,
}

/// All files of one shard, and the domains that are in none of them.
#[derive(Clone, Debug, Default)]
pub struct ShardFiles {
    /// Content by path within the release; a shard without domains has no files.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The domains left out, and why.
    pub refused: Vec<(DomainId, RefusedDomain)>,
}

/// Why a domain was left out of a release.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RefusedDomain {
    /// Its template is not there any more.
    #[error(transparent)]
    UnknownTemplate(#[from] UnknownTemplate),
    /// Another domain has the name.
    #[error("another domain of this shard, {0}, has the same name")]
    SameName(DomainId),
    /// The template redirects to the name with or without `www.`, which a wildcard or a top name has not.
    #[error("the template redirects to the name with or without www., and this name has none")]
    NoCounterpart,
    /// The template cannot be rendered with this domain's values.
    #[error("the template fails for this domain: {0}")]
    Template(String),
    /// The domain's id belongs elsewhere.
    #[error("the domain belongs to shard {0:02x}")]
    WrongShard(u8),
}

impl Templates {
    /// Renders the files of `shard` from all domains it has. A domain that cannot be rendered is left out.
    pub fn render_shard(&self, layout: &Layout, shard: u8, domains: &[DomainConfig]) -> ShardFiles {
        let mut sorted: Vec<_> = domains.iter().collect();
        sorted.sort_by_key(|config| config.domain);
        let mut rendering = Rendering {
            templates: self,
            sandbox: self.sandbox(),
            layout,
            shard,
            names: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        let mut refused = Vec::new();
        for config in sorted {
            if let Err(reason) = rendering.add(config) {
                refused.push((config.domain, reason));
            }
        }
        let files = rendering.files.into_iter();
        ShardFiles { files: files.map(|(path, text)| (path, text.into_bytes())).collect(), refused }
    }
}

/// The name of the `upstream` block of `address`.
pub(crate) fn upstream_name(address: &UpstreamAddress) -> String {
    let digest = Sha256::digest(address.to_string().as_bytes());
    let hex: Vec<_> = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("certmill_{}", hex.concat())
}

/// The variable of shared blocks with the name of the upstream, and that with the host to redirect to.
pub(crate) const UPSTREAM_VARIABLE: &str = "$certmill_upstream";
pub(crate) const REDIRECT_VARIABLE: &str = "$certmill_redirect";

struct Rendering<'a> {
    templates: &'a Templates,
    sandbox: Sandbox<'a>,
    layout: &'a Layout,
    shard: u8,
    names: BTreeMap<&'a Hostname, DomainId>,
    files: BTreeMap<String, String>,
}

impl<'a> Rendering<'a> {
    fn add(&mut self, config: &'a DomainConfig) -> Result<(), RefusedDomain> {
        if config.domain.shard() != self.shard {
            return Err(RefusedDomain::WrongShard(config.domain.shard()));
        }
        if let Some(other) = self.names.get(&config.name) {
            return Err(RefusedDomain::SameName(*other));
        }
        match self.templates.resolve(&config.template)? {
            Form::Shared => self.add_shared(config)?,
            Form::Dedicated => self.add_dedicated(config)?,
        }
        // Dedicated blocks have no use for it at the handshake, but the redirect to HTTPS knows names by this map.
        self.map("certificate", config, &self.certificate(config));
        self.names.insert(&config.name, config.domain);
        Ok(())
    }

    fn add_shared(&mut self, config: &DomainConfig) -> Result<(), RefusedDomain> {
        let template = config.template.name();
        let source = self.templates.source(template, Form::Shared).unwrap_or_default();
        if source.contains(REDIRECT_VARIABLE) {
            let target = self.redirect(config).ok_or(RefusedDomain::NoCounterpart)?;
            self.map("redirect", config, &target);
        }
        if source.contains(UPSTREAM_VARIABLE) {
            self.map("upstream", config, &upstream_name(&config.upstream));
        }
        let line = format!("server_name {};\n", config.name);
        self.append(&format!("names/{template}"), "conf", &line);
        Ok(())
    }

    fn add_dedicated(&mut self, config: &DomainConfig) -> Result<(), RefusedDomain> {
        let template = config.template.name();
        let values = DedicatedValues {
            shared: SharedValues { template, https_port: self.layout.https_port() },
            domain: config.domain.to_string(),
            name: config.name.as_str(),
            wildcard: config.name.is_wildcard(),
            upstream: upstream_name(&config.upstream),
            redirect: self.redirect(config),
        };
        let body = self.sandbox.render(&file_name(template, Form::Dedicated), values);
        let body = indent(&body.map_err(RefusedDomain::Template)?);
        let listen = listen_tls(self.layout, "");
        let certificate = certificate_lines(self.layout, &self.certificate(config));
        let DomainConfig { domain, name, .. } = config;
        let block =
            format!("# {domain}\nserver {{\n{listen}    server_name {name};\n{certificate}{TLS}{body}}}\n");
        self.append(&format!("blocks/{template}"), "conf", &block);
        Ok(())
    }

    fn map(&mut self, map: &str, config: &DomainConfig, value: &str) {
        let line = format!("{} {value};\n", config.name);
        self.append(&format!("maps/{map}"), "map", &line);
    }

    fn append(&mut self, kind: &str, extension: &str, text: &str) {
        let path = shard_path(kind, self.shard, extension);
        self.files.entry(path).or_default().push_str(text);
    }

    fn certificate(&self, config: &DomainConfig) -> String {
        format!("{:02x}/{}", self.shard, config.domain)
    }

    fn redirect(&self, config: &DomainConfig) -> Option<String> {
        config.name.www_counterpart().map(|counterpart| self.layout.authority(&counterpart))
    }
}

/// The templates of the shared form that `paths` name.
pub(crate) fn shared_templates(paths: &BTreeSet<String>) -> BTreeSet<&str> {
    let names = paths.iter().filter(|path| path.starts_with("names/"));
    names.filter_map(|path| crate::template_of_path(path)).collect()
}

#[cfg(test)]
#[path = "shard_tests.rs"]
mod tests;
