//! Sending files by C-STORE over one or more associations, read ahead of the network.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Destination;
use super::client::{CONTEXTS_MAX, Client, Pair};
use super::files::{Item, Job, Piece, Queue, inspect, read_ahead};
use crate::GatewayError;
use crate::dimse::{self, field, status as codes};
use crate::pdu::push_p_data;

/// A file is begun at most this often.
const ATTEMPTS_MAX: u32 = 3;
/// Pause before a broken association is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
/// Associations used at once.
const ASSOCIATIONS_MAX: usize = 64;
/// Results that wait for the caller.
const RESULTS_WAITING_MAX: usize = 64;

/// How to send.
#[derive(Debug, Clone)]
pub struct SendOptions {
    /// Whom to.
    pub to: Destination,
    /// Associations used at once, 1 to 64.
    pub associations: usize,
    /// Limit of every single wait.
    pub timeout: Duration,
}

/// What became of one file.
#[derive(Debug, Clone)]
pub struct FileResult {
    /// The file.
    pub path: PathBuf,
    /// Its SOP Instance UID, when it could be read.
    pub sop_instance_uid: Option<String>,
    /// Bytes of its data set.
    pub bytes: u64,
    /// From the first byte sent to the answer.
    pub elapsed: Duration,
    /// The end of it.
    pub outcome: Outcome,
}

/// The end of one file's sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Status 0x0000.
    Stored,
    /// Stored with a warning status (0xB000 and others).
    StoredWithWarning(u16),
    /// A failure status and the other side's comment.
    Refused {
        /// As received.
        status: u16,
        /// Error Comment (0000,0902).
        comment: Option<String>,
    },
    /// It could not be read or sent.
    Failed(String),
}

impl Outcome {
    /// The other side has the object.
    pub fn is_stored(&self) -> bool {
        matches!(self, Self::Stored | Self::StoredWithWarning(_))
    }

    fn from_status(status: u16, comment: Option<String>) -> Self {
        match status {
            codes::SUCCESS => Self::Stored,
            warned if codes::is_warning(warned) => Self::StoredWithWarning(warned),
            _ => Self::Refused { status, comment },
        }
    }
}

/// What became of all files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendSummary {
    /// Files the other side has.
    pub stored: usize,
    /// Files that were refused or failed.
    pub failed: usize,
    /// Data set bytes of the stored files.
    pub bytes: u64,
}

/// Sends files. Each gets a result as soon as it is known; files are sent as they are, in their
/// own transfer syntax.
///
/// # Errors
/// When not even the first association can be opened. Files that fail on their own are results.
pub async fn send(
    files: Vec<PathBuf>,
    options: &SendOptions,
    mut on_result: impl FnMut(FileResult),
) -> Result<SendSummary, GatewayError> {
    let mut summary = SendSummary::default();
    let mut count = |result: FileResult| {
        if result.outcome.is_stored() {
            summary.stored += 1;
            summary.bytes += result.bytes;
        } else {
            summary.failed += 1;
        }
        on_result(result);
    };
    for (pairs, items) in group(scan(files, &mut count).await) {
        send_group(&pairs, items, options, &mut count).await?;
    }
    Ok(summary)
}

/// Looks at all files; those that are no DICOM are results already.
async fn scan(files: Vec<PathBuf>, count: &mut impl FnMut(FileResult)) -> Vec<Item> {
    let inspected = tokio::task::spawn_blocking(move || {
        files
            .into_iter()
            .map(|path| inspect(&path).map_err(|reason| (path, reason)))
            .collect::<Vec<_>>()
    });
    let mut items = Vec::new();
    for result in inspected.await.unwrap_or_default() {
        match result {
            Ok(item) => items.push(item),
            Err((path, reason)) => count(FileResult {
                path,
                sop_instance_uid: None,
                bytes: 0,
                elapsed: Duration::ZERO,
                outcome: Outcome::Failed(reason),
            }),
        }
    }
    items
}

/// Files in groups whose contexts fit one association, in their order.
fn group(items: Vec<Item>) -> Vec<(Vec<Pair>, Vec<Item>)> {
    let pairs: BTreeSet<Pair> = items.iter().map(|item| item.pair.clone()).collect();
    let pairs: Vec<Pair> = pairs.into_iter().collect();
    let mut groups: Vec<(Vec<Pair>, Vec<Item>)> = pairs
        .chunks(CONTEXTS_MAX)
        .map(|chunk| (chunk.to_vec(), Vec::new()))
        .collect();
    let place: HashMap<Pair, usize> = pairs
        .into_iter()
        .enumerate()
        .map(|(index, pair)| (pair, index / CONTEXTS_MAX))
        .collect();
    for item in items {
        if let Some((_, list)) = place.get(&item.pair).and_then(|&index| groups.get_mut(index)) {
            list.push(item);
        }
    }
    groups
}

async fn send_group(
    pairs: &[Pair],
    items: Vec<Item>,
    options: &SendOptions,
    count: &mut impl FnMut(FileResult),
) -> Result<(), GatewayError> {
    let queue = Queue::default();
    let workers = options.associations.clamp(1, ASSOCIATIONS_MAX).min(items.len());
    for item in items {
        queue.push(Job {
            item: Arc::new(item),
            attempts: 0,
        });
    }
    let first = Client::open(&options.to, pairs, options.timeout).await?;
    let (sender, mut results) = mpsc::channel(RESULTS_WAITING_MAX);
    let mut first = Some(first);
    for _ in 0..workers {
        let worker = Worker {
            queue: queue.clone(),
            pairs: pairs.to_vec(),
            options: options.clone(),
            results: sender.clone(),
        };
        tokio::spawn(worker.run(first.take()));
    }
    drop(sender);
    while let Some(result) = results.recv().await {
        count(result);
    }
    Ok(())
}

