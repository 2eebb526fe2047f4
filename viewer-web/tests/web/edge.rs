//! What a township node may do, and what it may not.

use crate::support::{Answer, House, TownshipNode, objects};
use archive::Sha256Digest;
use archive::edge::wire::{CHUNK_DIGEST_HEADER, OFFER_HEADER};
use axum::http::StatusCode;
use serde_json::{Value, json};

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

/// A node that was let in.
async fn node(house: &House) -> TownshipNode {
    let token = house.edge_token().await;
    let ask = json!({"token": token, "secret": SECRET, "version": "1"});
    let answer = house
        .anonymous()
        .post("/api/edge/enrol", &ask)
        .await
        .is(StatusCode::OK)
        .json();
    assert_eq!(answer["institution"]["code"], "HEXI");
    house.township_node(SECRET)
}

fn offer_of(file: &[u8]) -> Value {
    let header = dataset::file::read_header(file).unwrap();
    let (meta, set) = file.split_at(header.dataset_offset);
    let digests = archive::store::FileDigests {
        meta_bytes: meta.len() as u64,
        meta: Sha256Digest::of(meta),
        dataset: Sha256Digest::of(set),
    };
    json!({
        "digest": digests.whole().to_hex(),
        "sop_instance_uid": header.sop_instance().unwrap().as_str(),
        "size": file.len(), "meta_bytes": meta.len(),
        "dataset_digest": digests.dataset.to_hex(),
        "coding": "identity", "coded_size": file.len(),
        "coded_digest": Sha256Digest::of(file).to_hex(),
        "sender": "HEXI_CT", "peer": "192.168.1.20", "received_at": 1,
    })
}

