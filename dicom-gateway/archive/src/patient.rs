//! Patients, scoped to institutions, and persons across them.
//!
//! **Invariant:** patients of different institutions are never the same row; they meet only in a
//! person, by the same national number or by a link made by hand with its reason.

use crate::db::{Db, Row, Tx, Value};
use crate::error::{ArchiveError, Result};
use crate::ids::{InstitutionId, PatientId, PersonId, UnixMicros};
use crate::name::{NAME_KEYS_VERSION, NameKeys, NameParts, TermKind, pinyin_key, search_key};
use crate::params;
use serde::Serialize;
use std::collections::BTreeSet;

/// Patients of a search at most.
const SEARCH_ROWS_MAX: u32 = 500;
/// Longest identifier.
const IDENTIFIER_CHARACTERS_MAX: usize = 64;
/// Other names of a patient that searches find.
const ALIASES_MAX: u32 = 16;
/// Greater than every character that a name holds: the end of a range of prefixes.
const AFTER_ALL: char = '\u{10FFFF}';

crate::statements! {
    mod sql {
        FIND = "SELECT id, person_id, name_key, alphabetic_key, sex, birth_date, national_id FROM patient WHERE institution_id = $1 AND issuer = $2 AND identifier = $3";
        INSERT = "INSERT INTO patient (institution_id, issuer, identifier, person_id, name, name_alphabetic, name_ideographic, name_phonetic, name_key, alphabetic_key, pinyin, pinyin_key, pinyin_initials, sex, birth_date, national_id, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17) ON CONFLICT (institution_id, issuer, identifier) DO NOTHING RETURNING id";
        UPDATE = "UPDATE patient SET name = $2, name_alphabetic = $3, name_ideographic = $4, name_phonetic = $5, name_key = $6, alphabetic_key = $7, pinyin = $8, pinyin_key = $9, pinyin_initials = $10, updated_at = $11 WHERE id = $1";
        UPDATE_FACTS = "UPDATE patient SET sex = $2, birth_date = $3, national_id = $4, person_id = $5, updated_at = $6 WHERE id = $1";
        PERSON_OF = "SELECT id FROM person WHERE national_id = $1";
        PERSON_INSERT = "INSERT INTO person (national_id, created_at) VALUES ($1, $2) ON CONFLICT (national_id) DO UPDATE SET national_id = excluded.national_id RETURNING id";
        PERSON_NAME = "UPDATE person SET national_id = $2 WHERE id = $1 AND national_id IS NULL AND (SELECT COUNT(*) FROM patient WHERE person_id = $1) <= 1";
        TERMS_CLEAR = "DELETE FROM patient_term WHERE patient_id = $1";
        TERM = "INSERT INTO patient_term (term, kind, patient_id) VALUES ($1, $2, $3) ON CONFLICT (term, kind, patient_id) DO NOTHING";
        SAID = "SELECT DISTINCT said_alphabetic, said_ideographic, said_phonetic FROM study WHERE patient_id = $1 AND said_name IS NOT NULL LIMIT $2";
        NAMES = "SELECT id, name_alphabetic, name_ideographic, name_phonetic FROM patient WHERE id > $1 ORDER BY id LIMIT $2";
        KEYS_STATE = "SELECT value FROM setting WHERE name = 'name_keys'";
        KEYS_SET = "INSERT INTO setting (name, value) VALUES ('name_keys', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        MOVE = "UPDATE patient SET person_id = $2, updated_at = $3 WHERE id = $1";
        LINK = "INSERT INTO person_link (patient_id, from_person_id, to_person_id, reason, linked_by, linked_at) VALUES ($1, $2, $3, $4, $5, $6)";
        BY_ID = "SELECT p.id, p.institution_id, p.issuer, p.identifier, p.person_id, p.name, p.name_alphabetic, p.name_ideographic, p.name_phonetic, p.pinyin, p.sex, p.birth_date, p.national_id FROM patient p WHERE p.id = $1";
        BY_PERSON = "SELECT p.id, p.institution_id, p.issuer, p.identifier, p.person_id, p.name, p.name_alphabetic, p.name_ideographic, p.name_phonetic, p.pinyin, p.sex, p.birth_date, p.national_id FROM patient p WHERE p.person_id = $1 ORDER BY p.id";
        BY_IDENTIFIER = "SELECT p.id, p.institution_id, p.issuer, p.identifier, p.person_id, p.name, p.name_alphabetic, p.name_ideographic, p.name_phonetic, p.pinyin, p.sex, p.birth_date, p.national_id FROM patient p WHERE p.identifier = $1 ORDER BY p.id LIMIT $2";
    }
}

