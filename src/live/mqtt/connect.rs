//! A connection to a broker, up to the first byte of MQTT.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::setup::Setup;
use super::trouble::Trouble;

/// How long each step may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// A connection whose other end has said nothing of what it was sent for so long is dead.
#[cfg(target_os = "linux")]
const DEAD: Duration = Duration::from_secs(60);

/// Bytes to and from a broker.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// Connects. It is done here and not by the library, so that each step that fails has its own words, and as the library's TLS
/// would bring the system's certificates with it.
pub(super) async fn connect(setup: &Setup) -> Result<Box<dyn Stream>, Trouble> {
    let tcp = connect_tcp(setup).await?;
    let Some(tls) = &setup.tls else { return Ok(Box::new(tcp)) };
    let name = ServerName::try_from(setup.address.host.clone());
    let name = name.map_err(|_| Trouble::Resolve(io::Error::other("no name that a certificate can be for")))?;
    let connected = timeout(PATIENCE, TlsConnector::from(Arc::clone(tls)).connect(name, tcp)).await;
    let stream = connected.unwrap_or_else(|_| Err(late())).map_err(Trouble::Tls)?;
    Ok(Box::new(stream))
}

async fn connect_tcp(setup: &Setup) -> Result<TcpStream, Trouble> {
    let address = &setup.address;
    let found =
        timeout(PATIENCE, lookup_host((address.host.as_str(), address.port))).await.unwrap_or_else(|_| Err(late()));
    let mut failure = io::Error::other("the name has no address");
    // A name often has an address of IPv6 that leads nowhere.
    for address in found.map_err(Trouble::Resolve)?.take(8) {
        match timeout(PATIENCE / 2, TcpStream::connect(address)).await.unwrap_or_else(|_| Err(late())) {
            Ok(stream) => {
                prepare(&stream).map_err(Trouble::Connect)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(Trouble::Connect(failure))
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // MQTT asks whether the broker is alive only while nothing else is sent, and the system alone would try for a quarter of an hour.
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_user_timeout(stream, DEAD.as_millis() as u32)?;
    Ok(())
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}
