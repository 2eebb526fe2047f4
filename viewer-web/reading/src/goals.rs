//! How fast a report should be there: the service times of the community, by priority and modality.
//!
//! Defaults follow published hospital limits (emergency X-ray 30 min, emergency CT 60 min, head 30 min, plain X-ray
//! 2 h) and the chest-pain-centre indicator for ECG (10 min from first ECG to diagnosis).

use serde::{Deserialize, Serialize};

const MINUTE_US: i64 = 60 * 1_000_000;

/// Urgency of an exam, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Priority {
    /// Life at risk.
    Stat,
    /// Today, before the routine.
    Urgent,
    /// The usual.
    Routine,
    /// Health checks.
    Screening,
}

impl Priority {
    /// All, most urgent first.
    pub const ALL: [Priority; 4] = [
        Priority::Stat,
        Priority::Urgent,
        Priority::Routine,
        Priority::Screening,
    ];

    /// The word of the contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Priority::Stat => "STAT",
            Priority::Urgent => "URGENT",
            Priority::Routine => "ROUTINE",
            Priority::Screening => "SCREENING",
        }
    }

    /// Reads the word; case does not matter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Priority> {
        Priority::ALL
            .into_iter()
            .find(|p| p.as_str().eq_ignore_ascii_case(text))
    }

    /// Rank in the worklist, 0 first.
    #[must_use]
    pub const fn class(self) -> i64 {
        self as i64
    }

    /// From the rank.
    #[must_use]
    pub fn from_class(class: i64) -> Priority {
        Priority::ALL
            .into_iter()
            .find(|p| p.class() == class)
            .unwrap_or(Priority::Routine)
    }
}

/// Minutes from receipt to the signed report.
#[must_use]
pub fn report_goal_min(priority: Priority, modality: &str, body_part: &str) -> i64 {
    let head = ["HEAD", "BRAIN", "SKULL"].contains(&body_part);
    let by_class = |stat: i64, urgent: i64, routine: i64, screening: i64| match priority {
        Priority::Stat => stat,
        Priority::Urgent => urgent,
        Priority::Routine => routine,
        Priority::Screening => screening,
    };
    match modality {
        "ECG" => by_class(10, 15, 30, 24 * 60),
        "DX" | "CR" | "DR" | "MG" => by_class(30, 60, 120, 48 * 60),
        "CT" | "MR" if head => by_class(30, 120, 24 * 60, 72 * 60),
        "US" => by_class(30, 60, 120, 48 * 60),
        _ => by_class(60, 120, 24 * 60, 72 * 60),
    }
}

/// When the report is due, Unix microseconds.
#[must_use]
pub fn due_at(received_at: i64, priority: Priority, modality: &str, body_part: &str) -> i64 {
    received_at.saturating_add(report_goal_min(priority, modality, body_part) * MINUTE_US)
}

/// A critical value is told within this time.
pub const CRITICAL_NOTIFY_MIN: i64 = 10;
/// A told critical value is acknowledged within this time, else it is escalated.
pub const CRITICAL_ACKNOWLEDGE_MIN: i64 = 10;
/// An acknowledged critical value is acted on within this time.
pub const CRITICAL_ACT_MIN: i64 = 30;
/// The record is closed within this time.
pub const CRITICAL_CLOSE_MIN: i64 = 6 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_follow_the_table() {
        let check = |p, m, b, minutes| assert_eq!(report_goal_min(p, m, b), minutes, "{p:?} {m} {b}");
        check(Priority::Stat, "ECG", "", 10);
        check(Priority::Stat, "CT", "CHEST", 60);
        check(Priority::Stat, "CT", "HEAD", 30);
        check(Priority::Routine, "DX", "CHEST", 120);
        check(Priority::Routine, "XA", "", 1440);
        assert_eq!(due_at(5, Priority::Stat, "ECG", ""), 5 + 600_000_000);
    }

    #[test]
    fn a_more_urgent_class_is_never_due_later() {
        for modality in ["ECG", "DX", "CT", "MR", "US", "NM"] {
            for part in ["", "HEAD"] {
                let times = Priority::ALL.map(|p| report_goal_min(p, modality, part));
                assert!(times.is_sorted(), "{modality} {part} {times:?}");
            }
        }
    }

    #[test]
    fn words_and_ranks_go_back_and_forth() {
        for p in Priority::ALL {
            assert_eq!(Priority::parse(p.as_str()), Some(p));
            assert_eq!(Priority::from_class(p.class()), p);
        }
        assert_eq!(Priority::parse("stat"), Some(Priority::Stat));
        assert_eq!(Priority::parse("SOON"), None);
    }
}
