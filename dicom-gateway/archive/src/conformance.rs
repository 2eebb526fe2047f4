//! Every SQL constant prepares on both databases, and no hot one reads a whole table.

use crate::db::Dialect;
use crate::testing::{Postgres, is_full_scan, plan, prepare_all, temporary};
use crate::work::claim_sql;
use crate::{Archive, audit, device, institution, order, outbox, patient, work};

pub(crate) type Statements = &'static [(&'static str, &'static str)];

const BOTH: &[Statements] = &[
    crate::db::migrate_sql::ALL,
    crate::db::sql::ALL,
    institution::sql::ALL,
    device::sql::ALL,
    patient::sql::ALL,
    order::sql::ALL,
    crate::route::sql::ALL,
    crate::performed_step::sql::ALL,
    crate::derived::sql::ALL,
    crate::derived_due::sql::ALL,
    crate::health::sql::ALL,
    crate::tally::sql::ALL,
    crate::refused_caller::sql::ALL,
    work::sql::ALL,
];
const SQLITE: &[Statements] = &[crate::admin::sql_sqlite::ALL, work::claim_sqlite::ALL];
const POSTGRES: &[Statements] = &[
    crate::admin::sql_postgres::ALL,
    audit::STATEMENTS.1,
    work::sql_postgres::ALL,
    work::claim_postgres::ALL,
];

/// Statements that read a whole table on purpose: lists of few rows.
const MAY_SCAN: &[&str] = &[
    "institution::sql::LIST",
    "verify::sql::HEADS",
    "chain::sql_postgres::FREE_HEAD",
    "device::sql::LIST",
    "adopt::sql::CODES",
    "backup::sql::ALL_PLACED",
    "backup::sql::NO_WALKS",
    "portable::sql_sqlite::TABLES",
    "portable::sql_sqlite::COLUMNS",
    "portable::sql_postgres::TABLES",
    "portable::sql_postgres::COLUMNS",
    "upkeep::sql::LOCAL_BYTES",
    "upkeep::sql::COUNT_DAMAGED",
    "health::sql::AUDIT_ROWS",
    "refused_caller::sql::TRIM",
];

fn all(own: &[Statements]) -> Vec<(&'static str, &'static str)> {
    let both = BOTH
        .iter()
        .chain(audit::STATEMENTS.0)
        .chain(work::STATEMENTS)
        .chain(outbox::STATEMENTS)
        .chain(crate::receive::STATEMENTS)
        .chain(crate::import::STATEMENTS)
        .chain(crate::retention::STATEMENTS)
        .chain(crate::study::STATEMENTS)
        .chain(crate::admin::STATEMENTS)
        .chain(crate::upkeep::STATEMENTS);
    both.chain(own).flat_map(|list| list.iter().copied()).collect()
}

/// Highest `$n` of a statement.
fn parameter_count(sql: &str) -> usize {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    let numbers = sql
        .split('$')
        .skip(1)
        .filter_map(|rest| digits(rest).parse().ok());
    numbers.max().unwrap_or(0)
}

async fn conforms(archive: &Archive, own: &[Statements], dialect: Dialect) {
    let statements = all(own);
    prepare_all(archive, &statements).await.unwrap();
    for (name, sql) in statements {
        let may = MAY_SCAN.iter().any(|known| name.ends_with(known));
        let plan = plan(archive, sql, parameter_count(sql))
            .await
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(
            may || !is_full_scan(dialect, &plan),
            "{name} reads a whole table: {sql}\n{plan}"
        );
    }
    for (name, sql) in crate::study::explained().into_iter().chain(patient::explained()) {
        let plan = plan(archive, &sql, parameter_count(&sql))
            .await
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(
            !is_full_scan(dialect, &plan),
            "{name} reads a whole table: {sql}\n{plan}"
        );
    }
    for suspects in [false, true] {
        let sql = claim_sql(dialect, 3, suspects);
        let plan = plan(archive, &sql, 8).await.unwrap();
        assert!(!is_full_scan(dialect, &plan), "{sql}\n{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_fits_sqlite() {
    let (archive, _folder) = temporary(&[]).await.unwrap();
    conforms(&archive, SQLITE, Dialect::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_fits_postgres() {
    let Some(server) = Postgres::start().unwrap() else {
        println!("skipped: PostgreSQL is not installed");
        return;
    };
    let (archive, _folder) = server.archive(&[]).await.unwrap();
    conforms(&archive, POSTGRES, Dialect::Postgres).await;
}
