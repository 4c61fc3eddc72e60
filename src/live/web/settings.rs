//! Where the page is, and who may see it.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use super::access::Token;

/// `[web]` of the settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebSettings {
    /// Address and port. Only this machine reaches 127.0.0.1; `0.0.0.0` and `[::]` are reached by all, and ask for the token.
    pub listen: String,
    /// What browsers and programs must know to be let in; 12 characters or more. Without one a new one is made at every start, where others
    /// than this machine can reach the page.
    pub token: Option<Token>,
    /// Names beside the machine's own by which the page may be called, as that of a proxy.
    pub hosts: Vec<String>,
}

impl Default for WebSettings {
    fn default() -> Self {
        Self { listen: "127.0.0.1:8080".to_owned(), token: None, hosts: Vec::new() }
    }
}

/// Why settings of the page are not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebFault {
    /// The address.
    #[error(
        "listen = {listen:?} is no address with a port; write 127.0.0.1:8080, or 0.0.0.0:8080 for the whole network"
    )]
    Listen {
        /// As it was given.
        listen: String,
    },
    /// The token is too easy to guess.
    #[error(
        "the token has {got} characters; take {} to {} of letters, digits and signs",
        Token::SHORTEST,
        Token::LONGEST
    )]
    Token {
        /// Its characters.
        got: usize,
    },
    /// The token cannot be typed or sent.
    #[error("the token has a character that is no letter, digit or sign of ASCII; take others")]
    TokenCharacters,
    /// A name of the machine.
    #[error(
        "hosts: {host:?} is no name of a machine; write it as in a browser's address bar, without http:// and port"
    )]
    Host {
        /// As it was given.
        host: String,
    },
}

impl WebSettings {
    /// Whether they mean something.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), WebFault> {
        self.address()?;
        if let Some(token) = &self.token {
            token.check()?;
        }
        let is_name = |host: &str| {
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            !host.is_empty() && host.len() <= 253 && host.chars().all(is_part)
        };
        match self.hosts.iter().find(|host| !is_name(host)) {
            Some(host) => Err(WebFault::Host { host: host.clone() }),
            None => Ok(()),
        }
    }

    /// Whether others than this machine's programs can reach it: by the network, or by a proxy that has a name for it.
    ///
    /// # Errors
    /// [`WebFault::Listen`].
    pub fn is_open(&self) -> Result<bool, WebFault> {
        Ok(!self.address()?.ip().is_loopback() || !self.hosts.is_empty())
    }

    /// Where to listen; a port, or an address alone, are enough.
    ///
    /// # Errors
    /// [`WebFault::Listen`].
    pub fn address(&self) -> Result<SocketAddr, WebFault> {
        const PORT: u16 = 8080;
        let text = self.listen.trim();
        let bare = || text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, PORT));
        let local = || {
            let port = text.strip_prefix("localhost:")?.parse().ok()?;
            Some(SocketAddr::from(([127, 0, 0, 1], port)))
        };
        let address = text.parse().ok().or_else(bare).or_else(local);
        address.ok_or_else(|| WebFault::Listen { listen: self.listen.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        let address = |listen: &str| {
            WebSettings { listen: listen.into(), ..WebSettings::default() }.address().map(|address| address.to_string())
        };
        for (listen, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("0.0.0.0", "0.0.0.0:8080"),
            ("[::]:80", "[::]:80"),
            ("::1", "[::1]:8080"),
            ("localhost:0", "127.0.0.1:0"),
        ] {
            assert_eq!(address(listen).as_deref(), Ok(expected));
        }
        for listen in ["", "camera.local:80", "127.0.0.1:99999", "8080"] {
            assert!(address(listen).is_err(), "{listen}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let host = WebSettings { hosts: vec!["http://x".into()], ..WebSettings::default() };
        assert!(matches!(host.check(), Err(WebFault::Host { .. })));
        let token = |text: &str| WebSettings { token: Some(Token::new(text)), ..WebSettings::default() }.check();
        assert_eq!(token("short"), Err(WebFault::Token { got: 5 }));
        assert_eq!(token("with a blank in it"), Err(WebFault::TokenCharacters));
        assert_eq!(token("correct-horse-battery"), Ok(()));
    }
}
