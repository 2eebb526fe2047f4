//! Modality worklist from the archive's orders, by DCMTK and by hand.
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod support;

use archive::name::NameParts;
use archive::order::{NewOrder, Order, Priority};
use archive::patient::PatientFacts;
use dataset::{CharacterSets, DataSet, Limits, TransferSyntaxUid, Vr, tags};
use support::*;

async fn order(gateway: &Gateway, id: &str, name: &str, station: Option<&str>) -> Order {
    let patient = PatientFacts {
        identifier: id.into(),
        name: NameParts::from_text(name),
        sex: Some("M".into()),
        birth_date: Some("19610304".into()),
        ..PatientFacts::default()
    };
    let new = NewOrder {
        patient,
        institution_id: gateway.institution.id,
        modality: "CT".into(),
        body_part: "CHEST".into(),
        item_code: "CT-CHEST".into(),
        item_name: "胸部CT平扫".into(),
        priority: Priority::Routine,
        clinical_history: "咳嗽".into(),
        scheduled_ae: station.map(Into::into),
        scheduled_at: None,
        ordered_by: "tech.hexi".into(),
    };
    gateway.archive.orders().create(new).await.expect("order")
}

fn keys(charset: CharacterSets, change: impl FnOnce(&mut DataSet, &mut DataSet)) -> DataSet {
    let mut keys = DataSet::with_charset(charset.clone());
    let mut step = DataSet::with_charset(charset);
    step.remove(tags::SPECIFIC_CHARACTER_SET);
    for (tag, vr) in [
        (tags::ACCESSION_NUMBER, Vr::SH),
        (tags::PATIENT_NAME, Vr::PN),
        (tags::PATIENT_ID, Vr::LO),
        (tags::STUDY_INSTANCE_UID, Vr::UI),
        (tags::REQUESTED_PROCEDURE_DESCRIPTION, Vr::LO),
    ] {
        keys.put_empty(tag, vr);
    }
    for (tag, vr) in [
        (tags::MODALITY, Vr::CS),
        (tags::SCHEDULED_STATION_AE_TITLE, Vr::AE),
        (tags::SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA),
        (tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, Vr::LO),
    ] {
        step.put_empty(tag, vr);
    }
    change(&mut keys, &mut step);
    keys.put_sequence(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
    keys
}

async fn find(gateway: &Gateway, keys: &DataSet) -> (Vec<DataSet>, u16) {
    let mut peer = gateway.peer(&[(WORKLIST, &[EXPLICIT])]).await;
    let data = dataset::write::encode(keys, dataset::Encoding::ExplicitLe).expect("writable");
    peer.send(&p_data(&[
        pdv(1, 3, &command(0x20, WORKLIST, None, true)),
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

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_in_the_character_set_that_was_asked() {
    let gateway = Gateway::start().await;
    let order = order(&gateway, "P1", "李𠮷祥", Some("JUDGE")).await;
    for charset in [CharacterSets::gb18030(), CharacterSets::utf8()] {
        let (answers, status) = find(&gateway, &keys(charset.clone(), |_, _| {})).await;
        assert_eq!((answers.len(), status), (1, 0));
        let answer = &answers[0];
        assert_eq!(
            answer.text(tags::SPECIFIC_CHARACTER_SET),
            Some(charset.to_dicom())
        );
        assert!(answer.text(tags::PATIENT_NAME).expect("name").contains("李𠮷祥"));
        assert_eq!(
            answer.text(tags::ACCESSION_NUMBER),
            Some(order.accession_number.clone())
        );
        assert_eq!(
            answer.text(tags::STUDY_INSTANCE_UID),
            Some(order.study_uid.clone())
        );
        let step = &answer.sequence(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE)[0];
        assert_eq!(step.text(tags::MODALITY).as_deref(), Some("CT"));
        assert_eq!(
            step.text(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION).as_deref(),
            Some("胸部CT平扫")
        );
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_choose() {
    let gateway = Gateway::start().await;
    let first = order(&gateway, "P1", "王小明", Some("JUDGE")).await;
    order(&gateway, "P2", "王大明", None).await;
    order(&gateway, "P3", "赵小勇", Some("OTHER")).await;
    let gb = CharacterSets::gb18030;
    let check = async |what: &str, keys: DataSet, expect: &[&str]| {
        let (answers, status) = find(&gateway, &keys).await;
        let mut ids: Vec<String> = answers
            .iter()
            .filter_map(|answer| answer.text(tags::PATIENT_ID))
            .collect();
        ids.sort();
        assert_eq!((ids, status), (strings(expect), 0), "{what}");
    };
    check("all", keys(gb(), |_, _| {}), &["P1", "P2", "P3"]).await;
    check(
        "accession",
        keys(gb(), |k, _| {
            k.put_text(tags::ACCESSION_NUMBER, Vr::SH, &first.accession_number)
        }),
        &["P1"],
    )
    .await;
    check(
        "no such accession",
        keys(gb(), |k, _| k.put_text(tags::ACCESSION_NUMBER, Vr::SH, "x")),
        &[],
    )
    .await;
    check(
        "name wildcard",
        keys(gb(), |k, _| k.put_text(tags::PATIENT_NAME, Vr::PN, "王*")),
        &["P1", "P2"],
    )
    .await;
    check(
        "one character",
        keys(gb(), |k, _| k.put_text(tags::PATIENT_NAME, Vr::PN, "王?明")),
        &["P1", "P2"],
    )
    .await;
    check(
        "in UTF-8",
        keys(CharacterSets::utf8(), |k, _| {
            k.put_text(tags::PATIENT_NAME, Vr::PN, "赵小*")
        }),
        &["P3"],
    )
    .await;
    check(
        "modality",
        keys(gb(), |_, s| s.put_text(tags::MODALITY, Vr::CS, "MR")),
        &[],
    )
    .await;
    let station = |name: &'static str| {
        keys(gb(), move |_, s| {
            s.put_text(tags::SCHEDULED_STATION_AE_TITLE, Vr::AE, name)
        })
    };
    check("station, and unassigned", station("JUDGE"), &["P1", "P2"]).await;
    check("other station", station("OTHER"), &["P2", "P3"]).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn days_choose() {
    let gateway = Gateway::start().await;
    order(&gateway, "P1", "王小明", Some("JUDGE")).await;
    let gb = CharacterSets::gb18030;
    let check = async |what: &str, keys: DataSet, expect: usize| {
        let (answers, status) = find(&gateway, &keys).await;
        assert_eq!((answers.len(), status), (expect, 0), "{what}");
    };
    let date = |text: &'static str| {
        keys(gb(), move |_, s| {
            s.put_text(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA, text)
        })
    };
    check("from a day on", date("20200101-"), 1).await;
    check("long ago", date("20200101-20200102"), 0).await;
    check("no date", date("99999999-00000000"), 0).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_query_is_told() {
    let gateway = Gateway::start().await;
    let mut peer = Peer::connect(gateway.address).await;
    assert_eq!(
        peer.associate("GONGYING", "MUTE", &[(WORKLIST, &[IMPLICIT])])
            .await
            .0,
        2
    );
    peer.send(&p_data(&[
        pdv(1, 3, &command(0x20, WORKLIST, None, true)),
        pdv(1, 2, &[]),
    ]))
    .await;
    assert_eq!(peer.reply().await, Reply::Status(0x0124, None));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_identifiers_get_a_status() {
    let gateway = Gateway::start().await;
    let mut peer = gateway.peer(&[(WORKLIST, &[IMPLICIT])]).await;
    let nested = [
        [
            0x40, 0, 0x75, 2, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff,
        ]
        .repeat(20_000),
        [
            0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0, 0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0,
        ]
        .repeat(20_000),
    ]
    .concat();
    for identifier in [
        b"\x10\0\x20\0\xff\xff\0\0A".to_vec(),
        nested,
        vec![0x41; 500],
        vec![0; 3 << 20],
    ] {
        peer.send(&p_data(&[pdv(1, 3, &command(0x20, WORKLIST, None, true))]))
            .await;
        for (index, part) in identifier.chunks(60_000).enumerate() {
            let last = (index + 1) * 60_000 >= identifier.len();
            peer.send(&p_data(&[pdv(1, u8::from(last) << 1, part)])).await;
        }
        let reply = peer.reply().await;
        assert_eq!(reply, Reply::Status(0xc000, None), "{} bytes", identifier.len());
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dcmtk_finds_orders() {
    let gateway = Gateway::start().await;
    let order = order(&gateway, "P1", "赵小勇", Some("JUDGE")).await;
    let port = gateway.address.port().to_string();
    let arguments = strings(&[
        "-W",
        "-aet",
        "JUDGE",
        "-aec",
        "GONGYING",
        "-k",
        "PatientName",
        "-k",
        "AccessionNumber",
        "-k",
        "ScheduledProcedureStepSequence[0].Modality=CT",
        "127.0.0.1",
        &port,
    ]);
    if let Some((ok, text)) = dcmtk("findscu", &arguments).await {
        assert!(
            ok && text.contains(&order.accession_number) && text.contains("赵小勇"),
            "{text}"
        );
    }
    gateway.stop().await;
}
