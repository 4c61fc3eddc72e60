//! The token, and who has shown it.

use std::fmt;

use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::WebError;
use super::settings::{WebFault, WebSettings};

/// Name of the cookie.
const COOKIE_NAME: &str = "topgraft";

/// A secret. It is not printed with the settings.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(...)")
    }
}

impl Token {
    /// The fewest characters,
    pub const SHORTEST: usize = 12;
    /// and the most.
    pub const LONGEST: usize = 128;

    /// As it is given.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// A new one: 100 bits of the system's random numbers, as 20 letters and digits that are not mistaken for each other.
    ///
    /// # Errors
    /// [`WebError::Start`] where the system has none.
    pub fn random() -> Result<Self, WebError> {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let mut bytes = [0; 20];
        getrandom::fill(&mut bytes).map_err(|error| WebError::Start(error.to_string()))?;
        Ok(Self(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()))
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn check(&self) -> Result<(), WebFault> {
        let got = self.0.chars().count();
        if !(Self::SHORTEST..=Self::LONGEST).contains(&got) {
            return Err(WebFault::Token { got });
        }
        match self.0.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b';' | b',' | b'\\')) {
            true => Ok(()),
            false => Err(WebFault::TokenCharacters),
        }
    }
}

/// What lets a request in.
#[derive(Clone)]
pub struct Access {
    /// SHA-256 of the token and of the cookie's value; `None` where only this machine can ask.
    secret: Option<Secret>,
    /// Names by which the page may be called.
    hosts: Vec<String>,
}

#[derive(Clone)]
struct Secret {
    token: [u8; 32],
    cookie: String,
}

impl Access {
    pub fn new(settings: &WebSettings) -> Result<Self, WebError> {
        let secret = match &settings.token {
            Some(token) => Some(Secret::new(token)),
            None if !settings.is_open()? => None,
            // Nobody knows it, so nobody is let in: who starts a server in the open gives a token.
            None => Some(Secret::new(&Token::random()?)),
        };
        let mut hosts: Vec<String> = settings.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        hosts.push("localhost".to_owned());
        #[cfg(unix)]
        {
            let name = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
            hosts.push(format!("{name}.local"));
            hosts.push(name);
        }
        Ok(Self { secret, hosts })
    }

    /// Whether a request shows the token, in a header or as a cookie; or needs none.
    pub fn is_granted(&self, headers: &HeaderMap) -> bool {
        let Some(secret) = &self.secret else { return true };
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token =
            bearer.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        if let Some((_, token)) = token {
            return secret.is_token(token.trim());
        }
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == COOKIE_NAME && value.as_bytes().ct_eq(secret.cookie.as_bytes()).into())
    }

    /// The cookie for who knows the token.
    pub fn cookie(&self, token: &str) -> Option<HeaderValue> {
        let secret = self.secret.as_ref()?;
        // A year; it is worth nothing once the token is another one.
        let cookie = format!("{COOKIE_NAME}={}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict", secret.cookie);
        secret.is_token(token).then(|| HeaderValue::from_str(&cookie).expect("hexadecimal digits"))
    }

    /// Whether the page may be called by that name: the machine's own, or an address. A page of somebody else's can have its name point
    /// to this machine (DNS rebinding), but not be called so.
    pub fn is_own_host(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split_once(']'),
            None => Some(host.split_at(host.rfind(':').unwrap_or(host.len()))),
        };
        let is_port =
            |port: &str| port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        let Some((name, _)) = name.filter(|(_, port)| is_port(port)) else { return false };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        name.parse::<std::net::IpAddr>().is_ok() || self.hosts.contains(&name)
    }
}

impl Secret {
    fn new(token: &Token) -> Self {
        let digest = |text: &str| -> [u8; 32] { Sha256::digest(text.as_bytes()).into() };
        let cookie = digest(&format!("topgraft cookie\0{}", token.0));
        Self { token: digest(&token.0), cookie: cookie.iter().map(|byte| format!("{byte:02x}")).collect() }
    }

    /// Digests are compared, and all of them: the time says nothing of where they differ, nor of how long the token is.
    fn is_token(&self, token: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        self.token.ct_eq(&shown).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(listen: &str, token: Option<&str>) -> WebSettings {
        WebSettings { listen: listen.into(), token: token.map(Token::new), hosts: Vec::new() }
    }

    fn access(listen: &str, token: Option<&str>) -> Access {
        Access::new(&settings(listen, token)).expect("sound")
    }

    #[test]
    fn the_token_or_its_cookie_lets_in_and_nothing_else() {
        let access = access("0.0.0.0:0", Some("correct-horse"));
        let headers = |name, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).expect("a value"));
            headers
        };
        assert!(!access.is_granted(&HeaderMap::new()));
        assert!(access.is_granted(&headers(AUTHORIZATION, "Bearer correct-horse")));
        for wrong in ["Bearer correct-hors", "Bearer correct-horse1", "Bearer ", "Basic correct-horse", "correct-horse"]
        {
            assert!(!access.is_granted(&headers(AUTHORIZATION, wrong)), "{wrong}");
        }
        assert!(access.cookie("wrong").is_none());
        let cookie = access.cookie("correct-horse").expect("is right");
        let pair = cookie.to_str().expect("text").split(';').next().expect("a pair").to_owned();
        assert!(access.is_granted(&headers(COOKIE, &format!("a=b; {pair}; c=d"))));
        assert!(!access.is_granted(&headers(COOKIE, &pair[..pair.len() - 1])));
        assert!(!access.is_granted(&headers(COOKIE, "topgraft=correct-horse")));
    }

    #[test]
    fn in_the_open_nobody_is_let_in_without_a_token_and_here_everybody() {
        assert!(!access("0.0.0.0:0", None).is_granted(&HeaderMap::new()));
        assert!(access("127.0.0.1:0", None).is_granted(&HeaderMap::new()));
        assert!(!access("127.0.0.1:0", Some("correct-horse")).is_granted(&HeaderMap::new()));
        let behind = WebSettings { hosts: vec!["cam.example".into()], ..settings("127.0.0.1:0", None) };
        assert!(!Access::new(&behind).expect("sound").is_granted(&HeaderMap::new()), "a proxy lets in others");
    }

    #[test]
    fn only_own_names_and_addresses_are_answered() {
        let named = WebSettings { hosts: vec!["cam.example".into()], ..settings("127.0.0.1:0", None) };
        let access = Access::new(&named).expect("sound");
        for host in
            ["localhost:80", "LOCALHOST", "127.0.0.1:8080", "[::1]:80", "192.168.1.7", "cam.example", "localhost."]
        {
            assert!(access.is_own_host(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:80",
            "127.0.0.1.evil.example",
            "",
            "[::1",
            "cam.example.evil",
            "[::1]evil.example",
            "localhost:evil",
            "localhost:",
        ] {
            assert!(!access.is_own_host(host), "{host}");
        }
    }

    #[test]
    fn tokens_are_random_and_sound() {
        let [a, b] = [0, 1].map(|_| Token::random().expect("has some"));
        assert_ne!(a.reveal(), b.reveal());
        assert_eq!((a.check(), a.reveal().len()), (Ok(()), 20));
        assert!(!format!("{a:?}").contains(a.reveal()));
    }
}
