//! The templates that load balancers are served with: files, and in their place what was published.

use std::sync::Arc;

use certmill_nginx::Templates;
use certmill_store::{StoreError, TemplateText};
use tokio::sync::Mutex;

use crate::Engine;

/// What was published at the last look, and all templates with it.
#[derive(Default)]
pub(crate) struct Published(Mutex<Option<(Vec<TemplateText>, Arc<Templates>)>>);

impl Engine {
    /// Every template as it is to be served now. What was published and cannot be read any more fails: the file of that name
    /// in its place would change shops without anybody's will.
    pub(crate) async fn templates(&self) -> Result<Arc<Templates>, StoreError> {
        let published = self.parts.store.published_templates().await?;
        let mut kept = self.published.0.lock().await;
        if let Some((known, templates)) = &*kept
            && *known == published
        {
            return Ok(templates.clone());
        }
        let mut templates = self.parts.templates.clone();
        for text in &published {
            templates = templates.with(&text.name, text.form, &text.source).map_err(|error| {
                StoreError::Inconsistent { table: "template_versions", source: Box::new(error) }
            })?;
        }
        let templates = Arc::new(templates);
        *kept = Some((published, templates.clone()));
        Ok(templates)
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
