//! Sending on: letters in the outbox of one archive arrive at other nodes over real sockets.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use archive::Archive;
use archive::outbox::LetterInfo;
use archive::receive::{Sender, Source};
use archive::testing::{ObjectSpec, TemporaryFolder, hospital};
use dataset::{DataSet, tags};
use dicom_gateway::forward::{Conditions, Endpoint, Forwarding, Limits, Route, RouteTable, What, When, Zone};
use dicom_gateway::scu::Destination;
use dicom_gateway::scu::commitment::{Reference, Report};
use support::scp::{Scp, Seen};
use support::*;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const WAIT: Duration = Duration::from_secs(20);

/// An archive with rules, whose letters go out while it lives.
struct Node {
    archive: Archive,
    folder: TemporaryFolder,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
    endpoints: Vec<Endpoint>,
    limits: Limits,
}

fn route(name: &str, to: &str) -> Route {
    Route {
        name: name.into(),
        conditions: Conditions::default(),
        to: vec![to.into()],
        when: When::Instance,
        send: What::Objects,
        delay_s: 0,
        commit: false,
        priority: None,
    }
}

fn endpoint(name: &str, port: u16, called: &str) -> Endpoint {
    Endpoint {
        name: name.into(),
        to: Destination::new("127.0.0.1", port, title(called), title("JUDGE")),
        associations: 2,
        timeout: Duration::from_secs(5),
    }
}

impl Node {
    async fn new(routes: Vec<Route>, endpoints: Vec<Endpoint>) -> Self {
        let folder = TemporaryFolder::new().expect("folder");
        let titles = endpoints
            .iter()
            .map(|e| (e.name.clone(), e.to.called.as_str().to_owned()))
            .collect();
        let table = RouteTable::new(routes, titles, Zone::CHINA).expect("rules");
        let place = archive::testing::config(folder.path());
        let archive = Archive::open_routed(place, &[], Some(Arc::new(table)))
            .await
            .expect("archive");
        archive
            .institutions()
            .create(hospital("HEXI"))
            .await
            .expect("institution");
        Self {
            archive,
            folder,
            stop: CancellationToken::new(),
            task: None,
            endpoints,
            limits: Limits::default(),
        }
    }

    fn go(mut self) -> Self {
        let forwarding = Forwarding::new(
            self.archive.clone(),
            self.endpoints.clone(),
            title("JUDGE"),
            self.limits,
        );
        self.task = Some(tokio::spawn(dicom_gateway::forward::run(
            forwarding,
            self.stop.clone(),
        )));
        self
    }

    async fn store(&self, study: &str, numbers: std::ops::RangeInclusive<u32>) {
        let owner = self
            .archive
            .institutions()
            .by_code("HEXI")
            .await
            .expect("institution")
            .id;
        for n in numbers {
            let sender = Sender::account("tech", "technician", owner, None, Source::Stow);
            let file = ObjectSpec::new(study, 1, n).file_bytes();
            self.archive
                .receive_part10(sender, None, file.into())
                .await
                .expect("stored");
        }
    }

    async fn list(&self, given_up: bool) -> Vec<LetterInfo> {
        self.archive
            .outbox()
            .list(None, given_up, 1000)
            .await
            .expect("list")
    }

