//! The mail server: one port for anybody, and two with encryption and a login.

use std::process::Command;

use super::{make_directory, write};
use crate::certificates::ServerAuthority;
use crate::description::Description;
use crate::error::LabError;
use crate::part::Part;
use crate::process::{Launch, Ready};
use crate::programs::PYTHON;

const SCRIPT: &str = include_str!("smtp.py");

/// Writes the script and the server's certificate.
pub(crate) fn prepare(description: &Description, authority: &ServerAuthority) -> Result<(), LabError> {
    let certificate = authority.issue_for(description.smtp.ip())?;
    let directory = description.directory.join("smtp");
    make_directory(&directory)?;
    write(&directory.join("smtp.py"), SCRIPT)?;
    write(&directory.join("certificate.pem"), &certificate.certificate)?;
    write(&directory.join("key.pem"), &certificate.key)?;
    write(&description.smtp_password_file, &format!("{PASSWORD}\n"))
}

/// Made for labs, which listen on loopback, and gone with them.
pub(crate) const USER: &str = "certmill";
const PASSWORD: &str = "correct horse battery staple";

pub(crate) fn launch(description: &Description) -> Launch {
    let directory = description.directory.join("smtp");
    let ports = [description.smtp, description.smtp_starttls, description.smtp_tls];
    let mut command = Command::new(PYTHON);
    command.arg(directory.join("smtp.py")).arg(&description.mail_directory);
    command.arg(directory.join("certificate.pem")).arg(directory.join("key.pem"));
    command.args([USER, PASSWORD]).args(ports.map(|port| port.to_string()));
    command.current_dir(&description.directory);
    let ready = Ready::Listens(ports.into());
    Launch { part: Part::Mail, command, ready, log: description.log(Part::Mail) }
}
