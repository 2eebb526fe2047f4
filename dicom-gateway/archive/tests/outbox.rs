//! The outbox as a state machine: random histories against a model, on a real index; and letters
//! that a router wants, in the transaction of what they are about.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use archive::outbox::{Claimed, End, NewLetter, Outbox};
use archive::receive::{Sender, Source};
use archive::route::{RouteFacts, RoutedLetter, Router};
use archive::testing::{ObjectSpec, Postgres, config, hospital, temporary};
use archive::{Archive, OutboxId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(3600);

fn letter(destination: &str, subject: &str, priority: i64) -> NewLetter {
    NewLetter {
        destination: destination.into(),
        kind: "store".into(),
        subject: subject.into(),
        payload: b"{}".to_vec(),
        priority,
    }
}

async fn put(archive: &Archive, letter: NewLetter) -> OutboxId {
    let outbox = archive.outbox();
    archive
        .db()
        .write(move |tx| Box::pin(async move { outbox.put(tx, letter).await }))
        .await
        .unwrap()
}

fn subjects(claimed: &[Claimed]) -> Vec<&str> {
    claimed.iter().map(|c| c.letter.letter.subject.as_str()).collect()
}

async fn urgent_first_and_never_twice(archive: &Archive) {
    let outbox = archive.outbox();
    for (subject, priority) in [
        ("bulk", -50),
        ("routine", 0),
        ("stat", 100),
        ("urgent", 50),
        ("routine 2", 0),
    ] {
        put(archive, letter("dicom:a", subject, priority)).await;
    }
    put(archive, letter("dicom:b", "other", 100)).await;
    put(archive, letter("his", "report", 100)).await;
    assert_eq!(
        outbox.destinations("dicom:").await.unwrap(),
        ["dicom:a", "dicom:b"]
    );
    assert_eq!(outbox.claimable("dicom:a").await.unwrap(), 5);
    let first = outbox.claim("dicom:a", 3, LEASE).await.unwrap();
    assert_eq!(subjects(&first), ["stat", "urgent", "routine"]);
    let second = outbox.claim("dicom:a", 10, LEASE).await.unwrap();
    assert_eq!(subjects(&second), ["routine 2", "bulk"]);
    assert!(outbox.claim("dicom:a", 10, LEASE).await.unwrap().is_empty());
    assert_eq!(outbox.claimable("dicom:a").await.unwrap(), 0);

    let ends = vec![
        first[0].ended(End::Delivered),
        first[1].ended(End::Retry {
            wait: LONG,
            error: "busy".into(),
        }),
        first[2].ended(End::Untried {
            wait: Duration::ZERO,
            error: None,
        }),
        second[0].ended(End::GivenUp {
            error: "refused".into(),
        }),
    ];
    outbox.settle(ends, Vec::new()).await.unwrap();
    let again = outbox.claim("dicom:a", 10, LEASE).await.unwrap();
    assert_eq!(subjects(&again), ["routine"]);
    assert_eq!(again[0].letter.attempts, 0, "what was not tried does not count");
    the_operator_tries_again_or_drops(archive).await;
}

async fn the_operator_tries_again_or_drops(archive: &Archive) {
    let outbox = archive.outbox();
    let given_up = outbox.list(Some("dicom:a"), true, 10).await.unwrap();
    assert_eq!(given_up.len(), 1);
    assert_eq!(given_up[0].error.as_deref(), Some("refused"));
    assert_eq!(outbox.retry_all("dicom:a").await.unwrap(), 1);
    let revived = outbox.claim("dicom:a", 10, LEASE).await.unwrap();
    assert_eq!(
        (subjects(&revived), revived[0].letter.attempts),
        (vec!["routine 2"], 0)
    );
    outbox
        .discard(vec![revived[0].letter.id], "operator")
        .await
        .unwrap();
    assert!(
        outbox
            .discard(vec![revived[0].letter.id], "operator")
            .await
            .is_err()
    );
    // what became of it meanwhile changes nothing any more
    outbox
        .settle(
            vec![revived[0].ended(End::Retry {
                wait: Duration::ZERO,
                error: "x".into(),
            })],
            Vec::new(),
        )
        .await
        .unwrap();
    assert!(outbox.claim("dicom:a", 10, LEASE).await.unwrap().is_empty());
    let state = outbox.overview().await.unwrap();
    let a = state.iter().find(|s| s.destination == "dicom:a").unwrap();
    assert_eq!((a.waiting, a.given_up), (3, 0));
}

async fn a_lost_lease_notes_no_failure(archive: &Archive) {
    let outbox = archive.outbox();
    put(archive, letter("dicom:lease", "x", 0)).await;
    let lost = outbox.claim("dicom:lease", 1, Duration::ZERO).await.unwrap();
    let held = outbox.claim("dicom:lease", 1, LEASE).await.unwrap();
    assert_eq!(held.len(), 1, "a lease that ended is free");
    let late = lost[0].ended(End::GivenUp { error: "late".into() });
    outbox.settle(vec![late], Vec::new()).await.unwrap();
    assert_eq!(outbox.waiting("dicom:lease").await.unwrap(), 1);
    // a success is true whoever says it
    outbox
        .settle(vec![lost[0].ended(End::Delivered)], Vec::new())
        .await
        .unwrap();
    assert_eq!(outbox.waiting("dicom:lease").await.unwrap(), 0);
    outbox.free_leases("dicom:").await.unwrap();
}

/// Sends every object on, and every study's objects elsewhere when it is complete.
struct Everything;

impl Everything {
    fn to(destination: &str, facts: &RouteFacts, each_object: bool) -> Vec<RoutedLetter> {
        vec![RoutedLetter {
            destination: destination.into(),
            kind: "store".into(),
            payload: facts.institution.clone().into_bytes(),
            priority: 0,
            wait: Duration::ZERO,
            each_object,
        }]
    }
}

impl Router for Everything {
    fn object(&self, facts: &RouteFacts) -> Vec<RoutedLetter> {
        assert_eq!(
            (facts.modalities.as_slice(), facts.calling.as_str()),
            (["CT".to_owned()].as_slice(), "tech")
        );
        Self::to("dicom:now", facts, true)
    }

    fn study(&self, facts: &RouteFacts) -> Vec<RoutedLetter> {
        Self::to("dicom:later", facts, true)
    }
}

async fn store(archive: &Archive, numbers: std::ops::RangeInclusive<u32>) {
    let owner = archive.institutions().by_code("HEXI").await.unwrap().id;
    for n in numbers {
        let sender = Sender::account("tech", "technician", owner, None, Source::Stow);
        let file = ObjectSpec::new("1.2.7", 1, n).file_bytes();
        archive.receive_part10(sender, None, file.into()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_router_wants_is_there_with_the_object() {
    let folder = archive::testing::TemporaryFolder::new().unwrap();
    let archive = Archive::open_routed(config(folder.path()), &[], Some(Arc::new(Everything)))
        .await
        .unwrap();
    archive.institutions().create(hospital("HEXI")).await.unwrap();
    let outbox = archive.outbox();
    store(&archive, 1..=3).await;
    // again the same: not new, not sent again
    store(&archive, 3..=3).await;
    assert_eq!(outbox.waiting("dicom:now").await.unwrap(), 3);
    assert_eq!(outbox.waiting("dicom:later").await.unwrap(), 0);
    assert!(archive.studies().settle_now("1.2.7").await.unwrap());
    assert_eq!(outbox.waiting("dicom:later").await.unwrap(), 3);
    let claimed = outbox.claim("dicom:later", 10, LEASE).await.unwrap();
    let ends = claimed.iter().map(|c| c.ended(End::Delivered)).collect();
    outbox.settle(ends, Vec::new()).await.unwrap();
    // a late object is sent without those that were
    store(&archive, 4..=4).await;
    assert!(archive.studies().settle_now("1.2.7").await.unwrap());
    let late = outbox.claim("dicom:later", 10, LEASE).await.unwrap();
    assert_eq!(subjects(&late), ["1.2.7.1.4"]);
    assert_eq!(late[0].letter.letter.payload, b"HEXI");
    let facts = archive.route_facts("1.2.7").await.unwrap();
    assert_eq!(facts.sop_classes, ["1.2.840.10008.5.1.4.1.1.2"]);
    assert!(archive.route_facts("1.2.8").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    let (archive, _folder) = temporary(&[]).await.unwrap();
    urgent_first_and_never_twice(&archive).await;
    a_lost_lease_notes_no_failure(&archive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let Some(server) = Postgres::start().unwrap() else {
        println!("skipped: PostgreSQL is not installed");
        return;
    };
    let (archive, _folder) = server.archive(&[]).await.unwrap();
    urgent_first_and_never_twice(&archive).await;
    a_lost_lease_notes_no_failure(&archive).await;
}

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    Put {
        priority: i64,
    },
    Claim {
        limit: u32,
    },
    /// Leases of a process that died end.
    Crash,
    Settle {
        which: usize,
        how: u8,
    },
    RetryGivenUp,
    Drop {
        which: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => prop_oneof![Just(100), Just(50), Just(0), Just(-50)].prop_map(|priority| Step::Put { priority }),
        3 => (1_u32..5).prop_map(|limit| Step::Claim { limit }),
        1 => Just(Step::Crash),
        4 => (0_usize..8, 0_u8..4).prop_map(|(which, how)| Step::Settle { which, how }),
        1 => Just(Step::RetryGivenUp),
        1 => (0_usize..8).prop_map(|which| Step::Drop { which }),
    ];
    proptest::collection::vec(step, 1..40)
}

/// What the history should have made.
#[derive(Default)]
struct Model {
    priority: BTreeMap<OutboxId, i64>,
    waiting: BTreeSet<OutboxId>,
    delivered: BTreeSet<OutboxId>,
    given_up: BTreeSet<OutboxId>,
    dropped: BTreeSet<OutboxId>,
    /// Newest claim of each letter, while its lease holds.
    leased: BTreeMap<OutboxId, i64>,
    /// Claims of this and of dead processes.
    hands: Vec<Claimed>,
}

impl Model {
    fn settle(&mut self, claimed: &Claimed, end: &End) {
        let id = claimed.letter.id;
        if !self.waiting.contains(&id) {
            return;
        }
        if *end == End::Delivered {
            self.waiting.remove(&id);
            self.delivered.insert(id);
            self.leased.remove(&id);
            return;
        }
        // the newest claim is the one with the greatest number
        let newest = self
            .hands
            .iter()
            .filter(|h| h.letter.id == id)
            .map(|h| h.claim)
            .max();
        if newest != Some(claimed.claim) {
            return;
        }
        self.leased.remove(&id);
        if matches!(end, End::GivenUp { .. }) {
            self.waiting.remove(&id);
            self.given_up.insert(id);
        }
    }
}

impl Model {
    async fn claim(&mut self, outbox: &Outbox, destination: &str, limit: u32) {
        let claimed = outbox.claim(destination, limit, LEASE).await.unwrap();
        let is_free = |id: &OutboxId| !self.leased.contains_key(id);
        let free: Vec<OutboxId> = self.waiting.iter().copied().filter(is_free).collect();
        assert_eq!(claimed.len(), free.len().min(limit as usize));
        let lowest = claimed.iter().map(|c| c.letter.letter.priority).min();
        for c in &claimed {
            assert!(free.contains(&c.letter.id), "claimed what was not free");
            self.leased.insert(c.letter.id, c.claim);
        }
        let taken: BTreeSet<OutboxId> = claimed.iter().map(|c| c.letter.id).collect();
        for left in free.iter().filter(|id| !taken.contains(id)) {
            let is_fair = lowest.is_some_and(|lowest| self.priority[left] <= lowest);
            assert!(is_fair, "a more urgent one was left");
        }
        self.hands.extend(claimed);
    }

    async fn settle_one(&mut self, outbox: &Outbox, which: usize, how: u8) {
        if self.hands.is_empty() {
            return;
        }
        let claimed = self.hands[which % self.hands.len()].clone();
        let (wait, error) = (Duration::ZERO, "e".to_owned());
        let end = match how {
            0 => End::Delivered,
            1 => End::Retry { wait, error },
            2 => End::Untried { wait, error: None },
            _ => End::GivenUp { error },
        };
        let ended = vec![claimed.ended(end.clone())];
        outbox.settle(ended, Vec::new()).await.unwrap();
        self.settle(&claimed, &end);
    }

    async fn drop_one(&mut self, outbox: &Outbox, which: usize) {
        let Some(&id) = self.priority.keys().nth(which) else {
            return;
        };
        let may = self.waiting.remove(&id) | self.given_up.remove(&id);
        assert_eq!(outbox.discard(vec![id], "operator").await.is_ok(), may);
        if may {
            self.dropped.insert(id);
            self.leased.remove(&id);
        }
    }

    async fn compare(&self, outbox: &Outbox, destination: &str) {
        for (given_up, expect) in [(false, &self.waiting), (true, &self.given_up)] {
            let shown = outbox.list(Some(destination), given_up, 1000).await.unwrap();
            let shown: BTreeSet<OutboxId> = shown.into_iter().map(|l| l.letter.id).collect();
            assert_eq!(&shown, expect);
        }
    }
}

async fn play(archive: &Archive, destination: &str, history: Vec<Step>) {
    let outbox = archive.outbox();
    let mut model = Model::default();
    for step in history {
        match step {
            Step::Put { priority } => {
                let id = put(archive, letter(destination, "s", priority)).await;
                model.priority.insert(id, priority);
                model.waiting.insert(id);
            }
            Step::Claim { limit } => model.claim(&outbox, destination, limit).await,
            Step::Crash => {
                outbox.free_leases("dicom:").await.unwrap();
                model.leased.clear();
            }
            Step::Settle { which, how } => model.settle_one(&outbox, which, how).await,
            Step::RetryGivenUp => {
                let count = outbox.retry_all(destination).await.unwrap();
                assert_eq!(count, model.given_up.len() as u64);
                model.waiting.append(&mut model.given_up);
            }
            Step::Drop { which } => model.drop_one(&outbox, which).await,
        }
        model.compare(&outbox, destination).await;
    }
    // nothing is lost: every letter is somewhere, and only in one place
    let all = model.waiting.len() + model.delivered.len() + model.given_up.len() + model.dropped.len();
    assert_eq!(all, model.priority.len());
}

#[test]
fn every_history_keeps_every_letter() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let (archive, _folder) = runtime.block_on(temporary(&[])).unwrap();
    let number = std::sync::atomic::AtomicU32::new(0);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&steps(), |history| {
            let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            runtime.block_on(play(&archive, &format!("dicom:p{number:05}"), history));
            Ok(())
        })
        .unwrap();
}
