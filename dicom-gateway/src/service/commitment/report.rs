//! Telling the result: on the association that asked when it is still there, else on a new one to
//! the device's listener, again and again until the device has taken it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use archive::outbox::Letter;
use archive::{OutboxId, UnixMicros};
use dataset::{DataSet, tags, uids, write};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use super::check::{Checked, check};
use super::{Asked, DESTINATION, Notice};
use crate::association::{Ended, Peer, Service};
use crate::dimse::{self, field};
use crate::server::Gateway;
use crate::service::listener;

/// Requests worked on at once; only one of them reads files.
const REQUESTS_MAX: usize = 8;
/// How often requests of other processes, and those that wait for another attempt, are looked for.
const POLL_INTERVAL: Duration = Duration::from_secs(3);
/// A request whose process died is taken up by another after this.
const LEASE: Duration = Duration::from_secs(60);
/// Most devices end the association right after they asked; the result waits so long for that.
const RELEASE_GRACE: Duration = Duration::from_millis(500);
/// Time for the answer to a report on the association that asked.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Shortest and longest pause before another attempt.
const RETRY_MIN: Duration = Duration::from_secs(10);
const RETRY_MAX: Duration = Duration::from_secs(3600);
/// A result that could not be told for this long is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(3 * 24 * 3600);

/// Works on storage commitments until the gateway shuts down.
pub(crate) async fn run(gateway: Arc<Gateway>) {
    let reading = Arc::new(Semaphore::new(1));
    let in_work = InWork::default();
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let room = REQUESTS_MAX.saturating_sub(tasks.len());
        match gateway
            .archive
            .outbox()
            .due(DESTINATION, u32::try_from(room).unwrap_or(0))
            .await
        {
            Ok(letters) => {
                for letter in letters {
                    if claim(&gateway, &letter).await {
                        in_work.lock().insert(letter.id);
                        let work = handle(
                            Arc::clone(&gateway),
                            Arc::clone(&reading),
                            letter,
                            in_work.clone(),
                        );
                        tasks.spawn(work);
                    }
                }
            }
            Err(error) => warn!("storage commitments cannot be looked for: {error}"),
        }
        tokio::select! {
            () = gateway.shutdown.cancelled() => break,
            () = gateway.commitments.woken() => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
    }
    tasks.shutdown().await;
    // whoever comes next need not wait for the leases
    let left: Vec<OutboxId> = in_work.lock().drain().collect();
    let outbox = gateway.archive.outbox();
    for id in left {
        let freed = outbox.postpone(id, Duration::ZERO, "the gateway ended");
        if let Err(error) = freed.await {
            debug!("a lease cannot be given back: {error}");
        }
    }
}

/// Requests that this process works on.
#[derive(Clone, Default)]
struct InWork(Arc<Mutex<HashSet<OutboxId>>>);

