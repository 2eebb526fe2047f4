//! Files (PS3.10): preamble, file meta information, data set.

use crate::dictionary::{Tag, Vr, tags};
use crate::object::DataSet;
use crate::stream::{Parsed, Tokenizer};
use crate::uid::{AeTitle, SopClassUid, SopInstanceUid, TransferSyntaxUid};
use crate::{DatasetError, Limits, Warning, write};

/// Implementation Class UID of this software (a UUID-derived root, PS3.5 B.2).
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.307438160229583146205839277405164912873";
/// Implementation Version Name.
pub const IMPLEMENTATION_VERSION_NAME: &str = concat!("GONGYING ", env!("CARGO_PKG_VERSION"));
/// File meta information longer than this is refused.
pub const META_BYTES_MAX: usize = 1 << 20;

const PREAMBLE_BYTES: usize = 128;
const MAGIC: &[u8] = b"DICM";

/// What stands before the data set of a file.
#[derive(Debug, Clone)]
pub struct Part10 {
    /// Group 0002; empty when the file has none.
    pub meta: DataSet,
    /// Declared or, without a declaration, guessed from the first element.
    pub transfer_syntax: TransferSyntaxUid,
    /// The transfer syntax was guessed.
    pub guessed: bool,
    /// Preamble and `DICM` are there.
    pub has_preamble: bool,
    /// Where the data set starts.
    pub dataset_offset: usize,
    /// What was odd.
    pub warnings: Vec<Warning>,
}

impl Part10 {
    /// Media Storage SOP Class UID.
    ///
    /// # Errors
    /// When it is absent or no UID.
    pub fn sop_class(&self) -> Result<SopClassUid, DatasetError> {
        self.meta.uid(tags::MEDIA_STORAGE_SOP_CLASS_UID).map(Into::into)
    }

    /// Media Storage SOP Instance UID.
    ///
    /// # Errors
    /// When it is absent or no UID.
    pub fn sop_instance(&self) -> Result<SopInstanceUid, DatasetError> {
        self.meta
            .uid(tags::MEDIA_STORAGE_SOP_INSTANCE_UID)
            .map(Into::into)
    }
}

/// A whole file in memory.
#[derive(Debug, Clone)]
pub struct File {
    /// What stands before the data set.
    pub header: Part10,
    /// The data set.
    pub parsed: Parsed,
}

/// Reads preamble and file meta information from the start of a file. Also takes files without
/// preamble and without meta information.
///
/// # Errors
/// [`DatasetError::Incomplete`] when more bytes may help (at most [`META_BYTES_MAX`]);
/// [`DatasetError::NotDicom`] when these bytes start no DICOM file.
pub fn read_header(bytes: &[u8]) -> Result<Part10, DatasetError> {
    // whether there is a preamble is not known before its end
    if bytes.len() < PREAMBLE_BYTES + MAGIC.len() {
        return Err(DatasetError::Incomplete { given: bytes.len() });
    }
    header_of(bytes)
}

fn header_of(bytes: &[u8]) -> Result<Part10, DatasetError> {
    let has_preamble = bytes.get(PREAMBLE_BYTES..PREAMBLE_BYTES + 4) == Some(MAGIC);
    let mut at = if has_preamble { PREAMBLE_BYTES + 4 } else { 0 };
    let mut warnings = Vec::new();
    if !has_preamble {
        if bytes.get(..4) == Some(MAGIC) {
            at = 4;
        }
        warnings.push(Warning::Meta("the preamble is missing"));
    }
    let start = at;
    let (meta, declared_end) = read_meta(bytes, &mut at)?;
    if declared_end.is_some_and(|end| end != at as u64) {
        warnings.push(Warning::Meta("the group length is wrong"));
    }
    if at == start {
        warnings.push(Warning::Meta("it is missing"));
    }
    let first = bytes.get(at..).unwrap_or_default();
    let declared = meta
        .text(tags::TRANSFER_SYNTAX_UID)
        .and_then(|text| TransferSyntaxUid::parse(&text).ok());
    let (transfer_syntax, guessed) = match declared {
        Some(syntax) => (syntax, false),
        None => {
            warnings.push(Warning::Meta(
                "the transfer syntax is missing; guessed from the first element",
            ));
            // with file meta information it is DICOM all the same, and the default syntax holds
            let default = (at > start).then(TransferSyntaxUid::implicit_le);
            let found = guess(first).or(default);
            (
                found.ok_or_else(|| not_dicom("no preamble and no element at the start"))?,
                true,
            )
        }
    };
    Ok(Part10 {
        meta,
        transfer_syntax,
        guessed,
        has_preamble,
        dataset_offset: at,
        warnings,
    })
}

