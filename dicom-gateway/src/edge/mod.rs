//! A township node: everything that its archive took goes to the centre, the urgent first, over a line that may be
//! thin, slow and cut at any moment; worklist, reports and rejects come back.
//!
//! **Promises:** what a device was told is stored arrives at the centre, exactly once and equal by digest, whatever is
//! cut or killed on the way; after a cut only what was on the line goes again; an ECG does not wait for images that were
//! there before. What both sides say is in [`archive::edge::wire`].

mod address;
mod board;
mod clerk;
mod client;
mod enrol;
mod feed;
mod gate;
mod line;
mod news;
mod pacer;
mod schedule;
mod status;
mod watch;
mod worker;

pub use schedule::{Schedule, ScheduleRule};

use address::Address;
use archive::edge::status::GateWord;
use archive::edge::{Spool, SpoolId};
use archive::order::Order;
use archive::patient::Patient;
use archive::{Archive, ArchiveError, InstitutionId, UnixMicros};
use board::Board;
use client::Target;
use line::Line;
use news::Lists;
use pacer::Pacer;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections for objects.
const WORKERS: usize = 8;
/// Of these, so many are kept for what is urgent.
const URGENT_WORKERS: usize = 2;
/// How often objects that the centre has had for long are removed.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

/// Makes files smaller for the way. The centre must be able to undo it exactly.
pub trait Coder: Send + Sync {
    /// The packed file, proved to unpack to the same bytes; `None` when packing does not pay. Computes: called on a
    /// blocking thread.
    fn pack(&self, file: &[u8]) -> Option<Vec<u8>>;
}

/// Makes DICOM objects of recordings that devices write in formats of their own.
pub trait Importer: Send + Sync {
    /// The object, with the file kept in it. `request` is the exam request that the file's name points to. `None`: the
    /// file is of no kind that this knows; `Err`: why it is not taken, in words for the technician. Computes: called on a
    /// blocking thread.
    fn import(
        &self,
        name: &str,
        file: &[u8],
        request: Option<&(Order, Patient)>,
    ) -> Option<Result<Vec<u8>, String>>;
}

/// Looks at recordings as they come.
pub trait Gate: Send + Sync {
    /// The word on an ECG: verdict and reasons; the rest is filled in by the caller. `None`: no ECG, or none that can be
    /// judged. Computes: called on a blocking thread.
    fn look(&self, file: &[u8]) -> Option<GateWord>;
}

/// Settings of a township node.
#[derive(Clone)]
pub struct EdgeConfig {
    /// `https://HOST[:PORT]` of the centre; plain HTTP only on this machine.
    pub centre_url: String,
    /// PEM file of the authority that issued the centre's certificate; the public web's without it.
    pub centre_ca: Option<PathBuf>,
    /// Token of `gongying admin edge enrol`; needed once.
    pub enrolment_token: Option<String>,
    /// How much of the line may be used, and when.
    pub schedule: Schedule,
    /// Folder whose files are taken in.
    pub watch_dir: Option<PathBuf>,
    /// Folder of the reports that come back.
    pub reports_dir: PathBuf,
    /// Objects stay here for so long after the centre has them.
    pub kept: Duration,
    /// Makes files smaller for the way.
    pub coder: Arc<dyn Coder>,
    /// Makes objects of files in the watched folder that are not DICOM.
    pub importer: Arc<dyn Importer>,
    /// Says whether an ECG will do.
    pub gate: Arc<dyn Gate>,
    /// Version of the program.
    pub version: String,
}

/// Why a township node cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeError {
    /// A setting cannot be used.
    #[error("{0}")]
    Config(String),
    /// The archive is not one of a township node.
    #[error("the archive of a township node must be opened as its spool")]
    NoSpool,
    /// The archive failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A folder cannot be used.
    #[error("{path}: cannot be used: {source}; check the path and its rights")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Who this node is at the centre.
#[derive(Debug, Clone)]
struct Identity {
    node: String,
    institution_id: InstitutionId,
    institution_name: String,
    secret: String,
}

#[derive(Default)]
struct Counters {
    objects: AtomicU64,
    bytes: AtomicU64,
    travelled: AtomicU64,
}

