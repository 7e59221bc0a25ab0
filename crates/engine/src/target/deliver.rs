//! The sequence of a delivery: certificates, release, test, flip, reload, handshakes. Nothing untested goes live, and
//! what went live and is not right is taken back.

use std::collections::BTreeSet;

use certmill_acme::PrivateKey;
use certmill_delivery::{Activation, CertificateFile, DeliveryError, Release, Session};
use certmill_model::{DeploymentStatus, Hostname, ProblemCode, ReleaseId, TargetState};
use certmill_nginx::{Blame, Templates, names_claimed_twice};
use certmill_store::{ClaimedTarget, PendingPlacement, ReleaseRecord};

use time::OffsetDateTime;

use super::{
    TargetSettings, failed,
    outcome::{Failed, Proved},
    prove,
    release::{self, Broken, Ground, Rendered},
};
use crate::{Engine, checkpoint::reached};

/// Releases that one delivery tries: each leaves out one more template or upstream that nginx refused.
const ROUNDS: usize = 8;

/// Releases that stay on a target, to go back to.
pub(super) const KEEP_RELEASES: usize = 3;

/// One delivery under way.
pub(super) struct Delivery<'a> {
    pub(super) engine: &'a Engine,
    pub(super) target: &'a ClaimedTarget,
    /// What it is rendered from.
    pub(super) templates: &'a Templates,
    pub(super) deployment: ReleaseId,
    pub(super) settings: TargetSettings,
    pub(super) session: Session,
    pub(super) pending: &'a [PendingPlacement],
    /// Domains that were seen to be served rightly before anything was touched: they must be afterwards.
    pub(super) witnesses: Vec<(Hostname, [u8; 32])>,
    /// Spreads next attempts; one for the whole delivery, so that what failed together is recorded together.
    pub(super) fraction: f64,
    /// When it began.
    pub(super) started: OffsetDateTime,
}

/// Brings `pending` to `target` and proves it there.
pub(super) async fn carry_out(
    engine: &Engine,
    target: &ClaimedTarget,
    templates: &Templates,
    deployment: ReleaseId,
    pending: &[PendingPlacement],
) -> Result<Proved, Failed> {
    let settings: TargetSettings = serde_json::from_value(target.settings.clone()).map_err(|error| {
        failed(
            TargetState::Unreachable,
            ProblemCode::TargetUnreachable,
            format!("its settings cannot be read: {error}"),
        )
    })?;
    let session = engine.parts.connector.open(&settings.connection, settings.config.clone())?;
    let witnesses = prove::right_witnesses(engine, target).await?;
    let fraction = engine.fraction();
    let delivery = Delivery {
        engine,
        target,
        templates,
        deployment,
        settings,
        session,
        pending,
        witnesses,
        fraction,
        started: engine.now(),
    };
    delivery.at(DeploymentStatus::Syncing, None).await?;
    if target.release.is_none() {
        delivery.session.prepare().await?;
    }
    delivery.send_certificates().await?;
    reached("certificates_sent");
    let (live, rendered, flipped) = delivery.bring_release().await?;
    delivery.at(DeploymentStatus::Verifying, Some(live.number)).await?;
    delivery.prove(live, rendered, flipped).await
}

/// Whether what is live on a target was rendered from what would be rendered from now.
pub(super) fn is_up_to_date(engine: &Engine, target: &ClaimedTarget, templates: &Templates) -> bool {
    let settings: Option<TargetSettings> = serde_json::from_value(target.settings.clone()).ok();
    let parts = &engine.parts;
    let wanted = settings.map(|settings| settings.rendered_from(&templates.fingerprint(), &parts.responders));
    target.release.as_ref().map(|release| &release.rendered_from) == wanted.as_ref()
}

/// The release that was live before, if another went live: where to go back to.
pub(super) enum Flipped {
    No,
    From(Option<i64>),
}