/// Elements of group 0002 from `at` on, which moves behind them, and where their group length says
/// they end.
fn read_meta(bytes: &[u8], at: &mut usize) -> Result<(DataSet, Option<u64>), DatasetError> {
    let too_large = || DatasetError::TooLarge {
        what: "the file meta information",
        max: META_BYTES_MAX as u64,
    };
    let mut meta = DataSet::new();
    let mut declared_end = None;
    loop {
        let rest = bytes.get(*at..).unwrap_or_default();
        let Some(&[g0, g1, e0, e1, v0, v1, _, _]) = rest.first_chunk::<8>() else {
            let full = bytes.len() >= META_BYTES_MAX;
            return Err(if full {
                too_large()
            } else {
                DatasetError::Incomplete { given: bytes.len() }
            });
        };
        if u16::from_le_bytes([g0, g1]) != 2 {
            return Ok((meta, declared_end));
        }
        let tag = Tag(2, u16::from_le_bytes([e0, e1]));
        let (vr, value_at, length) = meta_header(rest, [v0, v1])?;
        let end = value_at.saturating_add(length);
        if at.saturating_add(end) > META_BYTES_MAX {
            return Err(too_large());
        }
        let value = rest
            .get(value_at..end)
            .ok_or(DatasetError::Incomplete { given: bytes.len() })?;
        meta.put_bytes(tag, vr, value.to_vec());
        *at += end;
        if tag.1 == 0
            && let Ok(group) = <[u8; 4]>::try_from(value)
        {
            declared_end = Some(*at as u64 + u64::from(u32::from_le_bytes(group)));
        }
    }
}

fn not_dicom(reason: &str) -> DatasetError {
    DatasetError::NotDicom {
        reason: reason.into(),
    }
}

/// VR, start of the value and its length of a meta element; some writers leave the VR away.
fn meta_header(rest: &[u8], vr: [u8; 2]) -> Result<(Vr, usize, usize), DatasetError> {
    let word = |at: usize| {
        let bytes = rest.get(at..at + 4).and_then(|b| <[u8; 4]>::try_from(b).ok());
        bytes
            .map(u32::from_le_bytes)
            .ok_or(DatasetError::Incomplete { given: rest.len() })
    };
    let size = |length: u32| usize::try_from(length).unwrap_or(usize::MAX);
    match Vr::from_binary(vr) {
        Some(vr) if crate::dictionary::has_long_length(vr) => Ok((vr, 12, size(word(8)?))),
        Some(vr) => Ok((vr, 8, size(word(4)? >> 16))),
        None => {
            let element = rest
                .first_chunk::<4>()
                .map_or(0, |b| u16::from_le_bytes([b[2], b[3]]));
            Ok((
                crate::dictionary::vr_of(Tag(2, element)).unwrap_or(Vr::UN),
                8,
                size(word(4)?),
            ))
        }
    }
}

