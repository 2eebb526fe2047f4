//! The socket of an association that we open: plain TCP or TLS.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Destination;
use crate::GatewayError;

/// DICOM over TLS as a client (PS3.15 B.9): whom to trust and, if asked, who we are.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Trusted authorities and our own certificate.
    pub config: Arc<rustls::ClientConfig>,
    /// Name that the other side's certificate has to carry; the host when missing.
    pub server_name: Option<String>,
}

/// An open connection. Dropping it closes it.
pub(crate) enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// Connects, each step within `limit`.
    pub(crate) async fn open(to: &Destination, limit: Duration) -> Result<Self, GatewayError> {
        let failed = |source: std::io::Error| GatewayError::Connect {
            address: to.address(),
            source,
        };
        let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
        let connect = timeout(limit, TcpStream::connect((to.host.as_str(), to.port)));
        let stream = connect.await.unwrap_or_else(|_| Err(late())).map_err(failed)?;
        // a request is often one small write: it must not wait for the other side's acknowledgement
        stream.set_nodelay(true).map_err(failed)?;
        let Some(tls) = &to.tls else {
            return Ok(Self::Plain(stream));
        };
        let name = tls.server_name.as_deref().unwrap_or(&to.host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| GatewayError::Tls {
            address: to.address(),
            reason: format!("{name:?} is no host name that a certificate can carry"),
        })?;
        let handshake = TlsConnector::from(Arc::clone(&tls.config)).connect(name, stream);
        match timeout(limit, handshake).await {
            Ok(Ok(stream)) => Ok(Self::Tls(Box::new(stream))),
            Ok(Err(error)) => Err(GatewayError::Tls {
                address: to.address(),
                reason: error.to_string(),
            }),
            Err(_) => Err(failed(late())),
        }
    }

    /// Lets the system acknowledge what comes next without the usual delay. Many archives write
    /// their answers in two small pieces with Nagle's algorithm on: the second waits for our
    /// acknowledgement of the first, 40 ms for each object unless we hurry.
    pub(crate) fn acknowledge_quickly(&self) {
        #[cfg(target_os = "linux")]
        {
            let stream = match self {
                Self::Plain(stream) => stream,
                Self::Tls(stream) => stream.get_ref().0,
            };
            // only a matter of speed: a system that refuses changes nothing
            let _ = socket2::SockRef::from(stream).set_tcp_quickack(true);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
