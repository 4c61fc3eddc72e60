//! Settings -> what a connection needs: files are read once, at the start.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::MqttFault;
use super::address::Address;
use super::settings::{MAX_LOGIN, MqttSettings, check_node};
use super::topics::Topics;

/// The largest file of authorities, in bytes: a whole distribution's is a quarter of it.
const MAX_CA: u64 = 1 << 20;

/// What a connection needs.
pub(super) struct Setup {
    pub address: Address,
    pub login: Option<Login>,
    /// Whom to trust, if there is TLS.
    pub tls: Option<Arc<ClientConfig>>,
    pub topics: Topics,
}

/// Who this program is to the broker.
pub(super) struct Login {
    pub user: String,
    pub password: Option<Bytes>,
}

impl Setup {
    pub(super) fn new(settings: &MqttSettings) -> Result<Self, MqttFault> {
        settings.check()?;
        if !settings.is_on() {
            return Err(MqttFault::Off);
        }
        let address = Address::parse(&settings.broker)?;
        let password = match (&settings.password, &settings.password_file) {
            (Some(password), _) => Some(Bytes::copy_from_slice(password.as_bytes())),
            (None, Some(path)) => Some(read_password(path)?),
            (None, None) => None,
        };
        let login = settings.user.clone().map(|user| Login { user, password });
        let tls = if address.is_tls { Some(trust(settings.ca.as_deref())?) } else { None };
        let node = settings.node.clone().unwrap_or_else(host_name);
        check_node(&node)?;
        Ok(Self { address, login, tls, topics: Topics::new(&settings.topic, &node, &settings.discovery) })
    }
}

fn read(name: &'static str, path: &Path, most: u64) -> Result<Vec<u8>, MqttFault> {
    let failed = |source| MqttFault::Read { name, path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(MqttFault::File { name, path: path.to_path_buf(), what: "it is too large; give another file" });
    }
    Ok(bytes)
}

fn read_password(path: &Path) -> Result<Bytes, MqttFault> {
    const NAME: &str = "password_file";
    let bytes = read(NAME, path, MAX_LOGIN as u64)?;
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line {
        [] => Err(MqttFault::File {
            name: NAME,
            path: path.to_path_buf(),
            what: "its first line is empty; write the password there",
        }),
        _ => Ok(Bytes::copy_from_slice(line)),
    }
}

/// Trusts the authorities of a file, or those that browsers trust.
fn trust(ca: Option<&Path>) -> Result<Arc<ClientConfig>, MqttFault> {
    let mut roots = RootCertStore::empty();
    match ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let wrong = |what| MqttFault::File { name: "ca", path: path.to_path_buf(), what };
            for certificate in CertificateDer::pem_slice_iter(&read("ca", path, MAX_CA)?) {
                let certificate = certificate.map_err(|_| wrong("a certificate in it is damaged; give a PEM file"))?;
                roots.add(certificate).map_err(|_| wrong("a certificate in it is damaged; give a PEM file"))?;
            }
            if roots.is_empty() {
                return Err(wrong("there is no certificate in it; give a PEM file"));
            }
        }
    }
    // The provider is named, so that nothing depends on what else in the program chose one.
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("ring can do TLS 1.2 and 1.3");
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// The host's name, as far as it can be a part of a topic.
fn host_name() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    match check_node(&name) {
        Ok(()) => name,
        Err(_) => "camera".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_hold_something_else_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let ca = MqttSettings { broker: "mqtts://hub".into(), ca: Some(path.clone()), ..MqttSettings::default() };
        let (broker, user) = ("mqtt://hub".into(), Some("me".into()));
        let password = MqttSettings { broker, user, password_file: Some(path.clone()), ..MqttSettings::default() };
        let refused = |settings: &MqttSettings| Setup::new(settings).err().expect("refused").to_string();
        assert!(refused(&ca).contains("ca = ") && refused(&password).contains("give a file that may be read"));
        std::fs::write(&path, "\nsecret").unwrap();
        assert!(refused(&ca).contains("no certificate") && refused(&password).contains("first line is empty"));
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(refused(&ca).contains("is damaged"));
        std::fs::write(&path, vec![b'x'; 2 << 20]).unwrap();
        assert!(refused(&ca).contains("too large") && refused(&password).contains("too large"));
        std::fs::write(&path, "secret\r\nnot this").unwrap();
        let login = Setup::new(&password).unwrap().login.unwrap();
        assert_eq!(login.password.as_deref(), Some(&b"secret"[..]));
        assert!(matches!(Setup::new(&MqttSettings::default()), Err(MqttFault::Off)));
    }
}