/// The syntax of a bare data set, by its first element: a low even group, then a VR or a small
/// length.
fn guess(bytes: &[u8]) -> Option<TransferSyntaxUid> {
    let &[g0, g1, _, _, v0, v1, l2, l3] = bytes.first_chunk::<8>()?;
    let (little, big) = (u16::from_le_bytes([g0, g1]), u16::from_be_bytes([g0, g1]));
    let has_vr = Vr::from_binary([v0, v1]).is_some();
    let usual = |group: u16| group.is_multiple_of(2) && (0x0008..=0x0040).contains(&group);
    if usual(little) && has_vr {
        return Some(TransferSyntaxUid::explicit_le());
    }
    if usual(big) && has_vr {
        return Some(TransferSyntaxUid::explicit_be());
    }
    let small = u32::from_le_bytes([v0, v1, l2, l3]) < 1 << 20;
    (usual(little) && small).then(TransferSyntaxUid::implicit_le)
}

/// Reads a whole file.
///
/// # Errors
/// As [`read_header`] and [`Tokenizer`].
pub fn read(bytes: &[u8], limits: Limits) -> Result<File, DatasetError> {
    let header = header_of(bytes).map_err(whole)?;
    let mut tokenizer = Tokenizer::new(&header.transfer_syntax, limits);
    tokenizer.feed(bytes.get(header.dataset_offset..).unwrap_or_default())?;
    let parsed = tokenizer.finish()?;
    Ok(File { header, parsed })
}

/// Reads a file as far as it goes; see [`Tokenizer::finish_partial`].
///
/// # Errors
/// Only when not even the file meta information can be read.
pub fn read_partial(bytes: &[u8], limits: Limits) -> Result<File, DatasetError> {
    let header = header_of(bytes).map_err(whole)?;
    let mut tokenizer = Tokenizer::new(&header.transfer_syntax, limits);
    let fed = tokenizer.feed(bytes.get(header.dataset_offset..).unwrap_or_default());
    let mut parsed = tokenizer.finish_partial();
    if let Err(error) = fed {
        parsed.warnings.push(Warning::Partial {
            reason: error.to_string(),
        });
    }
    Ok(File { header, parsed })
}

/// There are no more bytes to ask for.
fn whole(error: DatasetError) -> DatasetError {
    match error {
        DatasetError::Incomplete { given } => DatasetError::Truncated {
            offset: given as u64,
            inside: "the file meta information".into(),
        },
        other => other,
    }
}

/// Preamble, `DICM` and file meta information of a file whose data set comes from the network.
///
/// # Errors
/// [`DatasetError::Unwritable`] cannot happen with valid identifiers; it is passed on.
pub fn meta_bytes(
    sop_class: &SopClassUid,
    sop_instance: &SopInstanceUid,
    syntax: &TransferSyntaxUid,
    source: Option<&AeTitle>,
) -> Result<Vec<u8>, DatasetError> {
    let mut meta = DataSet::new();
    meta.put_bytes(tags::FILE_META_INFORMATION_VERSION, Vr::OB, vec![0, 1]);
    meta.put_uid(tags::MEDIA_STORAGE_SOP_CLASS_UID, sop_class);
    meta.put_uid(tags::MEDIA_STORAGE_SOP_INSTANCE_UID, sop_instance);
    meta.put_uid(tags::TRANSFER_SYNTAX_UID, syntax);
    meta.put_uid(tags::IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_CLASS_UID);
    meta.put_text(
        tags::IMPLEMENTATION_VERSION_NAME,
        Vr::SH,
        IMPLEMENTATION_VERSION_NAME,
    );
    if let Some(source) = source {
        meta.put_text(tags::SOURCE_APPLICATION_ENTITY_TITLE, Vr::AE, source.as_str());
    }
    let body = write::encode(&meta, crate::uid::Encoding::ExplicitLe)?;
    let mut group = DataSet::new();
    group.put_u32(
        tags::FILE_META_INFORMATION_GROUP_LENGTH,
        u32::try_from(body.len()).unwrap_or(u32::MAX),
    );
    let group = write::encode(&group, crate::uid::Encoding::ExplicitLe)?;
    Ok([&[0; PREAMBLE_BYTES], MAGIC, &group, &body].concat())
}
