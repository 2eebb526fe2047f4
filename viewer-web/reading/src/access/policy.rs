//! Pure decisions: role × action × relation.

use crate::error::Words;
use crate::role::{Role, Roles};

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    // on one study
    /// Original objects, metadata, frames, reformats, ECG samples.
    ViewImages,
    /// The report: the signed text, or for its writers the draft.
    ViewReport,
    /// The unsigned text and its state.
    ViewDraft,
    /// PDF, SR, CDA.
    ExportReport,
    /// Take or give back the lease.
    Claim,
    /// Save a draft, submit it.
    WriteReport,
    /// Return or sign.
    SignReport,
    /// Addendum, correction, revocation.
    AmendReport,
    /// Raise a critical value; notify.
    RaiseCritical,
    /// See the record of a critical value.
    ViewCritical,
    /// Acknowledge and act at the bedside.
    AnswerCritical,
    /// Recognise or refuse.
    DecideRecognition,
    /// Make or revoke a patient's link.
    Share,
    /// Ask for or give a second opinion.
    Consult,
    /// Send back to the sender for quality.
    RejectStudy,
    // on one patient
    /// Timeline and recognition candidates.
    ViewPatient,
    // on the community
    /// The reading worklist.
    ReadWorklist,
    /// Place an exam request.
    PlaceOrder,
    /// List exam requests.
    ListOrders,
    /// STOW-RS.
    StoreImages,
    /// QIDO-RS and patient search.
    SearchStudies,
    /// Figures of the community.
    ReadStatistics,
    /// The audit trail.
    ReadAudit,
    /// Accounts, tokens, grants.
    ManageAccounts,
    /// Institutions and devices.
    ManageDevices,
    /// `/metrics`.
    ReadMetrics,
}

impl Action {
    /// Every action.
    pub const ALL: [Action; 26] = [
        Action::ViewImages,
        Action::ViewReport,
        Action::ViewDraft,
        Action::ExportReport,
        Action::Claim,
        Action::WriteReport,
        Action::SignReport,
        Action::AmendReport,
        Action::RaiseCritical,
        Action::ViewCritical,
        Action::AnswerCritical,
        Action::DecideRecognition,
        Action::Share,
        Action::Consult,
        Action::RejectStudy,
        Action::ViewPatient,
        Action::ReadWorklist,
        Action::PlaceOrder,
        Action::ListOrders,
        Action::StoreImages,
        Action::SearchStudies,
        Action::ReadStatistics,
        Action::ReadAudit,
        Action::ManageAccounts,
        Action::ManageDevices,
        Action::ReadMetrics,
    ];

    /// The word in `permissions` of the session and of a study.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::ViewImages => "images.read",
            Action::ViewReport => "report.read",
            Action::ViewDraft => "draft.read",
            Action::ExportReport => "report.export",
            Action::Claim => "claim",
            Action::WriteReport => "report.write",
            Action::SignReport => "report.sign",
            Action::AmendReport => "report.amend",
            Action::RaiseCritical => "critical.raise",
            Action::ViewCritical => "critical.read",
            Action::AnswerCritical => "critical.answer",
            Action::DecideRecognition => "recognition.decide",
            Action::Share => "share",
            Action::Consult => "consult",
            Action::RejectStudy => "study.reject",
            Action::ViewPatient => "patient.read",
            Action::ReadWorklist => "worklist.read",
            Action::PlaceOrder => "order.create",
            Action::ListOrders => "order.read",
            Action::StoreImages => "images.store",
            Action::SearchStudies => "study.search",
            Action::ReadStatistics => "statistics.read",
            Action::ReadAudit => "audit.read",
            Action::ManageAccounts => "account.manage",
            Action::ManageDevices => "device.manage",
            Action::ReadMetrics => "metrics.read",
        }
    }

    /// DICOM audit event (PS3.15 A.5, PS3.16 CID 400): code and the letter of the act.
    #[must_use]
    pub const fn audit(self) -> (&'static str, char) {
        match self {
            Action::ViewImages => ("110103", 'R'),
            Action::ExportReport => ("110106", 'R'),
            Action::Share => ("110106", 'C'),
            Action::PlaceOrder => ("110109", 'C'),
            Action::ListOrders => ("110109", 'R'),
            Action::ViewPatient => ("110110", 'R'),
            Action::ReadWorklist | Action::SearchStudies | Action::ReadStatistics => ("110112", 'E'),
            Action::ReadAudit => ("110101", 'R'),
            Action::StoreImages => ("110104", 'C'),
            Action::ManageAccounts | Action::ManageDevices => ("110113", 'U'),
            Action::ReadMetrics => ("110100", 'R'),
            Action::ViewReport | Action::ViewDraft | Action::ViewCritical => ("110111", 'R'),
            Action::Claim
            | Action::WriteReport
            | Action::SignReport
            | Action::AmendReport
            | Action::RaiseCritical
            | Action::AnswerCritical
            | Action::DecideRecognition
            | Action::Consult
            | Action::RejectStudy => ("110111", 'U'),
        }
    }
}

