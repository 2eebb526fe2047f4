//! For tests of the store: an S3 service in this process, over a folder, that can be told to fail.

use archive::store::{Remote, S3, Settings, Tier};
use archive::testing::TemporaryFolder;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is refused with 503 and has no effect.
    Refused,
    /// It is done, but the answer is lost: 503.
    AnswerLost,
    /// It is done after this time.
    Slow(Duration),
    /// The connection ends without an answer.
    Cut,
}

type Plan = Arc<Mutex<VecDeque<(&'static str, Fault)>>>;

/// The service; ends when dropped.
pub struct Server {
    address: SocketAddr,
    folder: TemporaryFolder,
    plan: Plan,
    runtime: Option<Runtime>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(
    service: S3Service,
    plan: Plan,
    request: hyper::Request<hyper::body::Incoming>,
) -> Result<s3s::HttpResponse, std::io::Error> {
    let fault = {
        let mut plan = plan.lock().unwrap();
        match plan.front() {
            Some((method, _)) if request.method() == *method => plan.pop_front().map(|(_, fault)| fault),
            _ => None,
        }
    };
    let refused = || {
        let mut response = s3s::HttpResponse::new(s3s::Body::empty());
        *response.status_mut() = hyper::StatusCode::SERVICE_UNAVAILABLE;
        response
    };
    match fault {
        Some(Fault::Refused) => return Ok(refused()),
        Some(Fault::Cut) => return Err(std::io::ErrorKind::ConnectionReset.into()),
        Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
        _ => {}
    }
    let done = hyper::service::Service::call(&service, request).await;
    match fault {
        Some(Fault::AnswerLost) => Ok(refused()),
        _ => done.map_err(|error| std::io::Error::other(format!("{error:?}"))),
    }
}

impl Server {
    /// Starts it with an empty bucket `county`.
    pub fn start() -> Self {
        let folder = TemporaryFolder::new().unwrap();
        std::fs::create_dir(folder.path().join("county")).unwrap();
        let runtime = Runtime::new().unwrap();
        // Tests start it inside a runtime of their own, where waiting for another is forbidden.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let plan = Plan::default();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single("key", "secret"));
        let (service, faults) = (builder.build(), plan.clone());
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                let (service, plan) = (service.clone(), faults.clone());
                let each =
                    hyper::service::service_fn(move |request| answer(service.clone(), plan.clone(), request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), each),
                );
            }
        });
        Self {
            address,
            folder,
            plan,
            runtime: Some(runtime),
        }
    }

    /// The next request with this method fails; several in order.
    pub fn fail(&self, method: &'static str, fault: Fault) {
        self.plan.lock().unwrap().push_back((method, fault));
    }

    /// Where it keeps the bucket's objects.
    pub fn objects(&self) -> std::path::PathBuf {
        self.folder.path().join("county")
    }

    /// How to reach it.
    pub fn bucket(&self, prefix: &str) -> S3 {
        S3 {
            bucket: "county".to_owned(),
            prefix: prefix.to_owned(),
            endpoint: Some(format!("http://{}", self.address)),
            region: "us-east-1".to_owned(),
            access_key: "key".to_owned().into(),
            secret_key: "secret".to_owned().into(),
            path_style: true,
            allow_http: false,
            ca_file: None,
            read_back: true,
        }
    }

    /// A store whose objects all lie there.
    pub fn settings(&self) -> Settings {
        Settings {
            remote: Some(Remote {
                s3: self.bucket("images"),
                tier: None,
            }),
            ..Settings::default()
        }
    }

    /// A store whose older objects lie there.
    pub fn tiered(&self, tier: Tier) -> Settings {
        Settings {
            remote: Some(Remote {
                s3: self.bucket("old"),
                tier: Some(tier),
            }),
            ..Settings::default()
        }
    }
}
