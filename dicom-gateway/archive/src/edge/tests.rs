//! The queue beside the archive, and completeness by manifest.

use super::wire::{Manifest, OrderWire};
use super::*;
use crate::ids::InstitutionId;
use crate::receive::{Sender, Source};
use crate::testing::{ObjectSpec, TemporaryFolder, config, hospital, temporary};
use bytes::Bytes;
use std::time::Duration;

async fn node(bytes_max: u64) -> (Archive, InstitutionId, TemporaryFolder) {
    let folder = TemporaryFolder::new().unwrap();
    let archive = Archive::open_spool(config(folder.path()), bytes_max)
        .await
        .unwrap();
    let hexi = archive.institutions().create(hospital("HEXI")).await.unwrap();
    (archive, hexi.id, folder)
}

fn sender(institution: InstitutionId) -> Sender {
    Sender::account("HEXI_CT", "device", institution, None, Source::CStore)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_takes_waits_until_it_is_sent_and_leaves_when_it_is_old() {
    let (archive, hexi, _folder) = node(1 << 30).await;
    let spool = archive.spool().unwrap();
    let object = ObjectSpec::new("1.2.3", 1, 1);
    let file = Bytes::from(object.file_bytes());
    archive
        .receive_part10(sender(hexi), None, file.clone())
        .await
        .unwrap();
    let again = archive
        .receive_part10(sender(hexi), None, file.clone())
        .await
        .unwrap();
    assert_eq!(again.outcome, crate::receive::Outcome::DuplicateEqual);
    let waiting = spool.waiting(QueueClass::Bulk, 10).await.unwrap();
    assert_eq!(waiting.len(), 1, "once, though it came twice");
    assert_eq!(waiting[0].sender, "HEXI_CT");
    assert_eq!(waiting[0].size_bytes, file.len() as u64);
    assert_eq!(spool.bytes().0, file.len() as u64);
    spool.sent(waiting[0].id).await.unwrap();
    assert!(spool.waiting(QueueClass::Bulk, 10).await.unwrap().is_empty());
    assert_eq!(
        spool.prune(Duration::ZERO).await.unwrap(),
        0,
        "the centre was not told of the study yet"
    );
    archive.studies().settle_now(&again.study_uid).await.unwrap();
    let untold = spool.untold(10).await.unwrap();
    assert!(untold.len() == 1 && untold[0].closed, "{untold:?}");
    spool.told(&untold[0]).await.unwrap();
    assert!(spool.untold(10).await.unwrap().is_empty());
    assert_eq!(spool.prune(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(spool.bytes().0, 0);
    assert!(
        archive
            .studies()
            .by_uid(&again.study_uid)
            .await
            .unwrap()
            .is_none()
    );
    // A device may send it once more.
    archive.receive_part10(sender(hexi), None, file).await.unwrap();
    assert_eq!(spool.waiting(QueueClass::Bulk, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_refuses_and_drops_nothing() {
    let (archive, hexi, _folder) = node(1).await;
    let first = Bytes::from(ObjectSpec::new("1.2.3", 1, 1).file_bytes());
    archive.receive_part10(sender(hexi), None, first).await.unwrap();
    let second = Bytes::from(ObjectSpec::new("1.2.3", 1, 2).file_bytes());
    let refused = archive
        .receive_part10(sender(hexi), None, second)
        .await
        .unwrap_err();
    assert_eq!(refused.status, 0xA700);
    let spool = archive.spool().unwrap();
    assert_eq!(spool.waiting(QueueClass::Bulk, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stat_order_from_the_centre_puts_its_images_first() {
    let (archive, hexi, _folder) = node(1 << 30).await;
    let object = ObjectSpec {
        accession: Some("GY1".into()),
        ..ObjectSpec::new("1.2.3", 1, 1)
    };
    let order = OrderWire {
        accession_number: "GY1".into(),
        study_uid: object.study.clone(),
        patient_id: object.patient_id.clone(),
        issuer: String::new(),
        name_alphabetic: String::new(),
        name_ideographic: "王小明".into(),
        sex: None,
        birth_date: None,
        modality: "CT".into(),
        body_part: "CHEST".into(),
        item_code: "CT-CHEST".into(),
        item_name: "胸部CT".into(),
        priority: "STAT".into(),
        clinical_history: String::new(),
        scheduled_ae: None,
        scheduled_at: 1,
        ordered_by: "clin".into(),
    };
    archive.mirror().orders(hexi, vec![order.clone()]).await.unwrap();
    let listed = archive.orders().worklist(&Default::default(), 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    archive.mirror().orders(hexi, Vec::new()).await.unwrap();
    assert!(
        archive
            .orders()
            .worklist(&Default::default(), 10)
            .await
            .unwrap()
            .is_empty()
    );
    archive.mirror().orders(hexi, vec![order]).await.unwrap();
    archive
        .receive_part10(sender(hexi), None, Bytes::from(object.file_bytes()))
        .await
        .unwrap();
    let waiting = archive
        .spool()
        .unwrap()
        .waiting(QueueClass::Stat, 10)
        .await
        .unwrap();
    assert_eq!(waiting.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_of_a_node_is_ready_when_its_manifest_is_complete_and_not_before() {
    let (archive, folder) = temporary(&[]).await.unwrap();
    let hexi = archive.institutions().create(hospital("HEXI")).await.unwrap();
    let objects: Vec<ObjectSpec> = (1..=2).map(|n| ObjectSpec::new("1.2.3", 1, n)).collect();
    let mut stored = Vec::new();
    let manifest = |stored: &[crate::receive::Stored], closed, revision| Manifest {
        revision,
        closed,
        objects: stored
            .iter()
            .map(|s| (s.sop_instance_uid.clone(), s.dataset_digest.to_hex()))
            .collect(),
        first_received_at: 1,
        last_received_at: 2,
        clock_offset_us: -5,
    };
    let take = async |object: &ObjectSpec| {
        let file = Bytes::from(object.file_bytes());
        archive.receive_part10(sender(hexi.id), None, file).await.unwrap()
    };
    stored.push(take(&objects[0]).await);
    let study = stored[0].study_uid.clone();
    let centre = archive.centre();
    let open = centre
        .put_manifest("edge-1", &study, &manifest(&stored, false, 1))
        .await
        .unwrap();
    assert!(!open.complete);
    assert_eq!(
        archive.studies().settle_quiet(Duration::ZERO).await.unwrap(),
        0,
        "the manifest is open"
    );
    // What the node has and the centre does not: the second object, known from another archive of the same bytes.
    let other = crate::testing::temporary(&[]).await.unwrap();
    let there = other.0.institutions().create(hospital("HEXI")).await.unwrap();
    let second = other
        .0
        .receive_part10(sender(there.id), None, Bytes::from(objects[1].file_bytes()))
        .await
        .unwrap();
    let both = [stored[0].clone(), second];
    let closed = centre
        .put_manifest("edge-1", &study, &manifest(&both, true, 2))
        .await
        .unwrap();
    assert_eq!((closed.wanted, closed.missing, closed.complete), (2, 1, false));
    assert!(!centre.compare(&study).await.unwrap());
    take(&objects[1]).await;
    assert!(centre.compare(&study).await.unwrap());
    let state = archive.studies().by_uid(&study).await.unwrap().unwrap().state;
    assert_eq!(state, crate::study::StudyState::Ready);
    // A late word of before changes nothing.
    let late = centre
        .put_manifest("edge-1", &study, &manifest(&stored, false, 1))
        .await
        .unwrap();
    assert!(late.complete);
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_one_node_in_and_the_same_node_may_ask_again() {
    let (archive, _folder) = temporary(&[]).await.unwrap();
    let hexi = archive.institutions().create(hospital("HEXI")).await.unwrap();
    let centre = archive.centre();
    let token = centre
        .new_enrolment(hexi.id, Duration::from_secs(60))
        .await
        .unwrap();
    let node = centre.enrol(&token, "secret-a", None).await.unwrap();
    let again = centre.enrol(&token, "secret-a", None).await.unwrap();
    assert_eq!(node.name, again.name);
    assert!(matches!(
        centre.enrol(&token, "secret-b", None).await,
        Err(EnrolRefused::Used)
    ));
    assert!(matches!(
        centre.enrol("gye_none", "secret-a", None).await,
        Err(EnrolRefused::Unknown)
    ));
    let old = centre.new_enrolment(hexi.id, Duration::ZERO).await.unwrap();
    assert!(matches!(
        centre.enrol(&old, "secret-c", None).await,
        Err(EnrolRefused::Expired)
    ));
    centre.revoke(&node.name).await.unwrap();
    assert!(
        centre
            .node(&node.name)
            .await
            .unwrap()
            .unwrap()
            .revoked_at
            .is_some()
    );
    assert!(centre.revoke(&node.name).await.is_err());
}
