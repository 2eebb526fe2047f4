//! The single writer of SQLite: waiting writers share one transaction and one flush to disk.

use super::tx::{Tx, TxConn};
use crate::audit::AuditSigner;
use crate::error::{ArchiveError, Result};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
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
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, bool>;
    /// Hands the result to who waits for it; an error when the batch was undone.
    fn settle(self: Box<Self>, batch: Result<(), String>);
}

/// A closure with the channel its result goes to.
pub(super) struct ClosureWork<F, T, E> {
    closure: Option<F>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> ClosureWork<F, T, E> {
    pub(super) fn new(closure: F, answer: oneshot::Sender<Result<T, E>>) -> Self {
        Self {
            closure: Some(closure),
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
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, bool> {
        Box::pin(async move {
            // Nobody waits any more: do nothing at all.
            if self.answer.is_closed() {
                return false;
            }
            let Some(closure) = self.closure.take() else {
                return false;
            };
            let guarded = AssertUnwindSafe(closure(tx)).catch_unwind();
            let result = match tokio::time::timeout(WRITER_TIME_MAX, guarded).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(E::from(ArchiveError::Corrupt(
                    "a writer ended unexpectedly".to_owned(),
                ))),
                Err(_) => Err(E::from(ArchiveError::Busy(
                    "a writer held the index for too long".to_owned(),
                ))),
            };
            let keep = result.is_ok();
            self.result = Some(result);
            keep
        })
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
    } else {
        ArchiveError::Busy(why)
    }
}

/// Serves the queue until every handle is gone, then closes the connection.
pub(super) async fn serve(
    conn: sqlx::sqlite::SqliteConnection,
    mut queue: mpsc::Receiver<Box<dyn Work>>,
    signer: Arc<AuditSigner>,
) {
    let mut tx = Tx::new(TxConn::Sqlite(Box::new(conn)));
    let mut batch = Vec::with_capacity(BATCH_WRITERS_MAX);
    while queue.recv_many(&mut batch, BATCH_WRITERS_MAX).await > 0 {
        let outcome = run_batch(&mut tx, &mut batch, &signer).await;
        let after = std::mem::take(&mut tx.on_commit);
        if let Err(error) = &outcome {
            tracing::error!(%error, "a batch of index writes was undone");
            // COMMIT or a statement failed: make sure that no transaction stays open.
            let _ = tx.execute("ROLLBACK", Vec::new()).await;
        }
        let outcome = outcome.map_err(|error| error.to_string());
        if outcome.is_ok() {
            after.into_iter().for_each(|then| then());
        }
        for work in batch.drain(..) {
            work.settle(outcome.clone());
        }
    }
    if let TxConn::Sqlite(conn) = tx.conn {
        let _ = sqlx::Connection::close(*conn).await;
    }
}

async fn run_batch(tx: &mut Tx, batch: &mut [Box<dyn Work>], signer: &AuditSigner) -> Result<()> {
    tx.execute("BEGIN IMMEDIATE", Vec::new()).await?;
    let mut entries = Vec::new();
    let mut after = Vec::new();
    for work in batch.iter_mut() {
        tx.execute("SAVEPOINT writer", Vec::new()).await?;
        if work.run(tx).await {
            entries.append(&mut tx.audit);
            after.append(&mut tx.on_commit);
        } else {
            tx.execute("ROLLBACK TO writer", Vec::new()).await?;
            tx.audit.clear();
            tx.on_commit.clear();
        }
        tx.execute("RELEASE writer", Vec::new()).await?;
    }
    if !entries.is_empty() {
        crate::audit::append(tx, entries, signer).await?;
    }
    tx.execute("COMMIT", Vec::new()).await?;
    tx.on_commit = after;
    Ok(())
}
