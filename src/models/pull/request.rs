//! One request for a file or the rest of it. ureq is named only here.

use std::io::{self, Read};
use std::time::Duration;

use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED};
use ureq::http::{HeaderMap, HeaderName, StatusCode};
use ureq::{Agent, Error};

use super::error::PullError;
use super::origin::Origin;

/// How many other addresses are gone to. A file in Git LFS is behind two.
const REDIRECTS: u32 = 8;

/// Asks for one address.
pub struct Client {
    url: String,
    agent: Agent,
    timeout: Duration,
}

/// The file from one byte on.
pub struct Answer {
    /// The first byte that comes.
    pub from: u64,
    /// Bytes of the whole file, if the server says it.
    pub total: Option<u64>,
    /// What the server says of the file.
    pub origin: Origin,
    /// The bytes.
    pub body: Box<dyn Read>,
}

impl Answer {
    /// Whether the server says that its file is not the one of `before`.
    pub fn is_of_another(&self, before: Option<&Origin>) -> bool {
        let differ = |a: &Option<String>, b: &Option<String>| matches!((a, b), (Some(a), Some(b)) if a != b);
        before.is_some_and(|before| {
            differ(&self.origin.etag, &before.etag) || differ(&self.origin.last_modified, &before.last_modified)
        })
    }
}

impl Client {
    pub fn new(url: &str, timeout: Duration) -> Result<Self, PullError> {
        let secure = url.starts_with("https://");
        if !secure && !url.starts_with("http://") {
            return Err(PullError::Url { url: url.into() });
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Never from https to http.
            .https_only(secure)
            .max_redirects(REDIRECTS)
            .timeout_resolve(Some(timeout))
            .timeout_connect(Some(timeout))
            .timeout_send_request(Some(timeout))
            .timeout_recv_response(Some(timeout))
            .timeout_per_read(Some(timeout))
            .user_agent(concat!("topgraft/", env!("CARGO_PKG_VERSION")));
        Ok(Self { url: url.into(), agent: config.build().into(), timeout })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks for the file from a byte on, if it still is the one that `validator` names. The server may give the whole file
    /// instead.
    pub fn get(&self, from: u64, validator: Option<&str>) -> Result<Answer, PullError> {
        let mut request = self.agent.get(&self.url);
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
            if let Some(validator) = validator {
                request = request.header("If-Range", validator);
            }
        }
        let response = request.call().map_err(|error| self.failed(error))?;
        let (status, headers) = (response.status(), response.headers());
        let length = number(headers, CONTENT_LENGTH);
        let (from, total) = match status {
            StatusCode::OK => (0, length),
            StatusCode::PARTIAL_CONTENT if from > 0 => match range(headers) {
                Some((first, total)) => (first, total),
                None => return Err(self.protocol("it sends a part of the file, and does not say which")),
            },
            // There is less than what we have.
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => return self.get(0, None),
            _ => {
                let (url, code) = (self.url.clone(), status.as_u16());
                let status = format!("{code} {}", status.canonical_reason().unwrap_or("")).trim_end().into();
                return Err(PullError::Status { url, status, code });
            }
        };
        let text = |name| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let origin = Origin { url: self.url.clone(), etag: text(ETAG), last_modified: text(LAST_MODIFIED) };
        Ok(Answer { from, total, origin, body: Box::new(response.into_body().into_reader()) })
    }

    /// A body that ended too early, after `received` bytes.
    pub fn lost(&self, error: io::Error, received: u64, size: Option<u64>) -> PullError {
        // One of ureq's own may be inside.
        match Error::from(error) {
            Error::Timeout(_) => self.stalled(),
            Error::Protocol(error) => self.protocol(error),
            _ => PullError::Lost { url: self.url.clone(), received, size },
        }
    }

    fn stalled(&self) -> PullError {
        PullError::Stalled { url: self.url.clone(), seconds: self.timeout.as_secs_f64() }
    }

    fn protocol(&self, reason: impl ToString) -> PullError {
        PullError::Protocol { url: self.url.clone(), reason: reason.to_string().replace('\n', " ") }
    }

    fn failed(&self, error: Error) -> PullError {
        let url = self.url.clone();
        let connect = |reason: String| PullError::Connect { url: url.clone(), reason };
        match error {
            Error::BadUri(_) | Error::Http(_) => PullError::Url { url },
            Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
                connect(format!("no answer for {} s", self.timeout.as_secs_f64()))
            }
            Error::Timeout(_) => self.stalled(),
            Error::HostNotFound => connect("nobody knows this host".into()),
            Error::ConnectionFailed => connect("it failed".into()),
            Error::TooManyRedirects => PullError::Redirects { url, limit: REDIRECTS },
            Error::RequireHttpsOnly(_) => PullError::Insecure { url },
            Error::Io(error) => match error.kind() {
                io::ErrorKind::TimedOut => self.stalled(),
                // The connection was there.
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof => PullError::Lost { url, received: 0, size: None },
                io::ErrorKind::InvalidData => self.protocol(error),
                _ => connect(error.to_string()),
            },
            error => self.protocol(error),
        }
    }
}

fn number(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// `bytes FIRST-LAST/TOTAL`, where the total may be `*`.
fn range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim().strip_prefix("bytes ")?;
    let (range, total) = text.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, total.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_says_where_it_begins() {
        let range = |text: &str| range(&HeaderMap::from_iter([(CONTENT_RANGE, text.parse().unwrap())]));
        assert_eq!(range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range("bytes 5-9/*"), Some((5, None)));
        for wrong in ["", "bytes", "bytes */10", "5-9/10", "bytes -5/10", "bytes 5", "bytes a-b/c"] {
            assert_eq!(range(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn addresses_are_of_the_web() {
        for bad in ["", "ftp://a/b", "file:///etc/passwd", "model.onnx", "HTTPS//a"] {
            assert!(matches!(Client::new(bad, Duration::from_secs(1)), Err(PullError::Url { .. })), "{bad}");
        }
        assert!(Client::new("https://a/b", Duration::from_secs(1)).is_ok());
    }
}