/// A patient as one institution knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Patient {
    /// Row.
    pub id: PatientId,
    /// Whose patient.
    pub institution_id: InstitutionId,
    /// Issuer of Patient ID (0010,0021); empty when none is told.
    pub issuer: String,
    /// Patient ID (0010,0020).
    pub identifier: String,
    /// The person across institutions.
    pub person_id: PersonId,
    /// Name for people to read.
    pub name: String,
    /// Latin form.
    pub name_alphabetic: String,
    /// Form in characters.
    pub name_ideographic: String,
    /// Phonetic form.
    pub name_phonetic: String,
    /// Pinyin in capitals.
    pub pinyin: String,
    /// M, F or O.
    pub sex: Option<String>,
    /// DICOM DA.
    pub birth_date: Option<String>,
    /// National number.
    pub national_id: Option<String>,
}

/// What a sender or an order says about a patient.
#[derive(Debug, Clone, Default)]
pub struct PatientFacts {
    /// Issuer of Patient ID.
    pub issuer: String,
    /// Patient ID.
    pub identifier: String,
    /// Name.
    pub name: NameParts,
    /// M, F or O.
    pub sex: Option<String>,
    /// DICOM DA (YYYYMMDD).
    pub birth_date: Option<String>,
    /// National number.
    pub national_id: Option<String>,
}

/// How far new facts may change what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactSource {
    /// A person at the desk: replaces what is known.
    Order,
    /// A device: only fills what is empty.
    Device,
}

pub(crate) fn read(row: &Row) -> Result<Patient> {
    Ok(Patient {
        id: PatientId(row.int("id")?),
        institution_id: InstitutionId(row.int("institution_id")?),
        issuer: row.text("issuer")?,
        identifier: row.text("identifier")?,
        person_id: PersonId(row.int("person_id")?),
        name: row.text("name")?,
        name_alphabetic: row.text("name_alphabetic")?,
        name_ideographic: row.text("name_ideographic")?,
        name_phonetic: row.text("name_phonetic")?,
        pinyin: row.text("pinyin")?,
        sex: row.opt_text("sex")?,
        birth_date: row.opt_text("birth_date")?,
        national_id: row.opt_text("national_id")?,
    })
}

fn cut(text: &str) -> String {
    let clean = text.trim().chars().filter(|c| !c.is_control());
    clean.take(IDENTIFIER_CHARACTERS_MAX).collect()
}

fn filled(text: Option<String>) -> Option<String> {
    text.map(|t| cut(&t)).filter(|t| !t.is_empty())
}

/// Finds or makes the patient of an institution, inside the caller's transaction.
///
/// # Errors
/// What the index says.
pub async fn upsert_in(
    tx: &mut Tx,
    institution: InstitutionId,
    facts: PatientFacts,
    source: FactSource,
) -> Result<PatientId> {
    let facts = PatientFacts {
        issuer: cut(&facts.issuer),
        identifier: cut(&facts.identifier),
        sex: filled(facts.sex),
        birth_date: filled(facts.birth_date),
        national_id: filled(facts.national_id),
        name: facts.name,
    };
    let key = || params![institution, &facts.issuer, &facts.identifier];
    if let Some(row) = tx.fetch_optional(sql::FIND, key()).await? {
        return update(tx, &row, facts, source).await;
    }
    let now = UnixMicros::now();
    let person = person_in(tx, facts.national_id.as_deref(), now).await?;
    let keys = facts.name.keys();
    let values = params![
        institution,
        &facts.issuer,
        &facts.identifier,
        person,
        &keys.display,
        &facts.name.alphabetic,
        &facts.name.ideographic,
        &facts.name.phonetic,
        &keys.name_key,
        &keys.alphabetic_key,
        &keys.pinyin,
        &keys.pinyin_key,
        &keys.initials,
        &facts.sex,
        &facts.birth_date,
        &facts.national_id,
        now,
    ];
    match tx.fetch_optional(sql::INSERT, values).await? {
        Some(row) => {
            let id = PatientId(row.int("id")?);
            write_terms(tx, id, &keys.terms).await?;
            Ok(id)
        }
        // Another writer made the same patient a moment ago.
        None => {
            let row = tx.fetch_one(sql::FIND, key()).await?;
            update(tx, &row, facts, source).await
        }
    }
}