/// What is read: it decides which readers write and sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Images.
    Imaging,
    /// Electrocardiogram.
    Ecg,
}

/// The facts about a study (or patient) as seen from one actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Taken at, or ordered by, the actor's institution.
    pub own: bool,
    /// A valid agreement lets the actor's institution read for the one that took it.
    pub reading: bool,
    /// The actor's institution treats this person: it has an order or a visit of them.
    pub treating: bool,
    /// There is a signed version.
    pub signed: bool,
    /// What is read.
    pub kind: Kind,
}

impl Subject {
    /// A stranger's study: nothing binds the actor to it.
    pub const STRANGE: Subject = Subject {
        own: false,
        reading: false,
        treating: false,
        signed: false,
        kind: Kind::Imaging,
    };
}

/// Under which facts a role may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Not at all.
    Never,
    /// On the community, no single study concerned.
    Global,
    /// Studies of the own institution.
    Own,
    /// Studies read for others under an agreement.
    Reading,
    /// As `Reading`, images only.
    ReadingImaging,
    /// As `Reading`, ECG only.
    ReadingEcg,
    /// Own, or of others once signed, with a treating relationship.
    OwnOrTreatingSigned,
    /// Of others only, signed, with a treating relationship.
    OthersTreatingSigned,
    /// Own or read for others.
    OwnOrReading,
    /// Own, or of a person the institution treats.
    OwnOrTreating,
}

impl Rule {
    fn holds(self, s: &Subject) -> bool {
        match self {
            Rule::Never => false,
            Rule::Global => true,
            Rule::Own => s.own,
            Rule::Reading => s.reading,
            Rule::ReadingImaging => s.reading && s.kind == Kind::Imaging,
            Rule::ReadingEcg => s.reading && s.kind == Kind::Ecg,
            Rule::OwnOrTreatingSigned => s.own || (s.treating && s.signed),
            Rule::OthersTreatingSigned => !s.own && s.treating && s.signed,
            Rule::OwnOrReading => s.own || s.reading,
            Rule::OwnOrTreating => s.own || s.treating,
        }
    }
}

/// The policy table.
#[must_use]
pub const fn rule(role: Role, action: Action) -> Rule {
    match role {
        Role::Technician => technician(action),
        Role::RadiologyWriter => reader(action, Rule::ReadingImaging, false),
        Role::RadiologyReviewer => reader(action, Rule::ReadingImaging, true),
        Role::EcgWriter => reader(action, Rule::ReadingEcg, false),
        Role::EcgReviewer => reader(action, Rule::ReadingEcg, true),
        Role::Clinician => clinician(action),
        Role::CountyAdmin => match action {
            Action::ReadStatistics | Action::ManageDevices | Action::ReadMetrics => Rule::Global,
            _ => Rule::Never,
        },
        Role::SecurityAdmin => match action {
            Action::ManageAccounts | Action::ReadMetrics => Rule::Global,
            _ => Rule::Never,
        },
        Role::Auditor => match action {
            Action::ReadAudit => Rule::Global,
            _ => Rule::Never,
        },
        Role::Device => match action {
            Action::StoreImages => Rule::Global,
            _ => Rule::Never,
        },
        Role::Edge => match action {
            Action::StoreImages | Action::ListOrders => Rule::Global,
            Action::ExportReport => Rule::Own,
            _ => Rule::Never,
        },
    }
}

