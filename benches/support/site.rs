//! An archive on SQLite and somebody who sends to it.

use archive::db::IndexUrl;
use archive::institution::{InstitutionKind, NewInstitution};
use archive::receive::{Sender, Source};
use archive::{Archive, Config};
use std::path::Path;

/// Code of its only institution.
pub const INSTITUTION: &str = "HEXI";

/// The archive below `folder`, made when it is not there.
pub async fn open(folder: &Path) -> Archive {
    let config = Config {
        index: IndexUrl::Sqlite(folder.join("index.sqlite")),
        objects: folder.join("objects"),
        data_dir: folder.join("state"),
        store: archive::store::Settings::default(),
    };
    Archive::open(config, &[]).await.unwrap()
}

/// A technician of a new institution.
pub async fn sender(archive: &Archive) -> Sender {
    let new = NewInstitution {
        code: INSTITUTION.into(),
        name_zh: "河西镇卫生院".into(),
        name_en: "Hexi".into(),
        kind: InstitutionKind::TownshipHospital,
    };
    let institution = archive.institutions().create(new).await.unwrap();
    Sender::account("bench", "technician", institution.id, None, Source::Import)
}