async fn person_in(tx: &mut Tx, national_id: Option<&str>, now: UnixMicros) -> Result<PersonId> {
    if let Some(number) = national_id
        && let Some(row) = tx.fetch_optional(sql::PERSON_OF, params![number]).await?
    {
        return Ok(PersonId(row.int("id")?));
    }
    let row = tx
        .fetch_one(sql::PERSON_INSERT, params![national_id, now])
        .await?;
    Ok(PersonId(row.int("id")?))
}

async fn update(tx: &mut Tx, known: &Row, facts: PatientFacts, source: FactSource) -> Result<PatientId> {
    let id = PatientId(known.int("id")?);
    let now = UnixMicros::now();
    let keys = facts.name.keys();
    let (name_key, alphabetic_key) = (known.text("name_key")?, known.text("alphabetic_key")?);
    let has_name = !keys.name_key.is_empty();
    let is_other = name_key != keys.name_key || alphabetic_key != keys.alphabetic_key;
    let may = source == FactSource::Order || name_key.is_empty();
    if has_name && is_other && may {
        write_name(tx, id, &facts.name, &keys).await?;
    }
    let merge = |new: Option<String>, old: Option<String>| match source {
        FactSource::Order => new.or(old),
        FactSource::Device => old.or(new),
    };
    let old = (
        known.opt_text("sex")?,
        known.opt_text("birth_date")?,
        known.opt_text("national_id")?,
    );
    let new = (
        merge(facts.sex, old.0.clone()),
        merge(facts.birth_date, old.1.clone()),
        merge(facts.national_id, old.2.clone()),
    );
    if new != old {
        let mut person = PersonId(known.int("person_id")?);
        if new.2 != old.2
            && let Some(number) = &new.2
        {
            person = named_person(tx, person, number, now).await?;
        }
        tx.execute(sql::UPDATE_FACTS, params![id, new.0, new.1, new.2, person, now])
            .await?;
    }
    Ok(id)
}

/// Writes a name with its keys and terms.
async fn write_name(tx: &mut Tx, id: PatientId, name: &NameParts, keys: &NameKeys) -> Result<()> {
    let values = params![
        id,
        &keys.display,
        &name.alphabetic,
        &name.ideographic,
        &name.phonetic,
        &keys.name_key,
        &keys.alphabetic_key,
        &keys.pinyin,
        &keys.pinyin_key,
        &keys.initials,
        UnixMicros::now()
    ];
    tx.execute(sql::UPDATE, values).await?;
    tx.execute(sql::TERMS_CLEAR, params![id]).await?;
    write_terms(tx, id, &keys.terms).await?;
    for row in tx.fetch_all(sql::SAID, params![id, ALIASES_MAX]).await? {
        let said = NameParts {
            alphabetic: row.text("said_alphabetic")?,
            ideographic: row.text("said_ideographic")?,
            phonetic: row.text("said_phonetic")?,
        };
        also_known_in(tx, id, &said.keys()).await?;
    }
    Ok(())
}

/// A study of the patient stands under this name: searches by it find the patient too.
pub(crate) async fn also_known_in(tx: &mut Tx, id: PatientId, keys: &NameKeys) -> Result<()> {
    write_terms(tx, id, &keys.alias_terms()).await
}

async fn write_terms(tx: &mut Tx, id: PatientId, terms: &BTreeSet<(TermKind, String)>) -> Result<()> {
    for (kind, term) in terms {
        tx.execute(sql::TERM, params![term, kind.code(), id]).await?;
    }
    Ok(())
}

