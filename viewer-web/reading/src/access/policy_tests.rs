//! Test users as types: each test reads as a sentence about one of them.

use super::*;

struct User(Role);
const TECHNICIAN: User = User(Role::Technician);
const RADIOLOGIST: User = User(Role::RadiologyWriter);
const RADIOLOGY_REVIEWER: User = User(Role::RadiologyReviewer);
const ECG_PHYSICIAN: User = User(Role::EcgWriter);
const CLINICIAN: User = User(Role::Clinician);
const ADMINISTRATOR: User = User(Role::CountyAdmin);
const AUDITOR: User = User(Role::Auditor);

#[derive(Clone, Copy)]
struct Study(Subject);
const STRANGE: Study = Study(Subject::STRANGE);

impl Study {
    const fn own(self) -> Study {
        Study(Subject { own: true, ..self.0 })
    }
    const fn read_for_another(self) -> Study {
        Study(Subject {
            reading: true,
            ..self.0
        })
    }
    const fn of_a_patient_treated_here(self) -> Study {
        Study(Subject {
            treating: true,
            ..self.0
        })
    }
    const fn signed(self) -> Study {
        Study(Subject {
            signed: true,
            ..self.0
        })
    }
    const fn ecg(self) -> Study {
        Study(Subject {
            kind: Kind::Ecg,
            ..self.0
        })
    }
}

impl User {
    fn may(&self, action: Action, study: Study) {
        assert!(
            decide(self.0.into(), action, &study.0).allowed(),
            "{:?} should be allowed {action:?}",
            self.0
        );
    }
    fn may_not(&self, action: Action, study: Study) {
        assert!(
            !decide(self.0.into(), action, &study.0).allowed(),
            "{:?} should be denied {action:?}",
            self.0
        );
    }
}

fn every_subject() -> Vec<Subject> {
    let mut all = Vec::new();
    for bits in 0..32u8 {
        all.push(Subject {
            own: bits & 1 != 0,
            reading: bits & 2 != 0,
            treating: bits & 4 != 0,
            signed: bits & 8 != 0,
            kind: if bits & 16 == 0 { Kind::Imaging } else { Kind::Ecg },
        });
    }
    all
}

#[test]
fn a_technician_sees_what_the_own_institution_took_and_nothing_else() {
    TECHNICIAN.may(Action::ViewImages, STRANGE.own());
    TECHNICIAN.may(Action::ViewReport, STRANGE.own());
    TECHNICIAN.may_not(
        Action::ViewImages,
        STRANGE.signed().of_a_patient_treated_here().read_for_another(),
    );
    TECHNICIAN.may_not(Action::Claim, STRANGE.own());
    TECHNICIAN.may_not(Action::ViewDraft, STRANGE.own());
}

#[test]
fn a_radiologist_reads_for_others_under_an_agreement_and_cannot_sign() {
    RADIOLOGIST.may(Action::WriteReport, STRANGE.read_for_another());
    RADIOLOGIST.may_not(Action::WriteReport, STRANGE.own());
    RADIOLOGIST.may_not(Action::SignReport, STRANGE.read_for_another());
    RADIOLOGY_REVIEWER.may(Action::SignReport, STRANGE.read_for_another());
    RADIOLOGY_REVIEWER.may_not(Action::SignReport, STRANGE.own().signed());
}

#[test]
fn images_and_ecg_have_their_own_writers_but_both_may_look() {
    RADIOLOGIST.may(Action::ViewImages, STRANGE.read_for_another().ecg());
    RADIOLOGIST.may_not(Action::WriteReport, STRANGE.read_for_another().ecg());
    ECG_PHYSICIAN.may(Action::WriteReport, STRANGE.read_for_another().ecg());
    ECG_PHYSICIAN.may_not(Action::WriteReport, STRANGE.read_for_another());
}

#[test]
fn a_clinician_sees_own_patients_and_signed_studies_of_treated_ones() {
    CLINICIAN.may(Action::ViewImages, STRANGE.own());
    CLINICIAN.may(Action::ViewImages, STRANGE.of_a_patient_treated_here().signed());
    CLINICIAN.may_not(Action::ViewImages, STRANGE.of_a_patient_treated_here());
    CLINICIAN.may_not(Action::ViewImages, STRANGE.signed());
    CLINICIAN.may_not(Action::SignReport, STRANGE.own().signed());
}

