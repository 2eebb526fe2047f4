//! Institutions of the community.

use crate::db::{Db, Row, Tx};
use crate::error::{ArchiveError, Result};
use crate::ids::{InstitutionId, UnixMicros};
use crate::params;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Longest code.
const CODE_CHARACTERS_MAX: usize = 32;

crate::statements! {
    mod sql {
        INSERT = "INSERT INTO institution (code, name_zh, name_en, kind, created_at) VALUES ($1, $2, $3, $4, $5) RETURNING id";
        BY_CODE = "SELECT id, code, name_zh, name_en, kind FROM institution WHERE code = $1";
        BY_ID = "SELECT id, code, name_zh, name_en, kind FROM institution WHERE id = $1";
        LIST = "SELECT id, code, name_zh, name_en, kind FROM institution ORDER BY id";
    }
}

/// What an institution is in the community.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstitutionKind {
    /// County hospital: the reading centre.
    CountyHospital,
    /// County hospital of Chinese medicine.
    TcmHospital,
    /// Township hospital.
    TownshipHospital,
    /// Village clinic.
    VillageClinic,
}

impl InstitutionKind {
    /// The word that is stored and shown in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CountyHospital => "county_hospital",
            Self::TcmHospital => "tcm_hospital",
            Self::TownshipHospital => "township_hospital",
            Self::VillageClinic => "village_clinic",
        }
    }
}

impl FromStr for InstitutionKind {
    type Err = ArchiveError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "county_hospital" => Ok(Self::CountyHospital),
            "tcm_hospital" => Ok(Self::TcmHospital),
            "township_hospital" => Ok(Self::TownshipHospital),
            "village_clinic" => Ok(Self::VillageClinic),
            _ => Err(ArchiveError::invalid(
                "institution kind",
                "write county_hospital, tcm_hospital, township_hospital or village_clinic",
            )),
        }
    }
}

/// An institution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Institution {
    /// Row.
    pub id: InstitutionId,
    /// Short unique code, e.g. `HEXI`.
    pub code: String,
    /// Name in Chinese.
    pub name_zh: String,
    /// Name in English.
    pub name_en: String,
    /// What it is.
    pub kind: InstitutionKind,
}

/// An institution to be made.
#[derive(Debug, Clone)]
pub struct NewInstitution {
    /// Short unique code: letters, digits, `_`, `-`.
    pub code: String,
    /// Name in Chinese.
    pub name_zh: String,
    /// Name in English.
    pub name_en: String,
    /// What it is.
    pub kind: InstitutionKind,
}

fn read(row: &Row) -> Result<Institution> {
    Ok(Institution {
        id: InstitutionId(row.int("id")?),
        code: row.text("code")?,
        name_zh: row.text("name_zh")?,
        name_en: row.text("name_en")?,
        kind: row.text("kind")?.parse()?,
    })
}

/// The institutions of an archive.
#[derive(Clone)]
pub struct Institutions {
    pub(crate) db: Db,
}

impl Institutions {
    /// Makes an institution.
    ///
    /// # Errors
    /// [`ArchiveError::Conflict`] when the code is taken, [`ArchiveError::Invalid`] for a bad code.
    pub async fn create(&self, new: NewInstitution) -> Result<Institution> {
        self.db
            .write(move |tx| Box::pin(async move { create_in(tx, new).await }))
            .await
    }

    /// By code.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`].
    pub async fn by_code(&self, code: &str) -> Result<Institution> {
        let row = self.db.fetch_optional(sql::BY_CODE, params![code]).await?;
        let row = row.ok_or_else(|| ArchiveError::NotFound(format!("institution {code}")))?;
        read(&row)
    }

    /// By row.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`].
    pub async fn by_id(&self, id: InstitutionId) -> Result<Institution> {
        let row = self.db.fetch_optional(sql::BY_ID, params![id]).await?;
        let row = row.ok_or_else(|| ArchiveError::NotFound(format!("institution {id}")))?;
        read(&row)
    }

    /// All, in order of making.
    ///
    /// # Errors
    /// What the index says.
    pub async fn list(&self) -> Result<Vec<Institution>> {
        let rows = self.db.fetch_all(sql::LIST, Vec::new()).await?;
        rows.iter().map(read).collect()
    }
}

/// Makes an institution inside a transaction.
///
/// # Errors
/// As [`Institutions::create`].
pub async fn create_in(tx: &mut Tx, new: NewInstitution) -> Result<Institution> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if new.code.is_empty() || new.code.len() > CODE_CHARACTERS_MAX || !new.code.chars().all(fits) {
        return Err(ArchiveError::invalid(
            "institution code",
            "use 1 to 32 letters, digits, - or _",
        ));
    }
    let row = params![
        &new.code,
        &new.name_zh,
        &new.name_en,
        new.kind.as_str(),
        UnixMicros::now()
    ];
    let id = tx.fetch_one(sql::INSERT, row).await?.int("id")?;
    Ok(Institution {
        id: InstitutionId(id),
        code: new.code,
        name_zh: new.name_zh,
        name_en: new.name_en,
        kind: new.kind,
    })
}
