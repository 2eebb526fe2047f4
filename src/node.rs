//! Wires the roles of a node together: opens the archive once, starts what the configuration names, ends it in order.

use crate::config::{Config, Role};
use crate::forwarding::Rules;
use anyhow::{Context, Result};
use archive::Archive;
use dataset::AeTitle;
use dicom_gateway::{Port, UserVerifier};
use reading::Reading;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// An open archive and what stands on it.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) archive: Archive,
    pub(crate) reading: Reading,
    pub(crate) rules: Rules,
}

/// A node whose ports are open and whose roles run.
pub(crate) struct Running {
    pub(crate) dicom: Option<SocketAddr>,
    pub(crate) dicom_tls: Option<SocketAddr>,
    pub(crate) http: Option<SocketAddr>,
    stop: CancellationToken,
    tasks: JoinSet<Result<()>>,
    archive: Archive,
}

/// User identity of an association (PS3.7 D.3.3.7) against the accounts of the pages.
struct Accounts(Reading);

impl UserVerifier for Accounts {
    fn verify<'a>(
        &'a self,
        name: &'a str,
        passcode: &'a str,
        peer: IpAddr,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async move {
            reading::account::log_in(&self.0, name, passcode, Some(peer.to_string()))
                .await
                .is_ok()
        })
    }
}

impl Node {
    /// Opens index, objects and keys, and clears what a crash left.
    pub(crate) async fn open(config: Config) -> Result<Node> {
        Node::open_as(config, true).await
    }

    /// The same beside a node that may be running: nothing is cleared.
    pub(crate) async fn open_beside(config: Config) -> Result<Node> {
        Node::open_as(config, false).await
    }

