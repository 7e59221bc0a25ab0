//! Trials of templates: rendered on domains that are served, compared with what is published, and shown to a load balancer's
//! nginx in a copy. Nothing that is live is touched.

use std::{collections::BTreeSet, fmt::Write, sync::Arc, time::Duration};

use certmill_delivery::{DeliveryError, Release};
use certmill_model::{
    DomainId, Form, Hostname, TemplateRef, TemplateSample, TrialOutcome, TrialPlace, UpstreamAddress,
};
use certmill_nginx::{Blame, Layout, Templates};
use certmill_store::{BorrowedTarget, DomainPlacement, DueTrial, StoreError, TemplateText};
use similar::TextDiff;
use tokio::sync::watch;

use super::{
    TargetSettings,
    release::{self, Broken, Ground, Rendered},
};
use crate::Engine;

/// How long to sleep when nobody has asked for a trial.
const POLL: Duration = Duration::from_millis(500);

/// How long a trial waits for a load balancer that nobody delivers to.
const PATIENCE: time::Duration = time::Duration::minutes(5);

/// How often, and how far apart, one is looked for before the trial is put back.
const ATTEMPTS: u32 = 40;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(250);

/// Domains that a template is shown on.
const SAMPLES: i64 = 3;

/// Of what nginx says at most so much is kept, in bytes.
const WORDS: usize = 8 * 1024;

/// Carries trials out until `stop` turns true.
pub(crate) async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        match round(&engine).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "a trial of a template could not be carried out; trying again");
            }
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

async fn round(engine: &Engine) -> Result<bool, StoreError> {
    let store = &engine.parts.store;
    let Some(trial) = store.take_trial().await? else { return Ok(false) };
    match carry_out(engine, &trial).await? {
        Some(outcome) => store.finish_trial(trial.trial_id, &outcome, engine.now()).await?,
        None => store.put_back_trial(trial.trial_id).await?,
    }
    Ok(true)
}

/// `None`: all load balancers are being delivered to, so later.
async fn carry_out(engine: &Engine, trial: &DueTrial) -> Result<Option<TrialOutcome>, StoreError> {
    let TemplateText { name, form, source, .. } = &trial.candidate;
    let published = &engine.templates(None).await?.templates;
    let candidate = match published.with(name, *form, source) {
        Ok(candidate) => candidate,
        Err(error) => return Ok(Some(refused(chain(&error)))),
    };
    let reference = TemplateRef::parse(&format!("{name}:{}", form.as_str()))
        .map_err(|error| StoreError::Inconsistent { table: "templates", source: Box::new(error) })?;
    let Some(target) = borrow(engine).await? else {
        if engine.parts.store.has_live_target().await? {
            let words = "No load balancer was free for five minutes to try it on; try again later.";
            let is_too_late = engine.now() > trial.created_at + PATIENCE;
            return Ok(is_too_late.then(|| refused(words.to_owned())));
        }
        let layout = Layout::usual();
        let subject = Subject { reference, published, candidate: &candidate, layout };
        return Ok(Some(subject.rendered(&[sample(engine)], 1).1));
    };
    let outcome = try_on(engine, trial, (reference, published, &candidate), &target).await;
    engine.parts.store.return_target(&target.lease).await?;
    outcome.map(Some)
}

async fn borrow(engine: &Engine) -> Result<Option<BorrowedTarget>, StoreError> {
    let store = &engine.parts.store;
    for _ in 0..ATTEMPTS {
        if let Some(target) = store.borrow_target().await? {
            return Ok(Some(target));
        }
        if !store.has_live_target().await? {
            return Ok(None);
        }
        tokio::time::sleep(BETWEEN_ATTEMPTS).await;
    }
    Ok(None)
}

/// Tries a template on a target that is held.
async fn try_on(
    engine: &Engine,
    trial: &DueTrial,
    (reference, published, candidate): (TemplateRef, &Templates, &Templates),
    target: &BorrowedTarget,
) -> Result<TrialOutcome, StoreError> {
    let store = &engine.parts.store;
    let settings: Result<TargetSettings, _> = serde_json::from_value(target.settings.clone());
    let layout = settings.as_ref().ok().and_then(|settings| settings.layout(&engine.parts.responders).ok());
    let (Ok(settings), Some(layout)) = (settings, layout) else {
        return Ok(refused(format!("The settings of {} make no sense.", target.name)));
    };
    let mut samples = store.trial_samples(&target.lease, &reference, SAMPLES).await?;
    // A block of its own needs a certificate that is there; the shared form finds it at the handshake.
    let can_test = !samples.is_empty() || trial.candidate.form == Form::Shared;
    if samples.is_empty() {
        samples.push(sample(engine));
    }
    let number = store.begin_release(&target.lease, target.release_number, engine.now()).await?;
    let subject = Subject { reference, published, candidate, layout };
    let (rendered, outcome) = subject.rendered(&samples, number);
    if !outcome.passed || !can_test {
        return Ok(outcome);
    }
    let root = settings.config.root.clone();
    let said = match engine.parts.connector.open(&settings.connection, settings.config) {
        Ok(session) => {
            let sent = Release {
                number,
                previous: None,
                changed: rendered.files.clone(),
                removed: BTreeSet::new(),
                manifest: rendered.manifest.to_text(),
            };
            let tested = match session.send_release(&sent).await {
                Ok(()) => session.test(number).await,
                Err(error) => Err(error),
            };
            if let Err(error) = session.discard(number).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(target.name = target.name, error, "a trial could not be removed");
            }
            tested
        }
        Err(error) => Err(error),
    };
    let outcome = TrialOutcome { tested_on: Some(target.name.clone()), ..outcome };
    Ok(match said {
        Ok(()) => outcome,
        Err(DeliveryError::TestFailed { output }) => {
            let place = Blame::find(&output, &root).map(|blame| place(&rendered, &blame));
            TrialOutcome { passed: false, words: Some(shortened(output)), place, ..outcome }
        }
        Err(error) => TrialOutcome { passed: false, words: Some(shortened(chain(&error))), ..outcome },
    })
}

