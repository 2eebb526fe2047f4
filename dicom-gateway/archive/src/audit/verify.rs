//! Checking the whole audit trail against its hashes, its signed heads and the anchor file.

use super::anchor::{AnchoredHead, read_anchor};
use super::chain::{CHAINS_MAX, row_hash};
use super::signer::head_message;
use super::{Audit, AuditSigner};
use crate::db::{Row, Tx, Value};
use crate::error::Result;
use crate::params;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Rows read at a time.
const PAGE_ROWS: i64 = 4096;
/// Problems described at most; further ones are only counted.
const PROBLEMS_SHOWN_MAX: usize = 50;

crate::statements! {
    mod sql {
        HEADS = "SELECT chain, rows, hash, key_id, signature FROM audit_head ORDER BY chain";
        PAGE = "SELECT id, at, event, action, outcome, user_name, role, institution, study_uid, patient_ref, source_ip, detail, hash FROM audit_event WHERE id > $1 ORDER BY id LIMIT $2";
    }
}

/// What a check of the audit trail found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Rows read.
    pub rows: u64,
    /// Chains with rows.
    pub chains: u64,
    /// Number of things wrong.
    pub problem_count: u64,
    /// The first of them, in words.
    pub problems: Vec<String>,
}

impl AuditReport {
    /// Whether nothing is wrong.
    pub fn is_intact(&self) -> bool {
        self.problem_count == 0
    }

    fn problem(&mut self, text: String) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_SHOWN_MAX {
            self.problems.push(text);
        }
    }
}

/// What is known of one chain while its rows go by.
#[derive(Default)]
struct ChainState {
    rows: i64,
    hash: Vec<u8>,
    /// Anchored position still to come: number of rows and the hash there.
    anchored: Option<(i64, Vec<u8>)>,
}

/// Checks every row, every head and the anchor file of `data_dir`.
///
/// # Errors
/// Only when the index or the anchor file cannot be read; what is wrong with the rows is in the
/// report.
pub async fn verify(audit: &Audit, signer: Arc<AuditSigner>, data_dir: &Path) -> Result<AuditReport> {
    let anchor = read_anchor(data_dir);
    audit
        .db
        .snapshot(move |tx| {
            Box::pin(async move {
                let mut report = AuditReport::default();
                let mut chains = BTreeMap::new();
                match anchor {
                    Ok(anchor) => take_anchor(&mut report, &mut chains, anchor, &signer),
                    Err(error) => report.problem(error.to_string()),
                }
                walk_rows(tx, &mut report, &mut chains).await?;
                check_heads(tx, &mut report, &mut chains, &signer).await?;
                for (chain, state) in &chains {
                    if let Some((rows, _)) = state.anchored {
                        report.problem(format!(
                            "chain {chain} has {} rows, the anchor file knows {rows}",
                            state.rows
                        ));
                    }
                }
                Ok(report)
            })
        })
        .await
}

fn take_anchor(
    report: &mut AuditReport,
    chains: &mut BTreeMap<i64, ChainState>,
    anchor: Option<Vec<AnchoredHead>>,
    signer: &AuditSigner,
) {
    for head in anchor.unwrap_or_default() {
        if !head.is_signed(signer) {
            report.problem(format!(
                "the anchor file's entry for chain {} is not signed by a trusted key",
                head.chain
            ));
        }
        let hash = hex::decode(&head.hash).unwrap_or_default();
        chains.entry(head.chain).or_default().anchored = Some((head.rows, hash));
    }
}

async fn walk_rows(
    tx: &mut Tx,
    report: &mut AuditReport,
    chains: &mut BTreeMap<i64, ChainState>,
) -> Result<()> {
    let mut after = i64::MIN;
    loop {
        let page = tx.fetch_all(sql::PAGE, params![after, PAGE_ROWS]).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = last.int("id")?;
        for row in &page {
            report.rows += 1;
            check_row(row, report, chains);
        }
    }
}

fn check_row(row: &Row, report: &mut AuditReport, chains: &mut BTreeMap<i64, ChainState>) {
    let id = row.int("id").unwrap_or_default();
    let (chain, place) = (id.rem_euclid(CHAINS_MAX), id.div_euclid(CHAINS_MAX));
    let state = chains.entry(chain).or_default();
    if place != state.rows + 1 {
        report.problem(format!(
            "chain {chain}: row {} is missing before row {place}",
            state.rows + 1
        ));
    }
    let (Ok(columns), Ok(hash)) = (read_columns(row), row.bytes("hash")) else {
        report.problem(format!(
            "chain {chain}: row {place} holds a value of another kind"
        ));
        state.rows = place;
        return;
    };
    if row_hash(&state.hash, &columns).as_slice() != hash.as_slice() {
        report.problem(format!(
            "chain {chain}: row {place} was changed, or the row before it"
        ));
    }
    state.rows = place;
    state.hash = hash;
    if let Some((_, anchored)) = state.anchored.take_if(|(rows, _)| *rows == place)
        && anchored != state.hash
    {
        report.problem(format!("chain {chain}: row {place} differs from the anchor file"));
    }
}

fn read_columns(row: &Row) -> Result<Vec<Value>> {
    let mut columns = Vec::with_capacity(12);
    for name in ["id", "at"] {
        columns.push(Value::Int(row.opt_int(name)?));
    }
    for name in ["event", "action"] {
        columns.push(Value::Text(row.opt_text(name)?));
    }
    columns.push(Value::Int(row.opt_int("outcome")?));
    for name in [
        "user_name",
        "role",
        "institution",
        "study_uid",
        "patient_ref",
        "source_ip",
        "detail",
    ] {
        columns.push(Value::Text(row.opt_text(name)?));
    }
    Ok(columns)
}

async fn check_heads(
    tx: &mut Tx,
    report: &mut AuditReport,
    chains: &mut BTreeMap<i64, ChainState>,
    signer: &AuditSigner,
) -> Result<()> {
    let mut known = Vec::new();
    for row in tx.fetch_all(sql::HEADS, Vec::new()).await? {
        let (chain, rows) = (row.int("chain")?, row.int("rows")?);
        known.push(chain);
        let state = chains.entry(chain).or_default();
        if rows != state.rows {
            report.problem(format!(
                "chain {chain} has {} rows, its signed head says {rows}",
                state.rows
            ));
        }
        if rows == 0 && state.rows == 0 {
            continue;
        }
        report.chains += 1;
        let (hash, signature) = (row.bytes("hash")?, row.bytes("signature")?);
        if hash != state.hash {
            report.problem(format!(
                "chain {chain}: the last row differs from the signed head"
            ));
        }
        if !signer.check(
            &row.text("key_id")?,
            &head_message(chain, rows, &hash),
            &signature,
        ) {
            report.problem(format!("chain {chain}: the head is not signed by a trusted key"));
        }
    }
    for (chain, state) in chains.iter() {
        if !known.contains(chain) && state.rows > 0 {
            report.problem(format!("chain {chain} has rows but no signed head"));
        }
    }
    Ok(())
}
