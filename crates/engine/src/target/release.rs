//! The next release of a target's configuration: only what changed is rendered.

use std::collections::{BTreeMap, BTreeSet};

use certmill_model::{DomainId, Form, ProblemCode, TemplateRef, UpstreamAddress};
use certmill_nginx::{DomainConfig, Layout, Manifest, Templates};
use certmill_store::{DomainPlacement, ReleaseRecord};

/// A release as rendered: what is to be sent, and who is in it how.
pub(super) struct Rendered {
    /// Every path of it.
    pub(super) manifest: Manifest,
    /// The files that were rendered.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// The template that each domain of the rendered shards has in it.
    pub(super) templates: BTreeMap<DomainId, TemplateRef>,
    /// The domains that are not in it, or not as wanted.
    pub(super) refused: BTreeMap<DomainId, (ProblemCode, String)>,
    /// Why shops that are served would not be in it: it must not go live then.
    pub(super) lost: Option<String>,
    /// Where it may send requests.
    pub(super) upstreams: BTreeSet<UpstreamAddress>,
    /// Whether some of it is as it is in the live release, and comes from there.
    pub(super) has_kept: bool,
}

/// What a release is rendered from, beside its domains.
pub(super) struct Ground<'a> {
    pub(super) templates: &'a Templates,
    pub(super) layout: &'a Layout,
    /// The domains that are being delivered; all others stay as they were served.
    pub(super) batch: &'a BTreeSet<DomainId>,
    /// Those of them whose configuration is as it was: they have another certificate alone.
    pub(super) renewed: &'a BTreeSet<DomainId>,
    /// What is live there, to keep what a template that cannot be read any more once made.
    pub(super) live: Option<&'a ReleaseRecord>,
    /// Templates and upstreams that nginx refused, with its words.
    pub(super) broken: &'a Broken,
}

/// What nginx refused in an earlier round of the same delivery, with its words.
#[derive(Default)]
pub(super) struct Broken {
    /// Names that another configuration on the load balancer claims.
    pub(super) names: BTreeMap<String, String>,
    pub(super) templates: BTreeMap<String, String>,
    pub(super) upstreams: BTreeMap<UpstreamAddress, String>,
}

/// Renders `shards` anew over the `previous` release. A domain whose wanted template cannot be used keeps the one it
/// was served with.
pub(super) fn render(
    ground: &Ground<'_>,
    previous: Option<&ReleaseRecord>,
    shards: &[u8],
    domains: &[DomainPlacement],
) -> Rendered {
    let mut rendered = Rendered {
        manifest: previous.map(manifest_of).unwrap_or_default(),
        files: BTreeMap::new(),
        templates: BTreeMap::new(),
        refused: BTreeMap::new(),
        lost: None,
        // Other shards may name them still; a release that is rendered as a whole forgets those that are not used.
        upstreams: previous.map(|release| release.upstreams.clone()).unwrap_or_default(),
        has_kept: false,
    };
    for shard in shards {
        let members: Vec<_> = domains.iter().filter(|domain| domain.domain_id.shard() == *shard).collect();
        render_shard(ground, *shard, &members, &mut rendered);
    }
    rendered
}

/// Adds the files that belong to no shard; they carry the release's number.
pub(super) fn add_top(ground: &Ground<'_>, number: i64, rendered: &mut Rendered) {
    let paths: Vec<_> = rendered.manifest.paths().map(str::to_owned).collect();
    let top = ground.templates.render_top(ground.layout, number, paths, &rendered.upstreams);
    if let Some((template, reason)) = top.refused.into_iter().next() {
        rendered.lost = Some(format!("the template {template} cannot be rendered: {reason}"));
    }
    rendered.manifest = rendered.manifest.with_top_replaced(&top.files);
    rendered.files.extend(top.files);
    for path in top.kept {
        let live = ground.live.map(manifest_of).unwrap_or_default();
        match rendered.manifest.clone().with_kept(&path, &live) {
            Some(manifest) => (rendered.manifest, rendered.has_kept) = (manifest, true),
            None => rendered.lost = Some(ground.templates.complaint().unwrap_or_default()),
        }
    }
}

/// Whether a renewal of this template's certificates needs a reload: nginx reads them at start then.
pub(super) fn needs_reload(templates: &Templates, template: &TemplateRef) -> bool {
    !matches!(templates.resolve(template), Ok(Form::Shared))
}

pub(super) fn manifest_of(release: &ReleaseRecord) -> Manifest {
    serde_json::to_value(&release.manifest)
        .and_then(serde_json::from_value)
        .expect("a manifest is a map of texts in both forms")
}

pub(super) fn record_of(manifest: &Manifest) -> BTreeMap<String, String> {
    serde_json::to_value(manifest)
        .and_then(serde_json::from_value)
        .expect("a manifest is a map of texts in both forms")
}

