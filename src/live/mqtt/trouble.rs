//! Why there is no broker, in one line that says what, where, and what to do.

use std::io;
use std::time::Duration;

use rumqttc::mqttbytes::Error as Malformed;
use rumqttc::{ConnectReturnCode, ConnectionError, StateError};
use tokio_rustls::rustls::CertificateError as Certificate;
use tokio_rustls::rustls::Error as Tls;

use super::command::{cut, shown};
use super::inbox::Message;
use super::outbox::MAX_SHARED;
use super::setup::Setup;

/// A wrong password is tried again so often only: brokers lock out who tries more.
const REFUSED: Duration = Duration::from_secs(30);

/// How much of an error's text is shown, in characters.
const SHOWN: usize = 200;

/// Why there is no broker.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No host has the name.
    Resolve(io::Error),
    /// The host does not take the connection.
    Connect(io::Error),
    /// TLS fails.
    Tls(io::Error),
    /// It says nothing.
    Silent,
    /// It says something else than MQTT.
    NotMqtt,
    /// It hangs up before it says anything.
    Closed,
    /// It does not want this program.
    Refused(ConnectReturnCode),
    /// It was there; whether the connection was cut, and whether the ones before were lost soon too.
    Lost { why: String, has_hung_up: bool, is_often: bool },
    /// It was there, until somebody sent too much.
    Oversized(usize),
    /// It was there, until it was sent something shared.
    Share { bytes: usize, wait: Duration },
}

impl Trouble {
    /// Before the broker has said that it takes the connection.
    pub(super) fn before(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ConnectionRefused(code) => Self::Refused(code),
            ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => Self::Silent,
            ConnectionError::MqttState(StateError::ConnectionAborted) | ConnectionError::Io(_) => Self::Closed,
            ConnectionError::MqttState(StateError::Io(_) | StateError::Deserialization(Malformed::Io(_))) => {
                Self::Closed
            }
            _ => Self::NotMqtt,
        }
    }

    /// After that.
    pub(super) fn after(error: ConnectionError) -> Self {
        let (why, has_hung_up) = match error {
            ConnectionError::MqttState(StateError::Deserialization(Malformed::PayloadSizeLimitExceeded(bytes))) => {
                return Self::Oversized(bytes);
            }
            ConnectionError::MqttState(StateError::ConnectionAborted) => ("it closed the connection".to_owned(), true),
            ConnectionError::MqttState(StateError::AwaitPingResp) | ConnectionError::FlushTimeout => {
                ("it does not answer any more".to_owned(), false)
            }
            ConnectionError::Io(error)
            | ConnectionError::MqttState(StateError::Io(error) | StateError::Deserialization(Malformed::Io(error))) => {
                use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
                let is_closed = [BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof].contains(&error.kind());
                (error.to_string(), is_closed)
            }
            error => (cut(&error.to_string(), SHOWN), false),
        };
        Self::Lost { why, has_hung_up, is_often: false }
    }

    /// How long to wait at least before it is tried again.
    pub(super) fn patience(&self) -> Option<Duration> {
        let is_login = |code: &ConnectReturnCode| {
            matches!(code, ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized)
        };
        matches!(self, Self::Refused(code) if is_login(code)).then_some(REFUSED)
    }

    /// What to say of it.
    pub(super) fn message(&self, setup: &Setup) -> Message {
        let line = self.line(setup);
        match self {
            Self::Resolve(_) | Self::Connect(_) | Self::Silent | Self::Closed | Self::Lost { .. } => {
                Message::Lost(line)
            }
            Self::Refused(ConnectReturnCode::ServiceUnavailable) => Message::Lost(line),
            _ => Message::Refused(line),
        }
    }

    fn line(&self, setup: &Setup) -> String {
        let address = &setup.address;
        match self {
            Self::Resolve(error) => {
                format!(
                    "cannot find the broker's host {}: {error}; check the name in [mqtt] broker, and the network",
                    address.host
                )
            }
            Self::Connect(error) => {
                format!("no broker takes connections at {address}: {error}; check that it runs, and its port")
            }
            Self::Tls(error) => tls(error, setup),
            Self::Silent => {
                format!("{address} takes connections, but gives no answer in MQTT; check that it is a broker")
            }
            Self::NotMqtt => {
                format!("{address} answers in something else than MQTT; check that it is a broker, and its port")
            }
            Self::Closed if address.is_tls => {
                format!(
                    "{address} hangs up at once; check that it is a broker, and whether it wants a client's certificate"
                )
            }
            Self::Closed => {
                format!("{address} hangs up at once; check that it is a broker, and whether its port wants mqtts://")
            }
            Self::Refused(code) => match (code, &setup.login) {
                (ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized, Some(login)) => {
                    let user = shown(&login.user);
                    format!(
                        "the broker at {address} does not accept user `{user}` with this password; check both in [mqtt]"
                    )
                }
                (ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized, None) => {
                    format!("the broker at {address} wants to know who this is; give user and password_file in [mqtt]")
                }
                (ConnectReturnCode::BadClientId, _) => {
                    format!(
                        "the broker at {address} does not accept the name {}; give a shorter node in [mqtt]",
                        setup.topics.id()
                    )
                }
                (ConnectReturnCode::ServiceUnavailable, _) => {
                    format!("the broker at {address} says that it is out of service")
                }
                _ => format!("the broker at {address} does not speak MQTT 3.1.1; use one that does"),
            },
            Self::Lost { why, is_often: false, .. } => format!("lost the broker at {address}: {why}"),
            Self::Lost { why, is_often: true, .. } => {
                let node = shown(setup.topics.node());
                format!(
                    "lost the broker at {address} again and again: {why}; check that no other camera there is called {node}"
                )
            }
            Self::Oversized(bytes) => format!(
                "lost the broker at {address}: somebody sent {bytes} bytes, {MAX_SHARED} are the most; what other cameras share is left out \
                 until the next start"
            ),
            Self::Share { bytes, wait } => format!(
                "lost the broker at {address} while it was sent {bytes} bytes to share; check that it takes so much (mosquitto: \
                 max_packet_size); tried again in {} s",
                wait.as_secs()
            ),
        }
    }
}

