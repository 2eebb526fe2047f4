//! An archive in a temporary folder, a sender, and a worker on it.

use archive::derived::Derived;
use archive::receive::{Sender, Source, StoreRefused, Stored};
use archive::testing::{TemporaryFolder, hospital, temporary};
use archive::work::NewJob;
use archive::{Archive, InstitutionId};
use fixtures::{Charset, DicomFile, Equipment, OrderInfo, Patient, Priority, Seed, Sex, StudyContext};
use std::net::Ipv4Addr;
use std::time::Duration;
use time::{Date, Month, Time};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use worker::{JobKind, WorkerConfig};

/// Longest wait for a result; on a quiet machine everything is there within two seconds.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A study of a synthetic patient.
pub fn context(number: u64) -> StudyContext {
    let born = Date::from_calendar_date(1958, Month::April, 9).unwrap();
    let patient = Patient::new(
        "张^示例",
        "Zhang^Shili",
        "HX0001",
        Sex::Male,
        born,
        7,
        Charset::Gb18030,
    );
    let order = OrderInfo {
        item_code: "X".into(),
        item_name: "检查".into(),
        body_part: "CHEST".into(),
        priority: Priority::Routine,
        clinical_history: String::new(),
    };
    let equipment = Equipment {
        ae_title: "HEXI".into(),
        institution_name: "河西镇卫生院".into(),
        manufacturer: "Synthetic".into(),
        model: "Phantom".into(),
    };
    let day = Date::from_calendar_date(2026, Month::March, 5).unwrap();
    let at = day.with_time(Time::from_hms(9, 30, 0).unwrap());
    StudyContext::new(Seed::new(number), patient, order, equipment, at)
}

/// One archive and who sends to it.
pub struct Site {
    pub archive: Archive,
    pub institution: InstitutionId,
    sender: Sender,
    _folder: TemporaryFolder,
}

/// A worker that runs until it is stopped.
pub struct Worker {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Worker {
    pub async fn stop(self) {
        let _ = self.stop.send(());
        tokio::time::timeout(WAIT_MAX, self.task).await.unwrap().unwrap();
    }
}

impl Site {
    pub async fn new() -> Site {
        let (archive, folder) = temporary(&[]).await.unwrap();
        let institution = archive.institutions().create(hospital("HEXI")).await.unwrap().id;
        let sender = Sender {
            name: "HEXI".to_owned(),
            role: "device".to_owned(),
            device_id: None,
            institution_id: institution,
            peer: Some(Ipv4Addr::LOCALHOST.into()),
            source: Source::Stow,
        };
        Site {
            archive,
            institution,
            sender,
            _folder: folder,
        }
    }

    pub async fn store(&self, file: &DicomFile) {
        self.store_bytes(file.bytes.clone()).await.unwrap();
    }

    pub async fn store_bytes(&self, bytes: Vec<u8>) -> Result<Stored, StoreRefused> {
        self.archive
            .receive_part10(self.sender.clone(), None, bytes.into())
            .await
    }

    pub fn start(&self) -> Worker {
        let (stop, stopped) = oneshot::channel();
        let config = WorkerConfig {
            slots: 2,
            ..WorkerConfig::default()
        };
        let archive = self.archive.clone();
        let task = tokio::spawn(async move {
            let stopped = async move {
                let _ = stopped.await;
            };
            worker::run(archive, config, stopped).await;
        });
        Worker { stop, task }
    }

    pub async fn ask(&self, kind: JobKind, subject: &str) {
        let job = NewJob::new(kind.as_str(), subject);
        self.archive.work().enqueue_now(job).await.unwrap();
    }

    pub async fn wait_for(&self, subject: &str, kind: JobKind) -> Derived {
        let end = tokio::time::Instant::now() + WAIT_MAX;
        loop {
            if let Some(found) = self.archive.derived().get(subject, kind.as_str()).await.unwrap() {
                return found;
            }
            let dead = self.archive.work().dead(10).await.unwrap();
            assert!(
                tokio::time::Instant::now() < end,
                "no {kind:?} of {subject}; dead jobs: {dead:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn until_idle(&self) {
        let end = tokio::time::Instant::now() + WAIT_MAX;
        loop {
            let state = self.archive.work().state().await.unwrap();
            if state.waiting == 0 && state.running == 0 {
                return;
            }
            assert!(
                tokio::time::Instant::now() < end,
                "the queue never empties: {state:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn nothing_died(&self) {
        assert_eq!(self.archive.work().dead(10).await.unwrap(), []);
    }
}
