//! Institutions, devices, patients, orders, studies, objects, work, outbox and audit.
//!
//! **Promises:** an object is acknowledged only after its bytes, its directory entry and its index
//! row are on stable storage; bytes are kept exactly as received; the index can be rebuilt from the
//! store. This crate knows no sockets, no HTTP and no access rules.

pub mod admin;
pub mod audit;
#[cfg(test)]
mod conformance;
pub mod db;
pub mod derived;
mod derived_due;
pub mod device;
pub mod edge;
pub mod error;
pub mod events;
pub mod health;
pub mod housekeeping;
pub mod ids;
pub mod import;
pub mod institution;
pub mod name;
pub mod order;
pub mod outbox;
pub mod patient;
pub mod performed_step;
pub mod receive;
pub mod recover;
pub mod refused_caller;
pub mod retention;
pub mod route;
pub mod store;
pub mod study;
pub mod tally;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod upkeep;
pub mod work;

pub use error::{ArchiveError, Result};
pub use ids::*;

use audit::{Audit, AuditSigner};
use db::{Db, IndexUrl, Migration, Migrations};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The archive's own schema.
pub const MIGRATIONS: Migrations = Migrations {
    set: "archive",
    steps: &[
        step(1, "core", include_str!("../migrations/0001_core.sql")),
        step(2, "people", include_str!("../migrations/0002_people.sql")),
        step(3, "studies", include_str!("../migrations/0003_studies.sql")),
        step(4, "work", include_str!("../migrations/0004_work.sql")),
        step(5, "services", include_str!("../migrations/0005_services.sql")),
        step(6, "outbox", include_str!("../migrations/0006_outbox.sql")),
        step(7, "edge", include_str!("../migrations/0007_edge.sql")),
        step(8, "upkeep", include_str!("../migrations/0008_upkeep.sql")),
        step(9, "records", include_str!("../migrations/0009_records.sql")),
        step(10, "said_name", include_str!("../migrations/0010_said_name.sql")),
    ],
};

const fn step(version: i64, name: &'static str, sql: &'static str) -> Migration {
    Migration { version, name, sql }
}

/// Jobs about a series are asked for at most this often; shorter than their own wait, so that none
/// has begun when an object relies on it.
const SERIES_NEWS_QUIET: Duration = Duration::from_millis(1000);
/// Series remembered for that.
const SERIES_NEWS_MAX: usize = 4096;

/// Where an archive lives.
#[derive(Debug, Clone)]
pub struct Config {
    /// The index.
    pub index: IndexUrl,
    /// Folder of the objects; when all of them lie in a bucket, of those on their way there.
    pub objects: PathBuf,
    /// Folder of keys and anchors.
    pub data_dir: PathBuf,
    /// What else is done with the objects: a bucket, encryption, regular checks.
    pub store: store::Settings,
}

/// A handle to an archive; clones share it.
#[derive(Clone)]
pub struct Archive {
    shared: Arc<Shared>,
}

struct Shared {
    db: Db,
    config: Config,
    signer: Arc<AuditSigner>,
    store: store::ObjectStore,
    devices: Arc<device::DeviceCache>,
    events: events::Events,
    job_wake: Arc<Notify>,
    pace: Arc<work::Pace>,
    outbox_wake: Arc<Notify>,
    router: OnceLock<Arc<dyn route::Router>>,
    placements: Arc<recover::Placements>,
    codes: Mutex<HashMap<InstitutionId, String>>,
    series_news: Mutex<HashMap<String, Instant>>,
    upkeep: upkeep::Upkeep,
    tallies: tally::Tallies,
    health: health::HealthMemory,
    settler: OnceLock<receive::Settler>,
    spool: Option<Arc<edge::spool::SpoolState>>,
}