async fn send(node: &TownshipNode, offer: &Value, offset: usize, chunk: &[u8]) -> Answer {
    let path = format!("/api/edge/objects/{}/{offset}", offer["digest"].as_str().unwrap());
    let headers = [
        (OFFER_HEADER, offer.to_string()),
        (CHUNK_DIGEST_HEADER, Sha256Digest::of(chunk).to_hex()),
        ("content-type", "application/octet-stream".to_owned()),
    ];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    node.send("PUT", &path, &headers, chunk.to_vec()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_in_chunks_is_stored_once_and_belongs_to_the_institution_of_the_node() {
    let house = House::open().await;
    let node = node(&house).await;
    let file = objects::ct_slice("1.2.840.1", 1).bytes;
    let offer = offer_of(&file);
    let (first, second) = file.split_at(file.len() / 2);
    let answer = send(&node, &offer, first.len(), second)
        .await
        .is(StatusCode::OK)
        .json();
    assert_eq!(answer["state"], "partial");
    let asked = node
        .post("/api/edge/offers", &json!({"objects": [offer]}))
        .await
        .is(StatusCode::OK)
        .json();
    assert_eq!(
        asked["objects"][0]["received"],
        json!([[first.len(), file.len()]])
    );
    let answer = send(&node, &offer, 0, first).await.is(StatusCode::OK).json();
    assert_eq!(answer["state"], "stored", "{answer}");
    let again = send(&node, &offer, 0, first).await.is(StatusCode::OK).json();
    assert_eq!(again["state"], "stored");
    let asked = node
        .post("/api/edge/offers", &json!({"objects": [offer]}))
        .await
        .is(StatusCode::OK)
        .json();
    assert_eq!(asked["objects"][0]["state"], "stored");
    let study = house
        .reading
        .archive()
        .studies()
        .by_uid(answer["study_uid"].as_str().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(study.instance_count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_are_refused_and_leave_nothing() {
    let house = House::open().await;
    let node = node(&house).await;
    let file = objects::ct_slice("1.2.840.2", 1).bytes;
    let good = offer_of(&file);
    // The bytes are not those of the digest that was announced.
    let mut other = file.clone();
    *other.last_mut().unwrap() ^= 1;
    send(&node, &good, 0, &other).await.refuses(StatusCode::CONFLICT);
    // The digest of what travels is right, the one of the object is not.
    let mut lie = good.clone();
    lie["digest"] = json!(Sha256Digest::of(b"other").to_hex());
    send(&node, &lie, 0, &file).await.refuses(StatusCode::CONFLICT);
    // A parcel that is none.
    let mut parcel = good.clone();
    parcel["coding"] = json!("parcel");
    send(&node, &parcel, 0, &file).await.refuses(StatusCode::CONFLICT);
    // Outside of the object; a size that makes no sense; a chunk without its digest.
    send(&node, &good, 10, &file)
        .await
        .refuses(StatusCode::BAD_REQUEST);
    let mut huge = good.clone();
    huge["coded_size"] = json!(u64::MAX);
    send(&node, &huge, 0, &file)
        .await
        .refuses(StatusCode::UNPROCESSABLE_ENTITY);
    let path = format!("/api/edge/objects/{}/0", good["digest"].as_str().unwrap());
    let text = good.to_string();
    let headers = [(OFFER_HEADER, text.as_str()), (CHUNK_DIGEST_HEADER, "00")];
    node.send("PUT", &path, &headers, file.clone())
        .await
        .refuses(StatusCode::BAD_REQUEST);
    node.send("PUT", "/api/edge/objects/..%2f..%2fetc/0", &headers, file.clone())
        .await
        .refuses(StatusCode::BAD_REQUEST);
    // And the truth is still taken.
    let answer = send(&node, &good, 0, &file).await.is(StatusCode::OK).json();
    assert_eq!(answer["state"], "stored", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_under_a_known_uid_are_refused_for_good_and_the_first_stay() {
    let house = House::open().await;
    let node = node(&house).await;
    let file = objects::ct_slice("1.2.840.3", 1).bytes;
    send(&node, &offer_of(&file), 0, &file).await.is(StatusCode::OK);
    let mut other = file.clone();
    *other.last_mut().unwrap() ^= 1;
    let offer = offer_of(&other);
    for _ in 0..2 {
        let answer = send(&node, &offer, 0, &other).await.is(StatusCode::OK).json();
        assert_eq!(answer["state"], "refused", "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_node_speaks_there_and_one_that_was_shut_out_does_not() {
    let house = House::open().await;
    let node = node(&house).await;
    let beat = json!({"version": "1", "now": 1, "waiting": [0, 1, 0, 2], "waiting_bytes": 5,
        "spool_bytes": 5, "spool_bytes_max": 10, "refused": 0});
    node.post("/api/edge/heartbeat", &beat).await.is(StatusCode::OK);
    house
        .technician()
        .await
        .post("/api/edge/heartbeat", &beat)
        .await
        .refuses(StatusCode::FORBIDDEN);
    house
        .device_token()
        .await
        .post("/api/edge/heartbeat", &beat)
        .await
        .refuses(StatusCode::FORBIDDEN);
    // A node reads no worklist, no patient and no image.
    for path in ["/api/worklist", "/dicomweb/studies", "/api/audit"] {
        node.get(path).await.refuses(StatusCode::FORBIDDEN);
    }
    // The token lets nobody else in.
    let nodes = house.reading.archive().centre().nodes().await.unwrap();
    assert!(
        nodes[0]
            .report
            .as_deref()
            .unwrap()
            .contains("\"waiting\":[0,1,0,2]")
    );
    house
        .reading
        .archive()
        .centre()
        .revoke(&nodes[0].name)
        .await
        .unwrap();
    node.post("/api/edge/heartbeat", &beat)
        .await
        .refuses(StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_token_lets_no_second_node_in() {
    let house = House::open().await;
    let token = house.edge_token().await;
    let ask = |secret: &str| json!({"token": token, "secret": secret, "version": "1"});
    let anonymous = house.anonymous();
    anonymous
        .post("/api/edge/enrol", &ask("short"))
        .await
        .refuses(StatusCode::BAD_REQUEST);
    anonymous
        .post("/api/edge/enrol", &ask(SECRET))
        .await
        .is(StatusCode::OK);
    anonymous
        .post("/api/edge/enrol", &ask(SECRET))
        .await
        .is(StatusCode::OK);
    let other = SECRET.replace('0', "f");
    anonymous
        .post("/api/edge/enrol", &ask(&other))
        .await
        .refuses(StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn news_come_when_something_changes_and_only_then() {
    let house = House::open().await;
    let node = node(&house).await;
    let all = node.get("/api/edge/news").await.is(StatusCode::OK).json();
    let mark = |name: &str| all[name]["mark"].as_str().unwrap().to_owned();
    let known = format!(
        "/api/edge/news?devices={}&orders={}&reports={}&rejects={}",
        mark("devices"),
        mark("orders"),
        mark("reports"),
        mark("rejects")
    );
    let none = node
        .get(&format!("{known}&wait=0"))
        .await
        .is(StatusCode::OK)
        .json();
    assert!(none["orders"].is_null() && none["devices"].is_null(), "{none}");
    let technician = house.technician().await;
    let order = json!({"patient": {"id": "H1", "name": "王小明"}, "modality": "CT", "body_part": "CHEST",
        "item_code": "CT-CHEST", "item_name": "胸部CT平扫", "priority": "STAT"});
    let question = format!("{known}&wait=20");
    let (news, placed) = tokio::join!(node.get(&question), async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        technician.post("/api/orders", &order).await
    });
    assert!(placed.status < 300, "{}", placed.text());
    let news = news.is(StatusCode::OK).json();
    assert_eq!(news["orders"]["items"][0]["name_ideographic"], "王小明", "{news}");
    assert_eq!(news["orders"]["items"][0]["priority"], "STAT");
}