/// A subquery of the ids of patients whose number, name, pinyin, first letters or part of a name
/// begin with `text`; `mark` takes a value and gives the number of its parameter. `None` when the
/// text holds nothing to look for. Every branch is a range of an index.
pub fn ids_found(text: &str, mark: &mut dyn FnMut(Value) -> usize) -> Option<String> {
    let number = cut(text);
    let names = names_found(text, mark)?;
    let by_number = range(&number, mark, "identifier");
    Some(format!("SELECT id FROM patient WHERE {by_number} UNION {names}"))
}

/// Like [`ids_found`], by name only.
pub(crate) fn names_found(text: &str, mark: &mut dyn FnMut(Value) -> usize) -> Option<String> {
    let (name, pinyin) = (search_key(text), pinyin_key(text));
    if name.is_empty() || pinyin.is_empty() {
        return None;
    }
    let mut parts = Vec::new();
    let patient = |by: String| format!("SELECT id FROM patient WHERE {by}");
    let term = |by: String| format!("SELECT patient_id AS id FROM patient_term WHERE {by}");
    parts.push(patient(range(&name, mark, "name_key")));
    parts.push(patient(range(&name, mark, "alphabetic_key")));
    parts.push(patient(range(&pinyin, mark, "pinyin_key")));
    parts.push(patient(range(&pinyin, mark, "pinyin_initials")));
    parts.push(term(range(&name, mark, "term")));
    if pinyin != name {
        parts.push(term(range(&pinyin, mark, "term")));
    }
    Some(parts.join(" UNION "))
}

/// Values of a column that begin with a text, as a range of its index.
fn range(text: &str, mark: &mut dyn FnMut(Value) -> usize, column: &str) -> String {
    let from = mark(Value::from(text));
    let to = mark(Value::from(format!("{text}{AFTER_ALL}")));
    format!("{column} >= ${from} AND {column} < ${to}")
}

const SEARCH_HEAD: &str = "SELECT p.id, p.institution_id, p.issuer, p.identifier, p.person_id, p.name, p.name_alphabetic, p.name_ideographic, p.name_phonetic, p.pinyin, p.sex, p.birth_date, p.national_id FROM patient p WHERE p.id IN (";

fn search_sql(text: &str, after: PatientId, limit: u32) -> Option<(String, Vec<Value>)> {
    let mut params: Vec<Value> = Vec::new();
    let mut mark = |value| {
        params.push(value);
        params.len()
    };
    let ids = ids_found(text, &mut mark)?;
    let after = mark(Value::from(after));
    let limit = mark(Value::from(limit.clamp(1, SEARCH_ROWS_MAX)));
    let sql = format!("{SEARCH_HEAD}{ids}) AND p.id > ${after} ORDER BY p.id LIMIT ${limit}");
    Some((sql, params))
}

/// Queries whose plans the conformance test looks at.
#[cfg(test)]
pub(crate) fn explained() -> Vec<(&'static str, String)> {
    let search = search_sql("王wxm", PatientId(0), 10).map(|(sql, _)| sql);
    search.map(|sql| ("patients by text", sql)).into_iter().collect()
}

/// The person of a national number that became known: the one who has it, else the patient's own
/// person when nobody else belongs to it, else a new one.
async fn named_person(tx: &mut Tx, own: PersonId, number: &str, now: UnixMicros) -> Result<PersonId> {
    if let Some(row) = tx.fetch_optional(sql::PERSON_OF, params![number]).await? {
        return Ok(PersonId(row.int("id")?));
    }
    if tx.execute(sql::PERSON_NAME, params![own, number]).await? == 1 {
        return Ok(own);
    }
    person_in(tx, Some(number), now).await
}

/// The patients of an archive.
#[derive(Clone)]
pub struct Patients {
    pub(crate) db: Db,
}

impl Patients {
    /// By row.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`].
    pub async fn by_id(&self, id: PatientId) -> Result<Patient> {
        let row = self.db.fetch_optional(sql::BY_ID, params![id]).await?;
        read(&row.ok_or_else(|| ArchiveError::NotFound(format!("patient {id}")))?)
    }

    /// All patients of a person, oldest first.
    ///
    /// # Errors
    /// What the index says.
    pub async fn by_person(&self, id: PersonId) -> Result<Vec<Patient>> {
        let rows = self.db.fetch_all(sql::BY_PERSON, params![id]).await?;
        rows.iter().map(read).collect()
    }

