//! What is done with many domains, and what came of it, in plain words.

use certmill_model::{BulkAction, OperationStatus};

use super::{
    moment::number,
    words::{Look, look},
};

/// The icon and the words of a button that does this with a domain, or with many.
pub(super) fn bulk_action(action: BulkAction) -> (&'static str, &'static str) {
    match action {
        BulkAction::Put => ("plus", "Add"),
        BulkAction::Patch => ("gear", "Change"),
        BulkAction::Delete => ("bin", "Remove"),
        BulkAction::Check => ("turn", "Check now"),
        BulkAction::Renew => ("seal", "Renew now"),
        BulkAction::Pause => ("pause", "Pause"),
        BulkAction::Resume => ("play", "Resume"),
    }
}

/// What an operation on many domains is called.
pub(super) fn bulk_title(action: BulkAction) -> &'static str {
    match action {
        BulkAction::Put => "Add domains",
        BulkAction::Patch => "Change domains",
        BulkAction::Delete => "Remove domains",
        BulkAction::Check => "Check domains",
        BulkAction::Renew => "Renew domains",
        BulkAction::Pause => "Pause domains",
        BulkAction::Resume => "Resume domains",
    }
}

/// What it does with each of them.
pub(super) fn bulk_meaning(action: BulkAction) -> &'static str {
    match action {
        BulkAction::Put | BulkAction::Patch => "What is wanted of each is changed.",
        BulkAction::Delete => {
            "Each is taken off every load balancer within minutes. Shoppers who come to it then see an error."
        }
        BulkAction::Check => "The DNS of each is looked at now, and what is right goes on at once.",
        BulkAction::Renew => {
            "A new certificate is obtained for each, whatever is planned. It counts for the limits of the certificate authority."
        }
        BulkAction::Pause => {
            "Nothing is looked at, ordered or renewed for them until they are resumed. What is served stays served, until its \
             certificate ends."
        }
        BulkAction::Resume => "Those that are paused go on.",
    }
}

/// How many domains.
pub(super) fn domains(count: i64) -> String {
    if count == 1 { "1 domain".to_owned() } else { format!("{} domains", number(count)) }
}

/// A long operation's status in a few words.
pub(super) fn operation(status: OperationStatus) -> Look {
    match status {
        OperationStatus::Queued => look("clock", "busy", "Waiting"),
        OperationStatus::Running => look("clock", "busy", "Under way"),
        OperationStatus::Succeeded => look("check", "good", "Finished"),
        OperationStatus::Failed => look("cross", "bad", "Stopped"),
        OperationStatus::Cancelled => look("cross", "idle", "Cancelled"),
    }
}

/// The same in a sentence.
pub(super) fn operation_sentence(status: OperationStatus, is_cancelled: bool) -> &'static str {
    match status {
        OperationStatus::Queued | OperationStatus::Running if is_cancelled => {
            "It ends once what is under way is finished. The other lines are left."
        }
        OperationStatus::Queued => "Its lines are coming in, or it waits for its turn.",
        OperationStatus::Running => "Its lines are worked on, one after the other.",
        OperationStatus::Succeeded => "Every line has its result.",
        OperationStatus::Failed => "It cannot go on.",
        OperationStatus::Cancelled => "Somebody ended it. Lines without a result were left.",
    }
}

/// What came of a line of an operation, of which `result` is the HTTP status (RFC 9110).
pub(super) fn line(result: Option<i16>, goes_on: bool) -> Look {
    match result {
        None if goes_on => look("clock", "busy", "Waiting"),
        None => look("pause", "idle", "Left"),
        Some(400..) => look("cross", "bad", "Failed"),
        Some(_) => look("check", "good", "Done"),
    }
}
