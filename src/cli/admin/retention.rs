//! How long records are kept: holds, and removing what has ended.

use super::Place;
use crate::node::Node;
use crate::output;
use anyhow::{Context, Result, bail};
use archive::retention::{
    DEFAULT_RULES, Hold as HoldRow, HoldTarget, PersonPlan, PlanSummary, PurgeOrder, Rules, Verdict, today,
};
use clap::{Args, Subcommand};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Persons whose records have ended, named on standard output at most; `--csv` has them all.
const NAMED_MAX: u64 = 50;
/// Holds of one page of the history.
const PAGE_ROWS: u32 = 1000;

#[derive(Subcommand, Debug)]
pub(crate) enum Hold {
    /// Keep a patient or a study, whatever its age, until the hold is released.
    #[command(
        after_help = "Example: gongying admin hold set --patient P0012 --institution HEXI --reason \"医疗纠纷 2026-17\" --by security.county --config node.toml"
    )]
    Set {
        #[command(flatten)]
        target: Target,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Account of who says so; stands in the audit trail.
        #[arg(long, default_value = "operator")]
        by: String,
        #[command(flatten)]
        place: Place,
    },
    /// End a hold, or all holds on a patient or study.
    #[command(
        after_help = "Example: gongying admin hold release --id 3 --reason \"结案\" --by security.county --config node.toml"
    )]
    Release {
        /// Number of the hold, as `hold list` shows it.
        #[arg(long, conflicts_with_all = ["patient", "study"])]
        id: Option<i64>,
        #[command(flatten)]
        target: Target,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Account of who says so; stands in the audit trail.
        #[arg(long, default_value = "operator")]
        by: String,
        #[command(flatten)]
        place: Place,
    },
    /// Show the holds.
    #[command(after_help = "Example: gongying admin hold list --config node.toml")]
    List {
        /// Only those on this patient or study.
        #[command(flatten)]
        target: Target,
        /// Also released ones.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// A patient or a study.
#[derive(Args, Debug)]
pub(crate) struct Target {
    /// Patient ID as the institution writes it; everything of that person is meant.
    #[arg(long, conflicts_with = "study")]
    patient: Option<String>,
    /// Code of the patient's institution, when several know this Patient ID.
    #[arg(long, requires = "patient")]
    institution: Option<String>,
    /// Study Instance UID.
    #[arg(long)]
    study: Option<String>,
}

impl Target {
    async fn find(&self, node: &Node) -> Result<Option<HoldTarget>> {
        if let Some(uid) = &self.study {
            return Ok(Some(HoldTarget::Study(uid.clone())));
        }
        let Some(identifier) = &self.patient else {
            return Ok(None);
        };
        let mut found = node.archive.patients().by_identifier(identifier).await?;
        if let Some(code) = &self.institution {
            let institution = node.archive.institutions().by_code(code).await?;
            found.retain(|patient| patient.institution_id == institution.id);
        }
        match found.as_slice() {
            [one] => Ok(Some(HoldTarget::Patient(one.id))),
            [] => bail!("no patient has this Patient ID; see the page of patients"),
            many => bail!(
                "{} institutions have a patient with this Patient ID: say --institution",
                many.len()
            ),
        }
    }

    async fn wanted(&self, node: &Node) -> Result<HoldTarget> {
        let found = self.find(node).await?;
        found.context("say --patient or --study")
    }
}

impl Hold {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Hold::Set {
                target,
                reason,
                by,
                place,
            } => {
                let node = place.open().await?;
                let target = target.wanted(&node).await?;
                let id = node.archive.retention().hold(target, &reason, &by).await?;
                output::line(&format!("hold {id} is in force"))
            }
            Hold::Release {
                id,
                target,
                reason,
                by,
                place,
            } => {
                let node = place.open().await?;
                let retention = node.archive.retention();
                let ids = match id {
                    Some(id) => vec![id],
                    None => {
                        let target = target.wanted(&node).await?;
                        let holds = retention.holds().await?.into_iter();
                        holds
                            .filter(|hold| hold.target == target)
                            .map(|hold| hold.id)
                            .collect()
                    }
                };
                if ids.is_empty() {
                    bail!("no hold is in force on it; see gongying admin hold list");
                }
                for id in ids {
                    retention.release(id, &reason, &by).await?;
                    output::line(&format!("hold {id} has ended"))?;
                }
                Ok(())
            }
            Hold::List { target, all, place } => {
                let node = place.open().await?;
                let wanted = target.find(&node).await?;
                let shown = |hold: &HoldRow| wanted.as_ref().is_none_or(|target| hold.target == *target);
                let mut after = 0;
                loop {
                    let page = if all {
                        node.archive.retention().hold_history(after, PAGE_ROWS).await?
                    } else {
                        node.archive.retention().holds().await?
                    };
                    page.iter()
                        .filter(|h| shown(h))
                        .try_for_each(|h| output::line(&hold_line(h)))?;
                    match page.last() {
                        Some(last) if all => after = last.id,
                        _ => return Ok(()),
                    }
                }
            }
        }
    }
}

