//! DICOM over TLS: which versions, and whom a certificate lets in.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use archive::Sha256Digest;
use archive::device::NewDevice;
use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

type Made = CertifiedKey<KeyPair>;

fn made(name: &str) -> Made {
    rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("certificate")
}

fn key(made: &Made) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()))
}

fn roots(of: &[&Made]) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for made in of {
        roots.add(made.cert.der().clone()).expect("a root");
    }
    Arc::new(roots)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A port that wants a certificate of one of `devices`, or none.
fn server(own: &Made, devices: &[&Made], is_required: bool) -> Arc<ServerConfig> {
    let builder = WebPkiClientVerifier::builder_with_provider(roots(devices), provider());
    let builder = if is_required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(builder.build().expect("verifier"))
        .with_single_cert(vec![own.cert.der().clone()], key(own))
        .expect("certificate and key");
    Arc::new(config)
}

/// What came of an association request over TLS: the type of the answer, 0 when there was none.
async fn call(
    gateway: &Gateway,
    calling: &str,
    own: &Made,
    certificate: Option<&Made>,
    version: &'static SupportedProtocolVersion,
) -> u8 {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .expect("version")
        .with_root_certificates(roots(&[own]));
    let config = match certificate {
        Some(made) => {
            let chain: Vec<CertificateDer<'static>> = vec![made.cert.der().clone()];
            builder
                .with_client_auth_cert(chain, key(made))
                .expect("certificate and key")
        }
        None => builder.with_no_client_auth(),
    };
    let talk = async {
        let stream = TcpStream::connect(gateway.tls_address.expect("TLS port"))
            .await
            .ok()?;
        let name = ServerName::try_from("localhost").ok()?;
        let mut stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .ok()?;
        let request = associate_rq("GONGYING", calling, &[(VERIFICATION, &[IMPLICIT])]);
        stream.write_all(&request).await.ok()?;
        let mut header = [0; 6];
        stream.read_exact(&mut header).await.ok()?;
        Some(header[0])
    };
    let answer = tokio::time::timeout(Duration::from_secs(10), talk);
    answer.await.expect("an answer in time").unwrap_or(0)
}

const ACCEPTED: u8 = 2;
const REJECTED: u8 = 3;
const NO_TLS: u8 = 0;

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_serve_and_certificates_bind_devices() {
    let (own, ct, other, stranger) = (made("localhost"), made("ct"), made("other"), made("stranger"));
    let gateway = Gateway::with_tls(Some(server(&own, &[&ct, &other], false)), |_| {}).await;
    let bound = NewDevice {
        from_addr: Some("127.0.0.1".into()),
        ..device("BOUND", &gateway.institution)
    };
    let print = Sha256Digest::of(ct.cert.der());
    let devices = gateway.archive.devices();
    devices
        .create_with_certificate(bound, Some(print))
        .await
        .expect("device");

    let check = async |calling: &str, certificate: Option<&Made>, expect: u8| {
        for version in [&version::TLS12, &version::TLS13] {
            let answer = call(&gateway, calling, &own, certificate, version).await;
            assert_eq!(answer, expect, "{calling} {version:?}");
        }
    };
    check("JUDGE", None, ACCEPTED).await;
    check("JUDGE", Some(&ct), ACCEPTED).await;
    check("BOUND", Some(&ct), ACCEPTED).await;
    check("BOUND", Some(&other), REJECTED).await;
    check("BOUND", None, REJECTED).await;
    check("NOBODY", Some(&ct), REJECTED).await;
    check("JUDGE", Some(&stranger), NO_TLS).await;

    let mut plain = Peer::connect(gateway.address).await;
    let (kind, _) = plain
        .associate("GONGYING", "BOUND", &[(VERIFICATION, &[IMPLICIT])])
        .await;
    assert_eq!(kind, REJECTED, "not without TLS");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let refused = devices.refused().await.expect("list");
    let named = |calling: &str| refused.iter().find(|caller| caller.calling == calling);
    assert_eq!(
        named("NOBODY").and_then(|caller| caller.certificate.clone()),
        Some(print.to_hex())
    );
    assert!(named("BOUND").is_some_and(|caller| caller.reason.contains("certificate")));
    assert!(named("JUDGE").is_none());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_without_a_certificate_that_is_required() {
    let (own, ct) = (made("localhost"), made("ct"));
    let gateway = Gateway::with_tls(Some(server(&own, &[&ct], true)), |_| {}).await;
    for version in [&version::TLS12, &version::TLS13] {
        assert_eq!(call(&gateway, "JUDGE", &own, None, version).await, NO_TLS);
        assert_eq!(call(&gateway, "JUDGE", &own, Some(&ct), version).await, ACCEPTED);
    }
    gateway.stop().await;
}
