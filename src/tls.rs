//! TLS of the web port and of the DICOM port: certificates and keys from PEM files, one provider (`ring`) for the whole
//! program. Its defaults are what BCP 195 asks for: TLS 1.2 with ephemeral keys and authenticated encryption, and TLS 1.3.

use crate::config::{ClientAuth, Dicom};
use anyhow::{Context, Result};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names under which a self-made certificate of the DICOM port is valid, besides that of the machine.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn chain(path: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("{key} {}: not a PEM certificate chain", path.display()))
}

fn private_key(path: &Path, key: &str) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path)
        .with_context(|| format!("{key} {}: not a PEM private key", path.display()))
}

/// The web port: offers HTTP/2 and HTTP/1.1.
pub(crate) fn server(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let (chain, key) = (
        chain(certificate, "[http] tls_cert")?,
        private_key(key, "[http] tls_key")?,
    );
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("[http] tls_cert and tls_key do not fit together")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The DICOM port. Without a certificate in the configuration one is made in `state` at the first start and kept.
pub(crate) fn dicom(config: &Dicom, state: &Path) -> Result<Arc<ServerConfig>> {
    let (certificate, key) = match (&config.tls_cert, &config.tls_key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        _ => self_made(state)?,
    };
    let (chain, key) = (
        chain(&certificate, "[dicom] tls_cert")?,
        private_key(&key, "[dicom] tls_key")?,
    );
    let provider = provider();
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match verifier(config, &provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let server = builder
        .with_single_cert(chain, key)
        .context("[dicom] tls_cert and tls_key do not fit together")?;
    Ok(Arc::new(server))
}

fn verifier(config: &Dicom, provider: &Arc<CryptoProvider>) -> Result<Option<Arc<dyn ClientCertVerifier>>> {
    let auth = config.client_auth();
    let Some(path) = &config.tls_client_ca else {
        return Ok((auth == ClientAuth::Optional).then(|| {
            let algorithms = provider.signature_verification_algorithms;
            Arc::new(AnyCertificate { algorithms }) as Arc<dyn ClientCertVerifier>
        }));
    };
    let mut roots = RootCertStore::empty();
    for certificate in chain(path, "[dicom] tls_client_ca")? {
        roots
            .add(certificate)
            .with_context(|| format!("[dicom] tls_client_ca {}", path.display()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = match auth {
        ClientAuth::Off => return Ok(None),
        ClientAuth::Optional => builder.allow_unauthenticated(),
        ClientAuth::Required => builder,
    };
    let verifier = builder
        .build()
        .with_context(|| format!("[dicom] tls_client_ca {}", path.display()))?;
    Ok(Some(verifier))
}

/// Takes any certificate whose key the caller proves to hold. It opens no door by itself: who may call is decided by
/// the enrolled devices, and one that was enrolled with a certificate must present exactly that one.
#[derive(Debug)]
struct AnyCertificate {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        ParsedCertificate::try_from(certificate).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Certificate and key of our own making; devices that check certificates are given the first file.
fn self_made(state: &Path) -> Result<(PathBuf, PathBuf)> {
    let folder = state.join("tls");
    let (certificate, key) = (folder.join("dicom-cert.pem"), folder.join("dicom-key.pem"));
    if certificate.is_file() && key.is_file() {
        return Ok((certificate, key));
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{}: the folder cannot be made", folder.display()))?;
    let mut names: Vec<String> = OWN_NAMES.map(str::to_owned).to_vec();
    names.extend(machine_name());
    let made = rcgen::generate_simple_self_signed(names).context("a certificate of our own")?;
    write_secret(&key, made.signing_key.serialize_pem().as_bytes())?;
    crate::output::write_file(&certificate, made.cert.pem().as_bytes())?;
    Ok((certificate, key))
}

/// As the system tells it in a file; a certificate without it is as good on this machine.
fn machine_name() -> Option<String> {
    let text = std::fs::read_to_string("/etc/hostname").ok()?;
    let name = text.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    (!name.is_empty() && name.chars().all(plain)).then(|| name.to_owned())
}

/// Readable by this user alone from the first byte on.
fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options
        .open(path)
        .with_context(|| format!("{}: cannot be written", path.display()))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .with_context(|| format!("{}: cannot be written", path.display()))
}

/// SHA-256 of the first certificate of a PEM or DER file: what a device is enrolled with.
pub(crate) fn fingerprint(path: &Path) -> Result<archive::Sha256Digest> {
    let bytes = std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let certificate = CertificateDer::from_pem_slice(&bytes).unwrap_or_else(|_| CertificateDer::from(bytes));
    ParsedCertificate::try_from(&certificate)
        .with_context(|| format!("{}: neither a PEM nor a DER certificate", path.display()))?;
    Ok(archive::Sha256Digest::of(&certificate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_our_own_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = self_made(folder.path()).unwrap();
        let print = fingerprint(&certificate).unwrap();
        assert!(dicom(&Dicom::default(), folder.path()).is_ok());
        assert_eq!(
            self_made(folder.path()).unwrap(),
            (certificate.clone(), key.clone())
        );
        assert_eq!(fingerprint(&certificate).unwrap(), print, "kept");
        assert!(fingerprint(&key).is_err(), "a key is no certificate");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }
}
