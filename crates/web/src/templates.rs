//! nginx templates: what the API and the dashboard do alike. They are the platform's: whoever writes one decides where requests
//! go.

use certmill_model::{
    Form, Hostname, Label, PreviewedDomain, TemplateDraft, TemplateMistake, TemplateRef, TrialId,
};
use certmill_store::{
    AuditEntry, Canary, NewTemplateVersion, Published, Reach, ScopedTx, TemplateRemoval, TemplateRow,
};
use http::StatusCode;
use serde_json::{Value, json};

use crate::{WebState, access::Caller, problem::Problem};

/// Domains that a template is shown on.
pub(crate) const SAMPLES: i64 = 3;

/// The last tests of a version that are shown.
pub(crate) const TESTS: i64 = 10;

/// What a template says where nothing was said of it yet.
const FIRST_SHARED: &str = "\
{% include \"defaults.conf\" %}
location / {
    proxy_pass http://$certmill_upstream;
}
";
const FIRST_DEDICATED: &str = "\
{% include \"defaults.conf\" %}
location / {
    proxy_pass http://{{ upstream }};
}
";

/// The names to choose a template from: files, what is published, and what is `given` already.
pub(crate) async fn to_choose_from(
    state: &WebState,
    tx: &mut ScopedTx,
    given: &str,
) -> Result<Vec<String>, Problem> {
    let published = tx.list_templates().await?;
    let published = published.into_iter().filter(|row| row.published_version.is_some()).map(|row| row.name);
    let files = state.settings.templates.iter().map(|(name, _)| name.clone());
    let mut names: Vec<_> = files.chain(published).chain(Some(given.to_owned())).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// The text to begin a template with.
pub(crate) fn first_text(template: &TemplateRef) -> &'static str {
    match template.form() {
        Some(Form::Dedicated) => FIRST_DEDICATED,
        Some(Form::Shared) | None => FIRST_SHARED,
    }
}

/// The template that `text` means, `storefront:shared`: a name alone means the shared form, where there is one.
pub(crate) async fn find(tx: &mut ScopedTx, text: &str) -> Result<(TemplateRef, TemplateRow), Problem> {
    let wanted = TemplateRef::parse(text).map_err(|_| missing())?;
    for form in [Form::Shared, Form::Dedicated] {
        if wanted.form().is_some_and(|asked| asked != form) {
            continue;
        }
        let exact = in_form(wanted.name(), form)?;
        if let Some(row) = tx.find_template(&exact).await? {
            return Ok((exact, row));
        }
    }
    Err(missing())
}

/// The template of this name in the form that is called so.
pub(crate) fn named(name: &str, form: &str) -> Result<TemplateRef, Problem> {
    let invalid = |field: &str, detail: String| Problem::field(format!("/{field}"), "invalid_field", detail);
    let form = [Form::Shared, Form::Dedicated].into_iter().find(|known| known.as_str() == form);
    let form = form.ok_or_else(|| invalid("form", "it is neither shared nor dedicated".into()))?;
    match TemplateRef::parse(name) {
        Ok(parsed) if parsed.form().is_none() => in_form(name, form),
        Ok(_) => Err(invalid("name", "say the form in its own field".into())),
        Err(error) => Err(invalid("name", error.to_string())),
    }
}

/// The number of a version.
pub(crate) fn number(text: &str) -> Result<i32, Problem> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Problem::no_such("version"))
}

/// The reference to a template in one form.
fn in_form(name: &str, form: Form) -> Result<TemplateRef, Problem> {
    TemplateRef::parse(&format!("{name}:{}", form.as_str())).map_err(|_| missing())
}

/// What is wrong with a text, before it is kept; and the text as it is kept.
pub(crate) fn check(
    state: &WebState,
    template: &TemplateRef,
    source: &str,
) -> Result<String, TemplateMistake> {
    // Browsers send lines with CR LF, which would make every line another one than in the file.
    let source = source.replace("\r\n", "\n");
    if let Some(at) = source.find('\0') {
        let line = 1 + source[..at].matches('\n').count();
        return Err(TemplateMistake { line, column: 1, what: "a NUL character is no text".into() });
    }
    preview(state, template, &source, Vec::new()).map(|_| source)
}

