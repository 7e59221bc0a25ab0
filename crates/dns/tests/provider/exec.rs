//! Programs: such as people have for certbot, with nsupdate, and such as misbehave.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use certmill_dns::{DnsProvider, ProviderError, TxtRecord};
use certmill_lab::Lab;
use serde_json::{Value, json};

use crate::{
    conformance::{self, BadCredentials, Fixture, open, setting},
    rfc2136::{lab, visible},
};

/// As in many a wiki. It knows nothing of certmill.
const HOOK: &str = "#!/bin/sh
printf '%s\\n' \"server SERVER PORT\" \"zone acme.test.\" \\
    \"update ACTION _acme-challenge.$CERTBOT_DOMAIN. 60 TXT \\\"$CERTBOT_VALIDATION\\\"\" send |
    nsupdate -k KEY
";

struct Hooks<'a> {
    lab: &'a Lab,
}

impl Hooks<'_> {
    fn settings_with(&self, name: &str, key: &Path) -> Value {
        let server = self.lab.description().acme_zone.primary;
        let hook = |action: &str| {
            let text = HOOK
                .replace("SERVER", &server.ip().to_string())
                .replace("PORT", &server.port().to_string())
                .replace("ACTION", action)
                .replace("KEY", &key.display().to_string());
            program(self.lab.directory(), &format!("{name}-{action}"), &text)
        };
        json!({ "provider": "exec", "auth_program": hook("add"), "cleanup_program": hook("delete") })
    }
}

impl Fixture for Hooks<'_> {
    fn zone(&self) -> &str {
        &self.lab.description().acme_zone.name
    }

    fn settings(&self) -> Value {
        self.settings_with("hook", &self.lab.description().acme_zone.key().file)
    }

    fn secret(&self) -> String {
        String::new()
    }

    async fn visible(&self, name: &str) -> Vec<String> {
        visible(self.lab, name).await
    }

    /// The credentials are in the program, so what can be named is the program.
    fn bad_credentials(&self) -> BadCredentials {
        let stranger = &self.lab.description().acme_zone.stranger.file;
        BadCredentials {
            settings: self.settings_with("stranger", stranger),
            secret: String::new(),
            setting: "_program",
        }
    }

    fn silent(&self) -> Value {
        let sleeps = program(self.lab.directory(), "sleeps", "#!/bin/sh\nsleep 60\n");
        json!({ "provider": "exec", "auth_program": sleeps, "cleanup_program": sleeps, "timeout_seconds": 1 })
    }
}

/// Written by another process: this one starts processes all the time, and one that is just being started would still
/// hold the file open for writing, which is then not executable.
fn program(directory: &Path, name: &str, text: &str) -> PathBuf {
    let source = directory.join(format!("{name}.sh"));
    let program = directory.join(name);
    fs::write(&source, text).unwrap();
    let installed = Command::new("install").args(["-m", "755"]).arg(&source).arg(&program).status();
    assert!(installed.unwrap().success());
    program
}

/// With a limit that only those reach who never end.
fn open_programs(auth: &Path, cleanup: &Path) -> Arc<dyn DnsProvider> {
    open_programs_within(60, auth, cleanup)
}

fn open_programs_within(seconds: u16, auth: &Path, cleanup: &Path) -> Arc<dyn DnsProvider> {
    let settings = json!({ "provider": "exec", "auth_program": auth, "cleanup_program": cleanup,
        "timeout_seconds": seconds });
    open(&settings, "acme.test", "")
}

const RECORD: TxtRecord<'_> = TxtRecord { name: "_acme-challenge.k7.acme.test", value: "-value; $(id) \"'" };

#[tokio::test]
async fn scripts_that_were_written_for_certbot_do_what_every_provider_must() {
    let lab = lab().await;
    conformance::check(&Hooks { lab: &lab }).await;
    lab.down().await.unwrap();
}

#[tokio::test]
async fn a_program_gets_certbot_s_variables_and_little_else() {
    let directory = tempfile::tempdir().unwrap();
    let seen = directory.path().join("seen");
    let text = format!("#!/bin/sh\nenv >> {0}\necho \"$PWD $#\" >> {0}\ncat >> {0}\n", seen.display());
    let prints = program(directory.path(), "prints", &text);
    let provider = open_programs(&prints, &prints);
    let read = || {
        let text = fs::read_to_string(&seen).unwrap();
        fs::remove_file(&seen).unwrap();
        let mut lines: Vec<_> = text.lines().map(ToOwned::to_owned).collect();
        lines.retain(|line| {
            !["PATH=", "HOME=", "LANG=", "PWD=", "OLDPWD=", "SHLVL=", "_="]
                .iter()
                .any(|own| line.starts_with(own))
        });
        lines.sort();
        lines
    };
    let expected = [
        "/ 0",
        "CERTBOT_ALL_DOMAINS=k7.acme.test",
        "CERTBOT_DOMAIN=k7.acme.test",
        "CERTBOT_REMAINING_CHALLENGES=0",
        "CERTBOT_VALIDATION=-value; $(id) \"'",
        "CERTMILL_RECORD=_acme-challenge.k7.acme.test",
        "CERTMILL_ZONE=acme.test",
    ];
    provider.present(RECORD).await.unwrap();
    assert_eq!(read(), expected);
    provider.remove(RECORD).await.unwrap();
    let mut expected = expected.map(ToOwned::to_owned).to_vec();
    expected.insert(2, "CERTBOT_AUTH_OUTPUT=".to_owned());
    assert_eq!(read(), expected);
}

