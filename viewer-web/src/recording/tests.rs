use super::*;
use archive::order::{Order, OrderState, Priority};
use archive::patient::Patient as Row;
use archive::{InstitutionId, OrderId, PatientId, PersonId, UnixMicros};
use engine::ecg::formats::{edf, wfdb};
use engine::ecg::{Lead, LeadName};

fn recording(identifier: Option<&str>, name: Option<&str>) -> Record {
    let lead = |name: &str| Lead {
        name: LeadName::new(name),
        samples_uv: (0..1_000).map(|n| (n % 50) as f32 * 5.0).collect(),
        resolution_uv: 5.0,
        derived: false,
    };
    let mut record = Record::new("edf", vec![lead("I"), lead("II")], 500.0).unwrap();
    record.patient.identifier = identifier.map(str::to_owned);
    record.patient.name = name.map(str::to_owned);
    record
}

fn file(name: &str, bytes: impl Into<Vec<u8>>) -> File {
    File {
        name: name.into(),
        bytes: bytes.into(),
    }
}

fn edf_of(identifier: Option<&str>, name: Option<&str>) -> File {
    file("a.edf", edf::write::write(&recording(identifier, name)).unwrap())
}

fn filing() -> Filing {
    let now = UnixMicros(0);
    let order = Order {
        id: OrderId(1),
        accession_number: "E1".into(),
        study_uid: "1.2.3".into(),
        patient_id: PatientId(1),
        institution_id: InstitutionId(1),
        modality: "ECG".into(),
        body_part: String::new(),
        item_code: "ECG12".into(),
        item_name: "心电图".into(),
        priority: Priority::Routine,
        clinical_history: String::new(),
        scheduled_ae: None,
        scheduled_at: now,
        ordered_by: "tech".into(),
        ordered_at: now,
        state: OrderState::Ordered,
    };
    let row = Row {
        id: PatientId(1),
        institution_id: InstitutionId(1),
        issuer: String::new(),
        identifier: "JH1".into(),
        person_id: PersonId(1),
        name: "王秀英".into(),
        name_alphabetic: String::new(),
        name_ideographic: "王^秀英".into(),
        name_phonetic: String::new(),
        pinyin: "WANG XIU YING".into(),
        sex: Some("F".into()),
        birth_date: None,
        national_id: None,
    };
    Filing::of(&order, row)
}

/// What the object says: identifiers of study and patient, and the files kept in it.
fn said(object: &[u8]) -> (Vec<String>, Vec<String>, Record) {
    let read = dataset::file::read(object, Limits::in_memory()).unwrap();
    let set = &read.parsed.data_set;
    use dataset::tags;
    let texts = [
        tags::STUDY_INSTANCE_UID,
        tags::ACCESSION_NUMBER,
        tags::PATIENT_ID,
        tags::PATIENT_SEX,
    ]
    .map(|tag| set.text(tag).unwrap_or_default());
    let lookup = |path: &[(u32, usize)], tag: u32| set.raw_at(path, tag).map(Cow::Borrowed);
    let names = dicom::originals(&lookup).into_iter().map(|kept| kept.name);
    let names = names.collect();
    (texts.to_vec(), names, formats::dicom::read(&lookup).unwrap())
}

#[test]
fn a_recording_becomes_the_same_object_each_time_with_the_file_in_it() {
    let given = edf_of(Some("P1"), None);
    let made = make(&given, &[], None).unwrap();
    let (texts, names, record) = said(&made.object);
    assert_eq!((record.leads.len(), record.len()), (2, 1_000));
    assert_eq!((texts[2].as_str(), names), ("P1", vec!["a.edf".to_owned()]));
    let uid = |object: &[u8]| {
        let header = dataset::file::read_header(object).unwrap();
        header.sop_instance().unwrap()
    };
    let renamed = File {
        name: "b.edf".into(),
        ..given.clone()
    };
    assert_eq!(uid(&make(&renamed, &[], None).unwrap().object), uid(&made.object));
    let filed = make(&given, &[], Some(&filing().accepting_other_person(true))).unwrap();
    assert_ne!(uid(&filed.object), uid(&made.object));
}