impl InWork {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<OutboxId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn claim(gateway: &Gateway, letter: &Letter) -> bool {
    match gateway.archive.outbox().claim_one(letter, LEASE).await {
        Ok(claimed) => claimed,
        Err(error) => {
            warn!("a storage commitment cannot be taken up: {error}");
            false
        }
    }
}

async fn handle(gateway: Arc<Gateway>, reading: Arc<Semaphore>, letter: Letter, in_work: InWork) {
    let outcome = tokio::select! {
        outcome = attempt(&gateway, &reading, &letter) => outcome,
        () = renew(&gateway, letter.id) => return,
    };
    let outbox = gateway.archive.outbox();
    let age = UnixMicros::now().since(letter.created_at);
    let kept = match outcome {
        Ok(()) => outbox.delivered(letter.id).await.map(|_| ()),
        Err(words) if age > GIVE_UP_AFTER => {
            warn!("a storage commitment result is given up: {words}");
            outbox.delivered(letter.id).await.map(|_| ())
        }
        Err(words) => {
            let wait = age.clamp(RETRY_MIN, RETRY_MAX);
            warn!(
                "a storage commitment result is told again in {} s: {words}",
                wait.as_secs()
            );
            outbox.postpone(letter.id, wait, &words).await
        }
    };
    if let Err(error) = kept {
        warn!("the state of a storage commitment cannot be kept: {error}");
    }
    in_work.lock().remove(&letter.id);
}

/// Keeps the lease while the work goes on.
async fn renew(gateway: &Gateway, id: OutboxId) {
    loop {
        tokio::time::sleep(LEASE / 2).await;
        if let Err(error) = gateway.archive.outbox().postpone(id, LEASE, "in work").await {
            debug!("a lease cannot be renewed: {error}");
        }
    }
}

async fn attempt(gateway: &Gateway, reading: &Semaphore, letter: &Letter) -> Result<(), String> {
    let Some(asked) = Asked::from_bytes(&letter.letter.payload) else {
        warn!("a storage commitment request that cannot be read is dropped");
        return Ok(());
    };
    let checked = {
        let _one_at_a_time = reading
            .acquire()
            .await
            .map_err(|_| "the gateway ends".to_owned())?;
        check(&gateway.archive, &asked)
            .await
            .map_err(|error| error.to_string())?
    };
    tokio::time::sleep(RELEASE_GRACE).await;
    let place = if tell_here(gateway, &asked, &checked).await {
        "the association that asked"
    } else {
        tell_anew(gateway, &asked, &checked).await?;
        "a new association"
    };
    let (safe, failed) = checked.counts();
    metrics::counter!("gongying_dicom_commitment_total", "result" => if failed == 0 { "safe" } else { "failed" })
        .increment(1);
    info!(device = %asked.device, safe, failed, "storage commitment told on {place}");
    Ok(())
}

/// True when the device took the result on the association on which it asked.
async fn tell_here(gateway: &Gateway, asked: &Asked, checked: &Checked) -> bool {
    let Some(line) = gateway.commitments.take(asked) else {
        return false;
    };
    let (taken, answer) = oneshot::channel();
    let notice = Notice {
        event: checked.event(),
        result: checked.to_data_set(asked, &gateway.config.ae_title),
        taken,
    };
    if line.try_send(notice).is_err() {
        return false;
    }
    matches!(tokio::time::timeout(ANSWER_TIMEOUT, answer).await, Ok(Ok(())))
}

/// Sends a result that was asked for on this association.
pub(crate) async fn report_here<S>(peer: &mut Peer<S>, notice: Notice) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let context = peer
        .contexts
        .iter()
        .find(|context| context.service == Service::Commitment)
        .cloned();
    // without a context the notice is dropped, and goes out on a new association
    let Some(context) = context else { return Ok(()) };
    let message_id = peer.notices.sent(notice.taken);
    let data = write::encode(&notice.result, context.transfer_syntax.kind())
        .map_err(|_| Ended::protocol("a report that cannot be written"))?;
    peer.respond(&context, &report(message_id, notice.event), Some(&data))
        .await
}

fn report(message_id: u16, event: u16) -> DataSet {
    let mut set = dimse::request(
        field::N_EVENT_REPORT_RQ,
        message_id,
        uids::STORAGE_COMMITMENT_PUSH_MODEL,
        Some(uids::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE),
        true,
    );
    set.put_u16(tags::EVENT_TYPE_ID, event);
    set
}

/// Opens an association with the device, as the provider of the service (PS3.7 D.3.3.4).
async fn tell_anew(gateway: &Gateway, asked: &Asked, checked: &Checked) -> Result<(), String> {
    let device = gateway.archive.devices().by_ae_title(&asked.device).await;
    let device = device.map_err(|refused| format!("{}: {refused}", asked.device))?;
    let Some(to) = listener(&device, &gateway.config) else {
        return Err(format!(
            "{} ended the association and has no listener; enrol it with --listener HOST:PORT",
            asked.device
        ));
    };
    let result = checked.to_data_set(asked, &gateway.config.ae_title);
    crate::scu::commitment::tell(&to, checked.event(), &result, gateway.config.write_timeout)
        .await
        .map_err(|error| error.to_string())
}
