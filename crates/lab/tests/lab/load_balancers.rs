//! Load balancers, over ssh and HTTP.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use certmill_lab::{Lab, Options};

use crate::support::{release, ssh, text, wait_until};

#[tokio::test]
async fn a_login_reaches_the_nginx_of_its_own_load_balancer() {
    let lab = Lab::up(Options::default()).await.unwrap();
    for load_balancer in &lab.description().load_balancers {
        let version = ssh(lab.description(), load_balancer, "nginx -v");
        assert!(text(&version.stderr).starts_with("nginx version:"), "{version:?}");

        let test = ssh(lab.description(), load_balancer, "nginx -t");
        let conf = load_balancer.nginx_conf.display();
        assert_eq!(
            text(&test.stderr),
            format!(
                "nginx: the configuration file {conf} syntax is ok\nnginx: configuration file {conf} test is successful\n"
            )
        );
    }
}

#[tokio::test]
async fn a_load_balancer_serves_what_is_released_to_it_and_reaches_the_shop() {
    let lab = Lab::up(Options::default()).await.unwrap();
    let description = lab.description();
    let load_balancer = &description.load_balancers[1];
    release(load_balancer, description.shop);
    let reload = ssh(description, load_balancer, "nginx -s reload");
    assert!(reload.status.success(), "{reload:?}");

    let address = SocketAddr::new(load_balancer.address, load_balancer.http_port);
    wait_until("the load balancer listens", || TcpStream::connect(address).is_ok());
    assert_eq!(get(address, "shop7.shops.test"), "this is the shop shop7.shops.test\n");
    assert!(TcpStream::connect((description.load_balancers[0].address, 8080)).is_err());
}

/// The body of the answer to a GET for `host`.
fn get(address: SocketAddr, host: &str) -> String {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--header"]).arg(format!("Host: {host}"));
    let output = curl.arg(format!("http://{address}/")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout)
}
