//! HTTP/1.1 to the centre: one connection, one request at a time. Several of these stand beside each other, so that
//! what is urgent need not wait behind what was begun before.

use super::EdgeError;
use super::address::Address;
use super::pacer::Pacer;
use archive::edge::QueueClass;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, Limited, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

/// Time to reach the centre, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection that was quiet for longer is not trusted: the centre ends it about then.
const IDLE_MAX: Duration = Duration::from_secs(25);
/// Bytes of a body that go together.
const PIECE_BYTES: usize = 8 << 10;
/// What the system holds back for a connection: small, so that what is urgent overtakes it.
const SEND_BUFFER_BYTES: u32 = 48 << 10;
/// Longest answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// About what the head of a request costs on the line.
const HEAD_BYTES: usize = 900;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("the centre cannot be reached: {0}")]
    Connect(String),
    #[error("the connection to the centre broke: {0}")]
    Broken(String),
    #[error("the centre did not answer in time")]
    Timeout,
    #[error("the centre answered {status}: {detail}")]
    Status {
        status: StatusCode,
        detail: String,
        retry_after: Option<Duration>,
    },
    #[error("the answer of the centre makes no sense: {0}")]
    Answer(String),
}

impl LineError {
    /// Whether the line is at fault, not the request.
    pub(super) fn is_line(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Broken(_) | Self::Timeout => true,
            // What a proxy says when the centre behind it is away.
            Self::Status { status, .. } => {
                matches!(*status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT)
            }
            Self::Answer(_) => false,
        }
    }

    /// Whether the centre does not let this node in.
    pub(super) fn is_shut_out(&self) -> bool {
        matches!(
            self,
            Self::Status { status, .. } if matches!(*status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        )
    }
}

/// What is asked.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) content: Content,
    pub(super) timeout: Duration,
}

/// What travels with a question.
pub(super) enum Content {
    Nothing,
    Json(Bytes),
    /// Bytes at the pace of their class.
    Paced(Bytes, QueueClass, Arc<Pacer>),
}

/// Where the centre is and how it is recognised.
pub(super) struct Target {
    address: Address,
    tls: Option<TlsConnector>,
    version: String,
}

impl Target {
    /// With `authority`, the centre's certificate must be issued by one of the certificates in this PEM file;
    /// otherwise by the public web's.
    pub(super) fn new(address: Address, authority: Option<&Path>, version: &str) -> Result<Self, EdgeError> {
        let tls = match address.tls {
            true => Some(TlsConnector::from(Arc::new(tls_config(authority)?))),
            false => None,
        };
        Ok(Self {
            address,
            tls,
            version: format!("gongying-edge/{version}"),
        })
    }

    pub(super) async fn connect(&self) -> Result<Connection, LineError> {
        match timeout(CONNECT_TIMEOUT, self.connect_now()).await {
            Ok(done) => done,
            Err(_) => Err(LineError::Connect("no answer in time".to_owned())),
        }
    }

    async fn connect_now(&self) -> Result<Connection, LineError> {
        let failed = |error: std::io::Error| LineError::Connect(error.to_string());
        let mut last = LineError::Connect("the name has no address".to_owned());
        let places = lookup_host((self.address.host.as_str(), self.address.port)).await;
        for place in places.map_err(failed)? {
            let socket = match place.is_ipv4() {
                true => TcpSocket::new_v4(),
                false => TcpSocket::new_v6(),
            };
            let socket = socket.map_err(failed)?;
            socket.set_send_buffer_size(SEND_BUFFER_BYTES).map_err(failed)?;
            socket.set_keepalive(true).map_err(failed)?;
            let stream = match socket.connect(place).await {
                Ok(stream) => stream,
                Err(error) => {
                    last = failed(error);
                    continue;
                }
            };
            stream.set_nodelay(true).map_err(failed)?;
            let Some(tls) = &self.tls else {
                return open(stream).await;
            };
            let name = ServerName::try_from(self.address.host.clone())
                .map_err(|_| LineError::Connect("the host is no name for a certificate".to_owned()))?;
            return open(tls.connect(name, stream).await.map_err(failed)?).await;
        }
        Err(last)
    }

