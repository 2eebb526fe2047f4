//! Every SQL constant prepares on both databases, and no hot one reads a whole table.

use crate::db::Dialect;
use crate::testing::{Postgres, is_full_scan, plan, prepare_all, temporary};
use crate::work::claim_sql;
use crate::{Archive, audit, device, institution, order, outbox, patient, work};

pub(crate) type Statements = &'static [(&'static str, &'static str)];

const BOTH: &[Statements] = &[
    crate::db::migrate_sql::ALL,
    institution::sql::ALL,
    device::sql::ALL,
    patient::sql::ALL,
    order::sql::ALL,
    outbox::sql::ALL,
    crate::derived::sql::ALL,
    crate::derived_due::sql::ALL,
    work::sql::ALL,
];
const SQLITE: &[Statements] = &[work::claim_sqlite::ALL];
const POSTGRES: &[Statements] = &[
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
    "centre::sql::LIST",
    "spool::sql::BYTES",
];

fn all(own: &[Statements]) -> Vec<(&'static str, &'static str)> {
    let both = BOTH
        .iter()
        .chain(audit::STATEMENTS.0)
        .chain(work::STATEMENTS)
        .chain(crate::receive::STATEMENTS)
        .chain(crate::edge::STATEMENTS)
        .chain(crate::study::STATEMENTS)
        .chain(crate::admin::STATEMENTS);
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
    for (name, sql) in crate::study::explained() {
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
    let (archive, _folder) = temporary(&[&crate::edge::SPOOL_MIGRATIONS]).await.unwrap();
    conforms(&archive, SQLITE, Dialect::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_fits_postgres() {
    let Some(server) = Postgres::start().unwrap() else {
        println!("skipped: PostgreSQL is not installed");
        return;
    };
    let (archive, _folder) = server.archive(&[&crate::edge::SPOOL_MIGRATIONS]).await.unwrap();
    conforms(&archive, POSTGRES, Dialect::Postgres).await;
}
