//! Who still waits on the association on which they asked.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use dataset::DataSet;
use tokio::sync::{Notify, mpsc, oneshot};

use super::Asked;
use crate::dimse::{Command, status};

/// Results that wait for one association.
const NOTICES_MAX: usize = 16;
/// Askers that are remembered; more than these get their result over a new association.
const ASKERS_MAX: usize = 10_000;

/// A result for the association on which it was asked for.
pub(crate) struct Notice {
    /// Event Type ID.
    pub(super) event: u16,
    pub(super) result: DataSet,
    /// Told when the device has taken it; dropped when it will not.
    pub(super) taken: oneshot::Sender<()>,
}

/// The associations on which something was asked for, by device and transaction.
#[derive(Default)]
pub(crate) struct Desk {
    askers: Mutex<HashMap<(String, String), mpsc::Sender<Notice>>>,
    news: Notify,
}

impl Desk {
    fn key(asked: &Asked) -> (String, String) {
        (asked.device.clone(), asked.transaction.clone())
    }

    pub(super) fn expect(&self, asked: &Asked, sender: mpsc::Sender<Notice>) {
        let mut askers = self.askers.lock().unwrap_or_else(PoisonError::into_inner);
        if askers.len() >= ASKERS_MAX {
            askers.retain(|_, sender| !sender.is_closed());
        }
        if askers.len() < ASKERS_MAX {
            askers.insert(Self::key(asked), sender);
        }
    }

    /// The association that asked, once.
    pub(super) fn take(&self, asked: &Asked) -> Option<mpsc::Sender<Notice>> {
        let mut askers = self.askers.lock().unwrap_or_else(PoisonError::into_inner);
        askers
            .remove(&Self::key(asked))
            .filter(|sender| !sender.is_closed())
    }

    /// There is a new request.
    pub(super) fn wake(&self) {
        self.news.notify_one();
    }

    pub(super) async fn woken(&self) {
        self.news.notified().await;
    }
}

/// The end of an association's line to the desk.
#[derive(Default)]
pub(crate) struct Notices {
    line: Option<(mpsc::Sender<Notice>, mpsc::Receiver<Notice>)>,
    /// Reports without an answer, by their message number.
    open: HashMap<u16, oneshot::Sender<()>>,
    message_id: u16,
}

impl Notices {
    /// Something was asked for here.
    pub(crate) fn are_expected(&self) -> bool {
        self.line.is_some()
    }

    pub(super) fn sender(&mut self) -> mpsc::Sender<Notice> {
        let line = self.line.get_or_insert_with(|| mpsc::channel(NOTICES_MAX));
        line.0.clone()
    }

    /// Waits for the next result, for ever when none was asked for.
    pub(crate) async fn next(&mut self) -> Notice {
        if let Some((_, receiver)) = &mut self.line
            && let Some(notice) = receiver.recv().await
        {
            return notice;
        }
        std::future::pending().await
    }

    /// A report goes out; its message number.
    pub(super) fn sent(&mut self, taken: oneshot::Sender<()>) -> u16 {
        self.message_id = self.message_id.checked_add(1).unwrap_or(1);
        self.open.retain(|_, taken| !taken.is_closed());
        self.open.insert(self.message_id, taken);
        self.message_id
    }

    /// The device answered a report. One that it could not take is told again elsewhere.
    pub(crate) fn answered(&mut self, answer: &Command) {
        if let Some(taken) = self.open.remove(&answer.responded_id)
            && answer.status == status::SUCCESS
        {
            // nobody waits any more when it took too long; then it comes twice
            let _ = taken.send(());
        }
    }
}