const fn technician(action: Action) -> Rule {
    match action {
        Action::ViewImages
        | Action::ViewReport
        | Action::ExportReport
        | Action::ViewPatient
        | Action::ViewCritical => Rule::Own,
        Action::ReadWorklist
        | Action::PlaceOrder
        | Action::ListOrders
        | Action::StoreImages
        | Action::SearchStudies => Rule::Global,
        _ => Rule::Never,
    }
}

const fn reader(action: Action, own_kind: Rule, signs: bool) -> Rule {
    match action {
        Action::ViewImages
        | Action::ViewReport
        | Action::ViewDraft
        | Action::ExportReport
        | Action::ViewPatient
        | Action::ViewCritical
        | Action::Share
        | Action::Consult => Rule::Reading,
        Action::Claim | Action::WriteReport | Action::RaiseCritical | Action::RejectStudy => own_kind,
        Action::SignReport | Action::AmendReport => {
            if signs {
                own_kind
            } else {
                Rule::Never
            }
        }
        Action::ReadWorklist | Action::SearchStudies | Action::ListOrders => Rule::Global,
        _ => Rule::Never,
    }
}

const fn clinician(action: Action) -> Rule {
    match action {
        Action::ViewImages | Action::ViewReport | Action::ExportReport => Rule::OwnOrTreatingSigned,
        Action::DecideRecognition => Rule::OthersTreatingSigned,
        Action::ViewPatient => Rule::OwnOrTreating,
        Action::ViewCritical | Action::AnswerCritical | Action::Share | Action::Consult => Rule::Own,
        Action::ReadWorklist | Action::PlaceOrder | Action::ListOrders | Action::SearchStudies => {
            Rule::Global
        }
        _ => Rule::Never,
    }
}

/// The answer of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Allowed by this role.
    Allow(Role),
    /// Denied, with the sentence.
    Deny(Words),
}

impl Decision {
    /// Whether it is allowed.
    #[must_use]
    pub const fn allowed(&self) -> bool {
        matches!(self, Decision::Allow(_))
    }
}

/// Decides for one study or patient. Default deny: an action is done only if one of the actor's roles has a rule for
/// it and the rule's facts hold. Rules on the community never open a single study.
#[must_use]
pub fn decide(roles: Roles, action: Action, subject: &Subject) -> Decision {
    for role in roles.iter() {
        let rule = rule(role, action);
        if rule != Rule::Global && rule.holds(subject) {
            return Decision::Allow(role);
        }
    }
    Decision::Deny(refusal(roles, action))
}

/// Decides for the community as a whole.
#[must_use]
pub fn decide_global(roles: Roles, action: Action) -> Decision {
    roles
        .iter()
        .find(|role| rule(*role, action) == Rule::Global)
        .map_or_else(|| Decision::Deny(refusal(roles, action)), Decision::Allow)
}

fn refusal(roles: Roles, action: Action) -> Words {
    if roles.iter().all(|role| rule(role, action) == Rule::Never) {
        Words::fixed("您的岗位没有这项权限", "Your role does not include this")
    } else if action == Action::DecideRecognition {
        Words::fixed(
            "互认由接诊的其他机构医师决定，需先有本院就诊或申请，且报告已签发",
            "Recognition is decided at another institution that treats the patient, once the report is signed",
        )
    } else {
        Words::fixed(
            "这项检查不属于您所在机构，也没有诊疗关系",
            "This study is not your institution's and there is no treating relationship",
        )
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
