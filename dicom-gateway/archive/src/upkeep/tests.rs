use super::*;
use crate::receive::{Sender, Source};
use crate::testing::{ObjectSpec, TemporaryFolder, config, hospital};
use std::time::Duration;

async fn filled(folder: &TemporaryFolder, count: u32) -> Archive {
    let archive = Archive::open(config(folder.path()), &[]).await.unwrap();
    let hexi = archive.institutions().create(hospital("HEXI")).await.unwrap().id;
    for n in 1..=count {
        let sender = Sender::account("tech", "technician", hexi, None, Source::Stow);
        let file = ObjectSpec::new("1.1", 1, n).file_bytes();
        archive.receive_part10(sender, None, file.into()).await.unwrap();
    }
    archive
}

fn flip(archive: &Archive, key: &ObjectKey) {
    let path = archive.store().root().join(key.as_str());
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path, bytes).unwrap();
}

async fn key_of(archive: &Archive, uid: &str) -> ObjectKey {
    archive
        .studies()
        .instance(uid)
        .await
        .unwrap()
        .unwrap()
        .instance
        .object_key
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_is_read_again_in_its_time() {
    let folder = TemporaryFolder::new().unwrap();
    let archive = filled(&folder, 100).await;
    let (begin, period) = (UnixMicros::now(), Duration::from_secs(1000));
    let at = |seconds: u64| begin.plus(Duration::from_secs(seconds));
    let come = async || archive.walk("scrub").await.unwrap().unwrap().last;
    archive.scrub(period, begin, || true).await.unwrap();
    assert_eq!(come().await, 0);
    flip(&archive, &key_of(&archive, "1.1.1.10").await);
    flip(&archive, &key_of(&archive, "1.1.1.90").await);
    archive.scrub(period, at(505), || true).await.unwrap();
    assert_eq!((come().await, archive.damaged_objects().await.unwrap()), (50, 1));
    // Cut off in the middle, gone on after a restart.
    archive.scrub(period, at(800), || false).await.unwrap();
    assert_eq!(come().await, 50);
    drop(archive);
    let archive = Archive::open(config(folder.path()), &[]).await.unwrap();
    archive.scrub(period, at(1200), || true).await.unwrap();
    assert_eq!(archive.damaged_objects().await.unwrap(), 2);
    let alarms = archive.alarms().await.unwrap();
    assert!(
        alarms.len() == 1 && alarms[0].starts_with("2 stored objects"),
        "{alarms:?}"
    );
    // The next round began; what was mended is sound again, what is lost is damaged.
    let walk = archive.walk("scrub").await.unwrap().unwrap();
    assert_eq!((walk.last, walk.begun_at), (0, at(1200)));
    flip(&archive, &key_of(&archive, "1.1.1.10").await);
    std::fs::remove_file(
        archive
            .store()
            .root()
            .join(key_of(&archive, "1.1.1.5").await.as_str()),
    )
    .unwrap();
    archive.scrub(period, at(3000), || true).await.unwrap();
    assert_eq!(archive.damaged_objects().await.unwrap(), 2);
    assert!(
        archive
            .verify_store()
            .await
            .unwrap()
            .problems
            .iter()
            .any(|p| p.contains("1.1.1.5"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_without_a_bucket() {
    let folder = TemporaryFolder::new().unwrap();
    let archive = filled(&folder, 1).await;
    archive.tier_turn().await.unwrap();
    assert!(archive.walk("tier").await.unwrap().is_none());
    assert!(archive.alarms().await.unwrap().is_empty());
    archive
        .upkeep()
        .troubles
        .note("moving", &Err(ArchiveError::Remote("it is off".to_owned())));
    assert!(archive.alarms().await.unwrap()[0].contains("it is off"));
    archive.upkeep().troubles.note("moving", &Ok(()));
    assert!(archive.alarms().await.unwrap().is_empty());
}
