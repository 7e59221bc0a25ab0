//! The demo: certmill at work on real parts.

mod error;
mod progress;
mod proof;
mod shops;
mod table;

use std::path::PathBuf;
use std::time::Instant;

use certmill_lab::service::{Api, Role, Running, Service};
use certmill_lab::{Lab, Options};

use self::error::DemoError;
use self::proof::Proof;
use self::shops::{PROBLEM_SHOP, SHOPS, TENANTS};
use crate::interruption::Interruption;
use crate::screen::Screen;

/// Shows everything, and takes it down again: `once` as soon as it is shown, else when told to stop.
pub(crate) async fn run(once: bool) -> Result<(), DemoError> {
    let mut interruption = Interruption::listen();
    let screen = Screen::new();
    screen.step(
        "bringing the lab up: PostgreSQL, an ACME server, DNS, two load balancers (nginx and sshd each)",
    );
    let lab = tokio::select! {
        lab = Lab::up(Options::default()) => lab?,
        () = interruption.comes() => return Ok(()),
    };
    let mut certmill = None;
    let done = tokio::select! {
        done = show(&lab, &screen, once, &mut certmill) => done.map_err(|error| error.with_log(&lab)),
        () = interruption.comes() => Ok(()),
    };
    screen.step("taking everything down");
    if let Some(certmill) = certmill.filter(|_| done.is_ok()) {
        certmill.stop().await?;
    }
    lab.down().await?;
    done
}

async fn show(
    lab: &Lab,
    screen: &Screen,
    once: bool,
    certmill: &mut Option<Running>,
) -> Result<(), DemoError> {
    screen.step("setting certmill up: a master key, a configuration, the schema, two load balancers");
    let service = Service::set_up(lab, &[]).await?;
    screen.step("starting certmill all, which gives the load balancers their first release");
    let certmill = certmill.insert(service.start(Role::All, &[]).await?);
    service.platform_api().await?.wait_for_targets(progress::DEADLINE).await?;
    let tenants = [service.add_tenant(TENANTS[0]).await?, service.add_tenant(TENANTS[1]).await?];
    screen.step(format_args!(
        "registering {} shops of {} and {} over the REST API",
        SHOPS.len(),
        TENANTS[0],
        TENANTS[1]
    ));
    let begin = Instant::now();
    shops::register(lab, &tenants, SHOPS).await?;
    progress::wait_until_active(&tenants, certmill, screen, begin).await?;

    screen.step("looking at every shop as a visitor of each load balancer: certificate and page");
    let proofs = proof::prove(lab, &tenants).await?;
    screen.good(format_args!(
        "{} of {} handshakes show exactly the certificate of the API",
        handshakes(&proofs),
        handshakes(&proofs)
    ));
    table::print(lab, &proofs, screen);
    let curl = proof::curl_line(lab).await?;
    if once {
        return Ok(());
    }
    show_a_problem(lab, &tenants, screen).await?;
    invite(&service, screen, &curl).await?;
    watch(certmill).await
}

/// One more shop whose owner has forgotten to change DNS: the dashboard shows what to do.
async fn show_a_problem(lab: &Lab, tenants: &[Api; 2], screen: &Screen) -> Result<(), DemoError> {
    shops::register(lab, tenants, &[PROBLEM_SHOP]).await?;
    let has_problem = |domain: &serde_json::Value| domain["problems"][0]["code"].is_string();
    let api = &tenants[PROBLEM_SHOP.tenant];
    let domain = api.wait_for(PROBLEM_SHOP.name, progress::DEADLINE, has_problem).await?;
    let detail = domain["problems"][0]["detail"].as_str().unwrap_or_default();
    screen.say("");
    screen.say(format_args!("One more shop, {}, is not set up yet: {detail}", PROBLEM_SHOP.name));
    Ok(())
}

async fn invite(service: &Service, screen: &Screen, curl: &str) -> Result<(), DemoError> {
    let link = service.run(&["login-link"]).await?;
    let configuration = service.configuration_file();
    screen.say("");
    screen.say(format_args!("{}  {link}", screen.strong("Dashboard, this link logs you in once:")));
    screen.say(format_args!(
        "  a new link: {} --config {} login-link",
        service.program().display(),
        configuration.display()
    ));
    screen.say("");
    screen.say(screen.strong("A shop over HTTPS through a load balancer:"));
    screen.say(format_args!("  {curl}"));
    screen.say("");
    screen.say("All of it runs until Ctrl-C.");
    Ok(())
}

/// Returns only when certmill has ended by itself.
async fn watch(certmill: &mut Running) -> Result<(), DemoError> {
    let status = certmill.wait(std::time::Duration::MAX).await?;
    Err(DemoError::Ended(status))
}

fn handshakes(proofs: &[Proof]) -> usize {
    proofs.iter().map(|proof| proof.load_balancers).sum()
}

/// Where certmill's log is kept when the lab's directory goes.
fn kept_log() -> PathBuf {
    std::env::temp_dir().join(format!("certmill-demo-{}.log", std::process::id()))
}
