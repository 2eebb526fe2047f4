//! The report's life as a pure state machine: 书写, 审核, 发布, 补充, 更正, 撤回.
//!
//! No index, no clock: [`Record::apply`] takes the kept record, a command, who gives it and when, and answers the next
//! record and, where something is issued, the kind of the new version. What is not listed is refused.

use serde::{Deserialize, Serialize};

use crate::error::{ReadingError, Result};

/// Longest findings, technique or amendment, in characters.
pub const TEXT_CHARS_MAX: usize = 20_000;
/// Longest reason, in characters.
pub const REASON_CHARS_MAX: usize = 500;
/// Largest structured part, in bytes of its JSON.
pub const STRUCTURED_BYTES_MAX: usize = 64 * 1024;

/// State of the report of one study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing written.
    None,
    /// Being written.
    Draft,
    /// With the reviewer.
    Submitted,
    /// Given back by the reviewer.
    Returned,
    /// Issued.
    Signed,
    /// Issued, with an addendum or a correction.
    Amended,
    /// Withdrawn.
    Revoked,
}

impl State {
    /// Every state.
    pub const ALL: [State; 7] = [
        State::None,
        State::Draft,
        State::Submitted,
        State::Returned,
        State::Signed,
        State::Amended,
        State::Revoked,
    ];

    /// The word in JSON and in the index.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            State::None => "none",
            State::Draft => "draft",
            State::Submitted => "submitted",
            State::Returned => "returned",
            State::Signed => "signed",
            State::Amended => "amended",
            State::Revoked => "revoked",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(text: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether a version has been issued.
    #[must_use]
    pub const fn is_issued(self) -> bool {
        matches!(self, State::Signed | State::Amended | State::Revoked)
    }
}

/// Kind of an issued version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionKind {
    /// The first.
    Original,
    /// Adds, changes nothing.
    Addendum,
    /// Mends an error.
    Correction,
    /// Withdraws.
    Revocation,
}

impl VersionKind {
    /// The word in JSON and in the index.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            VersionKind::Original => "original",
            VersionKind::Addendum => "addendum",
            VersionKind::Correction => "correction",
            VersionKind::Revocation => "revocation",
        }
    }

    /// The kinds that a user can ask for.
    #[must_use]
    pub fn parse_amendment(text: &str) -> Option<VersionKind> {
        [
            VersionKind::Addendum,
            VersionKind::Correction,
            VersionKind::Revocation,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
    }

    /// Reads the word back, `original` too.
    #[must_use]
    pub fn parse(text: &str) -> Option<VersionKind> {
        if text == "original" {
            Some(VersionKind::Original)
        } else {
            Self::parse_amendment(text)
        }
    }
}

/// What a reader writes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ReportText {
    /// 影像所见, objective findings.
    #[serde(default)]
    pub findings: String,
    /// 影像诊断, conclusion.
    #[serde(default)]
    pub impression: String,
    /// 检查方法与技术.
    #[serde(default)]
    pub technique: Option<String>,
    /// 阳性: something abnormal was found.
    #[serde(default)]
    pub positive: Option<bool>,
    /// Fields of a structured template.
    #[serde(default)]
    pub structured: Option<serde_json::Value>,
}

impl ReportText {
    fn check(&self) -> Result<()> {
        let too_long = |text: &str| text.chars().count() > TEXT_CHARS_MAX;
        if too_long(&self.findings) {
            return Err(ReadingError::invalid(
                "findings",
                "超过 20000 字",
                "longer than 20,000 characters",
            ));
        }
        if too_long(&self.impression) {
            return Err(ReadingError::invalid(
                "impression",
                "超过 20000 字",
                "longer than 20,000 characters",
            ));
        }
        if self.technique.as_deref().is_some_and(too_long) {
            return Err(ReadingError::invalid(
                "technique",
                "超过 20000 字",
                "longer than 20,000 characters",
            ));
        }
        if self
            .structured
            .as_ref()
            .is_some_and(|v| v.to_string().len() > STRUCTURED_BYTES_MAX)
        {
            return Err(ReadingError::invalid(
                "structured",
                "超过 64 KiB",
                "larger than 64 KiB",
            ));
        }
        Ok(())
    }
}

/// A step somebody asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Save the draft.
    Save(ReportText),
    /// Hand it to the reviewer.
    Submit,
    /// Give it back.
    Return {
        /// Why.
        reason: String,
    },
    /// Issue it.
    Sign,
    /// Issue an addendum, a correction or a revocation.
    Amend {
        /// Which.
        kind: VersionKind,
        /// Its text.
        text: String,
        /// Why; needed for correction and revocation.
        reason: Option<String>,
    },
}

impl Command {
    /// The word in the event log.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Command::Save(_) => "save",
            Command::Submit => "submit",
            Command::Return { .. } => "return",
            Command::Sign => "sign",
            Command::Amend { kind, .. } => kind.as_str(),
        }
    }
}

/// The report of one study as kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// State.
    pub state: State,
    /// Grows with every change; the entity tag.
    pub revision: i64,
    /// The text of the draft; after signing, the text issued.
    pub text: ReportText,
    /// Account of the writer.
    pub author: Option<String>,
    /// Account of the signer.
    pub signer: Option<String>,
    /// Reason and account of the last return.
    pub returned: Option<(String, String)>,
    /// Number of issued versions.
    pub versions: u32,
    /// Time of the last change, Unix microseconds.
    pub updated_at: i64,
    /// Time of the last submission.
    pub submitted_at: Option<i64>,
    /// Time of the first signature.
    pub signed_at: Option<i64>,
}

