//! What every handler can reach.

use crate::pages::Fonts;
use crate::pool::Pool;
use crate::session::tries::Tries;
use bytes::Bytes;
use std::sync::Arc;

/// How this node presents itself; set once at start.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Address under which people reach this node, for links and QR codes, for example `https://county.example`.
    /// Empty: links are made from the request's own host.
    pub public_base_url: String,
    /// Bearer token that opens `/metrics` from elsewhere than loopback.
    pub metrics_token: Option<String>,
    /// A trusted proxy stands in front and sets `X-Forwarded-For`.
    pub behind_proxy: bool,
    /// Threads for decoding, rendering and reformats; 0 takes the number of cores.
    pub compute_slots: usize,
}

impl Settings {
    /// Whether people come by TLS, so that cookies may be marked `Secure`.
    pub fn is_secure(&self) -> bool {
        self.public_base_url.starts_with("https://")
    }
}

/// Gives the metrics of this process as Prometheus text.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// The shared state of all handlers; a cheap handle.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    pool: Pool,
    openapi: Bytes,
    metrics_text: Option<MetricsText>,
    tries: Tries,
}

impl App {
    /// Puts the parts together.
    pub fn new(settings: Settings, metrics_text: Option<MetricsText>) -> Self {
        let slots = match settings.compute_slots {
            0 => std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            slots => slots,
        };
        let openapi = Bytes::from(crate::openapi::document(&crate::routes()).to_string());
        let inner = Inner {
            settings,
            pool: Pool::new(slots),
            openapi,
            metrics_text,
            tries: Tries::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// How this node presents itself.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The bounded pool for compute.
    pub fn pool(&self) -> &Pool {
        &self.inner.pool
    }

    /// Fonts for printed documents.
    pub fn fonts(&self) -> Fonts {
        Fonts::EMBEDDED
    }

    pub(crate) fn openapi(&self) -> Bytes {
        self.inner.openapi.clone()
    }

    pub(crate) fn metrics_text(&self) -> Option<String> {
        self.inner.metrics_text.as_ref().map(|text| text())
    }

    pub(crate) fn tries(&self) -> &Tries {
        &self.inner.tries
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}
