//! Everything that can go wrong while reading and reporting, in the words a doctor reads.

use std::borrow::Cow;

use archive::ArchiveError;

/// One sentence in both languages of the pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// Chinese, as a county doctor would write it.
    pub zh: Cow<'static, str>,
    /// English.
    pub en: Cow<'static, str>,
}

impl Words {
    /// A fixed sentence.
    #[must_use]
    pub const fn fixed(zh: &'static str, en: &'static str) -> Words {
        Words {
            zh: Cow::Borrowed(zh),
            en: Cow::Borrowed(en),
        }
    }

    /// A sentence made at run time.
    #[must_use]
    pub fn made(zh: String, en: String) -> Words {
        Words {
            zh: Cow::Owned(zh),
            en: Cow::Owned(en),
        }
    }
}

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.en)
    }
}

/// The holder of a claimed study.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Holder {
    /// Account name.
    pub user: String,
    /// Name shown.
    pub display_name: String,
    /// Since when, ISO 8601 UTC.
    pub since: String,
    /// Until when unless renewed, ISO 8601 UTC.
    pub until: String,
    /// Whether the asking account is the holder.
    pub mine: bool,
}

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    /// Name or password wrong, or the session is over.
    #[error("{0}")]
    Unauthenticated(Words),
    /// Too many wrong passwords or PINs.
    #[error("too many wrong tries; try again in {retry_after_s} s")]
    Locked {
        /// Seconds until the next try counts.
        retry_after_s: i64,
    },
    /// The policy says no.
    #[error("{0}")]
    Forbidden(Words),
    /// There is nothing under that name, or nothing this account may know of.
    #[error("{0}")]
    NotFound(Words),
    /// It was there once and is over: an expired or revoked link.
    #[error("{0}")]
    Gone(Words),
    /// The state of the thing does not allow the step.
    #[error("{0}")]
    Conflict(Words),
    /// Another account holds the study.
    #[error("held by {} until {}", .0.display_name, .0.until)]
    Held(Holder),
    /// `If-Match` named another revision than the one kept.
    #[error("the text was changed meanwhile (revision {etag}); load it again, compare, save again")]
    PreconditionFailed {
        /// The revision kept.
        etag: String,
    },
    /// An input is missing or wrong.
    #[error("{field}: {words}")]
    Invalid {
        /// The field of the request.
        field: &'static str,
        /// What is wrong with it.
        words: Words,
    },
    /// The index or the store failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The audit trail cannot be written, therefore nothing is shown.
    #[error("the audit trail cannot be written, access is refused until it can: {0}")]
    AuditUnavailable(String),
    /// A rendition could not be made.
    #[error("the document could not be made: {0}")]
    Rendition(String),
    /// The platform gave no random numbers or hashing failed.
    #[error("internal: {0}")]
    Internal(&'static str),
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, ReadingError>;

impl ReadingError {
    /// A wrong input field.
    #[must_use]
    pub fn invalid(field: &'static str, zh: &'static str, en: &'static str) -> Self {
        ReadingError::Invalid {
            field,
            words: Words::fixed(zh, en),
        }
    }

    /// A step the state does not allow.
    #[must_use]
    pub const fn conflict(zh: &'static str, en: &'static str) -> Self {
        ReadingError::Conflict(Words::fixed(zh, en))
    }

    /// Nothing there.
    #[must_use]
    pub const fn not_found(zh: &'static str, en: &'static str) -> Self {
        ReadingError::NotFound(Words::fixed(zh, en))
    }

    /// The HTTP status that fits (RFC 9110), so that every caller answers alike.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            ReadingError::Unauthenticated(_) => 401,
            ReadingError::Locked { .. } => 423,
            ReadingError::Forbidden(_) => 403,
            ReadingError::NotFound(_) | ReadingError::Archive(ArchiveError::NotFound(_)) => 404,
            ReadingError::Gone(_) => 410,
            ReadingError::Conflict(_)
            | ReadingError::Held(_)
            | ReadingError::Archive(ArchiveError::Conflict(_)) => 409,
            ReadingError::PreconditionFailed { .. } => 412,
            ReadingError::Invalid { .. } => 422,
            ReadingError::AuditUnavailable(_) => 503,
            ReadingError::Archive(ArchiveError::Busy(_)) => 503,
            ReadingError::Archive(_) | ReadingError::Rendition(_) | ReadingError::Internal(_) => 500,
        }
    }

    /// The sentence for the user.
    #[must_use]
    pub fn words(&self) -> Words {
        match self {
            ReadingError::Unauthenticated(w)
            | ReadingError::Forbidden(w)
            | ReadingError::NotFound(w)
            | ReadingError::Gone(w)
            | ReadingError::Conflict(w) => w.clone(),
            ReadingError::Invalid { field, words } => Words::made(
                format!("{}（字段 {field}）", words.zh),
                format!("{} (field {field})", words.en),
            ),
            ReadingError::Locked { retry_after_s } => Words::made(
                format!("尝试次数过多，已锁定，{retry_after_s} 秒后再试"),
                format!("Too many wrong tries, locked; try again in {retry_after_s} s"),
            ),
            ReadingError::Held(holder) => Words::made(
                format!("{} 正在书写，占用至 {}", holder.display_name, holder.until),
                format!("{} is working on it until {}", holder.display_name, holder.until),
            ),
            ReadingError::PreconditionFailed { .. } => Words::fixed(
                "内容已被改动，请重新载入、比较后再保存",
                "The text was changed meanwhile; load it again, compare, save again",
            ),
            ReadingError::AuditUnavailable(_) => Words::fixed(
                "审计记录无法写入，暂停访问，请联系管理员",
                "The audit trail cannot be written; access is refused, call the operator",
            ),
            ReadingError::Archive(ArchiveError::NotFound(_)) => Words::fixed("没有找到", "Not found"),
            ReadingError::Archive(ArchiveError::Conflict(_)) => Words::fixed(
                "与现有记录冲突，请刷新后再试",
                "It conflicts with what is kept; reload and try again",
            ),
            ReadingError::Archive(_) | ReadingError::Rendition(_) | ReadingError::Internal(_) => {
                Words::fixed(
                    "服务器出错，操作没有完成，请稍后再试",
                    "The server failed, nothing was changed; try again later",
                )
            }
        }
    }
}