impl Archive {
    /// Opens an archive, making it when it does not exist yet, and brings its schema up to date.
    ///
    /// # Errors
    /// When index, objects or data folder cannot be used.
    pub async fn open(config: Config, extra_migrations: &[&'static Migrations]) -> Result<Self> {
        Self::open_routed(config, extra_migrations, None).await
    }

    /// Like [`Archive::open`], with a router that decides what of the objects to come is sent on.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub async fn open_routed(
        config: Config,
        extra_migrations: &[&'static Migrations],
        router: Option<Arc<dyn route::Router>>,
    ) -> Result<Self> {
        let archive = Self::open_beside(config, extra_migrations).await?;
        if let Some(router) = router {
            archive.route_by(router);
        }
        archive.recover().await?;
        Ok(archive)
    }

    /// Proves that the store can be written, and cleans up after an unexpected end. Before anything
    /// is received.
    ///
    /// # Errors
    /// When index or store cannot be read, or a bucket refuses. A disk that cannot be written is no
    /// error: what is there can still be read.
    pub async fn recover(&self) -> Result<recover::Recovery> {
        let store = self.store().clone();
        let proved = tokio::task::spawn_blocking(move || store.prove()).await;
        match proved.map_err(|_| ArchiveError::Closed)? {
            Err(error @ (ArchiveError::Remote(_) | ArchiveError::Sealed(_))) => return Err(error),
            Err(error) => tracing::error!(%error, "the object store cannot be written"),
            Ok(()) => {}
        }
        let recovery = recover::recover(self).await?;
        let settler = receive::start_settling(self)?;
        if let Some(settler) = settler {
            // set once, at the start of a process
            let _ = self.shared.settler.set(settler);
        }
        Ok(recovery)
    }

    /// Like [`Archive::open`] without cleaning up after an unexpected end: for commands that run
    /// beside the server, or only look.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub async fn open_beside(config: Config, extra_migrations: &[&'static Migrations]) -> Result<Self> {
        Self::build(config, extra_migrations, None).await
    }