/// What is compared.
struct Subject<'a> {
    reference: TemplateRef,
    published: &'a Templates,
    candidate: &'a Templates,
    layout: Layout,
}

impl Subject<'_> {
    /// The candidate as a release with these domains alone, and how it differs from what is published.
    fn rendered(&self, samples: &[TemplateSample], number: i64) -> (Rendered, TrialOutcome) {
        let new = self.render(self.candidate, samples, number);
        let old = self.published.resolve(&self.reference).is_ok();
        let before =
            if old { self.texts(&self.render(self.published, samples, number)) } else { String::new() };
        let after = self.texts(&new);
        let diff =
            TextDiff::from_lines(&before, &after).unified_diff().header("published", "candidate").to_string();
        let refusal = new.lost.clone().or_else(|| {
            let (_, (_, reason)) = new.refused.iter().next()?;
            Some(reason.clone())
        });
        let outcome = TrialOutcome {
            passed: refusal.is_none(),
            samples: samples.iter().map(|sample| sample.name.to_string()).collect(),
            diff,
            tested_on: None,
            words: refusal,
            place: None,
        };
        (new, outcome)
    }

    fn render(&self, templates: &Templates, samples: &[TemplateSample], number: i64) -> Rendered {
        let batch: BTreeSet<DomainId> = samples.iter().map(|sample| sample.domain_id).collect();
        let shards: BTreeSet<u8> = batch.iter().map(|id| id.shard()).collect();
        let domains: Vec<_> = samples
            .iter()
            .map(|sample| DomainPlacement {
                domain_id: sample.domain_id,
                name: sample.name.clone(),
                wanted_template: self.reference.clone(),
                served_template: None,
                upstream: sample.upstream.clone(),
            })
            .collect();
        let broken = Broken::default();
        let ground = Ground {
            templates,
            layout: &self.layout,
            batch: &batch,
            renewed: &BTreeSet::new(),
            live: None,
            broken: &broken,
        };
        let mut rendered = release::render(&ground, None, &shards.into_iter().collect::<Vec<_>>(), &domains);
        release::add_top(&ground, number, &mut rendered);
        rendered
    }

    /// The files that the template itself makes, one behind the other.
    fn texts(&self, rendered: &Rendered) -> String {
        let name = self.reference.name();
        let (shared, dedicated) = (format!("servers/{name}.conf"), format!("blocks/{name}/"));
        let own = rendered.files.iter().filter(|(path, _)| **path == shared || path.starts_with(&dedicated));
        own.fold(String::new(), |mut all, (path, text)| {
            let _ = writeln!(all, "# {path}\n{}", String::from_utf8_lossy(text));
            all
        })
    }
}

/// A domain that nobody has, where there is none to try on.
fn sample(engine: &Engine) -> TemplateSample {
    TemplateSample {
        domain_id: DomainId::new(&engine.parts.chance, engine.now()),
        name: Hostname::parse("shop.example.com").expect("it is a name"),
        upstream: UpstreamAddress::parse("127.0.0.1:80").expect("it is an address"),
    }
}

fn place(rendered: &Rendered, blame: &Blame) -> TrialPlace {
    let file = rendered.files.get(&blame.path).map(|file| String::from_utf8_lossy(file));
    let text = file.as_deref().and_then(|file| file.lines().nth(blame.line.checked_sub(1)? as usize));
    TrialPlace {
        path: blame.path.clone(),
        line: blame.line,
        text: text.unwrap_or_default().trim().to_owned(),
    }
}

fn refused(words: String) -> TrialOutcome {
    TrialOutcome { words: Some(words), ..TrialOutcome::default() }
}

/// An error with everything behind it: a template's mistakes are told there.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let _ = write!(text, ": {source}");
        next = source.source();
    }
    text
}

fn shortened(mut words: String) -> String {
    if words.len() > WORDS {
        let end = (0..=WORDS).rev().find(|at| words.is_char_boundary(*at)).unwrap_or_default();
        words.truncate(end);
    }
    words
}
