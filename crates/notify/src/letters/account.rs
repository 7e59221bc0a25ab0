//! Letters about somebody's access.

use time::OffsetDateTime;

use super::{button, our_own};
use crate::{
    document::{Site, Written, clean},
    when::instant,
};

pub(super) fn invitation(
    site: &Site,
    invited_by: &str,
    organisation: &str,
    link: &str,
    expires_at: OffsetDateTime,
) -> Written {
    let (by, whom) = (clean(invited_by), clean(organisation));
    let mut letter = our_own(site, format!("You are invited to {}", clean(&site.product)));
    letter.paragraphs = vec![
        format!("{by} invites you to look after the TLS certificates of {whom}."),
        format!("Open the page below and choose a password. It works once, until {}.", instant(expires_at)),
    ];
    letter.buttons.extend(button("Accept the invitation", link));
    letter.footer = vec![
        "If you do not know what this is about, do nothing: without the page above nothing happens.".into(),
    ];
    letter.written(&format!("{by} invites you to {}", clean(&site.product)))
}

pub(super) fn password_reset(site: &Site, link: &str, expires_at: OffsetDateTime) -> Written {
    let mut letter = our_own(site, "Choose a new password".into());
    letter.paragraphs = vec![
        "Somebody, probably you, asked for a new password for this address.".into(),
        format!("Open the page below to choose one. It works once, until {}.", instant(expires_at)),
    ];
    letter.buttons.extend(button("Choose a new password", link));
    letter.footer = vec!["If it was not you, do nothing: your password stays as it is.".into()];
    letter.written(&format!("{}: choose a new password", clean(&site.product)))
}

pub(super) fn test(site: &Site, now: OffsetDateTime) -> Written {
    let mut letter = our_own(site, "Mail works".into());
    letter.paragraphs = vec![
        format!(
            "This is a test of {} at {}, sent on {}.",
            clean(&site.product),
            site.public_url,
            instant(now)
        ),
        "Alerts, digests, invitations and password resets go out the same way.".into(),
    ];
    letter.footer =
        vec!["You get this because an operator ran `certmill mail test` with your address.".into()];
    letter.written(&format!("{}: mail works", clean(&site.product)))
}
