//! Who asks: an account with its session, or a machine with its token.

use archive::InstitutionId;
use archive::institution::Institution;
use serde::Serialize;

use crate::access::{Action, Decision, decide_global, rule};
use crate::role::{Role, Roles};

/// A person as shown beside what they did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Person {
    /// Account.
    pub user: String,
    /// Name shown.
    pub display_name: String,
}

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Account, or the name of the token.
    pub user: String,
    /// Name shown.
    pub display_name: String,
    /// Duties.
    pub roles: Roles,
    /// Where they work.
    pub institution: Institution,
    /// Address of the caller, for the audit row.
    pub source_ip: Option<String>,
    /// When the session ends unless used, Unix microseconds.
    pub expires_at: i64,
}

impl Actor {
    /// Row of the institution.
    #[must_use]
    pub fn institution_id(&self) -> InstitutionId {
        self.institution.id
    }

    /// The person.
    #[must_use]
    pub fn person(&self) -> Person {
        Person {
            user: self.user.clone(),
            display_name: self.display_name.clone(),
        }
    }

    /// Whether they hold `role`.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.has(role)
    }

    /// Whether they read images, ECGs or both for a centre.
    #[must_use]
    pub fn is_reader(&self) -> bool {
        self.roles.has_any(&[
            Role::RadiologyWriter,
            Role::RadiologyReviewer,
            Role::EcgWriter,
            Role::EcgReviewer,
        ])
    }

    /// The words under `permissions` of the session: everything that one of the roles could ever do.
    #[must_use]
    pub fn permissions(&self) -> Vec<&'static str> {
        Action::ALL
            .into_iter()
            .filter(|action| {
                self.roles
                    .iter()
                    .any(|role| rule(role, *action) != crate::access::Rule::Never)
            })
            .map(Action::as_str)
            .collect()
    }

    /// Whether a rule on the community allows `action`.
    #[must_use]
    pub fn may(&self, action: Action) -> bool {
        matches!(decide_global(self.roles, action), Decision::Allow(_))
    }
}
