//! The part of receiving that waits for the disk: runs on blocking threads only.

use super::{InstanceFacts, Sender, StoreRefused};
use crate::ids::Sha256Digest;
use crate::store::journal::Ticket;
use crate::store::{FileDigests, ObjectKey, ObjectStore, SpoolFile};
use bytes::Bytes;
use dataset::{
    DatasetError, Limits, SopClassUid, SopInstanceUid, StudyInstanceUid, Tokenizer, TransferSyntaxUid,
};
use sha2::{Digest, Sha256};

/// What comes before the data set.
pub(super) enum Head {
    /// Made here from what the sender announced.
    Announced {
        meta: Vec<u8>,
        sop_class: SopClassUid,
        sop_instance: SopInstanceUid,
    },
    /// Comes with the file; gathered until it is whole.
    File { gathered: Vec<u8> },
    /// Done.
    Written {
        sop_class: SopClassUid,
        sop_instance: SopInstanceUid,
    },
}

impl Head {
    pub(super) fn file() -> Self {
        Self::File { gathered: Vec::new() }
    }
}

/// An object that has its place in the store but no index row yet.
pub(crate) struct PlacedObject {
    pub(crate) key: ObjectKey,
    pub(crate) digests: FileDigests,
    pub(crate) facts: InstanceFacts,
    pub(crate) sender: Sender,
    pub(crate) warnings: Vec<String>,
}

/// Everything about an object while its bytes come.
pub(super) struct DiskState {
    store: ObjectStore,
    sender: Sender,
    institution_code: String,
    head: Head,
    syntax: Option<TransferSyntaxUid>,
    expected_study: Option<StudyInstanceUid>,
    spool: Option<SpoolFile>,
    tokenizer: Option<Tokenizer>,
    meta_bytes: u64,
    meta_digest: Sha256Digest,
    dataset_hash: Sha256,
    dataset_bytes: u64,
    /// Bytes of the pieces at hand.
    coming_bytes: usize,
    refused: Option<StoreRefused>,
}

impl DiskState {
    pub(super) fn new(
        store: ObjectStore,
        sender: Sender,
        institution_code: String,
        head: Head,
        syntax: Option<TransferSyntaxUid>,
        expected_study: Option<StudyInstanceUid>,
    ) -> Self {
        Self {
            store,
            sender,
            institution_code,
            head,
            syntax,
            expected_study,
            spool: None,
            tokenizer: None,
            meta_bytes: 0,
            meta_digest: Sha256Digest([0; 32]),
            dataset_hash: Sha256::new(),
            dataset_bytes: 0,
            coming_bytes: 0,
            refused: None,
        }
    }

    pub(super) fn refused(&self) -> Option<StoreRefused> {
        self.refused.clone()
    }

    /// Takes a part of the bytes, while more are waited for.
    pub(super) fn absorb_part(&mut self, pieces: &[Bytes]) {
        self.absorb(pieces);
        if let Some(spool) = &mut self.spool
            && let Err(error) = spool.spill()
        {
            self.refuse(error.into());
        }
    }

    /// Takes bytes; after a refusal they are only counted.
    pub(super) fn absorb(&mut self, pieces: &[Bytes]) {
        self.coming_bytes = pieces.iter().map(Bytes::len).sum();
        for piece in pieces {
            if self.refused.is_some() {
                return;
            }
            if let Err(refused) = self.take(piece) {
                self.refuse(refused);
            }
        }
    }

    fn refuse(&mut self, refused: StoreRefused) {
        self.refused = Some(refused);
        self.spool = None;
        self.tokenizer = None;
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), StoreRefused> {
        let rest = match &mut self.head {
            Head::Written { .. } => None,
            Head::Announced { .. } => {
                self.begin_announced()?;
                None
            }
            Head::File { gathered } => {
                gathered.extend_from_slice(piece);
                let gathered = std::mem::take(gathered);
                let Some(rest) = self.begin_file(gathered)? else {
                    return Ok(());
                };
                Some(rest)
            }
        };
        self.take_dataset(rest.as_deref().unwrap_or(piece))
    }

