//! Loopback addresses that no other lab uses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process;

use crate::error::LabError;

/// Second octets of the networks: far from what other programs use of 127.0.0.0/8.
const FIRST: u16 = 64;
const COUNT: u16 = 32 * 256;
/// On the network's first address: whoever listens there has the network.
const RESERVATION_PORT: u16 = 7999;
/// The last octet of the first load balancer.
const LOAD_BALANCERS: u8 = 11;
/// Below the ports that the kernel hands out for outgoing connections; two for each network.
const DNS_PORTS: u16 = 10_000;

/// A network 127.A.B.0/24, reserved as long as this value lives.
pub(crate) struct Network {
    number: u16,
    _reservation: TcpListener,
}

impl Network {
    /// Reserves a network in which every address of a lab with `load_balancers` is free.
    pub(crate) fn reserve(load_balancers: u8) -> Result<Self, LabError> {
        // Processes that start together look in different places first.
        let first = (process::id().wrapping_mul(2_654_435_761) >> 16) as u16;
        (0..COUNT)
            .map(|offset| first.wrapping_add(offset) % COUNT)
            .find_map(|number| Self::try_reserve(number, load_balancers))
            .ok_or(LabError::NoFreeNetwork)
    }

    fn try_reserve(number: u16, load_balancers: u8) -> Option<Self> {
        let reservation = TcpListener::bind((address(number, 1), RESERVATION_PORT)).ok()?;
        let network = Self { number, _reservation: reservation };
        let dns = [network.dns(), network.dns_secondary()];
        let mut needed = vec![network.pebble(), network.pebble_management(), network.responder()];
        needed.extend([network.shop(), network.smtp(), network.smtp_starttls(), network.smtp_tls()]);
        needed.extend(dns);
        for load_balancer in 1..=load_balancers {
            let address = network.load_balancer(load_balancer);
            needed.extend([Self::HTTP, Self::HTTPS, Self::SSH].map(|port| SocketAddr::new(address, port)));
        }
        let free = needed.into_iter().all(|address| TcpListener::bind(address).is_ok());
        (free && dns.into_iter().all(|address| UdpSocket::bind(address).is_ok())).then_some(network)
    }

    pub(crate) const HTTP: u16 = 8080;
    pub(crate) const HTTPS: u16 = 8443;
    pub(crate) const SSH: u16 = 8022;

    /// Load balancer `number`, the first being 1.
    pub(crate) fn load_balancer(&self, number: u8) -> IpAddr {
        IpAddr::V4(address(self.number, LOAD_BALANCERS + number - 1))
    }

    pub(crate) fn responder(&self) -> SocketAddr {
        self.at(2, 8402)
    }

    pub(crate) fn pebble(&self) -> SocketAddr {
        self.at(3, 14_000)
    }

    pub(crate) fn pebble_management(&self) -> SocketAddr {
        self.at(3, 15_000)
    }

    /// Where CAs listen that stand in front of the ACME server, each on a port that was free.
    pub(crate) fn fault_ca(&self) -> IpAddr {
        IpAddr::V4(address(self.number, 6))
    }

    pub(crate) fn shop(&self) -> SocketAddr {
        self.at(4, 8080)
    }

    pub(crate) fn smtp(&self) -> SocketAddr {
        self.at(5, 2525)
    }

    pub(crate) fn smtp_starttls(&self) -> SocketAddr {
        self.at(5, 2587)
    }

    pub(crate) fn smtp_tls(&self) -> SocketAddr {
        self.at(5, 2465)
    }

    /// Outside of the network: named listens only on addresses that an interface has.
    pub(crate) fn dns(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DNS_PORTS + 2 * self.number)
    }

    /// The same for the second name server.
    pub(crate) fn dns_secondary(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DNS_PORTS + 2 * self.number + 1)
    }

    fn at(&self, host: u8, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(address(self.number, host)), port)
    }
}

fn address(number: u16, host: u8) -> Ipv4Addr {
    let [second, third] = (FIRST * 256 + number).to_be_bytes();
    Ipv4Addr::new(127, second, third, host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_networks_have_nothing_in_common() {
        let one = Network::reserve(2).unwrap();
        let other = Network::reserve(2).unwrap();
        assert_ne!(one.load_balancer(1), other.load_balancer(1));
        let ports = [one.dns(), one.dns_secondary(), other.dns(), other.dns_secondary()];
        assert_eq!(ports.into_iter().collect::<std::collections::HashSet<_>>().len(), 4);
    }

    #[test]
    fn the_networks_are_127_64_to_127_95() {
        assert_eq!(address(0, 1), Ipv4Addr::new(127, 64, 0, 1));
        assert_eq!(address(COUNT - 1, 9), Ipv4Addr::new(127, 95, 255, 9));
    }
}
