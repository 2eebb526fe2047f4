//! Accounts: who they are, how they log in, when they are locked.

mod session;
mod token;

use archive::db::Row;
use archive::institution::Institution;
use archive::{InstitutionId, UnixMicros, params};
use serde::Serialize;

#[cfg(test)]
pub(crate) use session::sql as session_sql;
pub use session::{Login, SESSION_ABSOLUTE_S, SESSION_IDLE_S, log_in, log_out, resume};
#[cfg(test)]
pub(crate) use token::sql as token_sql;
pub use token::{NewToken, create_token, keep_token, resume_token, revoke_tokens};

use crate::actor::Person;
use crate::error::{ReadingError, Result};
use crate::role::Roles;
use crate::secret;
use crate::service::Reading;

/// Shortest password of an account.
pub const PASSWORD_CHARS_MIN: usize = 8;
const NAME_CHARS_MAX: usize = 64;

archive::statements! {
    mod sql {
        INSERT = "INSERT INTO account (user_name, display_name, institution_id, roles, password_hash, failed_count, created_at, changed_at) VALUES ($1, $2, $3, $4, $5, 0, $6, $6)";
        BY_NAME = "SELECT user_name, display_name, institution_id, roles, password_hash, failed_count, locked_until, disabled_at FROM account WHERE user_name = $1";
        LIST = "SELECT user_name, display_name, institution_id, roles, password_hash, failed_count, locked_until, disabled_at, (SELECT MAX(s.created_at) FROM web_session s WHERE s.user_name = account.user_name) AS last_login_at FROM account ORDER BY user_name";
        SET_PASSWORD = "UPDATE account SET password_hash = $2, failed_count = 0, locked_until = NULL, changed_at = $3 WHERE user_name = $1";
        UPDATE = "UPDATE account SET display_name = $2, institution_id = $3, roles = $4, disabled_at = $5, changed_at = $6 WHERE user_name = $1";
        END_SESSIONS = "UPDATE web_session SET revoked_at = $2 WHERE user_name = $1 AND revoked_at IS NULL";
        NAME_OF = "SELECT display_name FROM account WHERE user_name = $1";
    }
}

/// An account as kept.
#[derive(Debug, Clone)]
pub struct Account {
    /// Account name.
    pub user: String,
    /// Name shown.
    pub display_name: String,
    /// Where they work.
    pub institution_id: InstitutionId,
    /// Duties.
    pub roles: Roles,
    /// Until when no password is tried, Unix microseconds.
    pub locked_until: Option<i64>,
    /// Since when it cannot log in, Unix microseconds.
    pub disabled_at: Option<i64>,
    pub(crate) failed_count: i64,
    pub(crate) password_hash: String,
}

/// An account for the page of accounts.
#[derive(Debug, Clone, Serialize)]
pub struct AccountView {
    /// Account name.
    pub user: String,
    /// Name shown.
    pub display_name: String,
    /// Where they work.
    pub institution: InstitutionView,
    /// Duties.
    pub roles: Roles,
    /// Cannot log in.
    pub disabled: bool,
    /// No password is tried now.
    pub locked: bool,
    /// Start of the newest session that is still known.
    pub last_login_at: Option<String>,
}

/// An institution as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct InstitutionView {
    /// Code.
    pub code: String,
    /// Name in Chinese.
    pub name: String,
}

impl From<&Institution> for InstitutionView {
    fn from(institution: &Institution) -> Self {
        InstitutionView {
            code: institution.code.clone(),
            name: institution.name_zh.clone(),
        }
    }
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Account name: letters, digits, `.`, `-`, `_`.
    pub user: String,
    /// Name shown.
    pub display_name: String,
    /// Where they work.
    pub institution_id: InstitutionId,
    /// Duties.
    pub roles: Roles,
    /// First password.
    pub password: String,
}

fn read(row: &Row) -> Result<Account> {
    Ok(Account {
        user: row.text("user_name")?,
        display_name: row.text("display_name")?,
        institution_id: InstitutionId(row.int("institution_id")?),
        roles: Roles::parse(&row.text("roles")?),
        locked_until: row.opt_int("locked_until")?,
        disabled_at: row.opt_int("disabled_at")?,
        failed_count: row.int("failed_count")?,
        password_hash: row.text("password_hash")?,
    })
}

fn check_roles(roles: Roles) -> Result<()> {
    if roles.is_empty() {
        return Err(ReadingError::invalid(
            "roles",
            "至少一个岗位",
            "at least one role is needed",
        ));
    }
    if !roles.separation_kept() {
        return Err(ReadingError::invalid(
            "roles",
            "管理员、安全管理员与审计员须分设，不能兼任",
            "administrator, security administrator and auditor are separate and take no other role",
        ));
    }
    Ok(())
}