fn hold_line(hold: &HoldRow) -> String {
    let target = match &hold.target {
        HoldTarget::Patient(id) => format!("patient row {id}"),
        HoldTarget::Study(uid) => format!("study {uid}"),
    };
    let end = match (&hold.released_at, &hold.released_by, &hold.release_reason) {
        (Some(at), Some(by), Some(reason)) => format!("; released {at} by {by}: {reason}"),
        _ => String::new(),
    };
    format!(
        "{:5} {target}; since {} by {}: {}{end}",
        hold.id, hold.set_at, hold.set_by, hold.reason
    )
}

/// Remove records whose time has ended. Without --execute nothing is removed: it is shown what would go and what keeps
/// the rest.
#[derive(Args, Debug)]
#[command(after_help = "Example: gongying admin purge --config node.toml\n\
    Then:    gongying admin purge --execute --by admin.county --approved-by security.county --config node.toml")]
pub(crate) struct Purge {
    /// Rules of retention (TOML); the law's when missing. See --print-rules.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Print the rules that hold and stop.
    #[arg(long)]
    print_rules: bool,
    /// Only show what would go (the default).
    #[arg(long, conflicts_with = "execute")]
    dry_run: bool,
    /// Write every person and study with the reason why it goes or stays as CSV.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
    /// Remove for good. Needs two persons.
    #[arg(long, requires = "by", requires = "approved_by")]
    execute: bool,
    /// Account of who decided.
    #[arg(long, value_name = "ACCOUNT")]
    by: Option<String>,
    /// Account of a second person who approved.
    #[arg(long, value_name = "ACCOUNT")]
    approved_by: Option<String>,
    /// Persons whose records are removed at most.
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    limit: u64,
    /// Folder of the certificate of destruction; purges/ in the data folder when missing.
    #[arg(long, value_name = "DIR")]
    certificate: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

impl Purge {
    pub(super) async fn run(self) -> Result<()> {
        let rules = match &self.rules {
            Some(path) => Rules::load(path)?,
            None => Rules::default(),
        };
        if self.print_rules {
            let text = if self.rules.is_some() {
                rules.text()
            } else {
                DEFAULT_RULES
            };
            return output::write(None, text.as_bytes());
        }
        let node = self.place.open().await?;
        if self.execute {
            self.execute(&node, rules).await
        } else {
            self.show(&node, &rules).await
        }
    }

    async fn show(&self, node: &Node, rules: &Rules) -> Result<()> {
        let mut table = self.csv.as_ref().map(Table::create).transpose()?;
        let mut named = 0;
        let mut written = Ok(());
        let retention = node.archive.retention();
        let planned = retention.plan(rules, today(), |plan| {
            if let Some(table) = &mut table {
                table.write(&plan);
            }
            if plan.verdict == Verdict::Ended && !self.json {
                named += 1;
                if named <= NAMED_MAX && written.is_ok() {
                    written = ended_lines(&plan).iter().try_for_each(|line| output::line(line));
                }
            }
        });
        let summary = planned.await?;
        written?;
        table.map(Table::close).transpose()?;
        if self.json {
            return output::json(None, &summary);
        }
        if named > NAMED_MAX {
            output::line(&format!(
                "... and {} persons more; --csv FILE has them all",
                named - NAMED_MAX
            ))?;
        }
        summary_lines(&summary)
            .iter()
            .try_for_each(|line| output::line(line))
    }

