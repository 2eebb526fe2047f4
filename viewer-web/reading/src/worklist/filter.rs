//! Which items are wanted, and which the actor may see at all.

use archive::UnixMicros;
use archive::db::{Row, Value};

use crate::actor::Actor;
use crate::error::{ReadingError, Result};
use crate::goals::Priority;
use crate::role::Role;

/// Longest search text, in characters.
const SEARCH_CHARS_MAX: usize = 64;

/// A tab of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// To be written.
    ToWrite,
    /// With the reviewers.
    ToReview,
    /// Open critical values.
    Critical,
    /// Held or written by me.
    Mine,
    /// Issued, newest first.
    Done,
}

impl Tab {
    /// Reads the word of the page.
    #[must_use]
    pub fn parse(text: &str) -> Option<Tab> {
        Some(match text {
            "to_write" => Tab::ToWrite,
            "to_review" => Tab::ToReview,
            "critical" => Tab::Critical,
            "mine" => Tab::Mine,
            "done" => Tab::Done,
            _ => return None,
        })
    }
}

/// What is wanted; an empty filter wants everything that is not issued yet.
#[derive(Debug, Clone, Default)]
pub struct WorklistFilter {
    /// Tab.
    pub tab: Option<Tab>,
    /// Status words, any of them.
    pub status: Vec<String>,
    /// Modality.
    pub modality: Option<String>,
    /// Code of the institution that took it.
    pub institution: Option<String>,
    /// Urgency.
    pub priority: Option<Priority>,
    /// Row of the patient.
    pub patient: Option<i64>,
    /// Received not before, Unix microseconds.
    pub from: Option<i64>,
    /// Received before, Unix microseconds.
    pub to: Option<i64>,
    /// Name, pinyin, number or accession number.
    pub q: Option<String>,
    /// One study.
    pub study_uid: Option<String>,
    /// Items of the page.
    pub limit: u32,
    /// From the page before.
    pub cursor: Option<String>,
}

impl WorklistFilter {
    /// Whether issued reports are wanted: they are ordered by their signature.
    pub(super) fn shows_done(&self) -> bool {
        self.tab == Some(Tab::Done)
            || (!self.status.is_empty()
                && self
                    .status
                    .iter()
                    .all(|s| matches!(s.as_str(), "signed" | "amended" | "revoked")))
    }
}

/// Conditions with their parameters.
#[derive(Clone)]
pub(super) struct Where {
    pub(super) text: String,
    pub(super) params: Vec<Value>,
}

impl Where {
    fn add(&mut self, value: impl Into<Value>) -> usize {
        self.params.push(value.into());
        self.params.len()
    }

    fn and(&mut self, condition: &str) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
    }

    /// What the actor may see. Nothing else ever leaves the index, so counts do not leak either.
    pub(super) fn scope(actor: &Actor, now: i64) -> Where {
        let mut w = Where {
            text: String::new(),
            params: Vec::new(),
        };
        let me = w.add(actor.institution_id());
        if actor.is_reader() {
            let at = w.add(now);
            let images = actor
                .roles
                .has_any(&[Role::RadiologyWriter, Role::RadiologyReviewer]);
            let ecg = actor.roles.has_any(&[Role::EcgWriter, Role::EcgReviewer]);
            w.text = format!(
                "i.institution_id IN (SELECT a.sender_id FROM reading_agreement a WHERE a.reader_id = ${me} \
                 AND a.valid_from <= ${at} AND (a.valid_to IS NULL OR a.valid_to > ${at}))"
            );
            match (images, ecg) {
                (true, false) => w.and("i.kind = 'imaging'"),
                (false, true) => w.and("i.kind = 'ecg'"),
                _ => {}
            }
        } else {
            w.text = format!("i.institution_id = ${me}");
        }
        w
    }

    /// Adds what the filter wants.
    pub(super) fn narrow(&mut self, actor: &Actor, filter: &WorklistFilter, now: i64) -> Result<()> {
        self.tab(actor, filter, now);
        if !filter.status.is_empty() {
            let marks: Vec<String> = filter
                .status
                .iter()
                .map(|s| format!("${}", self.add(s.as_str())))
                .collect();
            // A study still arriving has the status `received` on the page and waits to be written.
            let arriving = if filter.status.iter().any(|s| s == "received") {
                " OR s.state = 'receiving'"
            } else {
                ""
            };
            self.and(&format!("(i.status IN ({}){arriving})", marks.join(", ")));
        } else if filter.tab.is_none() {
            self.and("i.open = 1");
        }
        if let Some(modality) = &filter.modality {
            let n = self.add(modality.as_str());
            self.and(&format!("i.modality = ${n}"));
        }
        if let Some(code) = &filter.institution {
            let n = self.add(code.as_str());
            self.and(&format!(
                "i.institution_id IN (SELECT id FROM institution WHERE code = ${n})"
            ));
        }
        if let Some(priority) = filter.priority {
            let n = self.add(priority.class());
            self.and(&format!("i.priority_class = ${n}"));
        }
        for (value, condition) in [
            (filter.patient, "s.patient_id = "),
            (filter.from, "i.received_at >= "),
            (filter.to, "i.received_at < "),
        ] {
            if let Some(value) = value {
                let n = self.add(value);
                self.and(&format!("{condition}${n}"));
            }
        }
        if let Some(uid) = &filter.study_uid {
            let n = self.add(uid.as_str());
            self.and(&format!("i.study_uid = ${n}"));
        }
        if let Some(q) = filter.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) {
            self.search(q)?;
        }
        match &filter.cursor {
            Some(cursor) => self.after(cursor, filter.shows_done()),
            None => Ok(()),
        }
    }

    fn tab(&mut self, actor: &Actor, filter: &WorklistFilter, now: i64) {
        match filter.tab {
            None => {}
            Some(Tab::ToWrite) => self.and("i.open = 1 AND i.status IN ('to_write', 'writing', 'returned')"),
            Some(Tab::ToReview) => self.and("i.open = 1 AND i.status = 'submitted'"),
            Some(Tab::Critical) => self.and("i.critical_open > 0"),
            Some(Tab::Mine) => {
                let (me, at) = (self.add(actor.user.as_str()), self.add(now));
                self.and(&format!(
                    "i.open = 1 AND (i.author = ${me} OR EXISTS (SELECT 1 FROM reading_claim c \
                     WHERE c.study_uid = i.study_uid AND c.user_name = ${me} AND c.until_at > ${at}))"
                ));
            }
            Some(Tab::Done) => self.and("i.open = 0 AND i.signed_at IS NOT NULL"),
        }
    }

    fn search(&mut self, q: &str) -> Result<()> {
        if q.chars().count() > SEARCH_CHARS_MAX {
            return Err(ReadingError::invalid(
                "q",
                "超过 64 字",
                "longer than 64 characters",
            ));
        }
        // Names in any reading or part, and the beginning of numbers: ranges of indices all of them.
        let patients = archive::patient::ids_found(q, &mut |value| self.add(value));
        let exact = self.add(q);
        let by_name = patients.map_or_else(String::new, |ids| format!("s.patient_id IN ({ids}) OR "));
        self.and(&format!(
            "({by_name}s.accession_number = ${exact} OR i.study_uid = ${exact})"
        ));
        Ok(())
    }

    fn after(&mut self, cursor: &str, done: bool) -> Result<()> {
        let cursor = Cursor::parse(cursor, done)?;
        let uid = self.add(cursor.study_uid);
        let time = self.add(cursor.time);
        if done {
            self.and(&format!(
                "(i.signed_at < ${time} OR (i.signed_at = ${time} AND i.study_uid > ${uid}))"
            ));
        } else {
            let class = self.add(cursor.class);
            self.and(&format!(
                "(i.priority_class, i.due_at, i.study_uid) > (${class}, ${time}, ${uid})"
            ));
        }
        Ok(())
    }
}