fn check_password(password: &str) -> Result<()> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(ReadingError::invalid(
            "password",
            "至少 8 个字符",
            "at least 8 characters are needed",
        ));
    }
    Ok(())
}

impl Reading {
    /// Makes an account.
    ///
    /// # Errors
    /// `Conflict` when the name is taken, `Invalid` for name, roles or password.
    pub async fn create_account(&self, new: NewAccount) -> Result<()> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if new.user.is_empty() || new.user.len() > NAME_CHARS_MAX || !new.user.chars().all(fits) {
            return Err(ReadingError::invalid(
                "user",
                "1 到 64 个字母、数字或 . - _",
                "1 to 64 letters, digits, . - or _",
            ));
        }
        if new.display_name.trim().is_empty() || new.display_name.chars().count() > NAME_CHARS_MAX {
            return Err(ReadingError::invalid(
                "display_name",
                "1 到 64 个字",
                "1 to 64 characters are needed",
            ));
        }
        check_roles(new.roles)?;
        check_password(&new.password)?;
        let hash = secret::hash(&new.password).await?;
        let row = params![
            &new.user,
            new.display_name.trim(),
            new.institution_id,
            new.roles.to_words(),
            hash,
            UnixMicros::now()
        ];
        self.execute(sql::INSERT, row).await.map(drop)
    }

    /// An account by name.
    ///
    /// # Errors
    /// What the index says.
    pub async fn account(&self, user: &str) -> Result<Option<Account>> {
        let row = self
            .archive()
            .db()
            .fetch_optional(sql::BY_NAME, params![user])
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// All accounts, for the security administrator.
    ///
    /// # Errors
    /// What the index says.
    pub async fn accounts(&self) -> Result<Vec<AccountView>> {
        let now = UnixMicros::now().0;
        let mut list = Vec::new();
        for row in self.archive().db().fetch_all(sql::LIST, Vec::new()).await? {
            let account = read(&row)?;
            list.push(AccountView {
                institution: InstitutionView::from(&self.institution(account.institution_id).await?),
                disabled: account.disabled_at.is_some(),
                locked: account.locked_until.is_some_and(|until| until > now),
                last_login_at: row
                    .opt_int("last_login_at")?
                    .map(|at| UnixMicros(at).to_iso8601()),
                user: account.user,
                display_name: account.display_name,
                roles: account.roles,
            });
        }
        Ok(list)
    }

    /// Sets a new password and ends the account's sessions.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`.
    pub async fn set_password(&self, user: &str, password: &str) -> Result<()> {
        check_password(password)?;
        let hash = secret::hash(password).await?;
        let changed = self
            .execute(sql::SET_PASSWORD, params![user, hash, UnixMicros::now()])
            .await?;
        self.ended_sessions(user, changed).await
    }

    /// Changes name, institution, roles and whether it can log in; ends its sessions.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`.
    pub async fn update_account(
        &self,
        user: &str,
        display_name: &str,
        institution_id: InstitutionId,
        roles: Roles,
        disabled: bool,
    ) -> Result<()> {
        check_roles(roles)?;
        let now = UnixMicros::now();
        let row = params![
            user,
            display_name,
            institution_id,
            roles.to_words(),
            disabled.then_some(now),
            now
        ];
        let changed = self.execute(sql::UPDATE, row).await?;
        self.ended_sessions(user, changed).await
    }

    async fn ended_sessions(&self, user: &str, changed: u64) -> Result<()> {
        if changed == 0 {
            return Err(ReadingError::not_found(
                "没有这个账号",
                "There is no such account",
            ));
        }
        self.execute(sql::END_SESSIONS, params![user, UnixMicros::now()])
            .await?;
        self.sessions().clear();
        Ok(())
    }

    /// The person behind an account name; an account that is gone shows its name.
    ///
    /// # Errors
    /// What the index says.
    pub async fn person(&self, user: &str) -> Result<Person> {
        let row = self
            .archive()
            .db()
            .fetch_optional(sql::NAME_OF, params![user])
            .await?;
        let display_name = row.map_or_else(|| Ok(user.to_owned()), |r| r.text("display_name"))?;
        Ok(Person {
            user: user.to_owned(),
            display_name,
        })
    }

    /// As [`Reading::person`], for a name that may be missing.
    pub(crate) async fn person_opt(&self, user: Option<&str>) -> Result<Option<Person>> {
        match user {
            Some(user) => self.person(user).await.map(Some),
            None => Ok(None),
        }
    }

    /// One statement in its own transaction; gives the number of rows it changed.
    pub(crate) async fn execute(&self, sql: &'static str, params: Vec<archive::db::Value>) -> Result<u64> {
        let done = self
            .archive()
            .db()
            .write(move |tx| Box::pin(async move { tx.execute(sql, params).await }));
        Ok(done.await.map_err(|e: archive::ArchiveError| e)?)
    }
}
