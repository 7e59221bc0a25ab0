//! Forms of templates, as they are stored.

use certmill_model::Form;

use crate::StoreError;

/// The form that a column names.
pub(crate) fn form(text: &str) -> Result<Form, StoreError> {
    let known = [Form::Shared, Form::Dedicated].into_iter().find(|form| form.as_str() == text);
    known.ok_or_else(|| StoreError::inconsistent("templates", format!("{text:?} is no form")))
}