struct Shared {
    archive: Archive,
    spool: Spool,
    config: EdgeConfig,
    target: Target,
    line: Line,
    pacer: Arc<Pacer>,
    board: Mutex<Board>,
    /// Counts changes of the board.
    board_changes: channel::Sender<u64>,
    /// Objects that somebody is at work on; no second one takes them.
    busy: Mutex<HashSet<SpoolId>>,
    identity: channel::Sender<Option<Identity>>,
    lists: Mutex<Lists>,
    counters: Counters,
    gate_words: Mutex<gate::Words>,
    rate: worker::Rate,
    started_at: UnixMicros,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Changes the board and tells everybody who waits for that.
    fn with_board<T>(&self, change: impl FnOnce(&mut Board) -> T) -> T {
        let value = change(&mut lock(&self.board));
        self.board_changes
            .send_modify(|count| *count = count.wrapping_add(1));
        value
    }

    fn free(&self, id: SpoolId) {
        lock(&self.busy).remove(&id);
    }

    /// Waits until this node was let in.
    async fn identity(&self) -> Identity {
        let mut known = self.identity.subscribe();
        loop {
            if let Some(identity) = known.borrow_and_update().clone() {
                return identity;
            }
            // The sender lives as long as this.
            let _ = known.changed().await;
        }
    }
}

/// A township node at work; a cheap handle.
#[derive(Clone)]
pub struct Edge {
    shared: Arc<Shared>,
}

impl Edge {
    /// Reads settings and what the last run left.
    ///
    /// # Errors
    /// Settings that cannot be used; an archive that is no spool.
    pub async fn open(archive: Archive, config: EdgeConfig) -> Result<Self, EdgeError> {
        let spool = archive.spool().ok_or(EdgeError::NoSpool)?;
        let address = Address::parse(&config.centre_url)?;
        let target = Target::new(address, config.centre_ca.as_deref(), &config.version)?;
        for folder in [Some(&config.reports_dir), config.watch_dir.as_ref()]
            .into_iter()
            .flatten()
        {
            std::fs::create_dir_all(folder).map_err(|source| EdgeError::Folder {
                path: folder.clone(),
                source,
            })?;
        }
        let lists = Lists::load(&spool).await?;
        let shared = Arc::new(Shared {
            target,
            spool,
            line: Line::new(),
            pacer: Arc::new(Pacer::new(config.schedule.clone())),
            board: Mutex::default(),
            board_changes: channel::Sender::new(0),
            busy: Mutex::default(),
            identity: channel::Sender::new(None),
            lists: Mutex::new(lists),
            counters: Counters::default(),
            gate_words: Mutex::default(),
            rate: worker::Rate::default(),
            started_at: UnixMicros::now(),
            archive,
            config,
        });
        enrol::recall(&shared).await?;
        Ok(Self { shared })
    }

    /// Tries to be let in for a while, when that was not done before: with the devices known, the ports can open.
    pub async fn enrol(&self, wait: Duration) {
        if tokio::time::timeout(wait, enrol::until_let_in(&self.shared))
            .await
            .is_err()
        {
            tracing::warn!("not enrolled yet: devices are let in as soon as the centre was reached once");
        }
    }

    /// Works until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        let shared = &self.shared;
        {
            let shared = shared.clone();
            tasks.spawn(async move { enrol::until_let_in(&shared).await });
        }
        for index in 0..WORKERS {
            tasks.spawn(worker::run(shared.clone(), index));
        }
        for urgent in [true, false] {
            tasks.spawn(feed::run(shared.clone(), urgent));
        }
        tasks.spawn(clerk::run(shared.clone()));
        tasks.spawn(news::run(shared.clone()));
        tasks.spawn(status::measure(shared.clone()));
        tasks.spawn(prune(shared.clone()));
        tasks.spawn(gate::run(shared.clone()));
        if let Some(folder) = shared.config.watch_dir.clone() {
            tasks.spawn(watch::run(shared.clone(), folder));
        }
        let failed = async {
            while let Some(ended) = tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a task of the township node ended");
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = failed => {}
        }
        // What is on its way is dropped: the centre keeps what came, and the queue what did not.
        tasks.shutdown().await;
    }
}

async fn prune(shared: Arc<Shared>) {
    loop {
        // What waits for longer than usual because the disk is short goes earlier.
        let (bytes, bytes_max) = shared.spool.bytes();
        let short = bytes > bytes_max / 10 * 8;
        let kept = if short { Duration::ZERO } else { shared.config.kept };
        match shared.spool.prune(kept).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "objects that the centre has were removed here"),
            Err(error) => tracing::warn!(%error, "old objects could not be removed"),
        }
        tokio::time::sleep(PRUNE_INTERVAL).await;
    }
}