/// What a text makes of domains.
pub(crate) async fn show_on(
    state: &WebState,
    reach: Reach,
    template: &TemplateRef,
    source: &str,
    named: &[String],
) -> Result<Result<Vec<PreviewedDomain>, TemplateMistake>, Problem> {
    let source = match check(state, template, source) {
        Ok(source) => source,
        Err(mistake) => return Ok(Err(mistake)),
    };
    let mut tx = state.store.read(reach).await?;
    let samples = tx.template_samples(template, &names(named)?, SAMPLES).await?;
    if samples.len() < named.len() {
        let there = |name: &&String| samples.iter().any(|sample| sample.name.as_str() == name.as_str());
        let place = named.iter().position(|name| !there(&name)).unwrap_or_default();
        let detail = "there is no domain of this name".to_owned();
        return Err(Problem::field(format!("/domains/{place}"), "unknown_domain", detail));
    }
    Ok(preview(state, template, &source, samples))
}

fn preview(
    state: &WebState,
    template: &TemplateRef,
    source: &str,
    samples: Vec<certmill_model::TemplateSample>,
) -> Result<Vec<PreviewedDomain>, TemplateMistake> {
    let (name, form) = (template.name().to_owned(), template.form().unwrap_or(Form::Shared));
    state.settings.previewer.preview(&TemplateDraft { name, form, source: source.to_owned(), samples })
}

/// Names of domains as they are stored.
fn names(texts: &[String]) -> Result<Vec<String>, Problem> {
    if texts.len() > SAMPLES as usize {
        let detail = format!("name at most {SAMPLES}");
        return Err(Problem::field("/domains".into(), "invalid_field", detail));
    }
    let read = |(place, text): (usize, &String)| {
        Hostname::parse(text)
            .map(|name| name.to_string())
            .map_err(|error| Problem::field(format!("/domains/{place}"), error.code(), error.to_string()))
    };
    texts.iter().enumerate().map(read).collect()
}

/// Makes a template with its first version.
pub(crate) async fn create(
    state: &WebState,
    caller: &Caller,
    template: &TemplateRef,
    text: (&str, &str),
) -> Result<i32, Problem> {
    if state.store.read(caller.reach).await?.find_template(template).await?.is_some() {
        return Err(taken());
    }
    match save(state, caller, template, text, 0).await {
        Err(problem) if problem.status == StatusCode::PRECONDITION_FAILED => Err(taken()),
        done => done,
    }
}

/// Keeps a version; nothing is served with it yet. Answers its number. `revision` is the template's that it was made from,
/// 0 for a new one.
pub(crate) async fn save(
    state: &WebState,
    caller: &Caller,
    template: &TemplateRef,
    (source, note): (&str, &str),
    revision: i64,
) -> Result<i32, Problem> {
    let source = check(state, template, source).map_err(|mistake| refused(&mistake))?;
    let note = match note.trim() {
        "" => String::new(),
        text => Label::parse(text)
            .map_err(|error| Problem::field("/note".into(), "invalid_field", error.to_string()))?
            .to_string(),
    };
    let mut tx = state.store.scoped(caller.reach).await?;
    let new = NewTemplateVersion { template, source: &source, note: &note, author: &caller.actor.name };
    let (version, _) = tx.save_template(new, Some(revision), state.now()).await?;
    let entry = entry(caller, "template.saved", template, json!({ "version": version, "note": note }));
    tx.commit(&entry, &state.chance, state.now()).await?;
    Ok(version)
}

/// Has a version shown to the nginx of a load balancer.
pub(crate) async fn test(
    state: &WebState,
    caller: &Caller,
    template: &TemplateRef,
    version: i32,
) -> Result<TrialId, Problem> {
    let (trial, now) = (TrialId::new(&state.chance, state.now()), state.now());
    let mut tx = state.store.scoped(caller.reach).await?;
    if !tx.ask_trial(trial, (template, version), &caller.actor.name, now).await? {
        return Err(Problem::no_such("version"));
    }
    let entry = entry(caller, "template.tested", template, json!({ "version": version }));
    tx.commit(&entry, &state.chance, now).await?;
    Ok(trial)
}