impl Delivery<'_> {
    async fn at(&self, status: DeploymentStatus, release: Option<i64>) -> Result<(), Failed> {
        Ok(self
            .engine
            .parts
            .store
            .deployment_at(&self.target.lease, self.deployment, status, release)
            .await?)
    }

    /// Sends the certificates that are not there yet: leaf, chain and key in one file, so that a pair never mismatches.
    async fn send_certificates(&self) -> Result<(), Failed> {
        let new = self.pending.iter().filter(|one| one.wanted_certificate_id != one.served_certificate_id);
        let wanted: Vec<_> =
            new.filter_map(|one| Some((one.domain_id, one.wanted_certificate_id?))).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let parts = &self.engine.parts;
        let materials = parts.store.certificate_material(&wanted, &parts.vault).await?;
        let files: Result<Vec<_>, _> = materials
            .into_iter()
            .map(|material| {
                let key = PrivateKey::from_pkcs8(material.key.expose())?;
                let pem = [material.fullchain.trim_end(), "\n", &key.to_pem()].concat();
                Ok(CertificateFile::new(material.domain_id, pem.into_bytes().into()))
            })
            .collect();
        let files = files.map_err(|error: certmill_acme::InvalidKey| {
            failed(
                TargetState::Behind,
                ProblemCode::Internal,
                format!("a stored private key cannot be read: {error}"),
            )
        })?;
        Ok(self.session.send_certificates(&files).await?)
    }

    /// Brings the configuration up to date, if it is not; answers what is live, and what was live before.
    async fn bring_release(&self) -> Result<(ReleaseRecord, Rendered, Flipped), Failed> {
        let mut broken = Broken::default();
        let mut whole = false;
        for _ in 0..ROUNDS {
            match self.try_release(&broken, whole).await {
                Err(DeliveryOr::Delivery(DeliveryError::Drifted { detail })) if !whole => {
                    tracing::warn!(
                        target.name = self.target.name,
                        detail,
                        "files differ; sending everything"
                    );
                    self.session.prepare().await?;
                    whole = true;
                }
                Err(DeliveryOr::Refused { output, upstreams }) => {
                    self.blame(&output, &upstreams, &mut broken)?;
                }
                Err(DeliveryOr::Delivery(error)) => return Err(error.into()),
                Err(DeliveryOr::Failed(failed)) => return Err(failed),
                Ok(done) => return Ok(done),
            }
        }
        let detail = "nginx refuses more templates than one delivery tries to leave out".to_owned();
        Err(failed(TargetState::Behind, ProblemCode::ConfigTestFailed, detail))
    }

    /// Finds the template or upstream that nginx complains of, to be left out in the next round.
    fn blame(&self, output: &str, upstreams: &str, broken: &mut Broken) -> Result<(), Failed> {
        let words = words_of(output);
        let names = names_claimed_twice(output);
        if names.keys().any(|name| !broken.names.contains_key(name)) {
            tracing::warn!(target.name = self.target.name, ?names, words, "names are claimed twice");
            broken.names.extend(names);
            return Ok(());
        }
        let blame = Blame::find(output, &self.settings.config.root);
        let template = blame.as_ref().and_then(Blame::template).map(str::to_owned);
        let upstream = blame.as_ref().and_then(|blame| blame.upstream_in(upstreams));
        tracing::warn!(
            target.name = self.target.name,
            ?template,
            ?upstream,
            words,
            "nginx refuses the release"
        );
        let known = match (template, upstream) {
            (Some(template), _) => broken.templates.insert(template, words).is_some(),
            (None, Some(upstream)) => broken.upstreams.insert(upstream, words).is_some(),
            (None, None) => true,
        };
        if known { Err(DeliveryError::TestFailed { output: output.to_owned() }.into()) } else { Ok(()) }
    }

    async fn try_release(
        &self,
        broken: &Broken,
        whole: bool,
    ) -> Result<(ReleaseRecord, Rendered, Flipped), DeliveryOr> {
        let parts = &self.engine.parts;
        let layout = self.settings.layout(&parts.responders).map_err(|error| {
            failed(
                TargetState::Unreachable,
                ProblemCode::TargetUnreachable,
                format!("its settings make no sense: {error}"),
            )
        })?;
        let rendered_from = self.settings.rendered_from(&self.templates.fingerprint(), &parts.responders);
        let previous =
            self.target.release.as_ref().filter(|release| !whole && release.rendered_from == rendered_from);
        let shards = self.shards(previous).await?;
        let batch: BTreeSet<_> = self.pending.iter().map(|one| one.domain_id).collect();
        let ids: Vec<_> = batch.iter().copied().collect();
        let domains =
            parts.store.placed_domains(&self.target.lease, &shards, &ids).await.map_err(Failed::from)?;
        let live = self.target.release.as_ref().filter(|_| !whole);
        let renewed = self.pending.iter().filter(|one| !one.is_configured_anew()).map(|one| one.domain_id);
        let renewed = &renewed.collect();
        let ground =
            Ground { templates: self.templates, layout: &layout, batch: &batch, renewed, live, broken };
        let mut rendered = release::render(&ground, previous, &shards, &domains);
        if let Some(previous) = previous {
            // With the number of the release that is live: equal then, if nothing changed.
            release::add_top(&ground, previous.number, &mut rendered);
            refuse_to_lose(&rendered)?;
            if rendered.manifest == release::manifest_of(previous) {
                self.reload_for_dedicated(&rendered).await?;
                return Ok((previous.clone(), rendered, Flipped::No));
            }
        }
        let known = self.target.release.as_ref().map_or(0, |release| release.number);
        let number = parts.store.begin_release(&self.target.lease, known, self.engine.now()).await;
        let number = number.map_err(Failed::from)?;
        release::add_top(&ground, number, &mut rendered);
        refuse_to_lose(&rendered)?;
        let record = ReleaseRecord {
            number,
            manifest: release::record_of(&rendered.manifest),
            rendered_from,
            upstreams: rendered.upstreams.clone(),
        };
        let flipped =
            self.activate(&record, previous.or(live.filter(|_| rendered.has_kept)), &rendered).await?;
        Ok((record, rendered, flipped))
    }

    /// The shards to be rendered: those where something changed, or all.
    async fn shards(&self, previous: Option<&ReleaseRecord>) -> Result<Vec<u8>, Failed> {
        if previous.is_none() {
            return Ok(self.engine.parts.store.occupied_shards(&self.target.lease).await?);
        }
        let changed = self.pending.iter().filter(|one| one.is_configured_anew());
        Ok(changed.map(|one| one.domain_id.shard()).collect::<BTreeSet<_>>().into_iter().collect())
    }

    async fn activate(
        &self,
        record: &ReleaseRecord,
        previous: Option<&ReleaseRecord>,
        rendered: &Rendered,
    ) -> Result<Flipped, DeliveryOr> {
        let before = previous.map(release::manifest_of).unwrap_or_default();
        let diff = rendered.manifest.diff(&before);
        let mut changed = rendered.files.clone();
        changed.retain(|path, _| diff.changed.contains(path));
        let sent = Release {
            number: record.number,
            previous: previous.map(|release| release.number),
            changed,
            removed: diff.removed,
            manifest: rendered.manifest.to_text(),
        };
        self.session.send_release(&sent).await?;
        reached("release_sent");
        self.at(DeploymentStatus::Testing, Some(record.number)).await?;
        if let Err(error) = self.session.test(record.number).await {
            return Err(self.refused(error, rendered).await);
        }
        reached("release_tested");
        self.at(DeploymentStatus::Reloading, Some(record.number)).await?;
        let activation = self.session.activate(record.number).await?;
        reached("release_activated");
        let before = match activation {
            Activation::Flipped { previous } => previous,
            Activation::AlreadyCurrent => self.target.release.as_ref().map(|release| release.number),
        };
        if let Err(error) = self.session.reload().await {
            return Err(self.take_back(record.number, before, error.into()).await.into());
        }
        Ok(Flipped::From(before))
    }

    /// What nginx refused is of no use on the target.
    async fn refused(&self, error: DeliveryError, rendered: &Rendered) -> DeliveryOr {
        let DeliveryError::TestFailed { output } = error else { return error.into() };
        if let Err(error) = self.session.clean_up(KEEP_RELEASES).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a refused release could not be removed"
            );
        }
        let upstreams =
            rendered.files.get(certmill_nginx::UPSTREAMS).map(|file| String::from_utf8_lossy(file));
        DeliveryOr::Refused { output, upstreams: upstreams.unwrap_or_default().into_owned() }
    }

    /// Renewed certificates of dedicated blocks are read at a reload; shared ones at the next handshake.
    async fn reload_for_dedicated(&self, rendered: &Rendered) -> Result<(), DeliveryOr> {
        let templates = self.templates;
        let batch: Vec<_> = self.pending.iter().map(|one| one.domain_id).collect();
        let shards: Vec<_> = batch.iter().map(|id| id.shard()).collect();
        let placed = self.engine.parts.store.placed_domains(&self.target.lease, &shards, &batch).await;
        let dedicated = placed.map_err(Failed::from)?.into_iter().any(|domain| {
            let template = rendered.templates.get(&domain.domain_id).unwrap_or(&domain.wanted_template);
            batch.contains(&domain.domain_id) && release::needs_reload(templates, template)
        });
        if dedicated {
            self.session.reload().await?;
        }
        Ok(())
    }

    /// Goes back to the release that was live before; the reason stays the first one.
    pub(super) async fn take_back(&self, number: i64, before: Option<i64>, reason: Failed) -> Failed {
        let Failed::Target { state, code, detail, .. } = reason else { return reason };
        let detail = match self.session.roll_back(number, before).await {
            Ok(()) => format!("{detail} (the previous configuration is back)"),
            Err(error) => format!("{detail} (and going back failed: {error})"),
        };
        Failed::Target { status: DeploymentStatus::RolledBack, state, code, detail }
    }
}

/// A release without shops that are served now never goes live, whoever is to blame: what is served stays.
fn refuse_to_lose(rendered: &Rendered) -> Result<(), Failed> {
    match &rendered.lost {
        None => Ok(()),
        Some(reason) => Err(failed(TargetState::Behind, ProblemCode::TemplateUnusable, reason.clone())),
    }
}

/// The first complaint in what nginx wrote.
fn words_of(output: &str) -> String {
    let complaint = output.lines().find(|line| line.contains("[emerg]") || line.contains("[warn]"));
    complaint.unwrap_or(output).trim().to_owned()
}

/// What the target said, which the sequence reacts to, or the end of the delivery.
enum DeliveryOr {
    Delivery(DeliveryError),
    /// nginx refuses the release; beside its words stands the file of upstreams that it saw.
    Refused {
        output: String,
        upstreams: String,
    },
    Failed(Failed),
}

impl From<DeliveryError> for DeliveryOr {
    fn from(error: DeliveryError) -> Self {
        Self::Delivery(error)
    }
}

impl From<Failed> for DeliveryOr {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}
