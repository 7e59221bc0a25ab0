//! From what there is to tell to what is written.

mod account;
mod alert;
mod digest;
mod owner;

use certmill_model::Letter;
use time::OffsetDateTime;

use crate::document::{Button, Document, Site, Written, clean};

/// Writes `letter`, as it reads at `now`, in `language` where there is a choice (`de` or English).
pub fn write(letter: &Letter, site: &Site, language: &str, now: OffsetDateTime) -> Written {
    match letter {
        Letter::Alert(alert) => alert::write(alert, site),
        Letter::Digest(digest) => digest::write(digest, site),
        Letter::Invitation { invited_by, organisation, link, expires_at } => {
            account::invitation(site, invited_by, organisation, link, *expires_at)
        }
        Letter::PasswordReset { link, expires_at } => account::password_reset(site, link, *expires_at),
        Letter::Test => account::test(site, now),
        Letter::OwnerSetUp { brand, name, records, link } => {
            owner::set_up(&owner::Owner { brand, name, language }, records, link)
        }
        Letter::OwnerWorks { brand, name } => owner::works(&owner::Owner { brand, name, language }),
    }
}

/// A letter of our own to our own people.
fn our_own(site: &Site, heading: String) -> Document {
    Document { language: "en", product: clean(&site.product), heading, ..Document::default() }
}

/// A button, unless its link leads to something else than a page or a mail address.
fn button(label: &str, url: &str) -> Option<Button> {
    let url = clean(url);
    let is_safe = ["https://", "http://", "mailto:"].iter().any(|scheme| url.starts_with(scheme));
    (is_safe && !url.contains(' ')).then(|| Button { label: label.to_owned(), url })
}
