//! C-FIND of Patient Root and Study Root over stored objects.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use archive::institution::{InstitutionKind, NewInstitution};
use dataset::{CharacterSets, DataSet, Encoding, Limits, TransferSyntaxUid, Vr, tags};
use support::*;

/// Sends one object of its own study as `calling`.
async fn stored(gateway: &Gateway, calling: &str, number: usize, charset: CharacterSets, name: &str) {
    let study = format!("1.2.826.0.2.{number}");
    let (series, instance) = (format!("{study}.1"), format!("{study}.1.1"));
    let mut set = DataSet::with_charset(charset);
    set.put_uid(tags::SOP_CLASS_UID, SECONDARY_CAPTURE);
    set.put_uid(tags::SOP_INSTANCE_UID, &instance);
    set.put_text(tags::STUDY_DATE, Vr::DA, &format!("2026010{number}"));
    set.put_text(tags::ACCESSION_NUMBER, Vr::SH, &format!("A{number}"));
    set.put_text(tags::MODALITY, Vr::CS, "OT");
    set.put_text(tags::PATIENT_NAME, Vr::PN, name);
    set.put_text(tags::PATIENT_ID, Vr::LO, &format!("K{number}"));
    set.put_uid(tags::STUDY_INSTANCE_UID, &study);
    set.put_uid(tags::SERIES_INSTANCE_UID, &series);
    set.put_text(tags::INSTANCE_NUMBER, Vr::IS, "1");
    let data = dataset::write::encode(&set, Encoding::ExplicitLe).expect("writable");
    let mut peer = Peer::connect(gateway.address).await;
    assert_eq!(
        peer.associate("GONGYING", calling, &[(SECONDARY_CAPTURE, &[EXPLICIT])])
            .await
            .0,
        2
    );
    peer.send(&p_data(&[
        pdv(1, 3, &command(1, SECONDARY_CAPTURE, Some(&instance), true)),
        pdv(1, 2, &data),
    ]))
    .await;
    assert_eq!(peer.reply().await, Reply::Status(0, None), "{name}");
}

async fn community() -> Gateway {
    let gateway = Gateway::start().await;
    let people = [
        (CharacterSets::utf8(), "王小明^"),
        (CharacterSets::gb18030(), "李𠮷祥^"),
        (
            CharacterSets::from_terms(&["", "ISO 2022 IR 58"]),
            "Zhang^San=张^三",
        ),
        (CharacterSets::gb18030(), "王小东^"),
        (CharacterSets::from_terms(&["ISO_IR 100"]), "Smith^Ann"),
        (CharacterSets::from_terms(&["ISO_IR 100"]), "SMITHSON^BOB"),
    ];
    for (index, (charset, name)) in people.into_iter().enumerate() {
        stored(&gateway, "JUDGE", index + 1, charset, name).await;
    }
    gateway
}

fn keys(charset: CharacterSets, level: &str, change: impl FnOnce(&mut DataSet)) -> DataSet {
    let mut keys = DataSet::with_charset(charset);
    keys.put_text(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, level);
    for (tag, vr) in [
        (tags::PATIENT_NAME, Vr::PN),
        (tags::PATIENT_ID, Vr::LO),
        (tags::STUDY_INSTANCE_UID, Vr::UI),
    ] {
        keys.put_empty(tag, vr);
    }
    change(&mut keys);
    keys
}

async fn find(gateway: &Gateway, calling: &str, model: &str, keys: &DataSet) -> (Vec<DataSet>, u16) {
    let mut peer = Peer::connect(gateway.address).await;
    assert_eq!(
        peer.associate("GONGYING", calling, &[(model, &[EXPLICIT])])
            .await
            .0,
        2
    );
    let data = dataset::write::encode(keys, Encoding::ExplicitLe).expect("writable");
    peer.send(&p_data(&[
        pdv(1, 3, &command(0x20, model, None, true)),
        pdv(1, 2, &data),
    ]))
    .await;
    let mut answers = Vec::new();
    loop {
        match peer.reply().await {
            Reply::Status(0xff00 | 0xff01, Some(data)) => {
                let syntax = TransferSyntaxUid::explicit_le();
                let parsed =
                    dataset::stream::parse(&data, &syntax, Limits::default()).expect("readable answer");
                answers.push(parsed.data_set);
            }
            Reply::Status(status, None) => return (answers, status),
            other => panic!("{other:?}"),
        }
    }
}

