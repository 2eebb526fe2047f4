//! Performed procedure steps over the wire: what a modality says, what the order becomes.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

mod support;

use std::collections::BTreeMap;

use archive::name::NameParts;
use archive::order::{NewOrder, Order, OrderState, Priority};
use archive::patient::PatientFacts;
use archive::performed_step::StepState;
use dataset::{CharacterSets, DataSet, Limits, TransferSyntaxUid, Vr, tags};
use proptest::prelude::*;
use support::normalized::{N_CREATE, N_GET, N_SET, operate};
use support::*;

const STEP: &str = "1.2.840.10008.3.1.2.3.3";
const RETRIEVE: &str = "1.2.840.10008.3.1.2.3.4";

async fn order(gateway: &Gateway) -> Order {
    let patient = PatientFacts {
        identifier: "P1".into(),
        name: NameParts::from_text("赵小勇"),
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
        clinical_history: String::new(),
        scheduled_ae: Some("JUDGE".into()),
        scheduled_at: None,
        ordered_by: "tech.hexi".into(),
    };
    gateway.archive.orders().create(new).await.expect("order")
}

fn begun(study: &str, accession: &str, state: &str) -> DataSet {
    let mut set = DataSet::with_charset(CharacterSets::gb18030());
    let mut item = DataSet::new();
    item.put_uid(tags::STUDY_INSTANCE_UID, study);
    item.put_text(tags::ACCESSION_NUMBER, Vr::SH, accession);
    set.put_sequence(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE, vec![item]);
    for (tag, vr, text) in [
        (tags::PATIENT_NAME, Vr::PN, "赵小勇"),
        (tags::PERFORMED_PROCEDURE_STEP_ID, Vr::SH, "P1"),
        (tags::PERFORMED_STATION_AE_TITLE, Vr::AE, "JUDGE"),
        (tags::PERFORMED_PROCEDURE_STEP_START_DATE, Vr::DA, "20260115"),
        (tags::PERFORMED_PROCEDURE_STEP_START_TIME, Vr::TM, "101500"),
        (tags::PERFORMED_PROCEDURE_STEP_STATUS, Vr::CS, state),
        (tags::MODALITY, Vr::CS, "CT"),
    ] {
        set.put_text(tag, vr, text);
    }
    set
}

fn state(word: &str) -> DataSet {
    let mut set = DataSet::with_charset(CharacterSets::utf8());
    set.put_text(tags::PERFORMED_PROCEDURE_STEP_STATUS, Vr::CS, word);
    set.put_text(tags::PERFORMED_PROCEDURE_STEP_DESCRIPTION, Vr::LO, "胸部平扫");
    set
}

