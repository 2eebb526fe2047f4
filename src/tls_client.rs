//! TLS of associations that we open: whom to trust and who we are, from PEM files.

use anyhow::{Context, Result, bail};
use dicom_gateway::scu::Tls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let list = read.with_context(|| format!("{}: not a PEM certificate", path.display()))?;
    if list.is_empty() {
        bail!("{}: holds no PEM certificate", path.display());
    }
    Ok(list)
}

/// A client that trusts the certificates in `authority` only, and shows its own when it has one.
pub(crate) fn client(
    authority: &Path,
    own: Option<(&Path, &Path)>,
    server_name: Option<String>,
) -> Result<Tls> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority)? {
        roots
            .add(certificate)
            .with_context(|| format!("{}: cannot be trusted", authority.display()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let secret = PrivateKeyDer::from_pem_file(key)
                .with_context(|| format!("{}: not a PEM private key", key.display()))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, secret)
                .with_context(|| {
                    format!(
                        "{} and {} do not fit together",
                        certificate.display(),
                        key.display()
                    )
                })?
        }
    };
    Ok(Tls {
        config: Arc::new(config),
        server_name,
    })
}
