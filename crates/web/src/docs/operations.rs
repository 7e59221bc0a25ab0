//! The operations of the API, as the page `/docs` lists them.

use utoipa::openapi::path::{Operation, PathItem};

use crate::api;

/// Operations about one thing.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) operations: Vec<OperationEntry>,
}

/// An operation.
pub(super) struct OperationEntry {
    pub(super) id: String,
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) summary: String,
    pub(super) description: String,
    /// The statuses of its answers, with what they mean.
    pub(super) answers: Vec<(String, String)>,
}

/// All operations, by what they are about.
pub(super) fn groups() -> Vec<Group> {
    let document = api::documented();
    let mut groups: Vec<Group> = Vec::new();
    for (path, item) in &document.paths.paths {
        for (method, operation) in operations(item) {
            let name = operation.tags.as_ref().and_then(|tags| tags.first()).cloned().unwrap_or_default();
            let entry = entry(path, method, operation);
            match groups.iter_mut().find(|group| group.name == name) {
                Some(group) => group.operations.push(entry),
                None => groups.push(Group { name, operations: vec![entry] }),
            }
        }
    }
    groups
}

fn entry(path: &str, method: &'static str, operation: &Operation) -> OperationEntry {
    let answers = operation.responses.responses.iter().map(|(status, answer)| {
        let words = match answer {
            utoipa::openapi::RefOr::T(answer) => answer.description.clone(),
            utoipa::openapi::RefOr::Ref(_) => String::new(),
        };
        (status.clone(), words)
    });
    OperationEntry {
        id: operation.operation_id.clone().unwrap_or_default(),
        method,
        path: path.to_owned(),
        summary: operation.summary.clone().unwrap_or_default(),
        description: operation.description.clone().unwrap_or_default(),
        answers: answers.collect(),
    }
}

fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    [
        ("GET", &item.get),
        ("PUT", &item.put),
        ("POST", &item.post),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.as_ref().map(|operation| (method, operation)))
}
