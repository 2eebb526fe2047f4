//! The single writer of SQLite: waiting writers share one transaction and one flush to disk. It is
//! a thread of its own: a statement is a function call there, no message to another thread.

use super::sqlite::Conn;
use super::tx::{Tx, TxConn};
use super::wait::wait;
use crate::audit::AuditSigner;
use crate::error::{ArchiveError, FLUSH_FAILED, Result};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Writers that share one COMMIT at most.
const BATCH_WRITERS_MAX: usize = 128;
/// Writers waiting for the next batch at most; more wait at the door.
pub(super) const QUEUE_WRITERS_MAX: usize = 4096;
/// Longest time one writer may hold the transaction.
const WRITER_TIME_MAX: Duration = Duration::from_secs(60);

/// A writer: does its statements, keeps its result until the batch is durable.
pub(super) trait Work: Send {
    /// Runs the statements; `true` when they should stay.
    fn run(&mut self, tx: &mut Tx) -> bool;
    /// What its rows can be made from again, when its COMMIT need not be flushed.
    fn backing(&self) -> Option<Arc<dyn Backing>>;
    /// Hands the result to who waits for it; an error when the batch was undone.
    fn settle(self: Box<Self>, batch: Result<(), String>);
}

/// Something durable from which the rows of a transaction can be made again after a crash.
pub(crate) trait Backing: Send + Sync {
    /// Waits until it is on stable storage. Called after COMMIT, before the answer.
    fn flush(&self) -> Result<()>;
}

/// A closure with the channel its result goes to.
pub(super) struct ClosureWork<F, T, E> {
    closure: Option<F>,
    backing: Option<Arc<dyn Backing>>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> ClosureWork<F, T, E> {
    pub(super) fn new(
        closure: F,
        backing: Option<Arc<dyn Backing>>,
        answer: oneshot::Sender<Result<T, E>>,
    ) -> Self {
        Self {
            closure: Some(closure),
            backing,
            result: None,
            answer,
        }
    }
}

impl<F, T, E> Work for ClosureWork<F, T, E>
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send,
    T: Send,
    E: From<ArchiveError> + Send,
{
    fn run(&mut self, tx: &mut Tx) -> bool {
        // Nobody waits any more: do nothing at all.
        if self.answer.is_closed() {
            return false;
        }
        let Some(closure) = self.closure.take() else {
            return false;
        };
        let guarded = async { AssertUnwindSafe(closure(tx)).catch_unwind().await };
        let result = match wait(guarded, WRITER_TIME_MAX) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(E::from(ArchiveError::Corrupt(
                "a writer ended unexpectedly".to_owned(),
            ))),
            None => Err(E::from(ArchiveError::Busy(
                "a writer held the index for too long".to_owned(),
            ))),
        };
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn backing(&self) -> Option<Arc<dyn Backing>> {
        self.backing.clone()
    }

    fn settle(self: Box<Self>, batch: Result<(), String>) {
        let result = match (self.result, batch) {
            (Some(Err(own)), _) => Err(own),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (_, Err(why)) => Err(E::from(batch_error(why))),
            (None, Ok(())) => Err(E::from(ArchiveError::Closed)),
        };
        // The asker may have gone; its rows are durable all the same.
        let _ = self.answer.send(result);
    }
}

fn batch_error(why: String) -> ArchiveError {
    if why.contains("no space") || why.contains("disk is full") {
        ArchiveError::OutOfSpace(why)
    } else if why.contains(FLUSH_FAILED) {
        // Not to be tried again: the next flush would succeed and prove nothing.
        ArchiveError::StorageFailing(why)
    } else {
        ArchiveError::Busy(why)
    }
}

/// Serves the queue until every handle is gone. The writers' runtime is entered, for those that use
/// it; nothing of it is waited for.
pub(super) fn serve(
    conn: Conn,
    mut queue: mpsc::Receiver<Box<dyn Work>>,
    signer: &AuditSigner,
    runtime: &tokio::runtime::Handle,
    unflushed: &AtomicBool,
) {
    let _entered = runtime.enter();
    let mut tx = Tx::new(TxConn::Sqlite(Box::new(conn)));
    let mut batch = Vec::with_capacity(BATCH_WRITERS_MAX);
    let mut flushes = true;
    let mut failing = None;
    while queue.blocking_recv_many(&mut batch, BATCH_WRITERS_MAX) > 0 {
        let all_backed = batch.iter().all(|work| work.backing().is_some());
        let outcome = match failing {
            Some(_) => Err(ArchiveError::Closed),
            None => set_flush(&mut tx, &mut flushes, !all_backed)
                .and_then(|()| run_batch(&mut tx, &mut batch, signer)),
        };
        let after = std::mem::take(&mut tx.on_commit);
        if let Err(error) = &outcome {
            tracing::error!(%error, "a batch of index writes was undone");
            // COMMIT or a statement failed: make sure that no transaction stays open.
            let _ = tx.sqlite().and_then(|conn| conn.execute("ROLLBACK", &[]));
        }
        if failing.is_none() && matches!(outcome, Err(ArchiveError::StorageFailing(_))) {
            failing = outcome.as_ref().err().map(ToString::to_string);
        }
        let outcome = match &failing {
            Some(why) => Err(why.clone()),
            None => outcome.map_err(|error| error.to_string()),
        };
        let mut backed = Ok(());
        if outcome.is_ok() {
            unflushed.store(!flushes, Ordering::Release);
            backed = flush_backings(&batch).map_err(|error| error.to_string());
            after.into_iter().for_each(|then| then());
        }
        for work in batch.drain(..) {
            let flushed = match work.backing() {
                Some(_) => backed.clone(),
                None => Ok(()),
            };
            work.settle(outcome.clone().and(flushed));
        }
    }
}

/// Whether COMMIT waits for stable storage; can be changed only between transactions.
fn set_flush(tx: &mut Tx, now: &mut bool, wanted: bool) -> Result<()> {
    if *now != wanted {
        let level = if wanted { "FULL" } else { "NORMAL" };
        tx.sqlite()?.batch(&format!("PRAGMA synchronous = {level}"))?;
        *now = wanted;
    }
    Ok(())
}

fn flush_backings(batch: &[Box<dyn Work>]) -> Result<()> {
    let mut flushed: Vec<Arc<dyn Backing>> = Vec::new();
    for backing in batch.iter().filter_map(|work| work.backing()) {
        if !flushed.iter().any(|done| Arc::ptr_eq(done, &backing)) {
            backing.flush()?;
            flushed.push(backing);
        }
    }
    Ok(())
}

fn run_batch(tx: &mut Tx, batch: &mut [Box<dyn Work>], signer: &AuditSigner) -> Result<()> {
    tx.sqlite()?.execute("BEGIN IMMEDIATE", &[])?;
    let mut entries = Vec::new();
    let mut after = Vec::new();
    for work in batch.iter_mut() {
        tx.sqlite()?.execute("SAVEPOINT writer", &[])?;
        if work.run(tx) {
            entries.append(&mut tx.audit);
            after.append(&mut tx.on_commit);
        } else {
            tx.sqlite()?.execute("ROLLBACK TO writer", &[])?;
            tx.audit.clear();
            tx.on_commit.clear();
        }
        tx.sqlite()?.execute("RELEASE writer", &[])?;
    }
    if !entries.is_empty() {
        let appended = wait(crate::audit::append(tx, entries, signer), WRITER_TIME_MAX);
        appended.unwrap_or(Err(ArchiveError::Closed))?;
    }
    tx.sqlite()?.execute("COMMIT", &[])?;
    tx.on_commit = after;
    Ok(())
}