    /// Waits until nothing waits for a destination.
    async fn empty(&self, destination: &str) {
        let name = format!("dicom:{destination}");
        let end = Instant::now() + WAIT;
        while self.archive.outbox().waiting(&name).await.expect("count") > 0 {
            assert!(
                Instant::now() < end,
                "still waiting: {:?}",
                self.list(false).await
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            tokio::time::timeout(WAIT, task)
                .await
                .expect("ends in time")
                .expect("ends well");
        }
        drop(self.folder);
    }
}

async fn digests(archive: &Archive, study: &str) -> BTreeMap<String, String> {
    let all = archive
        .studies()
        .instances_of_study(study)
        .await
        .expect("instances");
    all.into_iter()
        .map(|i| (i.sop_instance_uid, i.digests.dataset.to_hex()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_arrive_equal_and_the_audit_trail_says_so() {
    let centre = Gateway::start().await;
    let node = Node::new(
        vec![route("all", "centre")],
        vec![endpoint("centre", centre.address.port(), "GONGYING")],
    )
    .await
    .go();
    node.store("1.2.70", 1..=25).await;
    node.empty("centre").await;
    assert_eq!(
        digests(&centre.archive, "1.2.70").await,
        digests(&node.archive, "1.2.70").await
    );
    let filter = archive::audit::AuditFilter {
        study_uid: Some("1.2.70".into()),
        ..archive::audit::AuditFilter::default()
    };
    let page = node
        .archive
        .audit()
        .search(&filter, 100, None)
        .await
        .expect("audit");
    let told = page
        .rows
        .iter()
        .filter(|row| row.user == "GONGYING" && row.event == "110104");
    assert!(told.count() >= 1, "the study left without a row");
    node.stop().await;
    centre.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_destination_delays_no_other() {
    // takes connections and never says a word
    let stalled = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
    let port = stalled.local_addr().expect("address").port();
    let _held = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = stalled.accept().await {
            held.push(stream);
        }
    });
    let good = Scp::kind().await;
    let endpoints = vec![
        endpoint("stalled", port, "STALLED"),
        endpoint("good", good.address.port(), "GOOD"),
    ];
    let node = Node::new(vec![route("a", "stalled"), route("b", "good")], endpoints)
        .await
        .go();
    let start = Instant::now();
    for study in ["1.2.71", "1.2.72", "1.2.73"] {
        node.store(study, 1..=10).await;
    }
    node.empty("good").await;
    let took = start.elapsed();
    // the other's limit of a single wait is 5 s
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(good.fields().len(), 30);
    assert_eq!(
        node.archive
            .outbox()
            .waiting("dicom:stalled")
            .await
            .expect("count"),
        30
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_reachable_arrives_when_it_is() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let port = free.local_addr().expect("address").port();
    drop(free);
    let node = Node::new(
        vec![route("all", "late")],
        vec![endpoint("late", port, "GONGYING")],
    )
    .await
    .go();
    node.store("1.2.74", 1..=3).await;
    let end = Instant::now() + WAIT;
    let told = loop {
        let waiting = node.list(false).await;
        if let Some(error) = waiting.iter().find_map(|letter| letter.error.clone()) {
            assert!(
                waiting.iter().all(|letter| letter.letter.attempts == 0),
                "not their fault"
            );
            break error;
        }
        assert!(Instant::now() < end, "no error is noted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(told.contains("cannot be reached"), "{told}");
    let scp = Scp::start(Arc::new(|_| 0), Arc::new(|_| None)).await;
    // the same port cannot be chosen for the small receiver: a relay stands there
    let relay = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .expect("port is free");
    let to = scp.address;
    tokio::spawn(async move {
        while let Ok((mut here, _)) = relay.accept().await {
            tokio::spawn(async move {
                let mut there = tokio::net::TcpStream::connect(to).await.expect("receiver");
                let _ = tokio::io::copy_bidirectional(&mut here, &mut there).await;
            });
        }
    });
    node.empty("late").await;
    assert_eq!(scp.fields().len(), 3);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_object_is_tried_again_and_then_shown() {
    let scp = Scp::start(
        Arc::new(|seen| if seen.instance.ends_with(".2") { 0xa700 } else { 0 }),
        Arc::new(|_| None),
    )
    .await;
    let mut node = Node::new(
        vec![route("all", "full")],
        vec![endpoint("full", scp.address.port(), "FULL")],
    )
    .await;
    node.limits.attempts_max = 1;
    let node = node.go();
    node.store("1.2.75", 1..=4).await;
    node.empty("full").await;
    let given_up = node.list(true).await;
    assert_eq!(given_up.len(), 1);
    assert_eq!(given_up[0].letter.letter.subject, "1.2.75.1.2");
    let error = given_up[0].error.clone().expect("a reason");
    assert!(error.contains("0xA700"), "{error}");
    // the operator asks for another try, and now it is taken
    let before = scp.fields().len();
    assert_eq!(before, 4);
    assert_eq!(
        node.archive
            .outbox()
            .retry_all("dicom:full")
            .await
            .expect("retried"),
        1
    );
    node.empty("full").await;
    assert_eq!(scp.fields().len(), 5);
    node.stop().await;
}

/// Answers for all objects that are asked about, but the last one of the first request.
fn all_but_one_at_first() -> impl Fn(&Seen) -> Option<Report> + Send + Sync {
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let reference = |item: &DataSet| Reference {
        sop_class: item.text(tags::REFERENCED_SOP_CLASS_UID).expect("class"),
        sop_instance: item.text(tags::REFERENCED_SOP_INSTANCE_UID).expect("instance"),
    };
    move |seen| {
        let asked = seen.data_set();
        let objects = asked.sequence(tags::REFERENCED_SOP_SEQUENCE).iter();
        let mut committed: Vec<Reference> = objects.map(reference).collect();
        let mut failed = Vec::new();
        if is_first.swap(false, std::sync::atomic::Ordering::Relaxed) {
            failed.push((committed.pop().expect("an object"), 0x0112));
        }
        Some(Report {
            transaction_uid: asked.text(tags::TRANSACTION_UID).expect("transaction"),
            committed,
            failed,
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_study_is_sent_then_told_then_answered_for() {
    let scp = Scp::start(Arc::new(|_| 0), Arc::new(all_but_one_at_first())).await;
    let mut objects = route("objects", "old");
    objects.when = When::StudyComplete;
    objects.commit = true;
    let mut news = route("news", "old");
    news.when = When::StudyComplete;
    news.send = What::Availability;
    let node = Node::new(
        vec![objects, news],
        vec![endpoint("old", scp.address.port(), "OLD")],
    )
    .await
    .go();
    node.store("1.2.76", 1..=3).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(scp.fields().is_empty(), "not before it is complete");
    assert!(
        node.archive
            .studies()
            .settle_now("1.2.76")
            .await
            .expect("settled")
    );
    // objects, news, a question, the object that was not answered for, a question about it
    let end = Instant::now() + Duration::from_secs(40);
    while scp.fields().iter().filter(|field| **field == 0x0130).count() < 2 {
        assert!(Instant::now() < end, "{:x?}", scp.fields());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    node.empty("old").await;
    assert!(node.list(true).await.is_empty());
    let seen = scp.seen.lock().expect("lock").clone();
    let stored = seen.iter().filter(|seen| seen.field == 0x0001);
    let stored: Vec<&str> = stored.map(|seen| seen.instance.as_str()).collect();
    assert_eq!(stored.len(), 4, "{stored:?}");
    let told = seen
        .iter()
        .find(|seen| seen.field == 0x0140)
        .expect("N-CREATE")
        .data_set();
    assert_eq!(told.text(tags::STUDY_INSTANCE_UID).as_deref(), Some("1.2.76"));
    let series = &told.sequence(tags::REFERENCED_SERIES_SEQUENCE)[0];
    assert_eq!(series.sequence(tags::REFERENCED_SOP_SEQUENCE).len(), 3);
    let asked: Vec<_> = seen
        .iter()
        .filter(|seen| seen.field == 0x0130)
        .map(|seen| seen.data_set())
        .collect();
    assert_eq!(asked[0].sequence(tags::REFERENCED_SOP_SEQUENCE).len(), 3);
    assert_eq!(asked[1].sequence(tags::REFERENCED_SOP_SEQUENCE).len(), 1);
    assert_ne!(
        asked[0].text(tags::TRANSACTION_UID),
        asked[1].text(tags::TRANSACTION_UID)
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_it_stopped() {
    let scp = Scp::kind().await;
    let node = Node::new(
        vec![route("all", "there")],
        vec![endpoint("there", scp.address.port(), "THERE")],
    )
    .await;
    node.store("1.2.77", 1..=40).await;
    // as if a process had claimed letters and died
    let held = node
        .archive
        .outbox()
        .claim("dicom:there", 10, Duration::from_secs(3600))
        .await
        .expect("claim");
    assert_eq!(held.len(), 10);
    let node = node.go();
    node.empty("there").await;
    let mut sent: Vec<String> = scp
        .seen
        .lock()
        .expect("lock")
        .iter()
        .map(|s| s.instance.clone())
        .collect();
    sent.sort();
    sent.dedup();
    assert_eq!(sent.len(), 40);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolled_device_is_a_destination_by_its_title() {
    let scp = Scp::kind().await;
    let node = Node::new(vec![route("all", "WORKSTATION")], Vec::new()).await;
    let institution = node
        .archive
        .institutions()
        .by_code("HEXI")
        .await
        .expect("institution");
    let enrolled = archive::device::NewDevice {
        listener: Some(scp.address.to_string()),
        ..device("WORKSTATION", &institution)
    };
    node.archive.devices().create(enrolled).await.expect("device");
    let node = node.go();
    node.store("1.2.78", 1..=2).await;
    node.empty("WORKSTATION").await;
    assert!(scp.seen.lock().expect("lock").iter().all(|seen| seen.class == CT));
    assert_eq!(scp.fields().len(), 2);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_gateway_answers_for_what_it_was_sent() {
    let centre = Gateway::start().await;
    let mut answered = route("all", "centre");
    answered.commit = true;
    let there = endpoint("centre", centre.address.port(), "GONGYING");
    let node = Node::new(vec![answered], vec![there]).await.go();
    node.store("1.2.79", 1..=5).await;
    node.empty("centre").await;
    assert!(node.list(true).await.is_empty());
    assert_eq!(
        digests(&centre.archive, "1.2.79").await,
        digests(&node.archive, "1.2.79").await
    );
    node.stop().await;
    centre.stop().await;
}
