//! Receiving objects: bytes come in pieces, are hashed, checked and written on the way, and are
//! acknowledged only when they and their index row are on stable storage.
//!
//! **Invariants:** memory is bounded and does not depend on an object's size; a stalled sender
//! holds no thread; whatever is refused gets a status and a reason.

mod disk;
mod facts;
mod finish;
mod index;
mod refused;
mod settle;
#[cfg(test)]
mod tests;

pub(crate) use disk::PlacedObject;
pub use facts::{InstanceFacts, SeriesKind};
pub(crate) use facts::{inflate, pack, unpack};

pub(crate) use index::{IndexStop, Indexed, Indexing, index_object};
pub use refused::{RefusedKind, StoreRefused};
pub(crate) use settle::{Settler, start as start_settling};

#[cfg(test)]
pub(crate) const STATEMENTS: &[crate::conformance::Statements] = &[index::sql::ALL, finish::sql::ALL];

use crate::Archive;
use crate::device::Device;
use crate::error::ArchiveError;
use crate::ids::{DeviceId, InstitutionId, Sha256Digest};
use bytes::Bytes;
use dataset::{SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid};
use disk::{DiskState, Head};
use std::net::IpAddr;
use tokio::task::JoinHandle;

/// Bytes gathered before they are handed to the disk: a CT slice is handed over once. Twice this is
/// held at most.
const GATHER_BYTES: usize = 640 << 10;

/// By which way an object came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// DIMSE C-STORE.
    CStore,
    /// DICOMweb STOW-RS.
    Stow,
    /// A file given by an operator or an edge node.
    Import,
    /// Made by this system, e.g. a structured report.
    Own,
    /// Found in the store after a crash or when the index was rebuilt.
    Recovered,
}

impl Source {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CStore => "c-store",
            Self::Stow => "stow",
            Self::Import => "import",
            Self::Own => "own",
            Self::Recovered => "recovered",
        }
    }
}

/// Who sends.
#[derive(Debug, Clone)]
pub struct Sender {
    /// AE title or account, for the audit trail.
    pub name: String,
    /// Role under which it is sent.
    pub role: String,
    /// Enrolled device.
    pub device_id: Option<DeviceId>,
    /// Owner of what is sent, unless an order says otherwise.
    pub institution_id: InstitutionId,
    /// Address of the sender.
    pub peer: Option<IpAddr>,
    /// By which way.
    pub source: Source,
}

impl Sender {
    /// An enrolled device.
    pub fn device(device: &Device, peer: IpAddr, source: Source) -> Self {
        Self {
            name: device.ae_title.clone(),
            role: "device".to_owned(),
            device_id: Some(device.id),
            institution_id: device.institution_id,
            peer: Some(peer),
            source,
        }
    }

    /// An account.
    pub fn account(
        name: &str,
        role: &str,
        institution_id: InstitutionId,
        peer: Option<IpAddr>,
        source: Source,
    ) -> Self {
        Self {
            name: name.to_owned(),
            role: role.to_owned(),
            device_id: None,
            institution_id,
            peer,
            source,
        }
    }
}

/// What a C-STORE request says before its data set comes.
#[derive(Debug, Clone)]
pub struct ReceiveContext {
    /// Who sends.
    pub sender: Sender,
    /// Affected SOP Class UID.
    pub sop_class: SopClassUid,
    /// Affected SOP Instance UID.
    pub sop_instance_uid: SopInstanceUid,
    /// Transfer syntax of the presentation context.
    pub transfer_syntax: TransferSyntaxUid,
}

/// Whether an object was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Kept now.
    New,
    /// Kept before, with equal bytes.
    DuplicateEqual,
}

/// An object that is on stable storage.
#[derive(Debug, Clone)]
pub struct Stored {
    /// New or not.
    pub outcome: Outcome,
    /// Its study.
    pub study_uid: String,
    /// Its series.
    pub series_uid: String,
    /// Itself.
    pub sop_instance_uid: String,
    /// Its SOP class.
    pub sop_class_uid: String,
    /// Its transfer syntax.
    pub transfer_syntax_uid: String,
    /// Bytes of the stored file.
    pub size_bytes: u64,
    /// SHA-256 of its data set.
    pub dataset_digest: Sha256Digest,
    /// What was odd but tolerated.
    pub warnings: Vec<String>,
}

/// An object that is being received. Dropped before [`Incoming::finish`]: nothing is kept.
pub struct Incoming {
    archive: Archive,
    /// At rest here, or at work on a blocking thread.
    state: Option<Box<DiskState>>,
    at_work: Option<JoinHandle<Box<DiskState>>>,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    /// Whose object, for the counts.
    device_id: Option<DeviceId>,
    source: Source,
}