    fn request(&self, ask: Ask, secret: Option<&str>) -> Result<Request<Body>, LineError> {
        let broken = |error: hyper::http::Error| LineError::Broken(error.to_string());
        let mut request = Request::builder()
            .method(ask.method)
            .uri(format!("{}{}", self.address.prefix, ask.path))
            .header(HOST, self.address.authority())
            .header(USER_AGENT, &self.version)
            .header("accept-language", "zh");
        if let Some(secret) = secret {
            request = request.header(AUTHORIZATION, format!("Bearer {secret}"));
        }
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        let request = match ask.content {
            Content::Nothing => request.body(Empty::new().boxed_unsync()),
            Content::Json(bytes) => request
                .header(CONTENT_TYPE, "application/json")
                .body(Full::new(bytes).boxed_unsync()),
            Content::Paced(bytes, class, pacer) => request
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_LENGTH, bytes.len())
                .body(paced(bytes, class, pacer)),
        };
        request.map_err(broken)
    }
}

fn tls_config(authority: Option<&Path>) -> Result<rustls::ClientConfig, EdgeError> {
    let mut roots = rustls::RootCertStore::empty();
    match authority {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let wrong =
                |why: String| EdgeError::Config(format!("[edge] centre_ca {}: {why}", path.display()));
            let certificates = CertificateDer::pem_file_iter(path).map_err(|e| wrong(e.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
                roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
            }
            if roots.is_empty() {
                return Err(wrong("it holds no certificate".to_owned()));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| EdgeError::Config(e.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// A body that goes out piece by piece as the pacer allows; its head is counted too. Until an urgent one is out, others
/// stand back.
fn paced(bytes: Bytes, class: QueueClass, pacer: Arc<Pacer>) -> Body {
    let urgent = class.is_urgent().then(|| pacer.urgent());
    let stream = stream::unfold((bytes, HEAD_BYTES, urgent), move |(mut left, extra, urgent)| {
        let pacer = pacer.clone();
        async move {
            if left.is_empty() {
                return None;
            }
            let piece = left.split_to(PIECE_BYTES.min(left.len()));
            pacer.take(piece.len() + extra, class).await;
            // The last piece is the end: nobody asks for more.
            let urgent = urgent.filter(|_| !left.is_empty());
            Some((Ok(Frame::data(piece)), (left, 0, urgent)))
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

async fn open(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Connection, LineError> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| LineError::Connect(error.to_string()))?;
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the centre ended");
        }
    });
    Ok(Connection {
        sender,
        task: task.abort_handle(),
        used: Instant::now(),
    })
}

/// An open connection; closed when dropped, also in the middle of a request.
pub(super) struct Connection {
    sender: http1::SendRequest<Body>,
    task: tokio::task::AbortHandle,
    used: Instant,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    pub(super) fn is_fresh(&self) -> bool {
        self.used.elapsed() < IDLE_MAX && !self.sender.is_closed()
    }

    /// Asks and waits for the whole answer. After an error of the line the connection must be dropped.
    pub(super) async fn ask(
        &mut self,
        target: &Target,
        secret: Option<&str>,
        ask: Ask,
    ) -> Result<Bytes, LineError> {
        let wait = ask.timeout;
        let request = target.request(ask, secret)?;
        match timeout(wait, self.ask_now(request)).await {
            Ok(done) => done,
            Err(_) => Err(LineError::Timeout),
        }
    }

    async fn ask_now(&mut self, request: Request<Body>) -> Result<Bytes, LineError> {
        let broken = |error: hyper::Error| LineError::Broken(error.to_string());
        self.sender.ready().await.map_err(broken)?;
        let answer = self.sender.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let retry_after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body
            .map_err(|error| LineError::Broken(error.to_string()))?
            .to_bytes();
        self.used = Instant::now();
        if status.is_success() {
            return Ok(body);
        }
        let problem: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let detail = problem.as_ref().and_then(|p| p.get("detail")?.as_str());
        Err(LineError::Status {
            status,
            detail: detail.unwrap_or_default().chars().take(300).collect(),
            retry_after,
        })
    }
}

/// Reads a JSON answer.
pub(super) fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, LineError> {
    serde_json::from_slice(bytes).map_err(|error| LineError::Answer(error.to_string()))
}

/// A value as the JSON of a question.
pub(super) fn json(value: &impl serde::Serialize) -> Content {
    Content::Json(Bytes::from(serde_json::to_vec(value).unwrap_or_default()))
}
