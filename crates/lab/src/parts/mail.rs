//! The mail sink.

use std::process::Command;

use crate::description::Description;
use crate::part::Part;
use crate::process::{Launch, Ready};
use crate::programs::PYTHON;

pub(crate) fn launch(description: &Description) -> Launch {
    let mut command = Command::new(PYTHON);
    // It makes the maildir itself. -n: it would become another user when run as root.
    command.args(["-m", "aiosmtpd", "-n", "-l"]).arg(description.smtp.to_string());
    command.args(["-c", "aiosmtpd.handlers.Mailbox"]).arg(&description.mail_directory);
    command.current_dir(&description.directory);
    let ready = Ready::Listens(vec![description.smtp]);
    Launch { part: Part::Mail, command, ready, log: description.log(Part::Mail) }
}