/// Has load balancers served with a version, or with the file again. Answers which one is first; `None`: all get it at once.
pub(crate) async fn publish(
    state: &WebState,
    caller: &Caller,
    template: &TemplateRef,
    version: Option<i32>,
    revision: i64,
) -> Result<Option<Canary>, Problem> {
    put_live(state, caller, template, version, ("template.published", revision)).await
}

/// Has load balancers served with what they were served with before.
pub(crate) async fn roll_back(
    state: &WebState,
    caller: &Caller,
    template: &TemplateRef,
    revision: i64,
) -> Result<Option<i32>, Problem> {
    let mut tx = state.store.read(caller.reach).await?;
    let Some(version) = tx.template_way_back(template).await? else {
        return Err(nothing_before());
    };
    drop(tx);
    put_live(state, caller, template, version, ("template.rolled_back", revision)).await?;
    Ok(version)
}

async fn put_live(
    state: &WebState,
    caller: &Caller,
    template: &TemplateRef,
    version: Option<i32>,
    (action, revision): (&'static str, i64),
) -> Result<Option<Canary>, Problem> {
    let mut tx = state.store.scoped(caller.reach).await?;
    let author = &caller.actor.name;
    match tx.publish_template(template, version, Some(revision), author, state.now()).await? {
        Published::Done(_) => {}
        Published::Unknown => return Err(Problem::no_such("version")),
        Published::NotTried => {
            let detail = "No test of this version has passed yet. Test it first.";
            return Err(Problem::new(StatusCode::CONFLICT, "template_not_tested", "Not tested", detail));
        }
    }
    let first = tx.find_template(template).await?.and_then(|row| row.canary);
    let entry = entry(caller, action, template, json!({ "version": version }));
    tx.commit(&entry, &state.chance, state.now()).await?;
    Ok(first)
}

/// Forgets a template that nobody names.
pub(crate) async fn delete(
    state: &WebState,
    caller: &Caller,
    template: &TemplateRef,
    revision: i64,
) -> Result<(), Problem> {
    let mut tx = state.store.scoped(caller.reach).await?;
    let refusal = match tx.delete_template(template, Some(revision), state.now()).await? {
        TemplateRemoval::Done => None,
        TemplateRemoval::HasFile => {
            Some("It is a file where certmill runs. Remove the file, or go back to it.")
        }
        TemplateRemoval::InUse => Some("Tenants or domains name it. Give them another template first."),
    };
    if let Some(detail) = refusal {
        return Err(Problem::new(StatusCode::CONFLICT, "template_in_use", "Template in use", detail));
    }
    let entry = entry(caller, "template.deleted", template, json!({}));
    Ok(tx.commit(&entry, &state.chance, state.now()).await?)
}

/// The refusal of a text.
pub(crate) fn refused(mistake: &TemplateMistake) -> Problem {
    let TemplateMistake { line, column, what } = mistake;
    let detail = format!("line {line}, column {column}: {what}");
    Problem::field("/source".into(), "template_invalid", detail)
}

fn entry<'a>(
    caller: &'a Caller,
    action: &'static str,
    template: &TemplateRef,
    detail: Value,
) -> AuditEntry<'a> {
    caller.did(action, "template", template, template, detail)
}

/// There is no way back.
pub(crate) fn nothing_before() -> Problem {
    let detail = "Nothing was served before what is served now.";
    Problem::new(StatusCode::CONFLICT, "nothing_before", "Nothing to go back to", detail)
}

fn taken() -> Problem {
    let mut problem =
        Problem::field("/name".into(), "taken", "there is a template of this name and form".into());
    problem.status = StatusCode::CONFLICT;
    problem
}

fn missing() -> Problem {
    Problem::no_such("template")
}