fn ids(answers: &[DataSet]) -> Vec<String> {
    let mut ids: Vec<String> = answers
        .iter()
        .filter_map(|answer| answer.text(tags::PATIENT_ID))
        .collect();
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn studies_are_found_by_every_kind_of_key() {
    let gateway = community().await;
    let check = async |what: &str, charset: CharacterSets, tag, vr, text: &str, expect: &[&str]| {
        let keys = keys(charset, "STUDY", |keys| keys.put_text(tag, vr, text));
        let (answers, status) = find(&gateway, "JUDGE", STUDY_FIND, &keys).await;
        assert_eq!((ids(&answers), status), (strings(expect), 0), "{what}");
    };
    let utf8 = CharacterSets::utf8;
    let (name, pn) = (tags::PATIENT_NAME, Vr::PN);
    check(
        "prefix",
        utf8(),
        tags::PATIENT_ID,
        Vr::LO,
        "K*",
        &["K1", "K2", "K3", "K4", "K5", "K6"],
    )
    .await;
    check(
        "one letter",
        utf8(),
        tags::PATIENT_ID,
        Vr::LO,
        "K?",
        &["K1", "K2", "K3", "K4", "K5", "K6"],
    )
    .await;
    check("exact", utf8(), tags::ACCESSION_NUMBER, Vr::SH, "A4", &["K4"]).await;
    check("not there", utf8(), tags::ACCESSION_NUMBER, Vr::SH, "A9", &[]).await;
    check(
        "range",
        utf8(),
        tags::STUDY_DATE,
        Vr::DA,
        "20260102-20260104",
        &["K2", "K3", "K4"],
    )
    .await;
    check(
        "open to the left",
        utf8(),
        tags::STUDY_DATE,
        Vr::DA,
        "-20260102",
        &["K1", "K2"],
    )
    .await;
    check(
        "open to the right",
        utf8(),
        tags::STUDY_DATE,
        Vr::DA,
        "20260105-",
        &["K5", "K6"],
    )
    .await;
    check(
        "UID list",
        utf8(),
        tags::STUDY_INSTANCE_UID,
        Vr::UI,
        "1.2.826.0.2.1\\1.2.826.0.2.3\\1.2.3",
        &["K1", "K3"],
    )
    .await;
    check("any case", utf8(), name, pn, "sMiTh^aNn", &["K5"]).await;
    check("prefix in any case", utf8(), name, pn, "smith*", &["K5", "K6"]).await;
    check("wildcards inside", utf8(), name, pn, "SM*^B?B", &["K6"]).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chinese_names_are_found_and_hostile_values_find_nothing() {
    let gateway = community().await;
    let check = async |what: &str, charset: CharacterSets, tag, vr, text: &str, expect: &[&str]| {
        let keys = keys(charset, "STUDY", |keys| keys.put_text(tag, vr, text));
        let (answers, status) = find(&gateway, "JUDGE", STUDY_FIND, &keys).await;
        assert_eq!((ids(&answers), status), (strings(expect), 0), "{what}");
    };
    let (utf8, gb) = (CharacterSets::utf8, CharacterSets::gb18030);
    let ir58 = || CharacterSets::from_terms(&["", "ISO 2022 IR 58"]);
    let (name, pn) = (tags::PATIENT_NAME, Vr::PN);
    for charset in [utf8, gb] {
        check("Chinese prefix", charset(), name, pn, "王小*", &["K1", "K4"]).await;
        check("Chinese letter", charset(), name, pn, "王小?*", &["K1", "K4"]).await;
        check("four bytes", charset(), name, pn, "李𠮷*", &["K2"]).await;
    }
    check("by group", utf8(), name, pn, "*=张*", &["K3"]).await;
    check("by group in IR 58", ir58(), name, pn, "*=张*", &["K3"]).await;
    for hostile in [
        "' OR '1'='1",
        "%",
        "_______",
        "K_",
        "K%",
        "'; DROP TABLE study; --",
    ] {
        check(hostile, utf8(), tags::PATIENT_ID, Vr::LO, hostile, &[]).await;
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_level_answers() {
    let gateway = community().await;
    let check = async |model: &str, level: &str, expect: usize, status: u16| {
        let keys = keys(CharacterSets::utf8(), level, |keys| {
            keys.put_text(tags::PATIENT_ID, Vr::LO, "K1");
            for (tag, vr) in [
                (tags::NUMBER_OF_STUDY_RELATED_INSTANCES, Vr::IS),
                (tags::MODALITIES_IN_STUDY, Vr::CS),
                (tags::SERIES_INSTANCE_UID, Vr::UI),
                (tags::SOP_INSTANCE_UID, Vr::UI),
                (tags::INSTANCE_NUMBER, Vr::IS),
            ] {
                keys.put_empty(tag, vr);
            }
        });
        let (answers, end) = find(&gateway, "JUDGE", model, &keys).await;
        assert_eq!((answers.len(), end), (expect, status), "{level} of {model}");
        answers.into_iter().next().unwrap_or_default()
    };
    check(PATIENT_FIND, "PATIENT", 1, 0).await;
    let study = check(STUDY_FIND, "STUDY", 1, 0).await;
    assert_eq!(study.i64(tags::NUMBER_OF_STUDY_RELATED_INSTANCES), Some(1));
    assert_eq!(study.text(tags::MODALITIES_IN_STUDY).as_deref(), Some("OT"));
    assert_eq!(study.text(tags::RETRIEVE_AE_TITLE).as_deref(), Some("GONGYING"));
    assert_eq!(study.text(tags::QUERY_RETRIEVE_LEVEL).as_deref(), Some("STUDY"));
    let series = check(STUDY_FIND, "SERIES", 1, 0).await;
    assert_eq!(
        series.text(tags::SERIES_INSTANCE_UID).as_deref(),
        Some("1.2.826.0.2.1.1")
    );
    let image = check(PATIENT_FIND, "IMAGE", 1, 0).await;
    assert_eq!(
        image.text(tags::SOP_INSTANCE_UID).as_deref(),
        Some("1.2.826.0.2.1.1.1")
    );
    check(STUDY_FIND, "PATIENT", 0, 0xa900).await;
    check(STUDY_FIND, "FRAME", 0, 0xa900).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_come_back_in_the_asked_character_set() {
    let gateway = community().await;
    for (id, expect) in [("K1", "王小明"), ("K2", "李𠮷祥"), ("K3", "张")] {
        for charset in [CharacterSets::gb18030(), CharacterSets::utf8()] {
            let keys = keys(charset.clone(), "STUDY", |keys| {
                keys.put_text(tags::PATIENT_ID, Vr::LO, id)
            });
            let (answers, _) = find(&gateway, "JUDGE", STUDY_FIND, &keys).await;
            assert_eq!(
                answers[0].text(tags::SPECIFIC_CHARACTER_SET),
                Some(charset.to_dicom())
            );
            assert!(
                answers[0]
                    .text(tags::PATIENT_NAME)
                    .expect("name")
                    .contains(expect),
                "{id}"
            );
        }
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_institution_finds_nothing() {
    let gateway = community().await;
    let other = NewInstitution {
        code: "DONGSHAN".into(),
        name_zh: "东山镇卫生院".into(),
        name_en: "Dongshan".into(),
        kind: InstitutionKind::TownshipHospital,
    };
    let other = gateway
        .archive
        .institutions()
        .create(other)
        .await
        .expect("institution");
    gateway
        .archive
        .devices()
        .create(device("DONGSHAN_US", &other))
        .await
        .expect("device");
    let all = keys(CharacterSets::utf8(), "STUDY", |_| {});
    assert_eq!(find(&gateway, "DONGSHAN_US", STUDY_FIND, &all).await.0.len(), 0);
    assert_eq!(find(&gateway, "JUDGE", STUDY_FIND, &all).await.0.len(), 6);
    assert_eq!(
        find(&gateway, "MUTE", STUDY_FIND, &all).await,
        (Vec::new(), 0x0124)
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_answers_are_cut_and_told_and_a_cancel_ends_them() {
    let gateway = Gateway::with(|config| config.find_answers_max = 4).await;
    for number in 1..=6 {
        stored(&gateway, "JUDGE", number, CharacterSets::utf8(), "A^B").await;
    }
    let all = keys(CharacterSets::utf8(), "STUDY", |_| {});
    let (answers, status) = find(&gateway, "JUDGE", STUDY_FIND, &all).await;
    assert_eq!((answers.len(), status), (4, 0xa700));
    // a C-CANCEL that comes after the last answer is taken without a word
    let mut peer = gateway.peer(&[(STUDY_FIND, &[EXPLICIT])]).await;
    let mut cancel = DataSet::new();
    cancel.put_u16(tags::COMMAND_FIELD, 0x0fff);
    cancel.put_u16(tags::MESSAGE_ID_BEING_RESPONDED_TO, 7);
    cancel.put_u16(tags::COMMAND_DATA_SET_TYPE, 0x0101);
    let cancel = dataset::write::encode_command(&cancel).expect("writable");
    let data = dataset::write::encode(&all, Encoding::ExplicitLe).expect("writable");
    let ask = p_data(&[
        pdv(1, 3, &command(0x20, STUDY_FIND, None, true)),
        pdv(1, 2, &data),
    ]);
    for _ in 0..2 {
        peer.send(&[&ask[..], &p_data(&[pdv(1, 3, &cancel)])].concat())
            .await;
        loop {
            match peer.reply().await {
                Reply::Status(0xff00 | 0xff01, Some(_)) => {}
                Reply::Status(0xa700 | 0xfe00, None) => break,
                other => panic!("{other:?}"),
            }
        }
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dcmtk_finds_studies() {
    let gateway = community().await;
    let port = gateway.address.port().to_string();
    let arguments = strings(&[
        "-S",
        "-aet",
        "JUDGE",
        "-aec",
        "GONGYING",
        "-k",
        "QueryRetrieveLevel=STUDY",
        "-k",
        "PatientID=K5",
        "-k",
        "StudyInstanceUID",
        "127.0.0.1",
        &port,
    ]);
    if let Some((ok, text)) = dcmtk("findscu", &arguments).await {
        assert!(ok && text.contains("1.2.826.0.2.5"), "{text}");
    }
    gateway.stop().await;
}