fn render_shard(ground: &Ground<'_>, shard: u8, members: &[&DomainPlacement], rendered: &mut Rendered) {
    let mut configs = Vec::new();
    for domain in members {
        match usable_template(ground, domain) {
            Ok(template) => configs.push(config(domain, template)),
            Err(refused) => {
                rendered.refused.insert(domain.domain_id, refused);
                // Better served as before than not at all.
                configs.extend(domain.served_template.as_ref().map(|template| config(domain, template)));
            }
        }
    }
    let mut files = ground.templates.render_shard(ground.layout, shard, &configs);
    if !files.refused.is_empty() {
        for (id, reason) in std::mem::take(&mut files.refused) {
            rendered.refused.insert(id, (ProblemCode::TemplateUnusable, reason.to_string()));
            let served = members.iter().find(|domain| domain.domain_id == id);
            let served = served.and_then(|domain| Some(config(domain, domain.served_template.as_ref()?)));
            configs.retain(|config| config.domain != id);
            configs.extend(served);
        }
        files = ground.templates.render_shard(ground.layout, shard, &configs);
        configs.retain(|config| files.refused.iter().all(|(id, _)| *id != config.domain));
    }
    rendered.upstreams.extend(configs.iter().map(|config| config.upstream.clone()));
    rendered.templates.extend(configs.into_iter().map(|config| (config.domain, config.template)));
    let lost = members.iter().find(|domain| {
        domain.served_template.is_some() && !rendered.templates.contains_key(&domain.domain_id)
    });
    if let (Some(words), Some(live)) = (lost.and_then(|domain| unreadable(ground, domain)), ground.live) {
        return keep_shard(ground, (shard, members), (live, words), rendered);
    }
    if let Some(domain) = lost {
        let reason =
            rendered.refused.get(&domain.domain_id).map(|(_, reason)| reason.as_str()).unwrap_or_default();
        rendered.lost = Some(format!("{} is served and would not be any more: {reason}", domain.name));
    }
    rendered.manifest = rendered.manifest.with_shard_replaced(shard, &files.files);
    rendered.files.extend(files.files);
}

/// Why the template that a domain is served with cannot be read any more.
fn unreadable<'a>(ground: &Ground<'a>, domain: &DomainPlacement) -> Option<&'a str> {
    ground.templates.unreadable(domain.served_template.as_ref()?)
}

/// Leaves a shard as it is live: a block in it cannot be rendered any more, and others do not wait for that.
fn keep_shard(
    ground: &Ground<'_>,
    (shard, members): (u8, &[&DomainPlacement]),
    (live, words): (&ReleaseRecord, &str),
    rendered: &mut Rendered,
) {
    rendered.manifest = rendered.manifest.with_shard_kept(shard, &manifest_of(live));
    rendered.upstreams.extend(live.upstreams.iter().cloned());
    rendered.has_kept = true;
    let of_shard = |id: &&DomainId| id.shard() == shard;
    for id in ground.batch.iter().filter(of_shard) {
        rendered.templates.remove(id);
        rendered.refused.insert(*id, (ProblemCode::TemplateUnusable, words.to_owned()));
    }
    for domain in members {
        rendered
            .templates
            .extend(domain.served_template.as_ref().map(|template| (domain.domain_id, template.clone())));
        if ground.renewed.contains(&domain.domain_id) {
            rendered.refused.remove(&domain.domain_id);
        }
    }
}

fn usable_template<'a>(
    ground: &Ground<'_>,
    domain: &'a DomainPlacement,
) -> Result<&'a TemplateRef, (ProblemCode, String)> {
    if let (Some(served), false) = (&domain.served_template, ground.batch.contains(&domain.domain_id)) {
        return Ok(served);
    }
    let wanted = &domain.wanted_template;
    if let Some(words) = ground.broken.names.get(domain.name.as_str()) {
        let detail = format!("another configuration of nginx there claims the name: {words}");
        return Err((ProblemCode::ConfigTestFailed, detail));
    }
    if let Some(words) = ground.broken.upstreams.get(&domain.upstream) {
        let upstream = &domain.upstream;
        return Err((
            ProblemCode::ConfigTestFailed,
            format!("nginx refuses the upstream {upstream}: {words}"),
        ));
    }
    if let Some(words) = ground.broken.templates.get(wanted.name()) {
        return Err((ProblemCode::ConfigTestFailed, format!("nginx refuses the template {wanted}: {words}")));
    }
    let is_new = domain.served_template.as_ref() != Some(wanted);
    if let Some(words) = ground.templates.unreadable(wanted).filter(|_| is_new) {
        return Err((ProblemCode::TemplateUnusable, words.to_owned()));
    }
    match ground.templates.resolve(wanted) {
        Ok(_) => Ok(wanted),
        Err(unknown) => Err((ProblemCode::TemplateUnusable, unknown.to_string())),
    }
}

fn config(domain: &DomainPlacement, template: &TemplateRef) -> DomainConfig {
    DomainConfig {
        domain: domain.domain_id,
        name: domain.name.clone(),
        template: template.clone(),
        upstream: domain.upstream.clone(),
    }
}

#[cfg(test)]
#[path = "release_tests.rs"]
mod tests;