#[test]
fn a_request_says_whose_it_is() {
    let made = make(&edf_of(None, Some("WANG XIUYING")), &[], Some(&filing())).unwrap();
    let (texts, _, _) = said(&made.object);
    assert_eq!(texts, ["1.2.3", "E1", "JH1", "F"]);
    let other = make(&edf_of(None, Some("LI JIANGUO")), &[], Some(&filing())).unwrap_err();
    assert_eq!(other.reason(), Reason::OtherPerson);
    assert!(other.to_string().contains("王秀英"), "{other}");
    let seen = filing().accepting_other_person(true);
    assert!(make(&edf_of(None, Some("LI JIANGUO")), &[], Some(&seen)).is_ok());
}

#[test]
fn a_header_takes_its_signals_with_it() {
    let written = wfdb::write::write(&recording(None, None), "r1");
    let (header, signals) = (file("r1.hea", written.header), file("r1.dat", written.signals));
    assert!(is_recording(&header) && !is_recording(&signals));
    let made = make(&header, &[signals.clone(), header.clone()], Some(&filing())).unwrap();
    assert_eq!(made.beside, ["r1.dat"]);
    let (_, names, record) = said(&made.object);
    assert_eq!(names, ["r1.hea", "r1.dat"]);
    assert_eq!(record.len(), 1_000);
    let alone = make(&header, &[], Some(&filing())).unwrap_err();
    assert_eq!(alone.reason(), Reason::MissingFile);
}

#[test]
fn a_dicom_file_stays_as_it_is_unless_it_goes_under_another_request() {
    let object = make(&edf_of(Some("JH1"), None), &[], Some(&filing()))
        .unwrap()
        .object;
    let given = file("a.dcm", object);
    for under in [None, Some(filing())] {
        let made = make(&given, &[], under.as_ref()).unwrap();
        assert!(made.as_it_came && made.object == given.bytes);
    }
    let foreign = file(
        "b.dcm",
        make(&edf_of(Some("JH1"), None), &[], None).unwrap().object,
    );
    let made = make(&foreign, &[], Some(&filing())).unwrap();
    let (texts, names, _) = said(&made.object);
    assert_eq!(texts[..2], ["1.2.3", "E1"]);
    assert_eq!(names, ["b.dcm"]);
}

#[test]
fn documents_are_kept_under_a_request_and_measured_by_nothing() {
    for (name, bytes, format) in [
        ("报告.pdf", &b"%PDF-1.4"[..], "pdf"),
        ("cart.xml", b"<Cart/>", "xml"),
    ] {
        let given = file(name, bytes);
        assert!(is_recording(&given));
        let made = make(&given, &[], Some(&filing())).unwrap();
        assert_eq!((made.format.as_str(), made.signal), (format, None));
        let read = dataset::file::read(&made.object, Limits::in_memory()).unwrap();
        let set = &read.parsed.data_set;
        let lookup = |path: &[(u32, usize)], tag: u32| set.raw_at(path, tag).map(Cow::Borrowed);
        let kept = dicom::originals(&lookup);
        assert_eq!((kept[0].name.as_str(), kept[0].bytes.as_slice()), (name, bytes));
    }
}

#[test]
fn what_is_not_taken_is_refused_with_the_reason() {
    let check = |name: &str, bytes: &[u8], expect: Reason| {
        let refusal = make(&file(name, bytes), &[], None).unwrap_err();
        assert_eq!(refusal.reason(), expect, "{refusal}");
    };
    let whole = edf_of(Some("P1"), None).bytes;
    check("a.edf", &edf_of(None, None).bytes, Reason::Nobody);
    check("a.edf", &whole[..300], Reason::Damaged);
    check("a.pdf", b"%PDF-1.4", Reason::NobodysDocument);
    check("a.xml", b"<Vendor/>", Reason::NobodysDocument);
    check("a.txt", b"hello", Reason::UnknownFormat);
    check(
        "100.hea",
        b"100 1 360 1000\n100.dat 212 200 11 1024 0 0 0 MLII\n",
        Reason::MissingFile,
    );
    check("a.npy", b"\x93NUMPY\x01\x00", Reason::Array);
    check(
        "a.dcm",
        &[&[0; 128][..], b"DICM", &[0; 40]].concat(),
        Reason::Damaged,
    );
}
