//! Devices, patients, orders and the outbox, on both databases.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what failed by failing"
)]

use archive::device::{DeviceRefused, NewDevice, address_fits};
use archive::name::NameParts;
use archive::order::{NewOrder, Order, OrderFilter, OrderState, Priority};
use archive::outbox::NewLetter;
use archive::patient::{FactSource, PatientFacts, upsert_in};
use archive::performed_step::{PerformedStep, StepChange, StepState};
use archive::testing::{Postgres, hospital, temporary};
use archive::{Archive, ArchiveError, InstitutionId, PatientId, Sha256Digest, UnixMicros};
use std::net::IpAddr;
use std::time::Duration;

struct Sites {
    archive: Archive,
    hexi: InstitutionId,
    county: InstitutionId,
}

fn device(institution_id: InstitutionId, ae: &str, from: Option<&str>) -> NewDevice {
    NewDevice {
        name: "CT".into(),
        ae_title: ae.into(),
        institution_id,
        from_addr: from.map(str::to_owned),
        may_store: true,
        may_query: false,
        may_retrieve: false,
        listener: None,
        expires_at: None,
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn addresses_fit_hosts_and_networks() {
    for (rule, address, fits) in [
        ("10.1.2.3", "10.1.2.3", true),
        ("10.1.2.3", "10.1.2.4", false),
        ("10.1.2.3", "::ffff:10.1.2.3", true),
        ("10.1.0.0/16", "10.1.255.9", true),
        ("10.1.0.0/16", "10.2.0.1", false),
        ("0.0.0.0/0", "8.8.8.8", true),
        ("10.1.2.3/32", "10.1.2.3", true),
        ("10.1.2.3/33", "10.1.2.3", false),
        ("fd00::/8", "fd12::1", true),
        ("fd00::/8", "10.0.0.1", false),
        ("nonsense", "10.0.0.1", false),
    ] {
        assert_eq!(address_fits(rule, ip(address)), fits, "{rule} {address}");
    }
}

async fn only_enrolled_devices_are_let_in(at: &Sites) {
    let devices = at.archive.devices();
    let here = ip("127.0.0.1");
    assert_eq!(devices.authorise("CT1", here).await, Err(DeviceRefused::Unknown));
    let made = devices
        .create(device(at.hexi, "CT1", Some("127.0.0.0/8")))
        .await
        .unwrap();
    assert_eq!(devices.authorise(" CT1 ", here).await.unwrap().id, made.id);
    assert_eq!(
        devices.authorise("CT1", ip("10.0.0.1")).await,
        Err(DeviceRefused::WrongAddress)
    );
    assert_eq!(devices.authorise("ct1", here).await, Err(DeviceRefused::Unknown));
    let twice = devices
        .create(device(at.county, "CT1", Some("127.0.0.0/8")))
        .await;
    assert!(matches!(twice, Err(ArchiveError::Conflict(_))), "{twice:?}");
    // The same title from another place is another device.
    let other = devices
        .create(device(at.county, "CT1", Some("10.0.0.0/8")))
        .await
        .unwrap();
    assert_eq!(
        devices
            .authorise("CT1", ip("10.0.0.1"))
            .await
            .unwrap()
            .institution_id,
        other.institution_id
    );
    let mut old = device(at.hexi, "OLD", None);
    old.expires_at = Some(UnixMicros::now().minus(Duration::from_secs(1)));
    devices.create(old).await.unwrap();
    assert_eq!(devices.authorise("OLD", here).await, Err(DeviceRefused::Expired));
    devices.revoke(made.id).await.unwrap();
    assert_eq!(
        devices.authorise("CT1", here).await,
        Err(DeviceRefused::WrongAddress)
    );
    assert!(devices.revoke(made.id).await.is_err(), "only once");
    let own = Sha256Digest([7; 32]);
    let pinned = devices
        .create_with_certificate(device(at.hexi, "PINNED", None), Some(own))
        .await
        .unwrap();
    for (presented, fits) in [
        (None, false),
        (Some("07"), false),
        (pinned.certificate.as_deref(), true),
    ] {
        let answer = devices.authorise_presenting("PINNED", here, presented).await;
        let expected = if fits {
            Ok(pinned.id)
        } else {
            Err(DeviceRefused::WrongCertificate)
        };
        assert_eq!(answer.map(|d| d.id), expected, "{presented:?}");
    }
    for bad in ["", "SEVENTEEN_LETTERS", "A\\B", "中文"] {
        assert!(devices.create(device(at.hexi, bad, None)).await.is_err(), "{bad}");
    }
    assert!(devices.create(device(at.hexi, "X", Some("10.1"))).await.is_err());
    assert_eq!(devices.list().await.unwrap().len(), 4);
}

async fn tokens_of_devices_work_until_revoked(at: &Sites) {
    let devices = at.archive.devices();
    let made = devices.create(device(at.hexi, "STOW", None)).await.unwrap();
    let first = devices.new_token(made.id).await.unwrap();
    assert_eq!(devices.by_token(&first).await.unwrap().id, made.id);
    let second = devices.new_token(made.id).await.unwrap();
    assert_eq!(devices.by_token(&first).await, Err(DeviceRefused::Unknown));
    devices.revoke(made.id).await.unwrap();
    assert_eq!(devices.by_token(&second).await, Err(DeviceRefused::Revoked));
    assert!(devices.new_token(made.id).await.is_err());
}

fn person(identifier: &str, name: &str, national_id: Option<&str>) -> PatientFacts {
    PatientFacts {
        identifier: identifier.into(),
        name: NameParts::from_text(name),
        national_id: national_id.map(str::to_owned),
        ..PatientFacts::default()
    }
}

async fn upsert(
    at: &Sites,
    institution: InstitutionId,
    facts: PatientFacts,
    source: FactSource,
) -> PatientId {
    let write = at
        .archive
        .db()
        .write(move |tx| Box::pin(async move { upsert_in(tx, institution, facts, source).await }));
    write.await.unwrap()
}

async fn one_national_number_is_one_person(at: &Sites) {
    let patients = at.archive.patients();
    let number = Some("110101196001020011");
    let here = upsert(at, at.hexi, person("P1", "王小明", number), FactSource::Order).await;
    let there = upsert(at, at.county, person("P1", "王小明", number), FactSource::Order).await;
    let stranger = upsert(at, at.county, person("P2", "王小明", None), FactSource::Device).await;
    assert_ne!(here, there);
    let of = async |id| patients.by_id(id).await.unwrap();
    assert_eq!(of(here).await.person_id, of(there).await.person_id);
    assert_ne!(of(here).await.person_id, of(stranger).await.person_id);
    // A number that becomes known later joins them.
    let same = upsert(at, at.county, person("P2", "王小明", number), FactSource::Order).await;
    assert_eq!(
        (same, of(stranger).await.person_id),
        (stranger, of(here).await.person_id)
    );
    assert_eq!(
        patients.by_person(of(here).await.person_id).await.unwrap().len(),
        3
    );
}

async fn devices_fill_gaps_and_desks_correct(at: &Sites) {
    let patients = at.archive.patients();
    let id = upsert(at, at.hexi, person("P9", "张三", None), FactSource::Order).await;
    let mut told = person("P9", "ZHANG SAN", None);
    told.sex = Some("M".into());
    assert_eq!(upsert(at, at.hexi, told, FactSource::Device).await, id);
    let known = patients.by_id(id).await.unwrap();
    assert_eq!(
        (known.name.as_str(), known.sex.as_deref(), known.pinyin.as_str()),
        ("张三", Some("M"), "ZHANG SAN")
    );
    let mut wrong = person("P9", "张山", None);
    wrong.sex = Some("F".into());
    upsert(at, at.hexi, wrong.clone(), FactSource::Device).await;
    assert_eq!(patients.by_id(id).await.unwrap(), known);
    upsert(at, at.hexi, wrong, FactSource::Order).await;
    let corrected = patients.by_id(id).await.unwrap();
    assert_eq!(
        (corrected.name.as_str(), corrected.sex.as_deref()),
        ("张山", Some("F"))
    );
}

async fn order(at: &Sites, identifier: &str, modality: &str, wait: Duration) -> Order {
    let new = NewOrder {
        patient: person(identifier, "赵六", None),
        institution_id: at.hexi,
        modality: modality.into(),
        body_part: "CHEST".into(),
        item_code: format!("{modality}-CHEST"),
        item_name: "胸部".into(),
        priority: Priority::Routine,
        clinical_history: "咳嗽三天".into(),
        scheduled_ae: Some(format!("HEXI_{modality}")),
        scheduled_at: Some(UnixMicros::now().plus(wait)),
        ordered_by: "clin.hexi".into(),
    };
    at.archive.orders().create(new).await.unwrap()
}

async fn shown(at: &Sites, change: impl FnOnce(&mut OrderFilter)) -> String {
    let mut filter = OrderFilter::default();
    change(&mut filter);
    let items = at.archive.orders().worklist(&filter, 50).await.unwrap();
    let identifiers: Vec<String> = items.into_iter().map(|i| i.patient.identifier).collect();
    identifiers.join(" ")
}

async fn the_worklist_shows_what_waits(at: &Sites) {
    let orders = at.archive.orders();
    let late = order(at, "W1", "CT", Duration::from_secs(3600)).await;
    let soon = order(at, "W2", "CT", Duration::ZERO).await;
    let dr = order(at, "W3", "DX", Duration::ZERO).await;
    let number = late.accession_number.clone();
    assert!(number.starts_with("GY") && number.len() <= 16, "{number}");
    assert!(number < soon.accession_number && late.study_uid != soon.study_uid);
    assert!(dataset::StudyInstanceUid::parse(&late.study_uid).is_ok());
    let ct = |f: &mut OrderFilter| f.scheduled_ae = Some("HEXI_CT".into());
    assert_eq!(shown(at, ct).await, "W2 W1");
    let soon_only = |f: &mut OrderFilter| {
        ct(f);
        f.to = Some(UnixMicros::now().plus(Duration::from_secs(60)));
    };
    assert_eq!(shown(at, soon_only).await, "W2");
    let dx = |f: &mut OrderFilter| f.modality = Some("DX".into());
    assert_eq!(shown(at, dx).await, "W3");
    assert_eq!(shown(at, |f| f.accession_number = Some(number)).await, "W1");
    assert_eq!(
        shown(at, |f| f.patient_identifier = Some("W1".into())).await,
        "W1"
    );
    assert_eq!(
        shown(at, |f| f.patient_name_prefix = Some("赵".into())).await,
        "W2 W3 W1"
    );
    assert_eq!(shown(at, |f| f.patient_name_prefix = Some("钱".into())).await, "");
    assert_eq!(shown(at, |f| f.institutions = Some(vec![at.county])).await, "");
    assert_eq!(shown(at, |f| f.institutions = Some(vec![])).await, "");
    orders.set_state(dr.id, OrderState::Arrived).await.unwrap();
    assert_eq!(shown(at, dx).await, "");
    assert_eq!(shown(at, |f| f.states = vec![OrderState::Arrived]).await, "W3");
    let by_study = orders.by_study_uid(&soon.study_uid).await.unwrap();
    let by_accession = orders.by_accession(&soon.accession_number).await.unwrap();
    assert_eq!(by_study.map(|o| o.id), Some(soon.id));
    assert_eq!(by_accession.map(|o| o.clinical_history), Some("咳嗽三天".into()));
}

async fn performed_steps_move_orders_on(at: &Sites) {
    let orders = at.archive.orders();
    let made = order(at, "M1", "CT", Duration::ZERO).await;
    let step = |state: StepState| PerformedStep {
        order_id: Some(made.id),
        state,
        data_set: vec![1],
        station_ae: "HEXI_CT".into(),
    };
    let state = async || orders.by_id(made.id).await.unwrap().state;
    let waits = async || {
        let shown = orders.worklist(&OrderFilter::default(), 1000).await.unwrap();
        shown.iter().any(|item| item.order.id == made.id)
    };
    let begun = step(StepState::InProgress);
    orders.create_step("1.9", begun.clone()).await.unwrap();
    let again = orders.create_step("1.9", begun.clone()).await;
    assert!(matches!(again, Err(ArchiveError::Conflict(_))), "{again:?}");
    assert_eq!((state().await, waits().await), (OrderState::InProgress, true));

    // broken off, begun anew, done
    orders.create_step("1.10", begun.clone()).await.unwrap();
    let end = async |uid: &str, state| {
        orders
            .change_step(uid, move |_| Ok((state, vec![2])))
            .await
            .unwrap()
    };
    assert_eq!(
        end("1.9", StepState::Discontinued).await,
        StepChange::Done(StepState::Discontinued)
    );
    assert_eq!(state().await, OrderState::InProgress, "the other step runs");
    end("1.10", StepState::Discontinued).await;
    assert_eq!(state().await, OrderState::Cancelled);
    orders.create_step("1.11", begun).await.unwrap();
    assert_eq!(state().await, OrderState::InProgress);
    let refused = orders
        .change_step("1.11", |_| Err(ArchiveError::invalid("x", "y")))
        .await;
    assert!(refused.is_err());
    end("1.11", StepState::Completed).await;
    assert_eq!(end("1.11", StepState::InProgress).await, StepChange::Final);
    assert_eq!(end("1.8", StepState::Completed).await, StepChange::Unknown);
    assert_eq!(
        (state().await, waits().await),
        (OrderState::InProgress, false),
        "done at the device"
    );
    let kept = orders.step("1.11").await.unwrap();
    assert_eq!(
        kept.map(|s| (s.state, s.data_set)),
        Some((StepState::Completed, vec![2]))
    );
    assert_eq!(orders.step("1.8").await.unwrap(), None);
}

type Spoil = fn(&mut NewOrder);

async fn bad_orders_name_the_field(at: &Sites) {
    let good = || NewOrder {
        patient: person("P", "x", None),
        institution_id: at.hexi,
        modality: "CT".into(),
        body_part: String::new(),
        item_code: "C".into(),
        item_name: "n".into(),
        priority: Priority::Stat,
        clinical_history: String::new(),
        scheduled_ae: None,
        scheduled_at: None,
        ordered_by: "x".into(),
    };
    let cases: [(&str, Spoil); 4] = [
        ("patient id", |o| o.patient.identifier = "  ".into()),
        ("modality", |o| o.modality = String::new()),
        ("item_name", |o| o.item_name = "长".repeat(300)),
        ("clinical_history", |o| o.clinical_history = "长".repeat(20_000)),
    ];
    for (field, spoil) in cases {
        let mut new = good();
        spoil(&mut new);
        match at.archive.orders().create(new).await {
            Err(ArchiveError::Invalid { what, .. }) => assert_eq!(what, field),
            other => panic!("{field}: {other:?}"),
        }
    }
}

async fn letters_wait_until_they_are_delivered(at: &Sites) {
    let outbox = at.archive.outbox();
    for (subject, priority) in [("low", 0), ("high", 9)] {
        let inner = outbox.clone();
        let letter = NewLetter {
            destination: "his".into(),
            kind: "report".into(),
            subject: subject.into(),
            payload: vec![7],
            priority,
        };
        at.archive
            .db()
            .write(move |tx| Box::pin(async move { inner.put(tx, letter).await }))
            .await
            .unwrap();
    }
    let due = outbox.due("his", 10).await.unwrap();
    assert_eq!(
        due.iter().map(|l| l.letter.subject.as_str()).collect::<Vec<_>>(),
        ["high", "low"]
    );
    outbox
        .postpone(due[0].id, Duration::from_secs(60), "no route")
        .await
        .unwrap();
    assert!(outbox.delivered(due[1].id).await.unwrap() && !outbox.delivered(due[1].id).await.unwrap());
    assert_eq!(
        (
            outbox.due("his", 10).await.unwrap().len(),
            outbox.waiting("his").await.unwrap()
        ),
        (0, 1)
    );
    assert_eq!(outbox.purge_delivered(Duration::ZERO).await.unwrap(), 1);
}

async fn all(archive: Archive) {
    let hexi = archive.institutions().create(hospital("HEXI")).await.unwrap().id;
    let county = archive
        .institutions()
        .create(hospital("COUNTY"))
        .await
        .unwrap()
        .id;
    let at = Sites {
        archive,
        hexi,
        county,
    };
    only_enrolled_devices_are_let_in(&at).await;
    tokens_of_devices_work_until_revoked(&at).await;
    one_national_number_is_one_person(&at).await;
    devices_fill_gaps_and_desks_correct(&at).await;
    the_worklist_shows_what_waits(&at).await;
    performed_steps_move_orders_on(&at).await;
    bad_orders_name_the_field(&at).await;
    letters_wait_until_they_are_delivered(&at).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    let (archive, _folder) = temporary(&[]).await.unwrap();
    all(archive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let Some(server) = Postgres::start().unwrap() else {
        println!("skipped: PostgreSQL is not installed");
        return;
    };
    let (archive, _folder) = server.archive(&[]).await.unwrap();
    all(archive).await;
}
