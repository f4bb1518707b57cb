//! Addresses as manifests write them for gRPC.

use std::fmt;
use std::str::FromStr;

/// What grpc-go takes where there is no port.
const DEFAULT_PORT: u16 = 443;

/// Name schemes that come to the same here: the name is resolved at each connect.
const SCHEMES: [&str; 3] = ["dns:///", "dns:", "passthrough:///"];

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    host: String,
    port: u16,
}

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressError(String);

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        write!(
            f,
            "{text:?} is no address: give host:port, e.g. \"scaler.shop:9090\" (a URL, a path or a socket file is none)"
        )
    }
}

impl std::error::Error for AddressError {}

impl Address {
    /// Name or number, an IPv6 one without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.to_owned());
        let bare = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        let (host, port) = match bare.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or_else(wrong)?),
                };
                (host, port)
            }
            None => match bare.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                // An IPv6 number without brackets has no port.
                Some(_) => (bare, None),
                None => (bare, None),
            },
        };
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || !host.chars().all(named) {
            return Err(wrong());
        }
        if host.contains(':')
            && host.split('%').next().is_none_or(|ip| ip.parse::<std::net::Ipv6Addr>().is_err())
        {
            return Err(wrong());
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_with_ports() {
        for (text, shown) in [
            ("scaler.shop:9090", "scaler.shop:9090"),
            ("scaler.shop.svc.cluster.local:1", "scaler.shop.svc.cluster.local:1"),
            ("my_scaler", "my_scaler:443"),
            ("10.0.0.7:80", "10.0.0.7:80"),
            ("[::1]:80", "[::1]:80"),
            ("[fe80::1]", "[fe80::1]:443"),
            ("::1", "[::1]:443"),
            ("dns:///scaler.shop:9090", "scaler.shop:9090"),
            ("dns:scaler.shop:9090", "scaler.shop:9090"),
            ("passthrough:///scaler:9", "scaler:9"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_an_example() {
        for text in [
            "",
            ":80",
            "host:",
            "host:port",
            "host:0",
            "host:65536",
            "http://host:80",
            "unix:///run/x.sock",
            "dns://8.8.8.8/host:80",
            "a b:80",
            "host/path:80",
            "[::1",
            "[::1]80",
            "user@host:80",
            "1:2:3",
            "host:80\n",
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains("give host:port"), "{error}");
        }
    }
}
