//! The accept loop: HTTP/1.1, HTTP/2 by ALPN, TLS; with a cap or a clock on everything a peer can hold.

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// Connections at once.
const CONNECTIONS_MAX: usize = 4096;
/// Time for the TLS handshake.
const HANDSHAKE_S_MAX: u64 = 10;
/// Time for a request's head, also how long an idle connection is kept.
const HEAD_S_MAX: u64 = 30;
/// Request headers at most.
const HEADERS_MAX: usize = 100;
/// HTTP/2 streams of one connection.
const STREAMS_MAX: u32 = 128;
/// HTTP/2 header list of one request.
const HEADER_LIST_BYTES_MAX: u32 = 64 * 1024;
/// Interval of HTTP/2 pings and the time for their answer.
const PING_S: u64 = 20;
/// Time that open requests get after the stop signal.
const GRACE_S_MAX: u64 = 5;
/// Pause after a failed accept (for example out of file descriptors).
const ACCEPT_RETRY_MS: u64 = 50;

/// Serves `router` on `listener` until `shutdown` completes; then open requests get five seconds.
///
/// # Errors
/// None today: failures of single connections end only themselves. The result leaves room for listener errors.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let acceptor = tls.map(TlsAcceptor::from);
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let slot = tokio::select! {
            () = &mut shutdown => break,
            slot = Arc::clone(&slots).acquire_owned() => slot.map_err(io::Error::other)?,
        };
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let connection = Connection { peer, router: router.clone(), stopping: stopping.clone(), _slot: slot };
                    connections.spawn(connection.run(stream, acceptor.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(ACCEPT_RETRY_MS)).await;
                }
            },
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    // A receiver is held by every connection; when there is none left, nobody needs the news.
    let _ = stop.send(true);
    let all_done = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(Duration::from_secs(GRACE_S_MAX), all_done)
        .await
        .is_err()
    {
        tracing::info!("open requests were cut at shutdown");
    }
    connections.shutdown().await;
    Ok(())
}

/// One accepted connection; owned by its task, which ends with the peer, a deadline or the shutdown.
struct Connection {
    peer: SocketAddr,
    router: Router,
    stopping: watch::Receiver<bool>,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, stream: TcpStream, acceptor: Option<TlsAcceptor>) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let Some(acceptor) = acceptor else {
            return self.http1(stream).await;
        };
        let handshake =
            tokio::time::timeout(Duration::from_secs(HANDSHAKE_S_MAX), acceptor.accept(stream)).await;
        let Ok(Ok(stream)) = handshake else { return };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.http2(stream).await;
        } else {
            self.http1(stream).await;
        }
    }

    async fn http1<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(HEAD_S_MAX))
            .max_headers(HEADERS_MAX);
        let connection = builder.serve_connection(TokioIo::new(stream), service(self.router, self.peer));
        let mut stopping = self.stopping;
        tokio::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => log_end(ended),
            () = told(&mut stopping) => {
                connection.as_mut().graceful_shutdown();
                log_end(connection.await);
            }
        }
    }

    async fn http2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(PING_S))
            .keep_alive_timeout(Duration::from_secs(PING_S))
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEADER_LIST_BYTES_MAX);
        let connection = builder.serve_connection(TokioIo::new(stream), service(self.router, self.peer));
        let mut stopping = self.stopping;
        tokio::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => log_end(ended),
            () = told(&mut stopping) => {
                connection.as_mut().graceful_shutdown();
                log_end(connection.await);
            }
        }
    }
}

/// Waits for the stop signal, or for the sender to be gone.
async fn told(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

fn log_end(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}

type PeerService = tower::util::BoxCloneSyncService<
    hyper::Request<Incoming>,
    axum::response::Response,
    std::convert::Infallible,
>;

/// The router with the peer's address put on each request.
fn service(router: Router, peer: SocketAddr) -> TowerToHyperService<PeerService> {
    let with_peer = router.map_request(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    TowerToHyperService::new(PeerService::new(with_peer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn it_answers_refuses_too_many_headers_and_stops_when_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap();
        let router = Router::new().route(
            "/",
            get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }),
        );
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, None, router, async move {
            stopped.await.unwrap();
        }));
        let ask = async |request: String| {
            let mut stream = TcpStream::connect(place).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer).await;
            answer
        };
        let answer = ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".into()).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"),
            "{answer}"
        );
        let many: String = (0..200).map(|i| format!("X-{i}: a\r\n")).collect();
        let answer = ask(format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        let mut idle = TcpStream::connect(place).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        stop.send(()).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(GRACE_S_MAX + 5), server).await;
        ended.unwrap().unwrap().unwrap();
    }
}