#[test]
fn recognition_is_never_decided_by_the_sender() {
    CLINICIAN.may(
        Action::DecideRecognition,
        STRANGE.of_a_patient_treated_here().signed(),
    );
    CLINICIAN.may_not(
        Action::DecideRecognition,
        STRANGE.own().of_a_patient_treated_here().signed(),
    );
    CLINICIAN.may_not(Action::DecideRecognition, STRANGE.of_a_patient_treated_here());
    TECHNICIAN.may_not(
        Action::DecideRecognition,
        STRANGE.of_a_patient_treated_here().signed(),
    );
}

#[test]
fn administrator_and_auditor_read_no_study_whatever_binds_them() {
    for subject in every_subject() {
        for action in Action::ALL {
            ADMINISTRATOR.may_not(action, Study(subject));
            AUDITOR.may_not(action, Study(subject));
        }
    }
    assert!(decide_global(Role::CountyAdmin.into(), Action::ReadStatistics).allowed());
    assert!(decide_global(Role::Auditor.into(), Action::ReadAudit).allowed());
    for role in Role::ALL.into_iter().filter(|r| *r != Role::Auditor) {
        assert!(
            !decide_global(role.into(), Action::ReadAudit).allowed(),
            "{role:?}"
        );
    }
}

#[test]
fn nobody_reaches_a_strange_study() {
    for role in Role::ALL {
        for action in Action::ALL {
            User(role).may_not(action, STRANGE);
            User(role).may_not(action, STRANGE.signed());
        }
    }
}

#[test]
fn the_empty_set_of_roles_may_nothing() {
    for action in Action::ALL {
        assert!(!decide_global(Roles::default(), action).allowed());
        for subject in every_subject() {
            assert!(!decide(Roles::default(), action, &subject).allowed());
        }
    }
}

/// The whole table, written out a second time by role: 11 roles × 26 actions.
#[test]
fn the_table_is_exactly_this() {
    let mut lines = String::new();
    for role in Role::ALL {
        let granted: Vec<String> = Action::ALL
            .into_iter()
            .filter(|a| rule(role, *a) != Rule::Never)
            .map(|a| format!("{}:{:?}", a.as_str(), rule(role, a)))
            .collect();
        lines += &format!("{} {}\n", role.as_str(), granted.join(" "));
    }
    let reader = |kind: &str, signs: bool| {
        let sign = if signs {
            format!(" report.sign:{kind} report.amend:{kind}")
        } else {
            String::new()
        };
        format!(
            "images.read:Reading report.read:Reading draft.read:Reading report.export:Reading claim:{kind} \
             report.write:{kind}{sign} critical.raise:{kind} critical.read:Reading share:Reading consult:Reading \
             study.reject:{kind} patient.read:Reading worklist.read:Global order.read:Global study.search:Global"
        )
    };
    let expected = format!(
        "technician images.read:Own report.read:Own report.export:Own critical.read:Own patient.read:Own \
         worklist.read:Global order.create:Global order.read:Global images.store:Global study.search:Global\n\
         radiology_writer {}\nradiology_reviewer {}\necg_writer {}\necg_reviewer {}\n\
         clinician images.read:OwnOrTreatingSigned report.read:OwnOrTreatingSigned \
         report.export:OwnOrTreatingSigned critical.read:Own critical.answer:Own \
         recognition.decide:OthersTreatingSigned share:Own consult:Own patient.read:OwnOrTreating \
         worklist.read:Global order.create:Global order.read:Global study.search:Global\n\
         county_admin statistics.read:Global device.manage:Global metrics.read:Global\n\
         security_admin account.manage:Global metrics.read:Global\n\
         auditor audit.read:Global\n\
         device images.store:Global\n\
         edge report.export:Own order.read:Global images.store:Global\n",
        reader("ReadingImaging", false),
        reader("ReadingImaging", true),
        reader("ReadingEcg", false),
        reader("ReadingEcg", true),
    );
    assert_eq!(lines, expected);
}

#[test]
fn more_facts_never_take_a_right_away_except_recognition_by_the_sender() {
    for role in Role::ALL {
        for action in Action::ALL {
            for s in every_subject()
                .into_iter()
                .filter(|s| decide(role.into(), action, s).allowed())
            {
                let more = [
                    Subject { reading: true, ..s },
                    Subject { treating: true, ..s },
                    Subject { signed: true, ..s },
                    Subject {
                        own: s.own || action != Action::DecideRecognition,
                        ..s
                    },
                ];
                for m in more {
                    assert!(
                        decide(role.into(), action, &m).allowed(),
                        "{role:?} {action:?} {m:?}"
                    );
                }
            }
        }
    }
}
