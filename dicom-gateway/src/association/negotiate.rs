//! Which of the proposed presentation contexts are accepted, and how (PS3.8 9.3.3). Pure.

use dataset::{TransferSyntaxUid, uids};

use crate::pdu::{AssociateRq, ContextAnswer, ContextProposal, ExtendedNegotiation, RoleSelection};

/// What an abstract syntax asks of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    /// C-ECHO.
    Verification,
    /// C-STORE of any class.
    Storage,
    /// C-FIND, Patient Root.
    PatientFind,
    /// C-FIND, Study Root.
    StudyFind,
    /// C-FIND, Modality Worklist.
    Worklist,
    /// C-GET, Patient Root.
    PatientGet,
    /// C-GET, Study Root.
    StudyGet,
    /// C-MOVE, Patient Root.
    PatientMove,
    /// C-MOVE, Study Root.
    StudyMove,
    /// N-CREATE, N-SET of performed procedure steps.
    PerformedStep,
    /// N-GET of performed procedure steps.
    PerformedStepRetrieve,
    /// N-ACTION, N-EVENT-REPORT of storage commitment.
    Commitment,
}

impl Service {
    fn is_query(self) -> bool {
        matches!(self, Self::PatientFind | Self::StudyFind | Self::Worklist)
    }

    fn is_retrieval(self) -> bool {
        matches!(
            self,
            Self::PatientGet | Self::StudyGet | Self::PatientMove | Self::StudyMove
        )
    }
}

/// What was agreed about the matching of dates and times (PS3.4 C.5.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Matching {
    /// A date key and a time key of the same thing are one range.
    pub(crate) combined_date_time: bool,
    /// Dates and times of question and answers are in the zone that the question names.
    pub(crate) time_zone: bool,
}

/// An accepted presentation context.
#[derive(Debug, Clone)]
pub(crate) struct AcceptedContext {
    pub(crate) id: u8,
    pub(crate) abstract_syntax: String,
    pub(crate) transfer_syntax: TransferSyntaxUid,
    pub(crate) service: Service,
    /// The peer takes C-STORE requests on it (role selection, PS3.7 D.3.3.4; for C-GET).
    pub(crate) peer_is_scp: bool,
    pub(crate) matching: Matching,
}

const ACCEPTED: u8 = 0;
const ABSTRACT_SYNTAX_NOT_SUPPORTED: u8 = 3;
const TRANSFER_SYNTAXES_NOT_SUPPORTED: u8 = 4;

/// Instances that belong to no study, or are none: they cannot be kept in a patient's archive.
const NOT_FOR_STUDIES: [&str; 4] = [
    "1.2.840.10008.1.3.10",          // Media Storage Directory
    "1.2.840.10008.5.1.4.38.1",      // Hanging Protocol
    "1.2.840.10008.5.1.4.39.1",      // Color Palette
    "1.2.840.10008.5.1.4.1.1.200.1", // CT Defined Procedure Protocol
];

/// Of those, what archives elsewhere take: agreed to, so that each object is refused by a status.
const REFUSED_BY_STATUS: [&str; 2] = ["1.2.840.10008.5.1.4.38.1", "1.2.840.10008.5.1.4.39.1"];

/// Service of an abstract syntax; `None` when we do not offer it.
pub(crate) fn service_of(abstract_syntax: &str) -> Option<Service> {
    match abstract_syntax {
        uids::VERIFICATION => Some(Service::Verification),
        uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND => Some(Service::PatientFind),
        uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND => Some(Service::StudyFind),
        uids::MODALITY_WORKLIST_INFORMATION_MODEL_FIND => Some(Service::Worklist),
        uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET => Some(Service::PatientGet),
        uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET => Some(Service::StudyGet),
        uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE => Some(Service::PatientMove),
        uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE => Some(Service::StudyMove),
        uids::MODALITY_PERFORMED_PROCEDURE_STEP => Some(Service::PerformedStep),
        uids::MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE => Some(Service::PerformedStepRetrieve),
        uids::STORAGE_COMMITMENT_PUSH_MODEL => Some(Service::Commitment),
        other => (is_storage(other) || REFUSED_BY_STATUS.contains(&other)).then_some(Service::Storage),
    }
}

/// Storage classes: images, waveforms, structured reports, presentation states, key objects,
/// documents, segmentations, radiotherapy, video, retired ones, and every private class.
pub(crate) fn is_storage(uid: &str) -> bool {
    if NOT_FOR_STUDIES.contains(&uid) || dataset::Uid::parse(uid).is_err() {
        return false;
    }
    let private = !uid.starts_with("1.2.840.10008.");
    private
        || uid.starts_with("1.2.840.10008.5.1.4.1.1.")
        || matches!(
            uid,
            "1.2.840.10008.5.1.1.27"
                | "1.2.840.10008.5.1.1.29"
                | "1.2.840.10008.5.1.1.30"
                | "1.2.840.10008.5.1.4.34.7"
                | "1.2.840.10008.5.1.4.34.10"
        )
}

