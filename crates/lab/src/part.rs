use std::fmt;

/// A part of the lab that can be stopped and started on its own. Load balancers are numbered from 1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// The database server.
    Postgres,
    /// The ACME server. It forgets everything when it ends, its root certificate too.
    Pebble,
    /// The authoritative DNS server of the zone `test`, and the primary of `acme.test`.
    Bind,
    /// The secondary DNS server of the zone `acme.test`.
    Secondary,
    /// The nginx of a load balancer.
    Nginx(u8),
    /// The sshd of a load balancer.
    Sshd(u8),
    /// The web server behind the load balancers.
    Shop,
    /// The mail sink.
    Mail,
}

impl Part {
    /// Every part of a lab except the database, which is not our child.
    pub(crate) fn children(load_balancers: u8) -> Vec<Self> {
        let each = (1..=load_balancers).flat_map(|number| [Self::Nginx(number), Self::Sshd(number)]);
        let single = [Self::Pebble, Self::Bind, Self::Secondary, Self::Shop, Self::Mail];
        single.into_iter().chain(each).collect()
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres => formatter.write_str("postgres"),
            Self::Pebble => formatter.write_str("pebble"),
            Self::Bind => formatter.write_str("bind"),
            Self::Secondary => formatter.write_str("secondary"),
            Self::Nginx(number) => write!(formatter, "lb{number}-nginx"),
            Self::Sshd(number) => write!(formatter, "lb{number}-sshd"),
            Self::Shop => formatter.write_str("shop"),
            Self::Mail => formatter.write_str("mail"),
        }
    }
}
