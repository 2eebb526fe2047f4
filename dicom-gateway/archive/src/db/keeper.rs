//! Moves the log of the SQLite file into the file, beside the writer: a commit then seldom has to
//! do it itself, in the middle of its flush.

use super::sqlite::{Conn, Role};
use crate::error::{ArchiveError, Result};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Time between two looks at the log.
const INTERVAL: Duration = Duration::from_secs(2);
/// Longest wait for another process that moves the log.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// While this lives the log is looked after.
pub(super) struct Keeper {
    _alive: Sender<()>,
}

/// Starts the keeper of a file that exists.
pub(super) fn start(path: &Path) -> Result<Keeper> {
    let (alive, ended) = channel::<()>();
    let file = path.to_path_buf();
    let look = move || {
        let mut conn = None;
        let mut moved_before = 0;
        while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
            let at_work = match &mut conn {
                Some(conn) => conn,
                None => match Conn::open(&file, Role::Keeper, WAIT_MAX) {
                    Ok(opened) => conn.insert(opened),
                    Err(error) => {
                        tracing::warn!(%error, "the index log cannot be looked after");
                        continue;
                    }
                },
            };
            match at_work.checkpoint() {
                Ok((_, moved)) if moved != moved_before => {
                    tracing::trace!(pages = moved, "index log moved");
                    moved_before = moved;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "the index log was not moved");
                    conn = None;
                }
            }
        }
    };
    std::thread::Builder::new()
        .name("index-keeper".to_owned())
        .spawn(look)
        .map_err(|error| ArchiveError::io("start the keeper of", path, error))?;
    Ok(Keeper { _alive: alive })
}
