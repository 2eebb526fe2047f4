//! One connection of several: takes the next chunk from the board, sends it, notes the answer.

use super::board::{After, Chunk, Done, Key, Load};
use super::client::{Ask, Connection, Content, LineError, json, read};
use super::{Shared, URGENT_WORKERS, lock, status};
use archive::edge::status::LineState;
use archive::edge::wire::{
    CHUNK_DIGEST_HEADER, HeartbeatAnswer, OFFER_HEADER, OFFERS_MAX, ObjectOffer, Offers, Standing, Standings,
};
use archive::{ArchiveError, Sha256Digest, UnixMicros};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// Heartbeats also keep a connection open for what is urgent.
const BEAT_INTERVAL: Duration = Duration::from_secs(15);
/// Time for a chunk, or for the centre to put an object away.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(90);
const ASK_TIMEOUT: Duration = Duration::from_secs(40);
/// A chunk is about what the line carries in this time: with all connections at work, less than a megabyte is on its
/// way at any moment, and enough that the line is never idle at 300 ms.
const CHUNK_TIME_S: f64 = 0.125;
const CHUNK_BYTES_MIN: u64 = 32 << 10;
const CHUNK_BYTES_MAX: u64 = 160 << 10;
/// The centre is asked again so long after it said that it puts an object away.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// An object that the centre could not take now is tried again after this time.
const PUT_OFF: Duration = Duration::from_secs(15);
/// Time over which the pace is measured.
const RATE_TIME: Duration = Duration::from_secs(4);

/// How fast chunks got through lately.
#[derive(Default)]
pub(super) struct Rate {
    lately: Mutex<VecDeque<(Instant, u64)>>,
}

impl Rate {
    fn note(&self, bytes: u64) {
        let now = Instant::now();
        let mut lately = lock(&self.lately);
        lately.push_back((now, bytes));
        while lately.front().is_some_and(|(at, _)| now - *at > RATE_TIME) {
            lately.pop_front();
        }
    }

    fn bytes_per_s(&self) -> f64 {
        let sum: u64 = lock(&self.lately).iter().map(|(_, bytes)| bytes).sum();
        sum as f64 / RATE_TIME.as_secs_f64()
    }
}

fn chunk_bytes(shared: &Shared) -> u64 {
    let measured = shared.rate.bytes_per_s();
    let rate = match shared.pacer.limit_kbps() {
        Some(kbps) => measured.min(kbps as f64 * 125.0),
        None => measured,
    };
    ((rate * CHUNK_TIME_S) as u64).clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX)
}

enum Job {
    Ask(Vec<(Key, ObjectOffer)>),
    Send(Box<Chunk>),
    Beat,
}

struct Worker {
    shared: Arc<Shared>,
    index: usize,
    connection: Option<Connection>,
    secret: String,
    beat_at: Instant,
}

/// Works for ever.
pub(super) async fn run(shared: Arc<Shared>, index: usize) {
    let mut worker = Worker {
        secret: String::new(),
        connection: None,
        beat_at: Instant::now(),
        shared,
        index,
    };
    loop {
        worker.secret = worker.shared.identity().await.secret;
        if !worker.shared.line.is_up() {
            worker.connection = None;
            if index > 0 {
                worker.shared.line.up().await;
            } else {
                tokio::time::sleep_until(worker.shared.line.retry_at()).await;
            }
        }
        let job = worker.next().await;
        let begun = Instant::now();
        if let Err(error) = worker.perform(&job).await {
            worker.failed(job, begun, &error).await;
        }
    }
}