#[tokio::test]
async fn a_program_that_fails_is_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let fails = program(directory.path(), "fails", "#!/bin/sh\necho fine\necho 'no such\tkey' >&2\nexit 3\n");
    let dies = program(directory.path(), "dies", "#!/bin/sh\nkill -SEGV $$\n");
    let provider = open_programs(&fails, &dies);
    let error = provider.present(RECORD).await.unwrap_err();
    let expected = format!("auth_program {} ended with exit status: 3: no such key", fails.display());
    assert_eq!(error, ProviderError::Retry { after: None, detail: expected });
    let error = provider.remove(RECORD).await.unwrap_err().to_string();
    assert!(error.starts_with("cleanup_program") && error.contains("signal: 11"), "{error}");
}

#[tokio::test]
async fn a_program_that_cannot_be_run_is_a_wrong_setting() {
    let directory = tempfile::tempdir().unwrap();
    let plain = directory.path().join("plain");
    fs::write(&plain, "not executable").unwrap();
    let provider = open_programs(Path::new("/nowhere/at/all"), &plain);
    assert_eq!(setting(&provider.present(RECORD).await.unwrap_err()), "auth_program");
    assert_eq!(setting(&provider.remove(RECORD).await.unwrap_err()), "cleanup_program");
}

#[tokio::test]
async fn a_program_that_floods_its_output_neither_blocks_nor_fills_memory() {
    let directory = tempfile::tempdir().unwrap();
    let flood = "#!/bin/sh\nhead -c 20000000 /dev/zero | tr '\\0' x >&2\nhead -c 20000000 /dev/zero\necho THE END >&2\nexit 1\n";
    let floods = program(directory.path(), "floods", flood);
    let error = open_programs(&floods, &floods).present(RECORD).await.unwrap_err().to_string();
    assert!(error.ends_with("xxTHE END"));
    assert!(error.len() < 5_000, "{}", error.len());
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_killed_with_its_children() {
    let directory = tempfile::tempdir().unwrap();
    let ids = directory.path().join("ids");
    let text = format!("#!/bin/sh\nsleep 987 &\necho $! > {0}\necho $$ >> {0}\nwait\n", ids.display());
    let hangs = program(directory.path(), "hangs", &text);
    let provider = open_programs_within(2, &hangs, &hangs);
    let error = provider.present(RECORD).await.unwrap_err().to_string();
    assert!(error.ends_with("did not end within 2 s and was killed"), "{error}");
    are_gone(&ids).await;
}

#[tokio::test]
async fn a_program_that_nobody_waits_for_any_more_is_killed_too() {
    let directory = tempfile::tempdir().unwrap();
    let ids = directory.path().join("ids");
    let text = format!("#!/bin/sh\nsleep 987 &\necho $! > {0}\necho $$ >> {0}\nwait\n", ids.display());
    let hangs = program(directory.path(), "hangs", &text);
    let provider = open_programs(&hangs, &hangs);
    let both_run = async {
        while !fs::read_to_string(&ids).is_ok_and(|ids| ids.ends_with('\n') && ids.lines().count() == 2) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        ended = provider.present(RECORD) => panic!("{ended:?}"),
        () = both_run => {}
    }
    are_gone(&ids).await;
}

#[tokio::test]
async fn a_child_that_a_program_leaves_behind_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let leaves = program(directory.path(), "leaves", "#!/bin/sh\nsleep 40 &\nexit 0\n");
    let started = Instant::now();
    open_programs(&leaves, &leaves).present(RECORD).await.unwrap();
    // It sleeps for 40 s.
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

async fn are_gone(ids: &Path) {
    let ids: Vec<String> = fs::read_to_string(ids).unwrap().lines().map(ToOwned::to_owned).collect();
    assert_eq!(ids.len(), 2);
    let deadline = Instant::now() + Duration::from_secs(5);
    // One that was killed but that nobody waited for yet is a zombie.
    let runs =
        |id: &String| fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    while ids.iter().any(runs) {
        assert!(Instant::now() < deadline, "{ids:?} still run");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