/// Where a page ended: `class.time.study`, or `d.time.study` on the list of issued reports.
pub(super) struct Cursor {
    class: i64,
    time: i64,
    study_uid: String,
    done: bool,
}

impl Cursor {
    pub(super) fn after(row: &Row, done: bool) -> Result<Cursor> {
        Ok(Cursor {
            class: row.int("i_class")?,
            time: if done {
                row.opt_int("i_signed")?.unwrap_or(0)
            } else {
                row.int("i_due")?
            },
            study_uid: row.text("s_uid")?,
            done,
        })
    }

    pub(super) fn to_text(&self) -> String {
        let head = if self.done {
            "d".to_owned()
        } else {
            self.class.to_string()
        };
        format!("{head}-{}-{}", self.time, self.study_uid)
    }

    fn parse(text: &str, done: bool) -> Result<Cursor> {
        let wrong =
            || ReadingError::invalid("cursor", "请用上一页给出的值", "use the one of the page before");
        let mut parts = text.splitn(3, '-');
        let (head, time, uid) = (parts.next(), parts.next(), parts.next());
        let (Some(head), Some(time), Some(uid)) = (head, time, uid) else {
            return Err(wrong());
        };
        let class = if done {
            (head == "d").then_some(0)
        } else {
            head.parse().ok()
        };
        Ok(Cursor {
            class: class.ok_or_else(wrong)?,
            time: time.parse().map_err(|_| wrong())?,
            study_uid: uid.to_owned(),
            done,
        })
    }
}

/// A moment of a query, ISO 8601 or a date.
///
/// # Errors
/// `Invalid` when it is neither.
pub fn moment(field: &'static str, text: &str) -> Result<i64> {
    let wrong = || {
        ReadingError::invalid(
            field,
            "应为日期或 ISO 8601 时间",
            "must be a date or an ISO 8601 time",
        )
    };
    UnixMicros::parse_iso8601(text).map(|t| t.0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_back_and_forth_and_a_strange_one_is_refused() {
        let cursor = Cursor {
            class: 2,
            time: -5,
            study_uid: "1.2.3".into(),
            done: false,
        };
        assert_eq!(cursor.to_text(), "2--5-1.2.3");
        for bad in ["", "2", "2-3", "x-3-1.2", "d-3-1.2", "2-y-1.2"] {
            assert!(Cursor::parse(bad, false).is_err(), "{bad}");
        }
        let read = Cursor::parse("2-77-1.2.3", false).unwrap();
        assert_eq!((read.class, read.time, read.study_uid.as_str()), (2, 77, "1.2.3"));
        assert!(Cursor::parse("d-77-1.2.3", true).is_ok());
    }
}