impl Worker {
    async fn next(&mut self) -> Job {
        let mut changes = self.shared.board_changes.subscribe();
        loop {
            changes.borrow_and_update();
            let up = self.shared.line.is_up();
            let size = chunk_bytes(&self.shared);
            {
                let mut board = lock(&self.shared.board);
                if self.index < URGENT_WORKERS && (up || self.index == 0) {
                    let asks = board.due_questions(OFFERS_MAX);
                    if !asks.is_empty() {
                        return Job::Ask(asks);
                    }
                }
                if up && let Some(chunk) = board.next(self.index < URGENT_WORKERS, size) {
                    return Job::Send(Box::new(chunk));
                }
            }
            if self.index == 0 && (!up || self.beat_at <= Instant::now()) {
                return Job::Beat;
            }
            if !up {
                self.connection = None;
                self.shared.line.up().await;
                continue;
            }
            let wake = match self.index {
                0 => self.beat_at,
                _ => Instant::now() + BEAT_INTERVAL,
            };
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    async fn ask(&mut self, ask: Ask) -> Result<Bytes, LineError> {
        let fresh = self.connection.take().filter(Connection::is_fresh);
        let mut connection = match fresh {
            Some(connection) => connection,
            None => self.shared.target.connect().await?,
        };
        let answer = connection.ask(&self.shared.target, Some(&self.secret), ask).await;
        if !answer.as_ref().is_err_and(LineError::is_line) {
            self.connection = Some(connection);
        }
        if answer.is_ok() {
            self.shared.line.answered();
        }
        answer
    }

    async fn perform(&mut self, job: &Job) -> Result<(), LineError> {
        match job {
            Job::Ask(asks) => self.offer(asks).await,
            Job::Send(chunk) => self.send(chunk).await,
            Job::Beat => self.beat().await,
        }
    }

    async fn offer(&mut self, asks: &[(Key, ObjectOffer)]) -> Result<(), LineError> {
        let objects = asks.iter().map(|(_, offer)| offer.clone()).collect();
        let ask = Ask {
            method: Method::POST,
            path: "/api/edge/offers".to_owned(),
            headers: Vec::new(),
            content: json(&Offers { objects }),
            timeout: ASK_TIMEOUT,
        };
        let answer: Standings = read(&self.ask(ask).await?)?;
        if answer.objects.len() != asks.len() {
            return Err(LineError::Answer("not one answer for each object".to_owned()));
        }
        let mut later = Vec::new();
        for ((key, _), standing) in asks.iter().zip(answer.objects) {
            if standing == Standing::Finishing {
                later.push(*key);
                continue;
            }
            let after = self.shared.with_board(|board| board.told(*key, standing));
            self.settle(after).await;
        }
        if !later.is_empty() {
            self.ask_again(later);
        }
        Ok(())
    }

    fn ask_again(&self, keys: Vec<Key>) {
        let shared = self.shared.clone();
        tokio::spawn(async move {
            tokio::time::sleep(ASK_AGAIN).await;
            shared.with_board(|board| board.unasked(&keys));
        });
    }

    async fn send(&mut self, chunk: &Chunk) -> Result<(), LineError> {
        let bytes = load(&self.shared, chunk)
            .await
            .map_err(|error| LineError::Answer(error.to_string()))?;
        let offer = serde_json::to_string(&chunk.offer).unwrap_or_default();
        let (class, pacer) = (chunk.key.0, self.shared.pacer.clone());
        let ask = Ask {
            method: Method::PUT,
            path: format!("/api/edge/objects/{}/{}", chunk.offer.digest, chunk.from),
            headers: vec![
                (OFFER_HEADER, offer),
                (CHUNK_DIGEST_HEADER, Sha256Digest::of(&bytes).to_hex()),
            ],
            content: Content::Paced(bytes, class, pacer),
            timeout: CHUNK_TIMEOUT,
        };
        let standing: Standing = read(&self.ask(ask).await?)?;
        self.shared.rate.note(chunk.to - chunk.from);
        self.shared
            .counters
            .travelled
            .fetch_add(chunk.to - chunk.from, Ordering::Relaxed);
        let after = self.shared.with_board(|board| board.answered(chunk, standing));
        self.settle(after).await;
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), LineError> {
        let told = status::heartbeat(&self.shared)
            .await
            .map_err(|error| LineError::Answer(error.to_string()))?;
        self.beat_at = Instant::now() + BEAT_INTERVAL;
        let asked = UnixMicros::now();
        let ask = Ask {
            method: Method::POST,
            path: "/api/edge/heartbeat".to_owned(),
            headers: Vec::new(),
            content: json(&told),
            timeout: ASK_TIMEOUT,
        };
        let answer: HeartbeatAnswer = read(&self.ask(ask).await?)?;
        self.shared.line.clock(asked, answer.now);
        Ok(())
    }

    async fn settle(&self, after: After) {
        let shared = &self.shared;
        let (done, written) = match after {
            After::Go => return,
            After::Sent(done) => {
                let written = shared.spool.sent(done.waiting.id).await;
                shared.counters.objects.fetch_add(1, Ordering::Relaxed);
                shared
                    .counters
                    .bytes
                    .fetch_add(done.waiting.size_bytes, Ordering::Relaxed);
                (done, written)
            }
            After::Refused(done, reason) => {
                let uid = &done.waiting.sop_instance_uid;
                tracing::warn!(sop_instance_uid = %uid, reason, "the centre refuses an object");
                let written = shared.spool.refused(&done.waiting, &reason).await;
                (done, written)
            }
        };
        if let Err(error) = written {
            // It stays in the queue; the centre will say again that it has it.
            tracing::warn!(%error, "the queue cannot be written");
        }
        let Done { waiting, .. } = *done;
        shared.free(waiting.id);
        shared.with_board(|_| ());
    }

    async fn failed(&mut self, job: Job, begun: Instant, error: &LineError) {
        let shared = self.shared.clone();
        if error.is_line() {
            shared.line.failed(begun, &error.to_string());
        } else if error.is_shut_out() {
            shared.line.shut_out(LineState::Refused, &error.to_string());
        } else {
            tracing::warn!(%error, "the centre does not take a request");
        }
        let by_request = !error.is_line() && !error.is_shut_out();
        match job {
            Job::Beat => {}
            Job::Ask(asks) => {
                if by_request {
                    tokio::time::sleep(ASK_AGAIN).await;
                }
                let keys: Vec<Key> = asks.iter().map(|(key, _)| *key).collect();
                shared.with_board(|board| board.unasked(&keys));
            }
            Job::Send(chunk) if by_request => self.put_off(&chunk, error).await,
            Job::Send(chunk) => shared.with_board(|board| board.lost(&chunk)),
        }
    }

    /// The centre answered, but did not take the chunk: its object is tried again later.
    async fn put_off(&self, chunk: &Chunk, error: &LineError) {
        let shared = &self.shared;
        let Some(waiting) = shared.with_board(|board| board.take_off(chunk.key)) else {
            return;
        };
        let written = match error {
            LineError::Status {
                status: StatusCode::UNPROCESSABLE_ENTITY,
                detail,
                ..
            } => shared.spool.refused(&waiting, detail).await,
            LineError::Status { retry_after, .. } => {
                let wait = retry_after.unwrap_or(PUT_OFF).min(Duration::from_secs(600));
                shared.spool.postpone(waiting.id, wait, &error.to_string()).await
            }
            _ => {
                shared
                    .spool
                    .postpone(waiting.id, PUT_OFF, &error.to_string())
                    .await
            }
        };
        if let Err(error) = written {
            tracing::warn!(%error, "the queue cannot be written");
        }
        shared.free(waiting.id);
        shared.with_board(|_| ());
    }
}

async fn load(shared: &Shared, chunk: &Chunk) -> Result<Bytes, ArchiveError> {
    match &chunk.load {
        Load::Memory(bytes) => {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            Ok(bytes.slice(place(chunk.from)..place(chunk.to)))
        }
        Load::Store(key) => {
            let (archive, key, from, to) = (shared.archive.clone(), key.clone(), chunk.from, chunk.to);
            let read = tokio::task::spawn_blocking(move || archive.store().read_range(&key, from, to - from));
            Ok(Bytes::from(read.await.map_err(|_| ArchiveError::Closed)??))
        }
    }
}
