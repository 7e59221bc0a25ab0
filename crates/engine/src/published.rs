//! The templates that load balancers are served with: files, and in their place what was published.

use std::sync::Arc;

use certmill_model::{TargetId, TemplateRef};
use certmill_nginx::Templates;
use certmill_store::{StoreError, TemplateText};
use tokio::sync::Mutex;

use crate::Engine;

/// What load balancers are served with: most of them with the same, one perhaps with a version before the others.
const KEPT: usize = 2;

/// Templates as they were at the last looks.
#[derive(Default)]
pub(crate) struct Published(Mutex<Vec<Arc<Serving>>>);

/// The templates of a target.
pub(crate) struct Serving {
    /// Those that were published.
    pub(crate) published: Vec<TemplateText>,
    /// All of them.
    pub(crate) templates: Templates,
}

impl Serving {
    /// Those that were published and cannot be read any more.
    pub(crate) fn unreadable(&self) -> Vec<TemplateText> {
        let is_unreadable = |text: &&TemplateText| {
            let reference = TemplateRef::parse(&format!("{}:{}", text.name, text.form.as_str()));
            reference.is_ok_and(|reference| self.templates.unreadable(&reference).is_some())
        };
        self.published.iter().filter(is_unreadable).cloned().collect()
    }
}

impl Engine {
    /// Every template as `target` is to be served now; `None`: as targets are that have nothing before others. What was published
    /// and cannot be read any more stays as it is live: the file of that name in its place would change shops without anybody's will.
    pub(crate) async fn templates(&self, target: Option<TargetId>) -> Result<Arc<Serving>, StoreError> {
        let published = self.parts.store.published_templates(target).await?;
        let mut kept = self.published.0.lock().await;
        if let Some(known) = kept.iter().find(|known| known.published == published) {
            return Ok(known.clone());
        }
        let mut templates = self.parts.templates.clone();
        for text in &published {
            templates = match templates.with(&text.name, text.form, &text.source) {
                Ok(templates) => templates,
                Err(error) => templates.with_unreadable(&text.name, text.form, &text.source, &error),
            };
        }
        if let Some(complaint) = templates.complaint() {
            tracing::error!(complaint, "shops with such a template stay as they are");
        }
        let serving = Arc::new(Serving { published, templates });
        kept.insert(0, serving.clone());
        kept.truncate(KEPT);
        Ok(serving)
    }

    /// Tells the database of the files that this process has, so that people can begin with them.
    pub(crate) async fn keep_files(&self) -> Result<(), StoreError> {
        let files = &self.parts.templates;
        let text = |(name, form): (String, certmill_model::Form)| {
            let source = files.source(&name, form)?.to_owned();
            Some(TemplateText { name, form, version: 0, source })
        };
        let texts: Vec<_> = files.list().into_iter().filter_map(text).collect();
        self.parts.store.keep_files(&texts, self.now()).await
    }
}