impl Default for Record {
    fn default() -> Self {
        Record {
            state: State::None,
            revision: 0,
            text: ReportText::default(),
            author: None,
            signer: None,
            returned: None,
            versions: 0,
            updated_at: 0,
            submitted_at: None,
            signed_at: None,
        }
    }
}

/// What a step changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The record after it.
    pub record: Record,
    /// The version that it issues.
    pub issues: Option<VersionKind>,
}

impl Record {
    /// Does `command` as `user` at `now` (Unix microseconds). `double_signature`: the author cannot sign.
    ///
    /// # Errors
    /// `Conflict` for a step the state forbids, `Forbidden` for the author's own signature, `Invalid` for its inputs.
    pub fn apply(&self, command: &Command, user: &str, now: i64, double_signature: bool) -> Result<Step> {
        let mut next = self.clone();
        let mut issues = None;
        match command {
            Command::Save(text) => next.save(text, user)?,
            Command::Submit => next.submit(user, now)?,
            Command::Return { reason } => next.give_back(reason, user)?,
            Command::Sign => {
                next.sign(user, now, double_signature)?;
                issues = Some(VersionKind::Original);
            }
            Command::Amend { kind, text, reason } => {
                next.amend(*kind, text, reason.as_deref())?;
                issues = Some(*kind);
            }
        }
        if issues.is_some() {
            next.versions += 1;
        }
        next.revision += 1;
        // Server times never run backwards within one record, whatever the wall clock does.
        next.updated_at = now.max(self.updated_at);
        Ok(Step { record: next, issues })
    }

    fn save(&mut self, text: &ReportText, user: &str) -> Result<()> {
        match self.state {
            State::None | State::Draft | State::Returned => {}
            State::Submitted => {
                return Err(ReadingError::conflict(
                    "报告已提交审核，退回后才能修改",
                    "The report is with the reviewer; it can be changed once it is returned",
                ));
            }
            State::Signed | State::Amended | State::Revoked => {
                return Err(ReadingError::conflict(
                    "报告已签发，只能补充、更正或撤回",
                    "The report is signed; only an addendum, a correction or a revocation is possible",
                ));
            }
        }
        text.check()?;
        self.text = text.clone();
        self.author = Some(user.to_owned());
        self.state = State::Draft;
        Ok(())
    }

    fn submit(&mut self, user: &str, now: i64) -> Result<()> {
        if !matches!(self.state, State::Draft | State::Returned) {
            return Err(ReadingError::conflict(
                "只有书写中的报告可以提交",
                "Only a report that is being written can be submitted",
            ));
        }
        if self.author.as_deref() != Some(user) {
            return Err(ReadingError::conflict(
                "只有书写者可以提交",
                "Only its writer can submit it",
            ));
        }
        if self.text.findings.trim().is_empty() || self.text.impression.trim().is_empty() {
            return Err(ReadingError::conflict(
                "所见与诊断都写了才能提交",
                "Findings and impression are both needed before submission",
            ));
        }
        self.state = State::Submitted;
        self.submitted_at = Some(now.max(self.updated_at));
        Ok(())
    }

    fn give_back(&mut self, reason: &str, user: &str) -> Result<()> {
        if self.state != State::Submitted {
            return Err(ReadingError::conflict(
                "只有待审核的报告可以退回",
                "Only a submitted report can be returned",
            ));
        }
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
            return Err(ReadingError::invalid(
                "reason",
                "退回要写明原因，500 字以内",
                "a reason of 1 to 500 characters is needed",
            ));
        }
        self.state = State::Returned;
        self.returned = Some((reason.to_owned(), user.to_owned()));
        Ok(())
    }

    fn sign(&mut self, user: &str, now: i64, double_signature: bool) -> Result<()> {
        if self.state != State::Submitted {
            return Err(ReadingError::conflict(
                "只有待审核的报告可以签发",
                "Only a submitted report can be signed",
            ));
        }
        if double_signature && self.author.as_deref() == Some(user) {
            return Err(ReadingError::conflict(
                "本人书写的报告须由另一位医师签发",
                "A report is signed by another physician than its writer",
            ));
        }
        self.state = State::Signed;
        self.signer = Some(user.to_owned());
        self.signed_at = Some(now.max(self.updated_at));
        self.returned = None;
        Ok(())
    }

    fn amend(&mut self, kind: VersionKind, text: &str, reason: Option<&str>) -> Result<()> {
        if !matches!(self.state, State::Signed | State::Amended) {
            return Err(ReadingError::conflict(
                "只有已签发且未撤回的报告可以补充、更正或撤回",
                "Only a signed report that is not revoked can be amended",
            ));
        }
        if kind == VersionKind::Original {
            return Err(ReadingError::invalid(
                "kind",
                "应为补充、更正或撤回",
                "must be addendum, correction or revocation",
            ));
        }
        if text.trim().is_empty() || text.chars().count() > TEXT_CHARS_MAX {
            return Err(ReadingError::invalid(
                "text",
                "内容为 1 到 20000 字",
                "a text of 1 to 20,000 characters is needed",
            ));
        }
        let reason = reason.map(str::trim).unwrap_or_default();
        if (reason.is_empty() && kind != VersionKind::Addendum) || reason.chars().count() > REASON_CHARS_MAX {
            return Err(ReadingError::invalid(
                "reason",
                "更正或撤回要写明原因，500 字以内",
                "a reason of 1 to 500 characters is needed",
            ));
        }
        self.state = if kind == VersionKind::Revocation {
            State::Revoked
        } else {
            State::Amended
        };
        Ok(())
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
