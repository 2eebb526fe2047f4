//! Starts lanes where letters are due, and ends them in order.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use archive::db::Dialect;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::lane::{Lane, Lanes};
use super::{Forwarding, OUTBOX_PREFIX};

/// How often due letters are looked for without a hint: retries, delays, letters of others.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Hints that come so close together are one.
const HINTS_TOGETHER: Duration = Duration::from_millis(50);
/// One more lane for each so many due letters.
const LETTERS_PER_LANE: usize = 8;
/// Lanes of one destination at most.
const LANES_MAX: usize = 16;
/// How often the gauges are set.
const GAUGE_INTERVAL: Duration = Duration::from_secs(10);
/// Time for lanes to end their current object when the node stops.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(20);

/// Delivers letters of the outbox until `shutdown` is cancelled. Run it once in each process that
/// has the gateway's role.
pub async fn run(forwarding: Forwarding, shutdown: CancellationToken) {
    let outbox = forwarding.archive.outbox();
    // the embedded index has one process: whoever held leases is gone
    if forwarding.archive.db().dialect() == Dialect::Sqlite
        && let Err(error) = outbox.free_leases(OUTBOX_PREFIX).await
    {
        warn!("leases of the outbox cannot be freed: {error}");
    }
    let (tasks, killed) = (TaskTracker::new(), CancellationToken::new());
    let mut lanes: HashMap<String, Arc<Lanes>> = HashMap::new();
    let (mut gauges_at, mut shown) = (Instant::now(), BTreeSet::new());
    loop {
        if let Err(error) = look(&forwarding, &mut lanes, &tasks, &shutdown, &killed).await {
            warn!("the outbox cannot be read: {error}");
        }
        if Instant::now() >= gauges_at {
            gauges(&forwarding, &mut shown).await;
            gauges_at = Instant::now() + GAUGE_INTERVAL;
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = outbox.changed() => sleep(HINTS_TOGETHER).await,
            () = sleep(LOOK_INTERVAL) => {}
        }
    }
    tasks.close();
    if timeout(DRAIN_TIME_MAX, tasks.wait()).await.is_err() {
        info!("deliveries that did not end in time are cut off; they go again after the next start");
        killed.cancel();
        tasks.wait().await;
    }
}

/// Starts lanes for every destination that has due letters and may be tried.
async fn look(
    forwarding: &Forwarding,
    lanes: &mut HashMap<String, Arc<Lanes>>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
    killed: &CancellationToken,
) -> archive::Result<()> {
    let outbox = forwarding.archive.outbox();
    let waiting = outbox.destinations(OUTBOX_PREFIX).await?;
    for full in &waiting {
        let name = full.strip_prefix(OUTBOX_PREFIX).unwrap_or(full);
        let shared = Arc::clone(lanes.entry(name.to_owned()).or_default());
        let running = shared.running();
        let max = forwarding
            .endpoints
            .get(name)
            .map_or(super::ASSOCIATIONS_DEFAULT, |e| e.associations);
        let max = max.clamp(1, LANES_MAX);
        if running >= max || shared.is_down() {
            continue;
        }
        let due = outbox.claimable(full).await?;
        let wanted = due.div_ceil(LETTERS_PER_LANE).min(max);
        for _ in running..wanted {
            let lane = Lane {
                forwarding: forwarding.clone(),
                name: name.to_owned(),
                lanes: Arc::clone(&shared),
                shutdown: shutdown.clone(),
            };
            // counted before the task runs, so that the next look does not start it again
            let counted = shared.begin();
            let killed = killed.clone();
            tasks.spawn(async move {
                let _counted = counted;
                tokio::select! {
                    () = killed.cancelled() => {}
                    () = lane.run() => {}
                }
            });
        }
    }
    lanes.retain(|name, shared| {
        let waits = |full: &String| full.strip_prefix(OUTBOX_PREFIX) == Some(name);
        shared.running() > 0 || shared.is_down() || waiting.iter().any(waits)
    });
    Ok(())
}

/// What waits and what was given up, for each destination; `shown` are those that had a value before.
async fn gauges(forwarding: &Forwarding, shown: &mut BTreeSet<String>) {
    let overview = match forwarding.archive.outbox().overview().await {
        Ok(overview) => overview,
        Err(error) => return warn!("the outbox cannot be counted: {error}"),
    };
    let mut empty = std::mem::take(shown);
    for state in overview {
        let Some(name) = state.destination.strip_prefix(OUTBOX_PREFIX) else {
            continue;
        };
        empty.remove(name);
        shown.insert(name.to_owned());
        set_gauges(name, state.waiting, state.given_up);
    }
    empty.iter().for_each(|name| set_gauges(name, 0, 0));
}

fn set_gauges(name: &str, waiting: i64, given_up: i64) {
    let labels = [("destination", name.to_owned())];
    metrics::gauge!("gongying_outbox_waiting", &labels).set(waiting as f64);
    metrics::gauge!("gongying_outbox_given_up", &labels).set(given_up as f64);
}
