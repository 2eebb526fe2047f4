//! Workers that are killed, frozen, poisoned, and a database that goes away: no job is lost, none
//! runs for ever, and results of lost leases are dropped. On both databases.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what failed by failing"
)]

use archive::db::IndexUrl;
use archive::testing::{Postgres, TemporaryFolder, config};
use archive::work::{JobState, NewJob, Runner, RunnerOptions};
use archive::{Archive, Config, JobId};
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Set for a worker process: folder of its archive and log.
const CHILD: &str = "GONGYING_WORK_CHILD";
/// Index of a worker process when it is not the folder's own SQLite file.
const CHILD_INDEX: &str = "GONGYING_WORK_INDEX";
const LEASE: Duration = Duration::from_millis(1000);
const WORKERS: usize = 3;
const SLOTS: usize = 2;

fn place(folder: &Path, index: Option<&str>) -> Config {
    let mut config = config(folder);
    if let Some(url) = index {
        config.index = url.parse::<IndexUrl>().unwrap();
    }
    config
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Not a test by itself: a worker process.
#[test]
fn child_that_works() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let index = std::env::var(CHILD_INDEX).ok();
    runtime().block_on(async move {
        let archive = Archive::open(place(folder.as_ref(), index.as_deref()), &[])
            .await
            .unwrap();
        let log = format!("{folder}/executions");
        std::fs::write(format!("{folder}/ready-{}", std::process::id()), "").unwrap();
        let options = RunnerOptions {
            lease: LEASE,
            poll: Duration::from_millis(200),
            ..RunnerOptions::new(vec!["chaos"], SLOTS)
        };
        let runner = Runner::new(archive.work(), options, move |job| {
            let log = log.clone();
            Box::pin(async move {
                let mut file = std::fs::File::options()
                    .append(true)
                    .create(true)
                    .open(&log)
                    .map_err(|e| e.to_string())?;
                file.write_all(format!("{} {}\n", job.id, job.subject).as_bytes())
                    .map_err(|e| e.to_string())?;
                if job.subject == "poison" {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    std::process::abort();
                }
                tokio::time::sleep(Duration::from_millis(80)).await;
                Ok(())
            })
        });
        runner.run(std::future::pending()).await;
    });
}

struct Workers {
    folder: std::path::PathBuf,
    index: Option<String>,
    children: Vec<Child>,
    deaths: usize,
}

impl Workers {
    fn start(folder: &Path, index: Option<&str>) -> Self {
        let mut workers = Self {
            folder: folder.to_path_buf(),
            index: index.map(str::to_owned),
            children: Vec::new(),
            deaths: 0,
        };
        for _ in 0..WORKERS {
            let child = workers.spawn();
            workers.children.push(child);
        }
        workers
    }

    fn spawn(&self) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child_that_works"])
            .env(CHILD, &self.folder);
        if let Some(index) = &self.index {
            command.env(CHILD_INDEX, index);
        }
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Starts those that died again.
    fn revive(&mut self) {
        for at in 0..self.children.len() {
            if self.children[at].try_wait().unwrap().is_some() {
                self.deaths += 1;
                self.children[at] = self.spawn();
            }
        }
    }