    /// Patients of any institution with this Patient ID.
    ///
    /// # Errors
    /// What the index says.
    pub async fn by_identifier(&self, identifier: &str) -> Result<Vec<Patient>> {
        let values = params![cut(identifier), SEARCH_ROWS_MAX];
        let rows = self.db.fetch_all(sql::BY_IDENTIFIER, values).await?;
        rows.iter().map(read).collect()
    }

    /// Patients whose number, name, pinyin or pinyin initials begin with `text`, after row `after`.
    ///
    /// # Errors
    /// What the index says.
    pub async fn search(&self, text: &str, after: PatientId, limit: u32) -> Result<Vec<Patient>> {
        let Some((sql, params)) = search_sql(text, after, limit) else {
            return Ok(Vec::new());
        };
        let rows = self.db.fetch_dynamic(sql, params).await?;
        rows.iter().map(read).collect()
    }

    /// Gives new keys to names that were kept under older rules, some of them a call; `true` when
    /// none is left.
    ///
    /// # Errors
    /// What the index says.
    pub(crate) async fn renew_keys(&self, rows: u32) -> Result<bool> {
        // `version` when all is done, `version:id` while it is going on.
        let state = self.db.fetch_optional(sql::KEYS_STATE, Vec::new()).await?;
        let state = state
            .map(|row| row.text("value"))
            .transpose()?
            .unwrap_or_default();
        let done = NAME_KEYS_VERSION.to_string();
        if state == done {
            return Ok(true);
        }
        let (version, after) = state.split_once(':').unwrap_or(("", "0"));
        let after: i64 = if version == done {
            after.parse().unwrap_or(0)
        } else {
            0
        };
        let page = self.db.fetch_all(sql::NAMES, params![after, rows]).await?;
        let mut names = Vec::with_capacity(page.len());
        for row in &page {
            let name = NameParts {
                alphabetic: row.text("name_alphabetic")?,
                ideographic: row.text("name_ideographic")?,
                phonetic: row.text("name_phonetic")?,
            };
            names.push((PatientId(row.int("id")?), name));
        }
        let last = names.last().map(|(id, _)| id.0);
        let is_end = names.len() < usize::try_from(rows).unwrap_or(0);
        let state = match last {
            Some(id) if !is_end => format!("{done}:{id}"),
            _ => done,
        };
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    for (id, name) in &names {
                        write_name(tx, *id, name, &name.keys()).await?;
                    }
                    tx.execute(sql::KEYS_SET, params![&state]).await?;
                    Ok::<_, ArchiveError>(())
                })
            })
            .await?;
        Ok(is_end)
    }

    /// Makes two patients one person (or, given a patient's own new person, parts them), by hand.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`]; [`ArchiveError::Invalid`] without a reason.
    pub async fn link(
        &self,
        patient: PatientId,
        with: PatientId,
        reason: &str,
        by: &str,
    ) -> Result<PersonId> {
        let target = self.by_id(with).await?.person_id;
        self.move_to(patient, Some(target), reason, by).await
    }

    /// Makes a patient a person of their own again, by hand.
    ///
    /// # Errors
    /// As [`Patients::link`].
    pub async fn unlink(&self, patient: PatientId, reason: &str, by: &str) -> Result<PersonId> {
        self.move_to(patient, None, reason, by).await
    }

    async fn move_to(
        &self,
        patient: PatientId,
        target: Option<PersonId>,
        reason: &str,
        by: &str,
    ) -> Result<PersonId> {
        if reason.trim().is_empty() {
            return Err(ArchiveError::invalid(
                "reason",
                "say why the patients are linked or parted",
            ));
        }
        let (reason, by) = (reason.to_owned(), by.to_owned());
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let row = tx.fetch_optional(sql::BY_ID, params![patient]).await?;
                    let row = row.ok_or_else(|| ArchiveError::NotFound(format!("patient {patient}")))?;
                    let now = UnixMicros::now();
                    let target = match target {
                        Some(person) => person,
                        None => person_in(tx, None, now).await?,
                    };
                    let from = row.int("person_id")?;
                    tx.execute(sql::MOVE, params![patient, target, now]).await?;
                    tx.execute(sql::LINK, params![patient, from, target, reason, by, now])
                        .await?;
                    Ok(target)
                })
            })
            .await
    }
}
