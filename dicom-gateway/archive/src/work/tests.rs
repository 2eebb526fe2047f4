//! The queue's promises in one process, on both databases. Deaths of processes are tested in
//! `tests/work_chaos.rs`.

use super::*;
use crate::Archive;
use crate::testing::{Postgres, temporary};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::oneshot;

const LEASE: Duration = Duration::from_secs(30);
const KINDS: &[&str] = &["a", "b"];

async fn claim(archive: &Archive, worker: &str, slots: usize) -> Vec<Job> {
    archive
        .work()
        .claim(worker, KINDS, slots, false, LEASE)
        .await
        .unwrap()
        .jobs
}

async fn put(archive: &Archive, job: NewJob) {
    archive.work().enqueue_now(job).await.unwrap();
}

async fn empty(archive: &Archive) {
    let jobs = claim(archive, "sweeper", 256).await;
    for job in jobs {
        assert!(archive.work().complete(&job).await.unwrap());
    }
}

async fn a_job_lives_and_dies_with_its_transaction(archive: &Archive) {
    let work = archive.work();
    for (subject, keep) in [("kept", true), ("undone", false)] {
        let inner = work.clone();
        let result: Result<()> = archive
            .db()
            .write(move |tx| {
                Box::pin(async move {
                    inner.enqueue(tx, NewJob::new("a", subject)).await?;
                    if keep {
                        Ok(())
                    } else {
                        Err(ArchiveError::NotFound("on purpose".into()))
                    }
                })
            })
            .await;
        assert_eq!(result.is_ok(), keep);
    }
    let jobs = claim(archive, "w", 10).await;
    assert_eq!(
        jobs.iter().map(|j| j.subject.as_str()).collect::<Vec<_>>(),
        ["kept"]
    );
    assert!(work.complete(&jobs[0]).await.unwrap());
    assert!(!work.complete(&jobs[0]).await.unwrap(), "only once");
    assert_eq!(work.get(jobs[0].id).await.unwrap().state, JobState::Done);
}

async fn order_is_priority_then_age_and_kinds_are_kept_apart(archive: &Archive) {
    for (subject, priority) in [("low1", 0), ("low2", 0), ("high", 9), ("lowest", -5)] {
        put(archive, NewJob::new("a", subject).priority(priority)).await;
    }
    put(archive, NewJob::new("other", "not asked for").priority(99)).await;
    let first = claim(archive, "w", 2).await;
    let rest = claim(archive, "w2", 9).await;
    let names = |jobs: &[Job]| jobs.iter().map(|j| j.subject.clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(&first), names(&rest)),
        (
            vec!["high".into(), "low1".into()],
            vec!["low2".into(), "lowest".into()]
        )
    );
    archive
        .work()
        .give_back(first.iter().chain(&rest).map(|j| (j.id, j.attempt)).collect())
        .await
        .unwrap();
    let again = claim(archive, "w", 9).await;
    assert_eq!(
        (again.len(), again[0].attempt, again[0].crashes, again[0].failures),
        (4, 2, 0, 0)
    );
    archive
        .work()
        .settle(again.into_iter().map(|j| (j, Ok(()))).collect())
        .await
        .unwrap();
    let other = archive
        .work()
        .claim("w", &["other"], 1, false, LEASE)
        .await
        .unwrap()
        .jobs;
    assert!(archive.work().complete(&other[0]).await.unwrap());
}

async fn waiting_jobs_for_one_subject_are_one(archive: &Archive) {
    put(archive, NewJob::new("a", "s").after(Duration::from_secs(3600))).await;
    put(
        archive,
        NewJob::new("a", "s").after(Duration::from_secs(7200)).priority(3),
    )
    .await;
    assert!(claim(archive, "w", 9).await.is_empty());
    put(archive, NewJob::new("a", "s")).await;
    let jobs = claim(archive, "w", 9).await;
    assert_eq!(jobs.iter().map(|j| j.priority).collect::<Vec<_>>(), [3]);
    // News that come while it runs are a job again.
    put(archive, NewJob::new("a", "s")).await;
    assert_eq!(claim(archive, "w", 9).await.len(), 1);
    archive.work().complete(&jobs[0]).await.unwrap();
    let state = archive.work().state().await.unwrap();
    assert_eq!((state.waiting, state.running), (0, 1));
    let running = archive.work().claim("w", KINDS, 1, false, LEASE).await.unwrap();
    assert!(running.jobs.is_empty());
}