impl Archive {
    /// Begins to receive the data set of a C-STORE. Costs next to nothing until bytes come.
    ///
    /// # Errors
    /// When the meta information cannot be made from the announced identifiers.
    pub async fn begin_receive(&self, context: ReceiveContext) -> Result<Incoming, StoreRefused> {
        let source = dataset::AeTitle::parse(&context.sender.name).ok();
        let meta = dataset::file::meta_bytes(
            &context.sop_class,
            &context.sop_instance_uid,
            &context.transfer_syntax,
            source.as_ref(),
        );
        let meta = meta.map_err(|error| StoreRefused::not_understood(error.to_string()))?;
        let head = Head::Announced {
            meta,
            sop_class: context.sop_class,
            sop_instance: context.sop_instance_uid,
        };
        self.incoming(context.sender, head, Some(context.transfer_syntax), None)
            .await
    }

    /// Begins to receive a whole file (PS3.10), kept byte for byte. With `expected_study` an object
    /// of another study is refused before it is kept.
    ///
    /// # Errors
    /// When the sender's institution is not known.
    pub async fn begin_part10(
        &self,
        sender: Sender,
        expected_study: Option<StudyInstanceUid>,
    ) -> Result<Incoming, StoreRefused> {
        self.incoming(sender, Head::file(), None, expected_study).await
    }

    /// Receives a whole file that is in memory.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn receive_part10(
        &self,
        sender: Sender,
        expected_study: Option<StudyInstanceUid>,
        file: Bytes,
    ) -> Result<Stored, StoreRefused> {
        let mut incoming = self.begin_part10(sender, expected_study).await?;
        incoming.write(file).await?;
        incoming.finish().await
    }

    async fn incoming(
        &self,
        sender: Sender,
        head: Head,
        syntax: Option<TransferSyntaxUid>,
        expected_study: Option<StudyInstanceUid>,
    ) -> Result<Incoming, StoreRefused> {
        if self.spool_state().is_some_and(|spool| spool.is_full()) {
            let full = "the spool of this township node is full of what the centre does not have yet";
            return Err(ArchiveError::OutOfSpace(full.to_owned()).into());
        }
        let code = self.institution_code(sender.institution_id).await?;
        let (device_id, source) = (sender.device_id, sender.source);
        let state = DiskState::new(
            self.store().clone(),
            sender,
            code.to_ascii_lowercase(),
            head,
            syntax,
            expected_study,
        );
        Ok(Incoming {
            archive: self.clone(),
            state: Some(Box::new(state)),
            at_work: None,
            gathered: Vec::new(),
            gathered_bytes: 0,
            device_id,
            source,
        })
    }
}

impl Incoming {
    /// Takes the next bytes; waits when the disk is slower than the sender.
    ///
    /// # Errors
    /// As soon as it is clear that the object cannot be kept; the rest need not be written.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StoreRefused> {
        self.gathered_bytes += bytes.len();
        self.gathered.push(bytes);
        if self.gathered_bytes < GATHER_BYTES {
            return Ok(());
        }
        let mut state = self.at_rest().await?;
        if let Some(refused) = state.refused() {
            self.counted(&Err(refused.clone()));
            self.state = Some(state);
            self.gathered.clear();
            self.gathered_bytes = 0;
            return Err(refused);
        }
        let pieces = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        self.at_work = Some(tokio::task::spawn_blocking(move || {
            state.absorb_part(&pieces);
            state
        }));
        Ok(())
    }

    /// Ends the object. [`Stored`] means that it is on stable storage, with its index row.
    ///
    /// # Errors
    /// Why it is refused, with its DIMSE status.
    pub async fn finish(self) -> Result<Stored, StoreRefused> {
        let (archive, device, source) = (self.archive.clone(), self.device_id, self.source);
        let done = self.end().await;
        archive.note_received(device, source.as_str(), &done);
        done
    }

    fn counted(&self, done: &Result<Stored, StoreRefused>) {
        self.archive
            .note_received(self.device_id, self.source.as_str(), done);
    }

    async fn end(mut self) -> Result<Stored, StoreRefused> {
        let mut state = self.at_rest().await?;
        let pieces = std::mem::take(&mut self.gathered);
        let in_flight = self.archive.in_flight();
        let placed = tokio::task::spawn_blocking(move || {
            state.absorb(&pieces);
            match state.place() {
                Ok(object) => Ok((object, in_flight)),
                Err(refused) => {
                    // Nothing was left in the store.
                    in_flight.done();
                    Err(refused)
                }
            }
        });
        let ((object, ticket), in_flight) = placed.await.map_err(|_| StoreRefused::failed())??;
        finish::index(&self.archive, object, ticket, in_flight).await
    }

    async fn at_rest(&mut self) -> Result<Box<DiskState>, StoreRefused> {
        if let Some(work) = self.at_work.take() {
            return work.await.map_err(|_| StoreRefused::failed());
        }
        self.state.take().ok_or_else(StoreRefused::failed)
    }
}
