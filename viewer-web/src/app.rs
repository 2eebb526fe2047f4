//! What every handler can reach.

use crate::cache::Cache;
use crate::dicomweb::holdings::Held;
use crate::dicomweb::layout::Layout;
use crate::edge::Uploads;
use crate::events::STREAMS_MAX;
use crate::pages::Fonts;
use crate::pool::Pool;
use crate::recording::Budget;
use crate::session::OpenRoutes;
use crate::session::tries::Tries;
use archive::Archive;
use bytes::Bytes;
use engine::codec::StoredPixels;
use engine::ecg::critical::Ruleset;
use engine::volume::{SeriesVolume, VolumeDevice};
use reading::Reading;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Memory for encoded frames, pictures and metadata.
const MADE_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Memory for decoded frames.
const DECODED_BYTES_MAX: usize = 192 * 1024 * 1024;
/// Memory for the objects that stand for series and studies.
const CHOICE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Memory for image descriptions.
const LAYOUT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Memory for volumes of series; one takes a quarter at most.
const VOLUME_BYTES_MAX: usize = 2 << 30;

/// Folder below the data folder for objects of township nodes that are not whole yet.
const UPLOADS_FOLDER: &str = "edge-uploads";

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
    /// Critical values that ECGs are checked against; the national consensus where absent.
    pub critical_rules: Option<Arc<Ruleset>>,
    /// Makes slabs and projections; the CPU does where absent.
    pub volume_device: Option<Arc<dyn VolumeDevice>>,
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
    open_routes: OpenRoutes,
    metrics_text: Option<MetricsText>,
    tries: Tries,
    event_streams: Arc<Semaphore>,
    made: Cache<Bytes>,
    decoded: Cache<Arc<StoredPixels>>,
    layouts: Cache<Arc<Layout>>,
    choices: Cache<Held>,
    volumes: Cache<Arc<SeriesVolume>>,
    volume_turn: Arc<Semaphore>,
    uploads: Arc<Uploads>,
    recordings: Budget,
    reading: Reading,
}

impl App {
    /// Puts the parts together.
    pub fn new(reading: Reading, settings: Settings, metrics_text: Option<MetricsText>) -> Self {
        let slots = match settings.compute_slots {
            0 => std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            slots => slots,
        };
        let routes = crate::routes();
        let inner = Inner {
            settings,
            pool: Pool::new(slots),
            openapi: Bytes::from(crate::openapi::document(&routes).to_string()),
            open_routes: crate::route::open_routes(&routes),
            metrics_text,
            tries: Tries::default(),
            event_streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            made: Cache::new(MADE_BYTES_MAX),
            decoded: Cache::new(DECODED_BYTES_MAX),
            layouts: Cache::new(LAYOUT_BYTES_MAX),
            choices: Cache::new(CHOICE_BYTES_MAX),
            volumes: Cache::new(VOLUME_BYTES_MAX),
            volume_turn: Arc::new(Semaphore::new(1)),
            uploads: Arc::new(Uploads::new(
                reading.archive().config().data_dir.join(UPLOADS_FOLDER),
            )),
            recordings: Budget::default(),
            reading,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Reading and reporting.
    pub fn reading(&self) -> &Reading {
        &self.inner.reading
    }

    /// The archive.
    pub fn archive(&self) -> &Archive {
        self.inner.reading.archive()
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

    pub(crate) fn open_routes(&self) -> &OpenRoutes {
        &self.inner.open_routes
    }

    pub(crate) fn event_streams(&self) -> &Arc<Semaphore> {
        &self.inner.event_streams
    }

    /// Encoded frames, pictures and metadata that were made.
    pub(crate) fn made(&self) -> &Cache<Bytes> {
        &self.inner.made
    }

    /// Decoded frames.
    pub(crate) fn decoded(&self) -> &Cache<Arc<StoredPixels>> {
        &self.inner.decoded
    }

    /// Objects that stand for series and studies.
    pub(crate) fn choices(&self) -> &Cache<Held> {
        &self.inner.choices
    }

    /// Layouts of opened objects.
    pub(crate) fn layouts(&self) -> &Cache<Arc<Layout>> {
        &self.inner.layouts
    }

    /// Volumes of series.
    pub(crate) fn volumes(&self) -> &Cache<Arc<SeriesVolume>> {
        &self.inner.volumes
    }

    /// Leave to read a volume: one at a time.
    pub(crate) fn volume_turn(&self) -> &Arc<Semaphore> {
        &self.inner.volume_turn
    }

    /// Objects of township nodes that are not whole yet.
    pub(crate) fn uploads(&self) -> &Arc<Uploads> {
        &self.inner.uploads
    }

    /// Memory of recordings that are being uploaded.
    pub(crate) fn recordings(&self) -> &Budget {
        &self.inner.recordings
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
