//! Where the process may connect to: the egress policy.
//!
//! Whoever may write a ScaledObject chooses an address that the operator asks from its own place in the network (upstream issue
//! 7697). Under [`Egress::NoLinkLocal`] no connection is made to a link-local address or to a metadata service of a cloud. A name is
//! judged by what it resolves to, each time a connection is made, and the connection goes to an address that was judged: a name
//! that is first one thing and then another gains nothing.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// What connections are made to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Egress {
    /// Anything, as upstream.
    #[default]
    Open,
    /// Neither link-local addresses nor metadata services of clouds.
    NoLinkLocal,
}

impl Egress {
    /// Reads a flag's word.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse(word: &str) -> Result<Self, String> {
        match word {
            "open" => Ok(Self::Open),
            "no-link-local" => Ok(Self::NoLinkLocal),
            other => Err(format!("{other:?} must be open or no-link-local")),
        }
    }

    /// Whether a connection to the address is made.
    pub fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Open => true,
            Self::NoLinkLocal => !is_kept_back(address),
        }
    }

    /// An address that a URL names itself, without a name to resolve.
    pub(crate) fn check(self, host: &str) -> Result<(), Blocked> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse() {
            Ok(address) if !self.allows(address) => Err(Blocked { host: host.to_owned(), address }),
            _ => Ok(()),
        }
    }
}

/// Metadata services that do not stand at a link-local address: Alibaba, Azure's host, Oracle.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];

/// The first segments of networks of metadata services: Amazon (`fd00:ec2::/32`), Google (`fd20:ce::/32`).
const METADATA_V6: [[u16; 2]; 2] = [[0xfd00, 0xec2], [0xfd20, 0xce]];

fn is_kept_back(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local() || METADATA_V4.contains(&address),
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            address.is_unicast_link_local()
                || METADATA_V6.contains(&[first, second])
                || embedded(address).is_some_and(|address| is_kept_back(address.into()))
        }
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped, compatible, by NAT64 or by 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

/// A connection that is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blocked {
    host: String,
    address: IpAddr,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address } = self;
        write!(f, "not connected to {host}, ")?;
        if host.trim_start_matches('[').trim_end_matches(']') != address.to_string() {
            write!(f, "whose address is {address}, ")?;
        }
        f.write_str("a link-local or metadata address, which --egress-policy=no-link-local of the operator keeps back")
    }
}

impl std::error::Error for Blocked {}

/// From a name to its addresses.
pub(super) trait Lookup: Send + Sync {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver.
pub(super) struct System;

impl Lookup for System {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        }
        .boxed()
    }
}

/// A resolver that gives out only what may be connected to.
pub(super) struct Judging {
    pub(super) egress: Egress,
    pub(super) lookup: Arc<dyn Lookup>,
}

impl Resolve for Judging {
    fn resolve(&self, name: Name) -> Resolving {
        let (egress, host) = (self.egress, name.as_str().to_owned());
        let looking = self.lookup.lookup(host.clone());
        Box::pin(async move {
            let found = looking.await?;
            // One that is kept back spoils the name: nothing that is meant well has both.
            if let Some(address) = found.iter().copied().find(|address| !egress.allows(*address)) {
                return Err(Blocked { host, address }.into());
            }
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_and_metadata_addresses_are_kept_back_however_they_are_written_7697() {
        for (address, allowed) in [
            ("169.254.169.254", false),
            ("169.254.0.1", false),
            ("169.253.255.255", true),
            ("100.100.100.200", false),
            ("168.63.129.16", false),
            ("192.0.0.192", false),
            ("10.0.0.1", true),
            ("127.0.0.1", true),
            ("fe80::1", false),
            ("febf::1", false),
            ("fd00:ec2::254", false),
            ("fd20:ce::254", false),
            ("fd00:ec3::254", true),
            ("::ffff:169.254.169.254", false),
            ("::169.254.169.254", false),
            ("64:ff9b::a9fe:a9fe", false),
            ("2002:a9fe:a9fe::1", false),
            ("2002:a00:1::1", true),
            ("::1", true),
            ("2001:db8::1", true),
        ] {
            let parsed: IpAddr = address.parse().unwrap();
            assert_eq!(Egress::NoLinkLocal.allows(parsed), allowed, "{address}");
            assert!(Egress::Open.allows(parsed));
        }
    }

    #[test]
    fn words_of_the_flag() {
        assert_eq!(Egress::parse("open"), Ok(Egress::Open));
        assert_eq!(Egress::parse("no-link-local"), Ok(Egress::NoLinkLocal));
        assert_eq!(Egress::parse("none").unwrap_err(), "\"none\" must be open or no-link-local");
    }
}
