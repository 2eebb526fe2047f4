//! Under which exam request a recording is filed.

use archive::order::Order;
use archive::patient::Patient as Row;
use engine::ecg::record::Patient;
use reading::OwnOrder;

/// The request and the person of a recording.
#[derive(Debug, Clone)]
pub struct Filing {
    pub(super) accession_number: String,
    pub(super) study_uid: String,
    pub(super) patient: Row,
    /// Somebody has seen that the file names another person and takes it for this one.
    pub(super) accepts_other_person: bool,
}

impl Filing {
    /// Under a request that the policy let its actor add to.
    #[must_use]
    pub fn under(own: &OwnOrder) -> Self {
        Self::of(own.order(), own.patient().clone())
    }

    /// Under a request that a township node keeps for its own institution.
    #[must_use]
    pub fn of(order: &Order, patient: Row) -> Self {
        Self {
            accession_number: order.accession_number.clone(),
            study_uid: order.study_uid.clone(),
            patient,
            accepts_other_person: false,
        }
    }

    /// Takes the recording although its file names another person.
    #[must_use]
    pub fn accepting_other_person(mut self, yes: bool) -> Self {
        self.accepts_other_person = yes;
        self
    }

    /// The person as objects name them.
    pub(super) fn person(&self) -> Patient {
        let row = &self.patient;
        let name = dataset::PersonName {
            alphabetic: row.name_alphabetic.clone(),
            ideographic: row.name_ideographic.clone(),
            phonetic: row.name_phonetic.clone(),
        };
        let name = if name.is_empty() {
            row.name.clone()
        } else {
            name.to_dicom()
        };
        Patient {
            name: Some(name),
            identifier: Some(row.identifier.clone()),
            sex: row.sex.clone(),
            age_years: None,
            birth_date: row.birth_date.clone(),
        }
    }
}