fn status(reply: Reply) -> u16 {
    match reply {
        Reply::Status(status, _) => status,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_goes_its_way_and_the_order_with_it() {
    let gateway = Gateway::start().await;
    let order = order(&gateway).await;
    let now = async || {
        gateway
            .archive
            .orders()
            .by_id(order.id)
            .await
            .expect("order")
            .state
    };
    let mut peer = gateway.peer(&[(STEP, &[EXPLICIT])]).await;
    let new = begun(&order.study_uid, &order.accession_number, "IN PROGRESS");
    let mut create = async |uid: &str, set: &DataSet| {
        status(operate(&mut peer, N_CREATE, STEP, Some(uid), Some(set), &[]).await)
    };
    assert_eq!(create("1.2.9", &new).await, 0);
    assert_eq!(now().await, OrderState::InProgress);
    assert_eq!(create("1.2.9", &new).await, 0x0111, "twice");
    assert_eq!(create("x", &new).await, 0x0117, "no UID");
    let mut nameless = new.clone();
    nameless.remove(tags::MODALITY);
    assert_eq!(create("1.2.10", &nameless).await, 0x0120);
    let done = begun(&order.study_uid, &order.accession_number, "COMPLETED");
    assert_eq!(create("1.2.10", &done).await, 0x0106);

    let mut set = async |uid: &str, word: &str| {
        status(operate(&mut peer, N_SET, STEP, Some(uid), Some(&state(word)), &[]).await)
    };
    assert_eq!(set("1.2.9", "STARTED").await, 0x0106);
    assert_eq!(set("1.2.9", "IN PROGRESS").await, 0);
    assert_eq!(set("1.2.9", "COMPLETED").await, 0);
    assert_eq!(set("1.2.9", "COMPLETED").await, 0x0110, "final");
    assert_eq!(set("1.2.11", "COMPLETED").await, 0x0112);
    let kept = gateway
        .archive
        .orders()
        .step("1.2.9")
        .await
        .expect("index")
        .expect("step");
    assert_eq!(
        (kept.state, kept.order_id),
        (StepState::Completed, Some(order.id))
    );

    let mut reader = gateway.peer(&[(RETRIEVE, &[EXPLICIT])]).await;
    let Reply::Status(0, Some(data)) = operate(&mut reader, N_GET, RETRIEVE, Some("1.2.9"), None, &[]).await
    else {
        panic!("an N-GET gives the attributes");
    };
    let got = dataset::stream::parse(&data, &TransferSyntaxUid::explicit_le(), Limits::default())
        .expect("readable")
        .data_set;
    assert_eq!(got.text(tags::PATIENT_NAME).as_deref(), Some("赵小勇"));
    assert_eq!(
        got.text(tags::PERFORMED_PROCEDURE_STEP_STATUS).as_deref(),
        Some("COMPLETED")
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_belongs_to_the_device_that_made_it() {
    let gateway = Gateway::start().await;
    let devices = gateway.archive.devices();
    devices
        .create(device("OTHER", &gateway.institution))
        .await
        .expect("device");
    let order = order(&gateway).await;
    let new = begun(&order.study_uid, "ANOTHER", "IN PROGRESS");
    let mut peer = gateway.peer(&[(STEP, &[EXPLICIT])]).await;
    let reply = operate(&mut peer, N_CREATE, STEP, Some("1.2.9"), Some(&new), &[]).await;
    assert_eq!(status(reply), 0, "a step without an order is kept too");
    let kept = gateway
        .archive
        .orders()
        .step("1.2.9")
        .await
        .expect("index")
        .expect("step");
    assert_eq!(kept.order_id, None, "the accession number is another one");

    for (calling, expect) in [("OTHER", 0x0124), ("MUTE", 0x0124), ("JUDGE", 0)] {
        let mut peer = Peer::connect(gateway.address).await;
        assert_eq!(
            peer.associate("GONGYING", calling, &[(STEP, &[EXPLICIT])])
                .await
                .0,
            2
        );
        let reply = operate(
            &mut peer,
            N_SET,
            STEP,
            Some("1.2.9"),
            Some(&state("COMPLETED")),
            &[],
        )
        .await;
        assert_eq!(status(reply), expect, "{calling}");
    }
    gateway.stop().await;
}

#[derive(Debug, Clone)]
enum Said {
    Create(u8),
    Set(u8, Option<usize>),
}

const WORDS: [&str; 4] = ["IN PROGRESS", "COMPLETED", "DISCONTINUED", "NONSENSE"];

/// What the standard wants.
fn expected(model: &mut BTreeMap<u8, usize>, said: &Said) -> u16 {
    match said {
        Said::Create(id) if model.contains_key(id) => 0x0111,
        Said::Create(id) => {
            model.insert(*id, 0);
            0
        }
        Said::Set(_, Some(3)) => 0x0106,
        Said::Set(id, word) => match model.get_mut(id) {
            None => 0x0112,
            Some(1 | 2) => 0x0110,
            Some(state) => {
                *state = word.unwrap_or(*state);
                0
            }
        },
    }
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        (0_u8..3).prop_map(Said::Create),
        (0_u8..4, proptest::option::of(0_usize..4)).prop_map(|(id, word)| Said::Set(id, word)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_talk_gets_the_statuses_of_the_standard(talk in proptest::collection::vec(said(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let answers: Vec<u16> = runtime.block_on(async {
            let gateway = Gateway::start().await;
            let mut peer = gateway.peer(&[(STEP, &[EXPLICIT])]).await;
            let mut answers = Vec::new();
            for said in &talk {
                let (field, id, set) = match said {
                    Said::Create(id) => (N_CREATE, id, begun("1.2.3", "", "IN PROGRESS")),
                    Said::Set(id, Some(word)) => (N_SET, id, state(WORDS[*word])),
                    Said::Set(id, None) => (N_SET, id, DataSet::new()),
                };
                let uid = format!("1.2.77.{id}");
                let data = (!set.is_empty()).then_some(&set);
                answers.push(status(operate(&mut peer, field, STEP, Some(&uid), data, &[]).await));
            }
            gateway.stop().await;
            answers
        });
        let mut model = BTreeMap::new();
        let wanted: Vec<u16> = talk.iter().map(|said| expected(&mut model, said)).collect();
        prop_assert_eq!(answers, wanted, "{:?}", talk);
    }
}