/// One association after another until the queue is empty.
struct Worker {
    queue: Queue,
    pairs: Vec<Pair>,
    options: SendOptions,
    results: mpsc::Sender<FileResult>,
}

/// Why an association was given up.
struct Broken {
    error: GatewayError,
    /// The file it broke in.
    job: Option<Job>,
}

impl Worker {
    async fn run(self, mut client: Option<Client>) {
        let mut failures = 0;
        while client.is_some() || !self.queue.is_empty() {
            let opened = match client.take() {
                Some(client) => Ok(client),
                None => Client::open(&self.options.to, &self.pairs, self.options.timeout).await,
            };
            let broken = match opened {
                Ok(client) => self.run_association(client).await.err(),
                Err(error) => Some(Broken { error, job: None }),
            };
            let Some(broken) = broken else { return };
            failures += 1;
            match broken.job {
                Some(job) if job.attempts + 1 < ATTEMPTS_MAX => {
                    self.queue.push(Job {
                        attempts: job.attempts + 1,
                        ..job
                    });
                    failures = 0;
                }
                Some(job) => {
                    self.tell(&job, Duration::ZERO, Outcome::Failed(broken.error.to_string()))
                        .await
                }
                None if failures >= ATTEMPTS_MAX => {
                    while let Some(job) = self.queue.pop() {
                        self.tell(&job, Duration::ZERO, Outcome::Failed(broken.error.to_string()))
                            .await;
                    }
                }
                None => {}
            }
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
    }

    async fn tell(&self, job: &Job, elapsed: Duration, outcome: Outcome) {
        let result = FileResult {
            path: job.item.path.clone(),
            sop_instance_uid: Some(job.item.sop_instance.clone()),
            bytes: job.item.length,
            elapsed,
            outcome,
        };
        // without a listener nobody wants to know
        let _ = self.results.send(result).await;
    }

    async fn run_association(&self, mut client: Client) -> Result<(), Broken> {
        let mut pieces = read_ahead(self.queue.clone());
        while let Some(piece) = pieces.recv().await {
            let Piece::Begin(job) = piece else { continue };
            let start = Instant::now();
            match self.send_one(&mut client, &job, &mut pieces).await {
                Ok(outcome) => self.tell(&job, start.elapsed(), outcome).await,
                Err(error) => {
                    client.abort().await;
                    pieces.close();
                    while let Some(piece) = pieces.recv().await {
                        if let Piece::Begin(job) = piece {
                            self.queue.push(job);
                        }
                    }
                    return Err(Broken {
                        error,
                        job: Some(job),
                    });
                }
            }
        }
        client.release().await;
        Ok(())
    }

    /// Sends one file; an error means that the association is of no use any more.
    async fn send_one(
        &self,
        client: &mut Client,
        job: &Job,
        pieces: &mut mpsc::Receiver<Piece>,
    ) -> Result<Outcome, GatewayError> {
        let item = &job.item;
        let Some(context) = client.context(&item.pair) else {
            // what was read ahead of this file is passed over by the caller's loop
            let (class, syntax) = (&item.pair.sop_class, &item.pair.transfer_syntax);
            let reason =
                format!("the other side takes no objects of class {class} in transfer syntax {syntax}");
            return Ok(Outcome::Failed(reason));
        };
        let message_id = client.next_message_id();
        let request = dimse::request(
            field::C_STORE_RQ,
            message_id,
            &item.pair.sop_class,
            Some(&item.sop_instance),
            true,
        );
        let mut bytes = Vec::new();
        dimse::push_message(&mut bytes, context, &request, None, client.peer_pdu_bytes_max)
            .map_err(|error| client.broken(error))?;
        let mut left = item.length;
        if left == 0 {
            return Ok(Outcome::Failed("the file holds no data set".into()));
        }
        loop {
            let piece = match pieces.recv().await {
                Some(Piece::Data(piece)) => piece,
                Some(Piece::Failed(reason)) => return cannot_read(client, &bytes, reason),
                _ => return Err(client.broken("the file could not be read to its end")),
            };
            left = left.saturating_sub(piece.len() as u64);
            push_p_data(
                &mut bytes,
                context,
                false,
                left == 0,
                &piece,
                client.peer_pdu_bytes_max,
            );
            client.write(&bytes).await?;
            bytes.clear();
            if left == 0 {
                break;
            }
        }
        let answer = client.answer(message_id).await?;
        Ok(Outcome::from_status(
            answer.status,
            answer.set.text(dataset::tags::ERROR_COMMENT),
        ))
    }
}

/// A file that fails before a byte of it was sent is its own failure; later the association is in
/// the middle of a message and must end.
fn cannot_read(client: &Client, unsent: &[u8], reason: String) -> Result<Outcome, GatewayError> {
    if unsent.is_empty() {
        Err(client.broken(reason))
    } else {
        Ok(Outcome::Failed(reason))
    }
}