    async fn open_as(config: Config, alone: bool) -> Result<Node> {
        let place = config.place()?;
        let rules = Rules::new(&config)?;
        if let archive::db::IndexUrl::Sqlite(path) = &place.index
            && let Some(folder) = path.parent()
        {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("{}: the folder of the index cannot be made", folder.display()))?;
        }
        let migrations = [&reading::MIGRATIONS];
        let archive = if alone {
            Archive::open_routed(place, &migrations, rules.router()).await?
        } else {
            Archive::open_beside(place, &migrations).await?
        };
        let reading =
            Reading::open(archive.clone(), reading::Settings::new(&config.archive.data_dir)).await?;
        Ok(Node {
            config,
            archive,
            reading,
            rules,
        })
    }

    /// Opens the ports and starts every role; returns when all of them listen.
    pub(crate) async fn start(&self) -> Result<Running> {
        let stop = CancellationToken::new();
        let mut running = Running {
            dicom: None,
            dicom_tls: None,
            http: None,
            stop,
            tasks: JoinSet::new(),
            archive: self.archive.clone(),
        };
        if self.config.has(Role::Gateway) {
            self.rules.check(&self.archive).await?;
            self.start_gateway(&mut running).await?;
            self.start_forwarding(&mut running);
        }
        if self.config.has(Role::Viewer) {
            running.http = Some(self.start_viewer(&mut running).await?);
        }
        if self.config.has(Role::Worker) {
            self.start_worker(&mut running)?;
        }
        self.start_housekeeping(&mut running);
        Ok(running)
    }

    async fn start_gateway(&self, running: &mut Running) -> Result<()> {
        let config = &self.config.dicom;
        let listener = listen(config.listen, "[dicom] listen").await?;
        running.dicom = Some(listener.local_addr()?);
        let mut ports = vec![Port { listener, tls: None }];
        if let Some(address) = config.tls_listen {
            let listener = listen(address, "[dicom] tls_listen").await?;
            running.dicom_tls = Some(listener.local_addr()?);
            let tls = Some(crate::tls::dicom(config, &self.config.archive.data_dir)?);
            ports.push(Port { listener, tls });
        }
        let ae_title = AeTitle::parse(&config.ae_title).context("[dicom] ae_title")?;
        let mut settings = dicom_gateway::Config::new(ae_title);
        settings.users = Some(Arc::new(Accounts(self.reading.clone())));
        settings.transcoder = Some(Arc::new(crate::transcoder::Engine));
        settings.conversions_max = processors();
        let (archive, stop) = (self.archive.clone(), running.stop.clone());
        running.tasks.spawn(async move {
            dicom_gateway::serve(ports, archive, settings, stop)
                .await
                .context("DICOM service")
        });
        Ok(())
    }

    /// Letters of the outbox go out.
    fn start_forwarding(&self, running: &mut Running) {
        let (forwarding, stop) = (self.rules.forwarding(self.archive.clone()), running.stop.clone());
        running.tasks.spawn(async move {
            dicom_gateway::forward::run(forwarding, stop).await;
            Ok(())
        });
    }

    async fn start_viewer(&self, running: &mut Running) -> Result<SocketAddr> {
        let http = &self.config.http;
        let listener = listen(http.listen, "[http] listen").await?;
        let address = listener.local_addr()?;
        let tls = match (&http.tls_cert, &http.tls_key) {
            (Some(certificate), Some(key)) => Some(crate::tls::server(certificate, key)?),
            _ => None,
        };
        let settings = viewer_web::Settings {
            public_base_url: http.public_url.clone().unwrap_or_default(),
            metrics_token: http.metrics_token.clone(),
            critical_rules: self.critical_rules()?,
            volume_device: crate::gpu::for_volumes()?,
            ..viewer_web::Settings::default()
        };
        let metrics = crate::metrics::start(&mut running.tasks, &running.stop)?;
        let app = viewer_web::App::new(
            self.reading.clone(),
            settings,
            Some(Arc::new(move || metrics.render())),
        );
        let (router, stop) = (viewer_web::router(app), running.stop.clone());
        running.tasks.spawn(async move {
            viewer_web::serve(listener, tls, router, stop.cancelled_owned())
                .await
                .context("web service")
        });
        Ok(address)
    }

    /// The set of `[worker] critical_rules`.
    fn critical_rules(&self) -> Result<Option<Arc<engine::ecg::critical::Ruleset>>> {
        let named = self.config.worker.critical_rules.as_deref();
        Ok(named.map(crate::ecg_rules::named).transpose()?.map(Arc::new))
    }

    fn start_worker(&self, running: &mut Running) -> Result<()> {
        let slots = match self.config.worker.slots {
            0 => processors(),
            slots => slots,
        };
        let (archive, stop) = (self.archive.clone(), running.stop.clone());
        let critical_rules = self.critical_rules()?;
        running.tasks.spawn(async move {
            let settings = worker::WorkerConfig {
                slots,
                critical_rules,
                ..worker::WorkerConfig::default()
            };
            worker::run(archive, settings, stop.cancelled_owned()).await;
            Ok(())
        });
        Ok(())
    }

    /// Quiet studies become ready, anchors are written, old traces go.
    fn start_housekeeping(&self, running: &mut Running) {
        let (archive, stop) = (self.archive.clone(), running.stop.clone());
        running.tasks.spawn(async move {
            archive.housekeeping(stop.cancelled_owned()).await;
            Ok(())
        });
    }
}

impl Running {
    /// Waits for SIGINT, SIGTERM or the failure of a role, then ends all roles in order.
    pub(crate) async fn until_stopped(mut self) -> Result<()> {
        let outcome = until_stopped(&mut self.tasks, &self.stop).await;
        self.archive.close().await?;
        outcome
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// Waits for SIGINT, SIGTERM or the end of a task, then ends all tasks by `stop`.
pub(crate) async fn until_stopped(tasks: &mut JoinSet<Result<()>>, stop: &CancellationToken) -> Result<()> {
    let failed = tokio::select! {
        signal = signal() => { signal?; None }
        ended = tasks.join_next() => ended,
    };
    let mut outcome = match failed {
        Some(ended) => ended?.and_then(|()| anyhow::bail!("a role of this node ended by itself")),
        None => Ok(()),
    };
    stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        outcome = outcome.and(ended?);
    }
    outcome
}

async fn listen(address: SocketAddr, key: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{key} = {address}: the port cannot be opened"))
}

#[cfg(unix)]
async fn signal() -> Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupt = tokio::signal::ctrl_c() => Ok(interrupt?),
    }
}

#[cfg(not(unix))]
async fn signal() -> Result<()> {
    Ok(tokio::signal::ctrl_c().await?)
}

/// Log lines to standard error, as configured; `RUST_LOG` overrides the filter.
pub(crate) fn start_log(config: &crate::config::Log) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .or_else(|_| tracing_subscriber::EnvFilter::try_new(&config.filter))
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Set twice only when a test runs two nodes in one process; the first stays.
    let _ = if config.json {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
}