async fn a_lost_lease_is_a_lost_result(archive: &Archive) {
    let short = Duration::from_millis(30);
    put(archive, NewJob::new("b", "fenced").max_attempts(5)).await;
    let work = archive.work();
    let first = work.claim("frozen", &["b"], 1, false, short).await.unwrap().jobs;
    tokio::time::sleep(short * 3).await;
    let second = work.claim("successor", &["b"], 1, false, LEASE).await.unwrap();
    assert!(second.drain, "a suspect runs alone");
    let second = second.jobs;
    assert_eq!(
        (second[0].id, second[0].attempt, second[0].crashes),
        (first[0].id, 2, 1)
    );
    assert!(!work.complete(&first[0]).await.unwrap());
    assert!(!work.fail(&first[0], "late").await.unwrap());
    assert_eq!(
        work.renew(vec![(first[0].id, 1)], LEASE).await.unwrap(),
        [first[0].id]
    );
    assert_eq!(work.renew(vec![(second[0].id, 2)], LEASE).await.unwrap(), []);
    assert!(work.complete(&second[0]).await.unwrap());
}

async fn suspects_wait_for_an_idle_worker_and_stop_for_good(archive: &Archive) {
    let (work, short) = (archive.work(), Duration::from_millis(20));
    put(archive, NewJob::new("b", "poison").max_attempts(3)).await;
    for round in 0..3 {
        let got = work.claim("w", &["b"], 4, false, short).await.unwrap();
        assert_eq!(got.jobs.len(), 1, "round {round}");
        tokio::time::sleep(short * 2).await;
        put(archive, NewJob::new("b", format!("innocent{round}"))).await;
        if round < 2 {
            let busy = work.claim("busy", &["b"], 4, true, LEASE).await.unwrap();
            assert!(busy.jobs.is_empty() && busy.drain, "round {round}");
        }
    }
    let innocent = work.claim("w", &["b"], 9, true, LEASE).await.unwrap();
    assert_eq!((innocent.jobs.len(), innocent.drain), (3, false));
    work.settle(innocent.jobs.into_iter().map(|j| (j, Ok(()))).collect())
        .await
        .unwrap();
    let dead = work.dead(10).await.unwrap();
    let poison = dead.iter().find(|info| info.job.subject == "poison").unwrap();
    assert_eq!(
        (poison.state, poison.job.crashes, poison.job.failures),
        (JobState::Dead, 3, 0)
    );
    work.revive(poison.job.id).await.unwrap();
    empty(archive).await;
}

