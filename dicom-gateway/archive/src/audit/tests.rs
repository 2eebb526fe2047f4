//! Every way to falsify the trail is found.

use super::{AuditAction, AuditEntry, AuditFilter, AuditOutcome, event, read_anchor};
use crate::testing::{Postgres, TemporaryFolder, config, temporary};
use crate::{Archive, UnixMicros};
use sqlx::Connection;
use std::path::Path;

fn entry(n: usize) -> AuditEntry {
    AuditEntry::new(
        event::INSTANCES_ACCESSED,
        AuditAction::Read,
        format!("reader{}", n % 3),
    )
    .role("radiology_writer")
    .institution("XYRM")
    .study(format!("1.2.{}", n % 5))
    .patient(format!("{n}"))
    .source_ip("127.0.0.1")
    .detail("frames")
    .outcome(if n.is_multiple_of(7) {
        AuditOutcome::MinorFailure
    } else {
        AuditOutcome::Success
    })
}

/// A row in the middle of forty.
const MIDDLE: i64 = 20 * 64;

async fn filled(archive: &Archive, rows: usize) {
    for n in 0..rows {
        archive.audit().record(entry(n)).await.unwrap();
    }
}

/// A copy of the data folder, changed by `statements`, triggers dropped first.
async fn verdict(from: &Path, statements: &[String]) -> (u64, Vec<String>) {
    let copy = TemporaryFolder::new().unwrap();
    for file in std::fs::read_dir(from).unwrap().flatten() {
        if file.path().is_file() {
            std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
    }
    let conn = rusqlite::Connection::open(copy.path().join("index.sqlite")).unwrap();
    for trigger in ["audit_event_no_update", "audit_event_no_delete"] {
        conn.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    for text in statements {
        conn.execute_batch(text).unwrap();
    }
    conn.close().unwrap();
    let archive = Archive::open(config(copy.path()), &[]).await.unwrap();
    let report = archive.verify_audit().await.unwrap();
    (report.problem_count, report.problems)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_falsification_is_found() {
    let (archive, folder) = temporary(&[]).await.unwrap();
    filled(&archive, 40).await;
    archive.close().await.unwrap();
    archive.audit().record(entry(41)).await.unwrap();
    drop(archive);
    let at = folder.path();
    assert_eq!(verdict(at, &[]).await, (0, vec![]));

    let names = column_names(at);
    each_column_is_covered(at, &names).await;
    moved_rows_are_found(at, &names.join(", ")).await;
}

fn column_names(at: &Path) -> Vec<String> {
    let conn = rusqlite::Connection::open(at.join("index.sqlite")).unwrap();
    let mut columns = conn
        .prepare("SELECT name FROM pragma_table_info('audit_event') WHERE pk = 0")
        .unwrap();
    let names = columns.query_map([], |row| row.get(0)).unwrap();
    let names: Vec<String> = names.map(Result::unwrap).collect();
    assert_eq!(names.len(), 12);
    names
}

async fn each_column_is_covered(at: &Path, names: &[String]) {
    for name in names {
        for value in ["'x'", "NULL", "5", "x'00'", "''"] {
            let text = format!("UPDATE OR IGNORE audit_event SET {name} = {value} WHERE id = {MIDDLE}");
            let unchanged = matches!((name.as_str(), value), (_, "NULL") if ["at", "event", "action", "outcome", "user_name", "role", "hash"].contains(&name.as_str()));
            let (count, _) = verdict(at, &[text]).await;
            assert_eq!(count > 0, !unchanged, "{name} = {value}");
        }
    }
}

async fn moved_rows_are_found(at: &Path, list: &str) {
    let swap = [
        format!("CREATE TABLE keep AS SELECT * FROM audit_event WHERE id IN ({MIDDLE}, 192)"),
        format!("DELETE FROM audit_event WHERE id IN ({MIDDLE}, 192)"),
        format!("INSERT INTO audit_event (id, {list}) SELECT {MIDDLE} + 192 - id, {list} FROM keep"),
    ];
    let last = 41 * 64;
    let cases: Vec<(&str, Vec<String>)> = vec![
        (
            "a row removed",
            vec![format!("DELETE FROM audit_event WHERE id = {MIDDLE}")],
        ),
        ("two rows exchanged", swap.to_vec()),
        (
            "the first row removed",
            vec!["DELETE FROM audit_event WHERE id = 64".into()],
        ),
        (
            "the last rows cut off",
            vec![format!("DELETE FROM audit_event WHERE id > {last} - 320")],
        ),
        (
            "cut off with a head to match",
            vec![
                format!("DELETE FROM audit_event WHERE id = {last}"),
                "UPDATE audit_head SET rows = 40, hash = (SELECT hash FROM audit_event WHERE id = 2560)"
                    .into(),
            ],
        ),
        (
            "all rows and heads removed",
            vec![
                "DELETE FROM audit_event".into(),
                "UPDATE audit_head SET rows = 0".into(),
            ],
        ),
        ("the head removed", vec!["DELETE FROM audit_head".into()]),
        (
            "a row put in",
            vec![format!(
                "INSERT INTO audit_event SELECT {MIDDLE} + 1, {list} FROM audit_event WHERE id = {MIDDLE}"
            )],
        ),
    ];
    for (what, statements) in cases {
        let (count, _) = verdict(at, &statements).await;
        assert!(count > 0, "{what} is not seen");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_state_put_back_is_found() {
    let (archive, folder) = temporary(&[]).await.unwrap();
    filled(&archive, 5).await;
    let old = TemporaryFolder::new().unwrap();
    let copy = old.path().join("index.sqlite");
    assert!(archive.db().copy_into(&copy).await.unwrap());
    filled(&archive, 5).await;
    archive.close().await.unwrap();
    drop(archive);
    for file in ["audit.key", "audit.anchor"] {
        std::fs::copy(folder.path().join(file), old.path().join(file)).unwrap();
    }
    let anchor = read_anchor(old.path()).unwrap().unwrap();
    assert_eq!(anchor.iter().map(|head| head.rows).collect::<Vec<_>>(), [10]);
    let archive = Archive::open(config(old.path()), &[]).await.unwrap();
    let report = archive.verify_audit().await.unwrap();
    assert_eq!(report.problems, ["chain 0 has 5 rows, the anchor file knows 10"]);
}

async fn search_finds_pages(archive: &Archive) {
    let audit = archive.audit();
    let before = audit
        .search(&AuditFilter::default(), 1000, None)
        .await
        .unwrap()
        .rows
        .len();
    filled(archive, 25).await;
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = audit.search(&AuditFilter::default(), 7, cursor).await.unwrap();
        seen.extend(page.rows);
        cursor = page.next.map(|c| c.to_string().parse().unwrap());
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), before + 25);
    assert!(seen.windows(2).all(|w| (w[0].at, w[0].id) > (w[1].at, w[1].id)));
    filters_select(archive, seen[0].at).await;
}

async fn filters_select(archive: &Archive, newest: UnixMicros) {
    let check = |filter: AuditFilter, count: usize| async move {
        let rows = audit_rows(archive, &filter).await;
        assert_eq!(rows, count, "{filter:?}");
    };
    check(
        AuditFilter {
            user: Some("reader1".into()),
            ..Default::default()
        },
        8,
    )
    .await;
    check(
        AuditFilter {
            study_uid: Some("1.2.0".into()),
            ..Default::default()
        },
        5,
    )
    .await;
    check(
        AuditFilter {
            outcome: Some(4),
            ..Default::default()
        },
        4,
    )
    .await;
    check(
        AuditFilter {
            event: Some("110199".into()),
            ..Default::default()
        },
        0,
    )
    .await;
    check(
        AuditFilter {
            institution: Some("XYRM".into()),
            user: Some("reader0".into()),
            ..Default::default()
        },
        9,
    )
    .await;
    check(
        AuditFilter {
            from: Some(newest.plus(std::time::Duration::from_secs(1))),
            ..Default::default()
        },
        0,
    )
    .await;
}

async fn audit_rows(archive: &Archive, filter: &AuditFilter) -> usize {
    archive
        .audit()
        .search(filter, 1000, None)
        .await
        .unwrap()
        .rows
        .len()
}

#[tokio::test(flavor = "multi_thread")]
async fn search_sqlite() {
    let (archive, _folder) = temporary(&[]).await.unwrap();
    search_finds_pages(&archive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_chains_and_searches() {
    let Some(server) = Postgres::start().unwrap() else {
        println!("skipped: PostgreSQL is not installed");
        return;
    };
    let (archive, _folder) = server.archive(&[]).await.unwrap();
    search_finds_pages(&archive).await;
    // Writers at once use several chains.
    let tasks: Vec<_> = (0..64)
        .map(|n| {
            let audit = archive.audit();
            tokio::spawn(async move { audit.record(entry(n)).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    archive.close().await.unwrap();
    let report = archive.verify_audit().await.unwrap();
    assert_eq!((report.rows, report.problems), (89, vec![]));
    // The rows cannot be changed, and a change made past the trigger is seen.
    let mut conn = sqlx::PgConnection::connect(&server.url(&archive_database(&archive)))
        .await
        .unwrap();
    assert!(
        sqlx::query("UPDATE audit_event SET detail = 'x'")
            .execute(&mut conn)
            .await
            .is_err()
    );
    sqlx::raw_sql(
        "DROP TRIGGER audit_event_frozen ON audit_event; UPDATE audit_event SET detail = 'x' WHERE id = 64",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    assert!(!archive.verify_audit().await.unwrap().is_intact());
}

fn archive_database(archive: &Archive) -> String {
    match &archive.shared.config.index {
        crate::db::IndexUrl::Postgres(url) => url.rsplit('/').next().unwrap_or_default().to_owned(),
        crate::db::IndexUrl::Sqlite(_) => String::new(),
    }
}