    fn take_dataset(&mut self, bytes: &[u8]) -> Result<(), StoreRefused> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some(tokenizer) = &mut self.tokenizer {
            tokenizer.feed(bytes)?;
        }
        self.dataset_hash.update(bytes);
        self.dataset_bytes += bytes.len() as u64;
        match &mut self.spool {
            Some(spool) => Ok(spool.write(bytes)?),
            None => Err(StoreRefused::failed()),
        }
    }

    fn begin_announced(&mut self) -> Result<(), StoreRefused> {
        let Head::Announced {
            meta,
            sop_class,
            sop_instance,
        } = &mut self.head
        else {
            return Ok(());
        };
        let meta = std::mem::take(meta);
        self.head = Head::Written {
            sop_class: sop_class.clone(),
            sop_instance: sop_instance.clone(),
        };
        self.begin_spool(&meta)
    }

    /// Reads the head of a file; gives what came after it, `None` while it is not whole.
    fn begin_file(&mut self, gathered: Vec<u8>) -> Result<Option<Vec<u8>>, StoreRefused> {
        let header = match dataset::file::read_header(&gathered) {
            Ok(header) => header,
            Err(DatasetError::Incomplete { .. }) => {
                self.head = Head::File { gathered };
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        if !header.has_preamble || header.guessed {
            let reason = "the file has no preamble or no file meta information (PS3.10)";
            return Err(StoreRefused::not_understood(reason));
        }
        self.head = Head::Written {
            sop_class: header.sop_class()?,
            sop_instance: header.sop_instance()?,
        };
        self.syntax = Some(header.transfer_syntax.clone());
        let (meta, rest) = gathered
            .split_at_checked(header.dataset_offset)
            .ok_or_else(StoreRefused::failed)?;
        self.begin_spool(meta)?;
        Ok(Some(rest.to_vec()))
    }

    fn begin_spool(&mut self, meta: &[u8]) -> Result<(), StoreRefused> {
        let syntax = self.syntax.as_ref().ok_or_else(StoreRefused::failed)?;
        let mut spool = self.store.begin()?;
        spool.expect(meta.len() + self.coming_bytes);
        spool.write(meta)?;
        self.meta_bytes = meta.len() as u64;
        self.meta_digest = Sha256Digest::of(meta);
        self.spool = Some(spool);
        self.tokenizer = Some(Tokenizer::new(syntax, Limits::default()));
        Ok(())
    }

    /// Ends the bytes: checks them and gives the file its durable place.
    /// With a ticket it is durable once the ticket's file is flushed.
    pub(super) fn place(mut self: Box<Self>) -> Result<(PlacedObject, Option<Ticket>), StoreRefused> {
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        let Head::Written {
            sop_class,
            sop_instance,
        } = &self.head
        else {
            return Err(StoreRefused::not_understood(
                "the object ends before its data set begins",
            ));
        };
        let (Some(spool), Some(tokenizer), Some(syntax)) =
            (self.spool.take(), self.tokenizer.take(), &self.syntax)
        else {
            return Err(StoreRefused::failed());
        };
        let parsed = tokenizer.finish()?;
        let facts = InstanceFacts::read(&parsed, syntax)?;
        if facts.sop_instance_uid != sop_instance.as_str() {
            return Err(StoreRefused::mismatch(
                "SOP Instance UID of the data set differs from the announced one",
            ));
        }
        if facts.sop_class_uid != sop_class.as_str() {
            return Err(StoreRefused::mismatch(
                "SOP Class UID of the data set differs from the announced one",
            ));
        }
        if self
            .expected_study
            .as_ref()
            .is_some_and(|study| study.as_str() != facts.study_uid)
        {
            return Err(StoreRefused::other_study());
        }
        let digests = FileDigests {
            meta_bytes: self.meta_bytes,
            meta: self.meta_digest,
            dataset: Sha256Digest(self.dataset_hash.finalize().into()),
        };
        let extension = format!("{}.dcm", self.institution_code);
        let mut facts = facts;
        facts.size_bytes = self.meta_bytes + self.dataset_bytes;
        let (key, ticket) = self.store.place_soon(spool, digests.whole(), &extension)?;
        let object = PlacedObject {
            key,
            digests,
            facts,
            warnings: parsed.warnings.iter().map(ToString::to_string).collect(),
            sender: self.sender,
        };
        Ok((object, ticket))
    }
}
