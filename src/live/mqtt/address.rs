//! Where a broker is.

use std::fmt;
use std::net::Ipv6Addr;

use super::MqttFault;

/// The longest name of a host, in bytes.
const MAX_HOST: usize = 253;

/// A broker's host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// A name, or an IP address, an IPv6 one without brackets.
    pub host: String,
    pub port: u16,
    pub is_tls: bool,
}

impl Address {
    /// Takes `mqtt://HOST`, `mqtts://HOST:PORT`, `mqtt://[::1]:1883`. No error repeats the text, as there may be a password in it.
    pub(super) fn parse(url: &str) -> Result<Self, MqttFault> {
        let wrong = |what| MqttFault::Broker { what };
        let (scheme, rest) = url.split_once("://").ok_or(wrong("does not begin with mqtt:// or mqtts://"))?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "mqtt" => false,
            "mqtts" => true,
            _ => return Err(wrong("is of another kind than mqtt:// and mqtts://")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err(wrong("has a user or a password in it, which belong into user and password_file"));
        }
        if rest.contains(['/', '?', '#']) {
            return Err(wrong("has a path"));
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(wrong("has a [ without its ]"))?;
                host.parse::<Ipv6Addr>().map_err(|_| wrong("has no IPv6 address between its brackets"))?;
                let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').unwrap_or("")) };
                (host, port)
            }
            None => {
                let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
                let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                if host.is_empty() || host.len() > MAX_HOST || !host.bytes().all(is_sound) {
                    return Err(wrong("has no name of a host, and no IP address"));
                }
                (host, port)
            }
        };
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                port.parse().ok().filter(|&port| port > 0).ok_or(wrong("has a port that is not within 1 and 65535"))?
            }
            Some(_) => return Err(wrong("has a port that is no number")),
            None if is_tls => 8883,
            None => 1883,
        };
        Ok(Self { host: host.to_owned(), port, is_tls })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let cases = [
            ("mqtt://hub", "hub:1883", false),
            ("MQTTS://hub.local/", "hub.local:8883", true),
            ("mqtt://10.0.0.2:1884", "10.0.0.2:1884", false),
            ("mqtts://[fe80::1]", "[fe80::1]:8883", true),
            ("mqtt://[::1]:7", "[::1]:7", false),
        ];
        for (url, expected, is_tls) in cases {
            let address = Address::parse(url).unwrap();
            assert_eq!((address.to_string().as_str(), address.is_tls), (expected, is_tls), "{url}");
        }
    }

    #[test]
    fn what_is_none_is_refused_and_not_repeated() {
        let cases = [
            ("hub:1883", "does not begin with"),
            ("http://hub", "another kind"),
            ("mqtt://", "no name"),
            ("mqtt://me:s3cret@hub", "user and password_file"),
            ("mqtt://hub/s3cret", "a path"),
            ("mqtt://hub:0", "within 1 and 65535"),
            ("mqtt://hub:70000", "within 1 and 65535"),
            ("mqtt://hub:", "within 1 and 65535"),
            ("mqtt://hub:s3cret", "no number"),
            ("mqtt://h ub", "no name"),
            ("mqtt://[s3cret]", "no IPv6"),
            ("mqtt://[::1", "without its ]"),
            ("mqtt://[::1]7", "within 1 and 65535"),
        ];
        for (url, expected) in cases {
            let message = Address::parse(url).unwrap_err().to_string();
            assert!(message.contains(expected) && !message.contains("s3cret"), "{url}: {message}");
        }
    }
}