    /// Waits until every worker has opened its archive: a node that starts without its database ends, and says so.
    async fn ready(&self, limit: Duration) {
        let end = Instant::now() + limit;
        for child in &self.children {
            let mark = self.folder.join(format!("ready-{}", child.id()));
            while !mark.exists() {
                assert!(Instant::now() < end, "a worker did not start");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    fn signal(&self, at: usize, name: &str) {
        let id = self.children[at % WORKERS].id().to_string();
        Command::new("kill").args([name, &id]).status().unwrap();
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn executions(folder: &Path) -> HashMap<i64, usize> {
    let text = std::fs::read_to_string(folder.join("executions")).unwrap_or_default();
    let mut counts = HashMap::new();
    for id in text
        .lines()
        .filter_map(|line| line.split(' ').next()?.parse().ok())
    {
        *counts.entry(id).or_default() += 1;
    }
    counts
}

async fn enqueue(archive: &Archive, count: usize, name: &str) {
    for n in 0..count {
        archive
            .work()
            .enqueue_now(NewJob::new("chaos", format!("{name}{n}")).max_attempts(8))
            .await
            .unwrap();
    }
}

async fn until_empty(
    archive: &Archive,
    workers: &mut Workers,
    limit: Duration,
    mut each: impl FnMut(&mut Workers),
) -> bool {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        each(workers);
        workers.revive();
        if let Ok(state) = archive.work().state().await
            && state.waiting + state.running == 0
        {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

async fn chaos(folder: &Path, index: Option<&str>) {
    let archive = Archive::open(place(folder, index), &[]).await.unwrap();
    let mut workers = Workers::start(folder, index);
    enqueue(&archive, 300, "job").await;
    let begin = Instant::now();
    let (mut tick, mut kills, mut stops, mut frozen) = (0, 0, 0, None);
    let done = until_empty(&archive, &mut workers, Duration::from_secs(120), |workers| {
        tick += 1;
        if tick % 6 == 5 && kills < 10 {
            workers.signal(tick / 6, "-KILL");
            kills += 1;
        }
        if tick % 11 == 8 && frozen.is_none() && stops < 4 {
            workers.signal(tick / 6 + 1, "-STOP");
            stops += 1;
            frozen = Some((tick / 6 + 1, Instant::now()));
        }
        if let Some((at, since)) = frozen
            && since.elapsed() > LEASE * 2
        {
            workers.signal(at, "-CONT");
            frozen = None;
        }
    })
    .await;
    assert!(done, "jobs are stuck: {:?}", archive.work().state().await);
    drop(workers);
    assert!(kills >= 5 && stops >= 1, "{kills} kills, {stops} freezes");
    let counts = executions(folder);
    assert_eq!(counts.len(), 300, "every job ran");
    assert_eq!(archive.work().dead(10).await.unwrap().len(), 0);
    let twice = counts.values().filter(|n| **n > 1).count();
    println!(
        "{kills} kills, {stops} freezes: 300 of 300 done, {twice} ran twice, {:?}",
        begin.elapsed()
    );
    assert!(twice <= (kills + stops) * SLOTS * 2, "{twice} jobs ran twice");
}

async fn poison(folder: &Path, index: Option<&str>) {
    let archive = Archive::open(place(folder, index), &[]).await.unwrap();
    archive
        .work()
        .enqueue_now(NewJob::new("chaos", "poison").max_attempts(3))
        .await
        .unwrap();
    enqueue(&archive, 40, "innocent").await;
    let mut workers = Workers::start(folder, index);
    let done = until_empty(&archive, &mut workers, Duration::from_secs(60), |_| {}).await;
    let (deaths, state) = (workers.deaths, archive.work().state().await.unwrap());
    drop(workers);
    assert!(done, "jobs are stuck: {state:?}");
    let dead = archive.work().dead(10).await.unwrap();
    assert_eq!(
        dead.iter()
            .map(|info| info.job.subject.as_str())
            .collect::<Vec<_>>(),
        ["poison"]
    );
    assert_eq!((dead[0].state, dead[0].job.crashes), (JobState::Dead, 3));
    assert_eq!(executions(folder).get(&dead[0].job.id.0), Some(&3));
    println!("a poison job killed {deaths} workers and stopped; 40 innocent jobs are done");
    let innocent = archive.work().get(JobId(dead[0].job.id.0 + 1)).await.unwrap();
    assert_eq!(innocent.state, JobState::Done);
}

#[test]
fn sqlite_chaos() {
    let folder = TemporaryFolder::new().unwrap();
    runtime().block_on(chaos(folder.path(), None));
}

#[test]
fn sqlite_poison() {
    let folder = TemporaryFolder::new().unwrap();
    runtime().block_on(poison(folder.path(), None));
}

#[test]
fn postgres_chaos_poison_and_restart() {
    let Some(mut server) = Postgres::start().unwrap() else {
        println!("skipped: PostgreSQL is not installed");
        return;
    };
    let runtime = runtime();
    let (one, two, three) = (
        TemporaryFolder::new().unwrap(),
        TemporaryFolder::new().unwrap(),
        TemporaryFolder::new().unwrap(),
    );
    let url = |name: &'static str| runtime.block_on(server.database(name)).unwrap();
    let (first, second, third) = (url("chaos"), url("poison"), url("restart"));
    runtime.block_on(chaos(one.path(), Some(&first)));
    runtime.block_on(poison(two.path(), Some(&second)));
    runtime.block_on(async {
        let archive = Archive::open(place(three.path(), Some(&third)), &[])
            .await
            .unwrap();
        let mut workers = Workers::start(three.path(), Some(&third));
        workers.ready(Duration::from_secs(30)).await;
        enqueue(&archive, 200, "restart").await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert!(
            executions(three.path()).len() < 200,
            "the database must go away in the middle"
        );
        server.crash_and_restart(Duration::from_secs(1)).unwrap();
        let back = Instant::now();
        let done = until_empty(&archive, &mut workers, Duration::from_secs(60), |_| {}).await;
        assert!(done, "{:?}", archive.work().state().await);
        assert_eq!(workers.deaths, 0, "workers outlive their database");
        let counts = executions(three.path());
        assert_eq!(counts.len(), 200);
        println!(
            "200 jobs done {:?} after the database came back, {} ran twice",
            back.elapsed(),
            counts.values().filter(|n| **n > 1).count()
        );
    });
}
