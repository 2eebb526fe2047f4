//! Identifiers and moments. Each kind of row has its own id type, so that none can be mistaken.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

macro_rules! row_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
        impl From<$name> for crate::db::Value {
            fn from(id: $name) -> Self {
                Self::Int(Some(id.0))
            }
        }
        impl From<Option<$name>> for crate::db::Value {
            fn from(id: Option<$name>) -> Self {
                Self::Int(id.map(|id| id.0))
            }
        }
    )+};
}

row_id! {
    /// Row of an institution.
    InstitutionId,
    /// Row of an enrolled device.
    DeviceId,
    /// Row of a patient as one institution knows them.
    PatientId,
    /// A person across institutions.
    PersonId,
    /// Row of an exam request.
    OrderId,
    /// Row of a study.
    StudyId,
    /// Row of a series.
    SeriesId,
    /// Row of an instance.
    InstanceId,
    /// Row of the work queue.
    JobId,
    /// Row of the outbox.
    OutboxId,
}

/// A moment: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct UnixMicros(pub i64);

impl UnixMicros {
    /// The system clock's moment; a clock before 1970 counts as 1970.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// This moment plus a duration, saturating.
    pub fn plus(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// This moment minus a duration, saturating.
    pub fn minus(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// Time from an earlier moment to this one; zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// ISO 8601 in UTC with milliseconds, e.g. `2025-11-21T08:30:00.125Z`.
    pub fn to_iso8601(self) -> String {
        let nanos = i128::from(self.0) * 1000;
        match time::OffsetDateTime::from_unix_timestamp_nanos(nanos) {
            Ok(t) => format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
                t.year(),
                u8::from(t.month()),
                t.day(),
                t.hour(),
                t.minute(),
                t.second(),
                t.millisecond()
            ),
            Err(_) => format!("{}us", self.0),
        }
    }

    /// Reads ISO 8601 / RFC 3339 with offset, or a plain date (UTC midnight).
    pub fn parse_iso8601(text: &str) -> Option<Self> {
        use time::format_description::well_known::Rfc3339;
        let micros = |t: time::OffsetDateTime| i64::try_from(t.unix_timestamp_nanos() / 1000).ok().map(Self);
        if let Ok(t) = time::OffsetDateTime::parse(text, &Rfc3339) {
            return micros(t);
        }
        let midnight = format!("{text}T00:00:00Z");
        time::OffsetDateTime::parse(&midnight, &Rfc3339)
            .ok()
            .and_then(micros)
    }
}

impl fmt::Display for UnixMicros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_iso8601())
    }
}

impl From<UnixMicros> for crate::db::Value {
    fn from(t: UnixMicros) -> Self {
        Self::Int(Some(t.0))
    }
}

impl From<Option<UnixMicros>> for crate::db::Value {
    fn from(t: Option<UnixMicros>) -> Self {
        Self::Int(t.map(|t| t.0))
    }
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest(pub [u8; 32]);

impl Sha256Digest {
    /// Digest of a byte string.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// From a database value; `None` when it has not 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        <[u8; 32]>::try_from(bytes).ok().map(Self)
    }

    /// Lower-case hexadecimal.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl From<Sha256Digest> for crate::db::Value {
    fn from(d: Sha256Digest) -> Self {
        Self::Bytes(Some(d.0.to_vec()))
    }
}

/// Text that must never reach a log: its `Debug` and `Display` show only its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted(pub String);

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} characters]", self.0.chars().count())
    }
}

impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_and_write_iso8601() {
        let check = |text: &str, micros: i64, back: &str| {
            let t = UnixMicros::parse_iso8601(text).unwrap();
            assert_eq!((t.0, t.to_iso8601().as_str()), (micros, back), "{text}");
        };
        check("1970-01-01T00:00:01Z", 1_000_000, "1970-01-01T00:00:01.000Z");
        check(
            "2025-11-21T16:30:00.125+08:00",
            1_763_713_800_125_000,
            "2025-11-21T08:30:00.125Z",
        );
        check("2025-11-21", 1_763_683_200_000_000, "2025-11-21T00:00:00.000Z");
        assert_eq!(UnixMicros::parse_iso8601("yesterday"), None);
    }

    #[test]
    fn redacted_text_does_not_show() {
        assert_eq!(
            format!("{:?} {}", Redacted("王小明".into()), Redacted("王".into())),
            "[3 characters] [1 characters]"
        );
    }
}