    /// Opens the archive of a township node: all that it takes waits in [`Archive::spool`] for its way to the centre.
    /// Beyond `spool_bytes_max` nothing more is taken.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub async fn open_spool(config: Config, spool_bytes_max: u64) -> Result<Self> {
        let state = Arc::new(edge::spool::SpoolState::new(spool_bytes_max));
        let archive = Self::build(config, &[&edge::SPOOL_MIGRATIONS], Some(state)).await?;
        if let Some(spool) = archive.spool() {
            spool.load().await?;
        }
        archive.recover().await?;
        Ok(archive)
    }

    async fn build(
        config: Config,
        extra_migrations: &[&'static Migrations],
        spool: Option<Arc<edge::spool::SpoolState>>,
    ) -> Result<Self> {
        for folder in [&config.data_dir, &config.objects] {
            std::fs::create_dir_all(folder)
                .map_err(|error| ArchiveError::io("create folder", folder, error))?;
        }
        let (folder, settings) = (config.objects.clone(), config.store.clone());
        let opened = tokio::task::spawn_blocking(move || store::ObjectStore::open(&folder, &settings)).await;
        let store = opened.map_err(|_| ArchiveError::Closed)??;
        Self::assemble(config, extra_migrations, store, spool).await
    }

    /// Like [`Archive::open_beside`] over a store that is open.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub async fn open_with(
        config: Config,
        extra_migrations: &[&'static Migrations],
        store: store::ObjectStore,
    ) -> Result<Self> {
        Self::assemble(config, extra_migrations, store, None).await
    }

    async fn assemble(
        config: Config,
        extra_migrations: &[&'static Migrations],
        store: store::ObjectStore,
        spool: Option<Arc<edge::spool::SpoolState>>,
    ) -> Result<Self> {
        let signer = Arc::new(AuditSigner::open(&config.data_dir)?);
        let mut sets = vec![&MIGRATIONS];
        sets.extend_from_slice(extra_migrations);
        let db = Db::open(&config.index, signer.clone(), &sets).await?;
        let archive = Self {
            shared: Arc::new(Shared {
                db,
                config,
                signer,
                store,
                devices: Arc::default(),
                events: events::Events::default(),
                job_wake: Arc::default(),
                pace: Arc::default(),
                outbox_wake: Arc::default(),
                router: OnceLock::new(),
                placements: Arc::default(),
                codes: Mutex::default(),
                series_news: Mutex::default(),
                upkeep: upkeep::Upkeep::default(),
                tallies: tally::Tallies::default(),
                health: health::HealthMemory::default(),
                settler: OnceLock::new(),
                spool,
            }),
        };
        work::listen(&archive.work());
        Ok(archive)
    }

    /// Where this archive lives.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The objects. Its functions wait for the disk: call them on a blocking thread.
    pub fn store(&self) -> &store::ObjectStore {
        &self.shared.store
    }

    /// News for open pages.
    pub fn events(&self) -> &events::Events {
        &self.shared.events
    }

    /// The devices.
    pub fn devices(&self) -> device::Devices {
        device::Devices {
            db: self.shared.db.clone(),
            cache: self.shared.devices.clone(),
        }
    }

    /// The patients.
    pub fn patients(&self) -> patient::Patients {
        patient::Patients {
            db: self.shared.db.clone(),
        }
    }

    /// The exam requests.
    pub fn orders(&self) -> order::Orders {
        order::Orders {
            db: self.shared.db.clone(),
        }
    }

    /// The studies, series and instances.
    pub fn studies(&self) -> study::Studies {
        study::Studies {
            archive: self.clone(),
        }
    }

    /// The results of jobs.
    pub fn derived(&self) -> derived::DerivedObjects {
        derived::DerivedObjects {
            archive: self.clone(),
        }
    }

    /// The work queue.
    pub fn work(&self) -> work::Work {
        work::Work {
            db: self.shared.db.clone(),
            wake: self.shared.job_wake.clone(),
            pace: self.shared.pace.clone(),
        }
    }

    /// What is to be sent elsewhere.
    pub fn outbox(&self) -> outbox::Outbox {
        outbox::Outbox {
            db: self.shared.db.clone(),
            wake: self.shared.outbox_wake.clone(),
        }
    }

    /// How fast objects arrive.
    pub(crate) fn pace(&self) -> &work::Pace {
        &self.shared.pace
    }

    pub(crate) fn upkeep(&self) -> &upkeep::Upkeep {
        &self.shared.upkeep
    }

    pub(crate) fn tallies(&self) -> &tally::Tallies {
        &self.shared.tallies
    }

    pub(crate) fn health_memory(&self) -> &health::HealthMemory {
        &self.shared.health
    }

    /// What decides on sending on, when this process has it.
    pub(crate) fn router(&self) -> Option<&Arc<dyn route::Router>> {
        self.shared.router.get()
    }

    /// From now on this router decides what is sent on; to be said before [`Archive::recover`], so
    /// that what a crash left is routed too. Said twice, the first one stays.
    pub fn route_by(&self, router: Arc<dyn route::Router>) {
        if self.shared.router.set(router).is_err() {
            tracing::warn!("the archive has a router already");
        }
    }

    pub(crate) fn placements(&self) -> &Arc<recover::Placements> {
        &self.shared.placements
    }

    pub(crate) fn in_flight(&self) -> recover::InFlight {
        self.shared.placements.begin()
    }

    /// Code of an institution in small letters are part of file names; codes never change.
    pub(crate) async fn institution_code(&self, id: InstitutionId) -> Result<String> {
        let lock = || self.shared.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(code) = lock().get(&id) {
            return Ok(code.clone());
        }
        let code = self.institutions().by_id(id).await?.code;
        lock().insert(id, code.clone());
        Ok(code)
    }

    /// Whether jobs about a series must be asked for: not when that was done a moment ago.
    pub(crate) fn series_news(&self, series_uid: &str) -> bool {
        let news = self
            .shared
            .series_news
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        news.get(series_uid)
            .is_none_or(|at| at.elapsed() >= SERIES_NEWS_QUIET)
    }

    pub(crate) fn note_series_news(&self, series_uid: String) {
        let mut news = self
            .shared
            .series_news
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if news.len() >= SERIES_NEWS_MAX {
            news.retain(|_, at| at.elapsed() < SERIES_NEWS_QUIET);
        }
        if news.len() < SERIES_NEWS_MAX {
            news.insert(series_uid, Instant::now());
        }
    }

    /// The index.
    pub fn db(&self) -> &Db {
        &self.shared.db
    }

    /// The institutions.
    pub fn institutions(&self) -> institution::Institutions {
        institution::Institutions {
            db: self.shared.db.clone(),
        }
    }

    /// The audit trail.
    pub fn audit(&self) -> Audit {
        Audit {
            db: self.shared.db.clone(),
        }
    }

    /// Checks the audit trail: every row, every signed head, the anchor file.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn verify_audit(&self) -> Result<audit::AuditReport> {
        audit::verify(
            &self.audit(),
            self.shared.signer.clone(),
            &self.shared.config.data_dir,
        )
        .await
    }

    /// Writes what must be on disk at an orderly end.
    ///
    /// # Errors
    /// When the anchor file cannot be written.
    pub async fn close(&self) -> Result<()> {
        self.settle_journal().await;
        self.write_marks().await
    }
}
