//! The same behaviour on both databases.

use crate::audit::{AuditAction, AuditEntry, event};
use crate::institution::{InstitutionKind, NewInstitution, create_in};
use crate::testing::{Postgres, temporary};
use crate::{Archive, ArchiveError, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn hospital(code: &str) -> NewInstitution {
    NewInstitution {
        code: code.to_owned(),
        name_zh: "河西镇中心卫生院".to_owned(),
        name_en: "Hexi Township Hospital".to_owned(),
        kind: InstitutionKind::TownshipHospital,
    }
}

async fn writes_stay_or_vanish_whole(archive: &Archive) {
    let told = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for n in 0..60usize {
        let (db, told) = (archive.db().clone(), told.clone());
        tasks.push(tokio::spawn(async move {
            db.write(move |tx| {
                Box::pin(async move {
                    tx.on_commit(move || {
                        told.fetch_add(1, Ordering::SeqCst);
                    });
                    create_in(tx, hospital(&format!("H{n}"))).await?;
                    tx.audit(AuditEntry::new(event::ORDER_RECORD, AuditAction::Create, "t"));
                    // Every third writer gives up after its row.
                    if n % 3 == 0 {
                        return Err(ArchiveError::NotFound("on purpose".to_owned()));
                    }
                    Ok(n)
                })
            })
            .await
        }));
    }
    let mut good = 0;
    for (n, task) in tasks.into_iter().enumerate() {
        let result: Result<usize> = task.await.unwrap();
        assert_eq!(result.is_ok(), n % 3 != 0, "{n}: {result:?}");
        good += usize::from(result.is_ok());
    }
    assert_eq!(good, 40);
    assert_eq!(archive.institutions().list().await.unwrap().len(), good);
    assert_eq!(told.load(Ordering::SeqCst), good);
    let report = archive.verify_audit().await.unwrap();
    assert_eq!((report.rows, report.problems), (good as u64, vec![]));
}

async fn a_taken_code_is_a_conflict(archive: &Archive) {
    let again = archive.institutions().create(hospital("H1")).await;
    assert!(matches!(again, Err(ArchiveError::Conflict(_))), "{again:?}");
    assert_eq!(
        archive.institutions().by_code("H1").await.unwrap().name_zh,
        "河西镇中心卫生院"
    );
    let none = archive.institutions().by_code("nowhere").await;
    assert!(matches!(none, Err(ArchiveError::NotFound(_))));
}

async fn a_falling_writer_harms_no_other(archive: &Archive) {
    let fallen: Result<()> = archive
        .db()
        .write(|_| Box::pin(async { panic!("on purpose") }))
        .await;
    assert!(fallen.is_err());
    archive.institutions().create(hospital("AFTER")).await.unwrap();
}

async fn all(archive: &Archive) {
    writes_stay_or_vanish_whole(archive).await;
    a_taken_code_is_a_conflict(archive).await;
    a_falling_writer_harms_no_other(archive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    let (archive, folder) = temporary(&[]).await.unwrap();
    all(&archive).await;
    drop(archive);
    // A second opening finds the schema applied and the rows in place.
    let again = Archive::open(crate::testing::config(folder.path()), &[])
        .await
        .unwrap();
    assert_eq!(again.institutions().list().await.unwrap().len(), 41);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let Some(server) = Postgres::start().unwrap() else {
        println!("skipped: PostgreSQL is not installed");
        return;
    };
    let (archive, _folder) = server.archive(&[]).await.unwrap();
    all(&archive).await;
}

#[test]
fn index_urls() {
    use super::IndexUrl;
    let check = |text: &str, sqlite: Option<&str>| match text.parse::<IndexUrl>() {
        Ok(IndexUrl::Sqlite(path)) => assert_eq!(path.to_str(), sqlite, "{text}"),
        Ok(IndexUrl::Postgres(url)) => assert_eq!((url.as_str(), sqlite), (text, None)),
        Err(error) => assert!(
            matches!(error, ArchiveError::Invalid { .. }) && sqlite == Some("error"),
            "{text}"
        ),
    };
    check("sqlite:data/index.sqlite", Some("data/index.sqlite"));
    check("sqlite:///var/index.sqlite", Some("/var/index.sqlite"));
    check("postgres://gongying@db/gongying", None);
    check("mysql://x", Some("error"));
    check("sqlite:", Some("error"));
}