async fn failures_wait_longer_each_time_then_stop(archive: &Archive) {
    let work = archive.work();
    put(archive, NewJob::new("a", "failing").max_attempts(3)).await;
    let mut waits = Vec::new();
    for _ in 0..3 {
        let job = loop {
            if let Some(job) = claim(archive, "w", 1).await.pop() {
                break job;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let now = UnixMicros::now();
        assert!(work.fail(&job, "broken input").await.unwrap());
        let info = work.get(job.id).await.unwrap();
        waits.push(info.job.run_at.since(now).as_millis());
        if info.state == JobState::Dead {
            assert_eq!(info.error.as_deref(), Some("broken input"));
        }
    }
    assert!(
        (399..500).contains(&waits[0]) && (799..900).contains(&waits[1]),
        "{waits:?}"
    );
    assert_eq!(work.dead(1).await.unwrap()[0].job.subject, "failing");
    assert!(work.purge_done(Duration::ZERO).await.unwrap() > 0);
    assert_eq!(work.dead(1).await.unwrap().len(), 1, "dead jobs stay to be seen");
}

/// Runs `count` jobs on three runners of two slots; each handler takes `time`, longer than a lease.
async fn slow_healthy_workers_do_each_job_once(archive: &Archive) {
    let (count, time, lease) = (18, Duration::from_millis(1500), Duration::from_millis(1000));
    let executions = Arc::new(AtomicUsize::new(0));
    for n in 0..count {
        put(archive, NewJob::new("a", format!("slow{n}"))).await;
    }
    let begin = std::time::Instant::now();
    let mut stops = Vec::new();
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let executions = executions.clone();
        let options = RunnerOptions {
            lease,
            ..RunnerOptions::new(KINDS.to_vec(), 2)
        };
        let runner = Runner::new(archive.work(), options, move |_| {
            let executions = executions.clone();
            Box::pin(async move {
                executions.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(time).await;
                Ok(())
            })
        });
        let (stop, stopped) = oneshot::channel::<()>();
        tasks.push(tokio::spawn(runner.run(async move {
            let _ = stopped.await;
        })));
        stops.push(stop);
    }
    loop {
        let state = archive.work().state().await.unwrap();
        if state.waiting + state.running == 0 {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{state:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let spent = begin.elapsed();
    drop(stops);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(executions.load(Ordering::SeqCst), count);
    assert!(
        spent < time * 3 * 4,
        "three rounds of two slots were expected: {spent:?}"
    );
}

async fn delays_are_kept_and_news_wake_at_once(archive: &Archive) {
    let started: Arc<Mutex<Vec<(Job, UnixMicros)>>> = Arc::default();
    let seen = started.clone();
    // Looked at so rarely, only news and the clock of the job itself can start one in time.
    let options = RunnerOptions {
        poll: Duration::from_secs(60),
        ..RunnerOptions::new(KINDS.to_vec(), 4)
    };
    let runner = Runner::new(archive.work(), options, move |job| {
        seen.lock().unwrap().push((job, UnixMicros::now()));
        Box::pin(async { Ok(()) })
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(runner.run(async move {
        let _ = stopped.await;
    }));
    tokio::time::sleep(Duration::from_millis(100)).await;
    for n in 0..6 {
        put(
            archive,
            NewJob::new("a", format!("late{n}")).after(Duration::from_millis(700)),
        )
        .await;
    }
    let mut news = Vec::new();
    for n in 0..20 {
        let begin = UnixMicros::now();
        put(archive, NewJob::new("b", format!("now{n}"))).await;
        let at = wait_for(&started, &format!("now{n}")).await;
        news.push(at.since(begin));
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    for n in 0..6 {
        let at = wait_for(&started, &format!("late{n}")).await;
        let due = started
            .lock()
            .unwrap()
            .iter()
            .find(|(j, _)| j.subject == format!("late{n}"))
            .map(|(j, _)| j.run_at);
        let due = due.unwrap();
        assert!(at >= due, "too early");
        assert!(
            at.since(due) < Duration::from_secs(10),
            "{:?} late",
            at.since(due)
        );
    }
    news.sort();
    println!(
        "commit to start of 20 jobs: median {:?}, worst {:?}",
        news[10], news[19]
    );
    assert!(news[10] < Duration::from_secs(5), "news are not heard: {news:?}");
    let _ = stop.send(());
    task.await.unwrap();
}

async fn wait_for(started: &Mutex<Vec<(Job, UnixMicros)>>, subject: &str) -> UnixMicros {
    for _ in 0..10_000 {
        if let Some((_, at)) = started
            .lock()
            .unwrap()
            .iter()
            .find(|(job, _)| job.subject == subject)
        {
            return *at;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("{subject} never started");
}

async fn all(archive: &Archive) {
    a_job_lives_and_dies_with_its_transaction(archive).await;
    order_is_priority_then_age_and_kinds_are_kept_apart(archive).await;
    waiting_jobs_for_one_subject_are_one(archive).await;
    a_lost_lease_is_a_lost_result(archive).await;
    suspects_wait_for_an_idle_worker_and_stop_for_good(archive).await;
    failures_wait_longer_each_time_then_stop(archive).await;
}

async fn timed(archive: &Archive) {
    slow_healthy_workers_do_each_job_once(archive).await;
    delays_are_kept_and_news_wake_at_once(archive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    let (archive, _folder) = temporary(&[]).await.unwrap();
    all(&archive).await;
    let (archive, _folder) = temporary(&[]).await.unwrap();
    timed(&archive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let Some(server) = Postgres::start().unwrap() else {
        println!("skipped: PostgreSQL is not installed");
        return;
    };
    let (archive, _folder) = server.archive(&[]).await.unwrap();
    all(&archive).await;
    let (archive, _folder) = server.archive(&[]).await.unwrap();
    timed(&archive).await;
}

#[test]
fn waits_double_up_to_a_limit() {
    for (failures, millis) in [(0, 400), (1, 400), (2, 800), (3, 1600), (60, 600_000)] {
        assert_eq!(backoff(failures), Duration::from_millis(millis), "{failures}");
    }
}
