//! The readers of the SQLite file: a few connections, used on blocking threads.

use super::sqlite::{Conn, Role};
use crate::error::{ArchiveError, Result};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Reads at once.
const READERS_MAX: usize = 8;

/// Connections that read; made when they are first needed.
pub(super) struct Readers {
    path: PathBuf,
    wait_max: Duration,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Conn>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, wait_max: Duration) -> Self {
        Self {
            path,
            wait_max,
            slots: Arc::new(Semaphore::new(READERS_MAX)),
            idle: Mutex::default(),
        }
    }

    /// Runs `read` with a connection of its own on a blocking thread.
    pub(super) async fn run<T, F, E>(self: &Arc<Self>, read: F) -> Result<T, E>
    where
        F: FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<ArchiveError> + Send + 'static,
    {
        let turn = tokio::time::timeout(self.wait_max, Arc::clone(&self.slots).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            let why = "no reader of the index is free".to_owned();
            return Err(ArchiveError::Busy(why).into());
        };
        let readers = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut conn = readers.take()?;
            let value = read(&mut conn);
            readers.lock().push(conn);
            value
        });
        work.await.unwrap_or_else(|_| Err(ArchiveError::Closed.into()))
    }

    /// A connection that does not go back to the others when it is dropped.
    pub(super) fn take(&self) -> Result<Conn> {
        match self.lock().pop() {
            Some(conn) => Ok(conn),
            None => Conn::open(&self.path, Role::Reader, self.wait_max),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Conn>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
