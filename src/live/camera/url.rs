//! URLs, and texts in which URLs are, without their passwords.

use std::fmt;

/// A URL. It is shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    pub(super) fn new(url: &str) -> Self {
        Self(url.to_owned())
    }

    /// With its password.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// What another program says, without the passwords that it repeats.
    pub(super) fn redact(&self, text: &str) -> String {
        redact(&text.replace(&self.0, &self.to_string()))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact_url(&self.0))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// The text without the passwords of the URLs in it, which end at a white space or a quote.
pub(super) fn redact(text: &str) -> String {
    let ends = |letter: char| letter.is_whitespace() || "'\"<>".contains(letter);
    text.split_inclusive(ends).map(redact_url).collect()
}

/// `scheme://user:password@host/path?password=…` -> `scheme://user:***@host/path?password=***`.
fn redact_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = match rest[..authority].rfind('@') {
        // A password may have been written with a slash that should have been %2F: then there is no port behind the colon.
        None if !is_host(&rest[..authority]) => rest.rfind('@'),
        host => host,
    };
    let (user, rest) = host.map_or(("", rest), |at| rest.split_at(at));
    let user = user.split_once(':').map_or_else(|| user.to_owned(), |(user, _)| format!("{user}:***"));
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let query = query.map(|query| {
        let fields: Vec<_> = query.split('&').map(redact_field).collect();
        format!("?{}", fields.join("&"))
    });
    format!("{scheme}://{user}{path}{}", query.unwrap_or_default())
}

/// Whether it is a host, perhaps with a port.
fn is_host(authority: &str) -> bool {
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    authority.starts_with('[') || port.bytes().all(|byte| byte.is_ascii_digit())
}

/// `password=…`, and what else cameras call it.
fn redact_field(field: &str) -> String {
    match field.split_once('=') {
        Some((name, value))
            if ["pass", "pwd", "token"].iter().any(|secret| name.to_ascii_lowercase().contains(secret)) =>
        {
            // The white space, quote or colon that ends a URL within a text.
            let end = value.trim_end_matches(|letter: char| letter.is_whitespace() || "'\"<>:".contains(letter)).len();
            format!("{name}=***{}", &value[end..])
        }
        _ => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_and_nothing_else_is() {
        let cases = [
            ("rtsp://user:pa55@host/s", "rtsp://user:***@host/s"),
            ("rtsp://user:p@55@host:554", "rtsp://user:***@host:554"),
            ("rtsp://user:pa/55?@host/s", "rtsp://user:***@host/s"),
            ("rtsp://user@host/s", "rtsp://user@host/s"),
            ("http://host:8080/a?mail=me@home&x=1", "http://host:8080/a?mail=me@home&x=1"),
            ("http://[::1]:8080/@", "http://[::1]:8080/@"),
            ("http://h/v.cgi?user=me&pwd=pa55&loginpass=pa55", "http://h/v.cgi?user=me&pwd=***&loginpass=***"),
            ("no url: at all", "no url: at all"),
            ("[tcp] 'http://a:pa55@h/x': refused http://b:pa55@g", "[tcp] 'http://a:***@h/x': refused http://b:***@g"),
            ("http://h/?token=pa55: refused", "http://h/?token=***: refused"),
        ];
        for (text, expected) in cases {
            assert_eq!(redact(text), expected);
        }
        let url = Url::new("rtsp://me:pass word@host/");
        assert_eq!(url.redact("rtsp://me:pass word@host/: no"), "rtsp://me:***@host/: no");
        assert_eq!(url.as_str(), "rtsp://me:pass word@host/");
    }
}