/// Chooses among the proposed transfer syntaxes. Objects are stored as they come, so for storage
/// the sender's order holds, but implicit VR and big endian come last: they lose the VRs of
/// private attributes and are read by fewer programs. The other services read and write explicit
/// and implicit VR little endian.
fn choose(service: Service, proposed: &[String]) -> Option<TransferSyntaxUid> {
    let (explicit, implicit) = (TransferSyntaxUid::explicit_le(), TransferSyntaxUid::implicit_le());
    let valid = || {
        proposed
            .iter()
            .filter_map(|syntax| TransferSyntaxUid::parse(syntax).ok())
    };
    if service != Service::Storage {
        return valid()
            .find(|s| *s == explicit)
            .or_else(|| valid().find(|s| *s == implicit));
    }
    let last = [implicit, TransferSyntaxUid::explicit_be()];
    valid()
        .find(|syntax| !last.contains(syntax))
        .or_else(|| valid().next())
}

fn answer(proposal: &ContextProposal) -> (ContextAnswer, Option<AcceptedContext>) {
    let refuse = |result| ContextAnswer {
        id: proposal.id,
        result,
        // the value is not to be looked at, but must be there
        transfer_syntax: proposal.transfer_syntaxes.first().cloned().unwrap_or_default(),
    };
    let Some(service) = service_of(&proposal.abstract_syntax) else {
        return (refuse(ABSTRACT_SYNTAX_NOT_SUPPORTED), None);
    };
    let Some(transfer_syntax) = choose(service, &proposal.transfer_syntaxes) else {
        return (refuse(TRANSFER_SYNTAXES_NOT_SUPPORTED), None);
    };
    let answer = ContextAnswer {
        id: proposal.id,
        result: ACCEPTED,
        transfer_syntax: transfer_syntax.as_str().to_owned(),
    };
    let accepted = AcceptedContext {
        id: proposal.id,
        abstract_syntax: proposal.abstract_syntax.clone(),
        transfer_syntax,
        service,
        peer_is_scp: false,
        matching: Matching::default(),
    };
    (answer, Some(accepted))
}

/// Answers all proposals of a request.
pub(crate) fn answer_all(request: &AssociateRq) -> (Vec<ContextAnswer>, Vec<AcceptedContext>) {
    let (answers, accepted): (Vec<_>, Vec<_>) = request.contexts.iter().map(answer).unzip();
    let mut accepted: Vec<AcceptedContext> = accepted.into_iter().flatten().collect();
    for context in &mut accepted {
        let asked = |role: &RoleSelection| role.sop_class == context.abstract_syntax && role.scp;
        context.peer_is_scp = context.service == Service::Storage && request.user.roles.iter().any(asked);
        let extended = request
            .user
            .extended
            .iter()
            .find(|negotiation| negotiation.sop_class == context.abstract_syntax);
        if let Some(negotiation) = extended.filter(|_| context.service.is_query()) {
            let asked = |byte: usize| negotiation.information.get(byte) == Some(&1);
            context.matching = Matching {
                combined_date_time: asked(1),
                time_zone: asked(3),
            };
        }
    }
    (answers, accepted)
}

/// Level 2 (full) storage, any signature is kept as it is, nothing is coerced (PS3.4 B.3.1).
const STORAGE_ANSWER: [u8; 5] = [2, 0, 3, 0, 0];
/// Bytes of the query's extended negotiation that we know: relational queries, combined date and
/// time, names by their sound, time zones (PS3.4 C.5.2.1).
const QUERY_BYTES: usize = 4;

/// The answer to SOP class extended negotiation, for the classes that were accepted. All that can
/// be asked of a query is there; of a retrieval only relational identifiers (PS3.4 C.5.3.1).
pub(crate) fn answer_extended(
    request: &AssociateRq,
    accepted: &[AcceptedContext],
) -> Vec<ExtendedNegotiation> {
    let answer = |asked: &ExtendedNegotiation| {
        let context = accepted
            .iter()
            .find(|context| context.abstract_syntax == asked.sop_class)?;
        let known = match context.service {
            Service::Storage => STORAGE_ANSWER
                .get(..asked.information.len().min(STORAGE_ANSWER.len()))?
                .to_vec(),
            service if service.is_query() || service.is_retrieval() => {
                let bytes = if service.is_query() { QUERY_BYTES } else { 1 };
                let agreed = |(place, byte): (usize, &u8)| u8::from(*byte == 1 && place < bytes);
                asked.information.iter().take(8).enumerate().map(agreed).collect()
            }
            _ => return None,
        };
        Some(ExtendedNegotiation {
            sop_class: asked.sop_class.clone(),
            information: known,
        })
    };
    request.user.extended.iter().filter_map(answer).collect()
}

