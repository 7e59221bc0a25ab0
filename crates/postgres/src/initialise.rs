//! A new cluster: complete, or not there at all.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::binaries::Binaries;
use crate::error::ClusterError;
use crate::home::{Home, io_error};
use crate::server_user::ServerUser;
use crate::{DATABASE, SUPERUSER};

/// Characters beyond ASCII have a case in the first; the second is on every system.
const LOCALES: [&str; 2] = ["C.UTF-8", "C"];

/// Makes the data directory with the database in it. A process killed meanwhile leaves nothing that looks done.
pub(crate) fn initialise(
    home: &Home,
    binaries: &Binaries,
    server_user: &ServerUser,
) -> Result<(), ClusterError> {
    let data = home.unfinished_data();
    let mut result = Ok(());
    for locale in LOCALES {
        remove(&data)?;
        result = run_initdb(home, binaries, server_user, locale);
        if !matches!(&result, Err(ClusterError::Failed { output, .. }) if output.contains("locale")) {
            break;
        }
    }
    result?;
    create_database(home, binaries, server_user)?;
    fs::rename(&data, home.data()).map_err(io_error(&data))?;
    fs::File::open(home.directory()).and_then(|directory| directory.sync_all()).map_err(io_error(&data))
}

fn run_initdb(
    home: &Home,
    binaries: &Binaries,
    server_user: &ServerUser,
    locale: &str,
) -> Result<(), ClusterError> {
    let mut command = server_user.command(binaries.program("initdb"), home.directory());
    // Trust is the directory's: only its owner (and root) gets to the socket.
    command.args(["--auth=trust", "--encoding=UTF8", "--data-checksums", "--no-instructions"]);
    command.arg(format!("--locale={locale}")).arg(format!("--username={SUPERUSER}"));
    command.arg("--pgdata").arg(home.unfinished_data());
    check("initdb", &command.output().map_err(io_error(home.directory()))?)
}

/// In single-user mode: no server has to be started for it.
fn create_database(home: &Home, binaries: &Binaries, server_user: &ServerUser) -> Result<(), ClusterError> {
    let mut command = server_user.command(binaries.program("postgres"), home.directory());
    command
        .args(["--single", "-j", "-c", "exit_on_error=on", "-D"])
        .arg(home.unfinished_data())
        .arg("postgres");
    let statement = format!("CREATE DATABASE {DATABASE};\n\n");
    let output = with_input(&mut command, &statement).map_err(io_error(home.directory()))?;
    check("postgres --single", &output)
}

fn with_input(command: &mut Command, input: &str) -> io::Result<Output> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().expect("standard input is a pipe").write_all(input.as_bytes())?;
    child.wait_with_output()
}

fn check(program: &'static str, output: &Output) -> Result<(), ClusterError> {
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ClusterError::Failed { program, output })
}

fn remove(directory: &Path) -> Result<(), ClusterError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(directory)(error)),
        _ => Ok(()),
    }
}
