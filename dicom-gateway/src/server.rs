//! The accept loop and what all associations share.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use archive::{Archive, Sha256Digest};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::association::Origin;
use crate::limits::{Counts, HalfOpen};
use crate::service::commitment;
use crate::{Config, GatewayError, association};

/// Pause after the system could not give another connection (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the tasks of all associations share.
pub(crate) struct Gateway {
    pub(crate) archive: Archive,
    pub(crate) config: Config,
    pub(crate) counts: Arc<Counts>,
    /// Turns of those who turn objects into other transfer syntaxes.
    pub(crate) conversions: tokio::sync::Semaphore,
    /// Storage commitments whose asker may still be there.
    pub(crate) commitments: commitment::Desk,
    /// Asked to end: no new associations, the running ones end after their current message.
    pub(crate) shutdown: CancellationToken,
}

/// A port to listen on.
pub struct Port {
    /// Bound listener.
    pub listener: TcpListener,
    /// TLS, or plain DICOM.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// Serves DICOM on all ports until `shutdown` is cancelled, then lets running associations finish
/// their current message, at most for [`Config::drain_timeout`]. The ports share all caps.
///
/// # Errors
/// [`GatewayError::Listener`] when a port has no address any more.
pub async fn serve(
    ports: Vec<Port>,
    archive: Archive,
    config: Config,
    shutdown: CancellationToken,
) -> Result<(), GatewayError> {
    let drain_timeout = config.drain_timeout;
    let gateway = Arc::new(Gateway {
        archive,
        conversions: tokio::sync::Semaphore::new(config.conversions_max.max(1)),
        config,
        counts: Arc::default(),
        commitments: commitment::Desk::default(),
        shutdown: shutdown.clone(),
    });
    let tasks = TaskTracker::new();
    let killed = CancellationToken::new();
    for Port { listener, tls } in ports {
        let address = listener.local_addr().map_err(GatewayError::Listener)?;
        info!(%address, tls = tls.is_some(), ae = %gateway.config.ae_title, "DICOM port open");
        let acceptor = tls.map(TlsAcceptor::from);
        tasks.spawn(accept_loop(
            listener,
            acceptor,
            Arc::clone(&gateway),
            tasks.clone(),
            killed.clone(),
        ));
    }
    tasks.spawn(until(killed.clone(), commitment::run(Arc::clone(&gateway))));
    shutdown.cancelled().await;
    tasks.close();
    if tokio::time::timeout(drain_timeout, tasks.wait()).await.is_err() {
        warn!("associations that did not end in time are cut off");
        killed.cancel();
        tasks.wait().await;
    }
    Ok(())
}

async fn accept_loop(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    gateway: Arc<Gateway>,
    tasks: TaskTracker,
    killed: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = gateway.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let half_open = gateway.counts.connect(&gateway.config);
                let serve = connection(stream, address, tls.clone(), Arc::clone(&gateway), half_open);
                tasks.spawn(until(killed.clone(), serve));
            }
            Err(error) => {
                warn!("no connection could be accepted: {error}");
                gateway.counts.evict_oldest();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn until(killed: CancellationToken, task: impl Future<Output = ()>) {
    tokio::select! {
        () = killed.cancelled() => {}
        () = task => {}
    }
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    gateway: Arc<Gateway>,
    half_open: HalfOpen,
) {
    // an answer is one small write: without this it waits for the peer's delayed acknowledgement
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%address, "TCP_NODELAY: {error}");
    }
    let mut origin = Origin {
        address,
        certificate: None,
    };
    let Some(acceptor) = tls else {
        return association::run(stream, origin, gateway, half_open).await;
    };
    let handshake = tokio::select! {
        biased;
        () = half_open.evicted.cancelled() => return,
        handshake = tokio::time::timeout(gateway.config.handshake_timeout, acceptor.accept(stream)) => handshake,
    };
    match handshake {
        Ok(Ok(stream)) => {
            let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
            origin.certificate = chain.first().map(|own| Sha256Digest::of(own).to_hex());
            association::run(stream, origin, gateway, half_open).await;
        }
        Ok(Err(error)) => info!(%address, "TLS handshake failed: {error}"),
        Err(_) => info!(%address, "TLS handshake not done in time"),
    }
}