    async fn execute(&self, node: &Node, rules: Rules) -> Result<()> {
        let (by, approved_by) = (
            self.by.clone().unwrap_or_default(),
            self.approved_by.clone().unwrap_or_default(),
        );
        for user in [&by, &approved_by] {
            let account = node.reading.account(user).await?;
            let account = account.with_context(|| format!("{user}: there is no such account"))?;
            if account.disabled_at.is_some() {
                bail!("{user}: this account is disabled");
            }
        }
        let retention = node.archive.retention();
        let folder = self.finish_earlier(node).await?;
        let order = PurgeOrder {
            rules,
            decided_by: by,
            approved_by,
            persons_max: self.limit,
            extra: Some(reading::retention::forget_study),
        };
        let mut written = Ok(());
        let report = retention.purge(order, |plan, study| {
            if written.is_ok() && !self.json {
                written = output::line(&format!(
                    "removed {} of {}: class {}, kept until {}",
                    study.study_uid, study.institution, plan.class, plan.kept_until
                ));
            }
        });
        let report = report.await?;
        written?;
        let files = retention.certify(report.run_id, &folder).await?;
        node.archive.close().await?;
        if self.json {
            return output::json(
                None,
                &serde_json::json!({
                    "run": report.run_id,
                    "persons": report.persons,
                    "studies": report.studies,
                    "files": report.files,
                    "spared": report.spared,
                    "certificate": files.json,
                    "list": files.csv,
                    "certificate_sha256": files.digest.to_hex(),
                }),
            );
        }
        output::line(&format!(
            "{} studies with {} files removed; of {} persons nothing is left, {} were spared because something came; certificate {}",
            report.studies,
            report.files,
            report.persons,
            report.spared,
            files.json.display()
        ))
    }
}

impl Purge {
    /// Ends and certifies what an interrupted run left, before anything new begins; gives the folder of certificates.
    async fn finish_earlier(&self, node: &Node) -> Result<PathBuf> {
        let retention = node.archive.retention();
        let folder = match &self.certificate {
            Some(folder) => folder.clone(),
            None => node.archive.config().data_dir.join("purges"),
        };
        let resumed = retention.resume().await?;
        if resumed > 0 {
            output::note(&format!(
                "{resumed} files of an interrupted run were removed first"
            ));
        }
        for run in retention.open_runs().await? {
            let files = retention.certify(run, &folder).await?;
            output::note(&format!(
                "certificate of the earlier purge {run}: {}",
                files.json.display()
            ));
        }
        Ok(folder)
    }
}

fn ended_lines(plan: &PersonPlan) -> Vec<String> {
    let line = |study: &archive::retention::StudyPlan| {
        let what = match study.held_by {
            Some(hold) => format!("stays, hold {hold}"),
            None => "would go".to_owned(),
        };
        format!(
            "{what}: study {} of {} of {}; class {}, last visit {}, kept until {}",
            study.study_uid, study.institution, study.day, plan.class, plan.last_visit, plan.kept_until
        )
    };
    plan.studies.iter().map(line).collect()
}

fn summary_lines(summary: &PlanSummary) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{} persons with records; of {} the time has ended: {} studies would go, {} stay by a hold on the study",
            summary.persons, summary.ended, summary.studies_ended, summary.studies_held
        ),
        format!(
            "kept: {} persons by time, {} by a hold on the patient, {} because objects still arrive",
            summary.kept, summary.held, summary.arriving
        ),
    ];
    if let Some(day) = summary.next_end {
        lines.push(format!("the next time ends with {day}"));
    }
    if summary.ended > 0 {
        lines.push("nothing was removed; add --execute --by ACCOUNT --approved-by ACCOUNT".to_owned());
    }
    lines
}

/// One line for each study, or for a person without studies.
struct Table {
    path: PathBuf,
    out: BufWriter<File>,
    failed: Option<std::io::Error>,
}

impl Table {
    fn create(path: &PathBuf) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("{}: cannot be written", path.display()))?;
        let mut table = Table {
            path: path.clone(),
            out: BufWriter::new(file),
            failed: None,
        };
        table.row("person_row,study_uid,institution,day,class,last_visit,kept_until,goes,reason,law\r\n");
        Ok(table)
    }

    fn row(&mut self, text: &str) {
        if self.failed.is_none() {
            self.failed = self.out.write_all(text.as_bytes()).err();
        }
    }

    fn write(&mut self, plan: &PersonPlan) {
        let reason = match &plan.verdict {
            Verdict::Ended => "the time has ended".to_owned(),
            Verdict::Kept => "the time has not ended".to_owned(),
            Verdict::Held { holds } => format!("hold {holds:?} on the patient"),
            Verdict::Arriving => "objects still arrive".to_owned(),
        };
        let person = plan.person_id;
        let (class, law) = (super::csv(&plan.class), super::csv(&plan.law));
        let (last, until) = (plan.last_visit, plan.kept_until);
        if plan.studies.is_empty() {
            let goes = plan.verdict == Verdict::Ended;
            self.row(&format!(
                "{person},,,,{class},{last},{until},{goes},{},{law}\r\n",
                super::csv(&reason)
            ));
        }
        for study in &plan.studies {
            let goes = plan.verdict == Verdict::Ended && study.held_by.is_none();
            let reason = match study.held_by {
                Some(hold) => format!("hold {hold} on the study"),
                None => reason.clone(),
            };
            self.row(&format!(
                "{person},{},{},{},{class},{last},{until},{goes},{},{law}\r\n",
                study.study_uid,
                super::csv(&study.institution),
                study.day,
                super::csv(&reason)
            ));
        }
    }

    fn close(mut self) -> Result<()> {
        let written = match self.failed {
            Some(error) => Err(error),
            None => self.out.flush(),
        };
        written.with_context(|| format!("{}: the list could not be written", self.path.display()))
    }
}
