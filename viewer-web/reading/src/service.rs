//! The handle of this crate: index, signing key, settings, small caches.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use archive::institution::Institution;
use archive::{Archive, InstitutionId, UnixMicros, params};

use crate::access::Subject;
use crate::actor::Actor;
use crate::error::{ReadingError, Result};
use crate::signature::Signer;

/// Facts about a study are asked again after this time, or at once after a change made here.
const SUBJECT_KEPT: Duration = Duration::from_secs(2);
/// Sessions are looked up again after this time, or at once after a log-out here.
const SESSION_KEPT: Duration = Duration::from_secs(5);
/// Entries of each cache; it is emptied when full.
const CACHE_ENTRIES_MAX: usize = 20_000;

/// How a centre works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder with the signing key.
    pub data_dir: PathBuf,
    /// 双签: the author of a report cannot sign it.
    pub double_signature: bool,
    /// Name of the county, for reports and pages.
    pub community_name: String,
}

impl Settings {
    /// The usual settings for a data folder.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Settings {
        Settings {
            data_dir: data_dir.into(),
            double_signature: true,
            community_name: "县域医共体".to_owned(),
        }
    }
}

archive::statements! {
    mod sql {
        KEEP_KEY = "INSERT INTO signing_key (key_id, public_key, created_at) VALUES ($1, $2, $3) ON CONFLICT (key_id) DO NOTHING";
    }
}

pub(crate) type SubjectKey = (i64, String);

/// Facts of one study seen from one institution.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) subject: Subject,
    pub(crate) study: crate::study::StudyFacts,
}

struct Kept<T> {
    value: T,
    at: Instant,
}

/// A map whose entries are forgotten after a while.
pub(crate) struct ShortCache<K, V> {
    kept: Mutex<HashMap<K, Kept<V>>>,
    lives: Duration,
}

impl<K: std::hash::Hash + Eq, V: Clone> ShortCache<K, V> {
    fn new(lives: Duration) -> Self {
        ShortCache {
            kept: Mutex::new(HashMap::new()),
            lives,
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key)
            .filter(|k| k.at.elapsed() < self.lives)
            .map(|k| k.value.clone())
    }

    pub(crate) fn put(&self, key: K, value: V) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= CACHE_ENTRIES_MAX {
            kept.clear();
        }
        kept.insert(
            key,
            Kept {
                value,
                at: Instant::now(),
            },
        );
    }

    pub(crate) fn remove(&self, key: &K) {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }

    pub(crate) fn clear(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

struct Inner {
    archive: Archive,
    settings: Settings,
    signer: Signer,
    subjects: ShortCache<SubjectKey, Facts>,
    sessions: ShortCache<String, Actor>,
    institutions: Mutex<HashMap<i64, Institution>>,
}

/// Reading and reporting over one archive; clones share it.
#[derive(Clone)]
pub struct Reading {
    inner: Arc<Inner>,
}

impl Reading {
    /// Opens the service: reads or makes the signing key and publishes its public half.
    ///
    /// # Errors
    /// When the key file or the index cannot be used.
    pub async fn open(archive: Archive, settings: Settings) -> Result<Reading> {
        let folder = settings.data_dir.clone();
        let signer = tokio::task::spawn_blocking(move || Signer::open(&folder))
            .await
            .map_err(|_| ReadingError::Internal("the key could not be read"))??;
        let row = params![signer.key_id(), signer.public_key(), UnixMicros::now()];
        archive
            .db()
            .write::<(), archive::ArchiveError, _>(move |tx| {
                Box::pin(async move { tx.execute(sql::KEEP_KEY, row).await.map(drop) })
            })
            .await?;
        Ok(Reading {
            inner: Arc::new(Inner {
                archive,
                settings,
                signer,
                subjects: ShortCache::new(SUBJECT_KEPT),
                sessions: ShortCache::new(SESSION_KEPT),
                institutions: Mutex::new(HashMap::new()),
            }),
        })
    }

    /// The archive.
    #[must_use]
    pub fn archive(&self) -> &Archive {
        &self.inner.archive
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The signer of issued versions.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.inner.signer
    }

    pub(crate) fn subjects(&self) -> &ShortCache<SubjectKey, Facts> {
        &self.inner.subjects
    }

    pub(crate) fn sessions(&self) -> &ShortCache<String, Actor> {
        &self.inner.sessions
    }

    /// An institution by row; they never change their row, so they are kept.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn institution(&self, id: InstitutionId) -> Result<Institution> {
        let kept = self
            .inner
            .institutions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id.0)
            .cloned();
        if let Some(institution) = kept {
            return Ok(institution);
        }
        let institution = self.archive().institutions().by_id(id).await?;
        let mut kept = self
            .inner
            .institutions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.insert(id.0, institution.clone());
        Ok(institution)
    }
}