/// The answer to the role selections: the peer may be what it likes for storage classes, and is
/// only a user of everything else, but that it may tell us the results of storage commitments that
/// we asked it for.
pub(crate) fn answer_roles(request: &AssociateRq) -> Vec<RoleSelection> {
    let free = |role: &&RoleSelection| {
        let service = service_of(&role.sop_class);
        matches!(service, Some(Service::Storage | Service::Commitment))
    };
    request.user.roles.iter().filter(free).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_known() {
        let check = |uid: &str, expect| assert_eq!(service_of(uid), expect, "{uid}");
        check("1.2.840.10008.1.1", Some(Service::Verification));
        check("1.2.840.10008.5.1.4.1.1.2", Some(Service::Storage)); // CT
        check("1.2.840.10008.5.1.4.1.1.9.1.1", Some(Service::Storage)); // 12-lead ECG
        check("1.2.840.10008.5.1.4.1.1.104.1", Some(Service::Storage)); // PDF
        check("1.2.840.10008.5.1.4.1.1.88.59", Some(Service::Storage)); // KOS
        check("1.2.840.10008.5.1.4.1.1.77.1.4.1", Some(Service::Storage)); // video
        check("1.2.840.113619.4.26", Some(Service::Storage)); // private
        check("1.2.840.10008.1.3.10", None);
        check("1.2.840.10008.5.1.4.1.2.2.1", Some(Service::StudyFind));
        check("1.2.840.10008.5.1.4.31", Some(Service::Worklist));
        check("1.2.840.10008.3.1.2.3.3", Some(Service::PerformedStep));
        check("1.2.840.10008.1.20.1", Some(Service::Commitment));
        check("1.2.840.10008.5.1.1.9", None); // film printing
        check("../../etc", None);
        check("", None);
    }

    #[test]
    fn syntaxes_are_chosen() {
        let check = |service, proposed: &[&str], expect: Option<&str>| {
            let proposed: Vec<String> = proposed.iter().map(|s| (*s).to_owned()).collect();
            let chosen = choose(service, &proposed);
            assert_eq!(
                chosen.as_ref().map(TransferSyntaxUid::as_str),
                expect,
                "{proposed:?}"
            );
        };
        let (implicit, explicit, big) = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2");
        check(Service::Storage, &[implicit, explicit], Some(explicit));
        check(Service::Storage, &[implicit], Some(implicit));
        check(Service::Storage, &[big, implicit], Some(big));
        check(
            Service::Storage,
            &["1.2.840.10008.1.2.4.80", explicit],
            Some("1.2.840.10008.1.2.4.80"),
        );
        check(Service::Storage, &["1.2.3.4.5"], Some("1.2.3.4.5"));
        check(Service::Storage, &["x"], None);
        check(Service::StudyFind, &[implicit, explicit], Some(explicit));
        check(Service::StudyFind, &[big], None);
    }

    #[test]
    fn extended_negotiation_is_answered() {
        let check = |sop_class: &str, asked: &[u8], expect: Option<&[u8]>, matching: (bool, bool)| {
            let request = AssociateRq {
                protocol_version: 1,
                called: "A".into(),
                calling: "B".into(),
                application_context: String::new(),
                contexts: vec![ContextProposal {
                    id: 1,
                    abstract_syntax: sop_class.into(),
                    transfer_syntaxes: vec!["1.2.840.10008.1.2".into()],
                }],
                user: crate::pdu::UserInformation {
                    extended: vec![ExtendedNegotiation {
                        sop_class: sop_class.into(),
                        information: asked.to_vec(),
                    }],
                    ..crate::pdu::UserInformation::default()
                },
            };
            let (_, accepted) = answer_all(&request);
            let answers = answer_extended(&request, &accepted);
            assert_eq!(
                answers.first().map(|a| &*a.information),
                expect,
                "{sop_class} {asked:?}"
            );
            let agreed = accepted[0].matching;
            assert_eq!(
                (agreed.combined_date_time, agreed.time_zone),
                matching,
                "{asked:?}"
            );
        };
        let (find, get) = ("1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.3");
        check(find, &[1], Some(&[1]), (false, false));
        check(find, &[1, 1, 0, 1, 1], Some(&[1, 1, 0, 1, 0]), (true, true));
        check(find, &[], Some(&[]), (false, false));
        check(get, &[1, 1], Some(&[1, 0]), (false, false));
        check(
            "1.2.840.10008.5.1.4.1.1.2",
            &[2, 0, 0, 0, 1, 9],
            Some(&STORAGE_ANSWER),
            (false, false),
        );
        check("1.2.840.10008.1.1", &[1], None, (false, false));
    }
}