/// Why TLS fails.
fn tls(error: &io::Error, setup: &Setup) -> String {
    let address = &setup.address;
    let what = match error.get_ref().and_then(|error| error.downcast_ref::<Tls>()) {
        Some(Tls::InvalidCertificate(error)) => match error {
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                return format!(
                    "the certificate of the broker at {address} is for another name; write the name that is in it into [mqtt] broker"
                );
            }
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "has expired; renew it, or set this device's clock".to_owned()
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "is not valid yet; set this device's clock".to_owned()
            }
            Certificate::UnknownIssuer | Certificate::BadSignature => {
                "is of no authority that is trusted; give the authority's PEM file as [mqtt] ca".to_owned()
            }
            // An authority's own certificate, as `openssl req -x509` makes them.
            Certificate::Other(_) => {
                "is none for a broker, but perhaps an authority's; make one that the authority signs, and give the \
                                      authority's PEM file as [mqtt] ca"
                    .to_owned()
            }
            error => format!("cannot be trusted: {}; renew it", cut(&format!("{error:?}"), SHOWN)),
        },
        Some(error) => {
            return format!(
                "no TLS with {address}: {}; check that its port is one for mqtts://",
                shown(&error.to_string())
            );
        }
        None => return format!("no TLS with {address}: {error}; check that its port is one for mqtts://"),
    };
    format!("the certificate of the broker at {address} {what}")
}

#[cfg(test)]
mod tests {
    use super::super::MqttSettings;
    use super::*;

    #[test]
    fn logins_are_tried_seldom_and_all_else_soon() {
        for code in [ConnectReturnCode::BadUserNamePassword, ConnectReturnCode::NotAuthorized] {
            assert_eq!(Trouble::before(ConnectionError::ConnectionRefused(code)).patience(), Some(REFUSED));
        }
        let code = ConnectReturnCode::ServiceUnavailable;
        assert_eq!(Trouble::before(ConnectionError::ConnectionRefused(code)).patience(), None);
        assert_eq!(Trouble::Silent.patience(), None);
    }

    #[test]
    fn lines_have_no_password_in_them() {
        let settings = MqttSettings {
            broker: "mqtt://hub".to_owned(),
            user: Some("me\n".to_owned()),
            password: Some("s3cret".to_owned()),
            ..MqttSettings::default()
        };
        let setup = Setup::new(&settings).unwrap();
        let error = || io::Error::other("no way");
        let troubles = [
            Trouble::Resolve(error()),
            Trouble::Connect(error()),
            Trouble::Tls(error()),
            Trouble::Tls(io::Error::other(Tls::InvalidCertificate(Certificate::Expired))),
            Trouble::Silent,
            Trouble::NotMqtt,
            Trouble::Closed,
            Trouble::Refused(ConnectReturnCode::NotAuthorized),
            Trouble::Refused(ConnectReturnCode::BadClientId),
            Trouble::Refused(ConnectReturnCode::ServiceUnavailable),
            Trouble::Refused(ConnectReturnCode::RefusedProtocolVersion),
            Trouble::after(ConnectionError::RequestsDone),
            Trouble::Lost { why: "so".to_owned(), has_hung_up: true, is_often: true },
            Trouble::Oversized(20 << 20),
            Trouble::Share { bytes: 1, wait: REFUSED },
        ];
        for trouble in troubles {
            let line = trouble.line(&setup);
            assert!(line.contains("hub") && !line.contains("s3cret") && !line.contains('\n'), "{line}");
        }
    }
}
