//! Who somebody is: the roles of the community and what the pages may offer them.

use serde::{Deserialize, Serialize};

/// A duty of an account. An account may hold several, but the three guardians (administrator, security administrator,
/// auditor) exclude one another and every clinical duty (GB/T 22239-2019, separation of powers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Takes the exams at an institution and sends them.
    Technician,
    /// Writes image reports at a reading centre.
    RadiologyWriter,
    /// Reviews and signs image reports; may write as well.
    RadiologyReviewer,
    /// Writes ECG reports at a reading centre.
    EcgWriter,
    /// Reviews and signs ECG reports; may write as well.
    EcgReviewer,
    /// Treats patients: orders exams, reads results, decides on recognition.
    Clinician,
    /// Runs the community: figures, institutions, devices. Never reads a report.
    CountyAdmin,
    /// Manages accounts and grants. Never reads a report.
    SecurityAdmin,
    /// Reads the audit trail and nothing else.
    Auditor,
    /// A machine of an institution which stores studies.
    Device,
    /// A township node: stores studies, keeps worklist and results of its own institution.
    Edge,
}

impl Role {
    /// Every role, in the order of display.
    pub const ALL: [Role; 11] = [
        Role::Technician,
        Role::RadiologyWriter,
        Role::RadiologyReviewer,
        Role::EcgWriter,
        Role::EcgReviewer,
        Role::Clinician,
        Role::CountyAdmin,
        Role::SecurityAdmin,
        Role::Auditor,
        Role::Device,
        Role::Edge,
    ];

    /// The word used in JSON, in the index and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Technician => "technician",
            Role::RadiologyWriter => "radiology_writer",
            Role::RadiologyReviewer => "radiology_reviewer",
            Role::EcgWriter => "ecg_writer",
            Role::EcgReviewer => "ecg_reviewer",
            Role::Clinician => "clinician",
            Role::CountyAdmin => "county_admin",
            Role::SecurityAdmin => "security_admin",
            Role::Auditor => "auditor",
            Role::Device => "device",
            Role::Edge => "edge",
        }
    }

    /// Reads the word back; `None` when it is not a role.
    #[must_use]
    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }

    const fn bit(self) -> u16 {
        1 << (self as u16)
    }

    const fn is_guardian(self) -> bool {
        matches!(self, Role::CountyAdmin | Role::SecurityAdmin | Role::Auditor)
    }
}

/// A set of roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(u16);

impl Roles {
    /// Reads roles separated by blanks; words that are no role give nothing, so an unknown role can never grant.
    #[must_use]
    pub fn parse(text: &str) -> Roles {
        text.split_whitespace().filter_map(Role::parse).collect()
    }

    /// Whether the set holds `role`.
    #[must_use]
    pub const fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether the set holds one of `roles`.
    #[must_use]
    pub fn has_any(self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.has(*role))
    }

    /// The roles in the order of display.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// A guardian role stands alone: no second guardian, no clinical duty beside it.
    #[must_use]
    pub fn separation_kept(self) -> bool {
        let guardians = self.iter().filter(|role| role.is_guardian()).count();
        guardians == 0 || (guardians == 1 && self.iter().count() == 1)
    }

    /// The roles as words separated by blanks, as the index keeps them.
    #[must_use]
    pub fn to_words(self) -> String {
        self.iter().map(Role::as_str).collect::<Vec<_>>().join(" ")
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<T: IntoIterator<Item = Role>>(iter: T) -> Self {
        Roles(iter.into_iter().fold(0, |bits, role| bits | role.bit()))
    }
}

impl From<Role> for Roles {
    fn from(role: Role) -> Self {
        Roles(role.bit())
    }
}

impl Serialize for Roles {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_back_and_forth() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        let every: Roles = Role::ALL.into_iter().collect();
        assert_eq!(Roles::parse(&every.to_words()), every);
        assert_eq!(Roles::parse("surgeon  clinician"), Roles::from(Role::Clinician));
        assert!(Roles::parse("").is_empty());
    }

    #[test]
    fn guardians_stand_alone() {
        let check =
            |words: &str, kept: bool| assert_eq!(Roles::parse(words).separation_kept(), kept, "{words}");
        check("auditor", true);
        check("radiology_writer radiology_reviewer ecg_writer", true);
        check("auditor security_admin", false);
        check("county_admin clinician", false);
    }
}
