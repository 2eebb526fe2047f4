//! Protocol data units of the DICOM upper layer (PS3.8 section 9.3): what is on the wire, and
//! nothing of what it is for.

mod associate;
mod wire;

pub(crate) use associate::{
    AssociateAc, AssociateRq, ContextAnswer, ContextProposal, ExtendedNegotiation, OperationsWindow,
    RoleSelection, UserIdentity, UserInformation,
};
pub(crate) use wire::{Event, Fragment, Wire, WireError};

/// Bytes of the header of every PDU: type, reserved, length.
pub(crate) const HEADER_BYTES: usize = 6;
/// Longest association request or answer that is read: 128 contexts with dozens of syntaxes each
/// are 200 kB.
pub(crate) const ASSOCIATE_BYTES_MAX: u32 = 512 << 10;
/// The application context of DICOM.
pub(crate) const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
/// P-DATA-TF.
pub(crate) const P_DATA: u8 = 4;

/// A-ASSOCIATE-RJ (PS3.8 table 9-21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// 1 permanent, 2 transient.
    pub(crate) result: u8,
    /// 1 service user, 2 service provider (ACSE), 3 service provider (presentation).
    pub(crate) source: u8,
    /// Depends on the source.
    pub(crate) reason: u8,
}

impl Rejection {
    pub(crate) const NO_REASON: Self = Self {
        result: 1,
        source: 1,
        reason: 1,
    };
    pub(crate) const APPLICATION_CONTEXT: Self = Self {
        result: 1,
        source: 1,
        reason: 2,
    };
    pub(crate) const CALLING_AE: Self = Self {
        result: 1,
        source: 1,
        reason: 3,
    };
    pub(crate) const CALLED_AE: Self = Self {
        result: 1,
        source: 1,
        reason: 7,
    };
    pub(crate) const PROTOCOL_VERSION: Self = Self {
        result: 1,
        source: 2,
        reason: 2,
    };
    pub(crate) const CONGESTION: Self = Self {
        result: 2,
        source: 3,
        reason: 1,
    };
    pub(crate) const LOCAL_LIMIT: Self = Self {
        result: 2,
        source: 3,
        reason: 2,
    };

    pub(crate) fn to_bytes(self) -> [u8; 10] {
        [3, 0, 0, 0, 0, 4, 0, self.result, self.source, self.reason]
    }

    /// The words of the standard.
    pub(crate) fn words(self) -> &'static str {
        match (self.source, self.reason) {
            (1, 1) => "no reason given",
            (1, 2) => "application context name not supported",
            (1, 3) => "calling AE title not recognised",
            (1, 7) => "called AE title not recognised",
            (2, 2) => "protocol version not supported",
            (3, 1) => "temporary congestion",
            (3, 2) => "local limit exceeded",
            _ => "unknown reason",
        }
    }
}

/// Reason of an A-ABORT from the service provider (PS3.8 table 9-26).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AbortReason {
    NotSpecified,
    UnrecognizedPdu,
    UnexpectedPdu,
    InvalidParameter,
}

impl AbortReason {
    pub(crate) fn to_bytes(self) -> [u8; 10] {
        let reason = match self {
            Self::NotSpecified => 0,
            Self::UnrecognizedPdu => 1,
            Self::UnexpectedPdu => 2,
            Self::InvalidParameter => 6,
        };
        [7, 0, 0, 0, 0, 4, 0, 0, 2, reason]
    }
}

/// A-RELEASE-RQ.
pub(crate) const RELEASE_RQ: [u8; 10] = [5, 0, 0, 0, 0, 4, 0, 0, 0, 0];
/// A-RELEASE-RP.
pub(crate) const RELEASE_RP: [u8; 10] = [6, 0, 0, 0, 0, 4, 0, 0, 0, 0];
/// A-ABORT by the service user.
pub(crate) const ABORT_BY_USER: [u8; 10] = [7, 0, 0, 0, 0, 4, 0, 0, 0, 0];

/// Appends the P-DATA-TF PDUs that carry `bytes` on context `context`, none longer than
/// `pdu_bytes_max` (the length field, PS3.8 D.1). `last` marks the end of the message part.
pub(crate) fn push_p_data(
    out: &mut Vec<u8>,
    context: u8,
    is_command: bool,
    last: bool,
    bytes: &[u8],
    pdu_bytes_max: u32,
) {
    let room = usize::try_from(pdu_bytes_max).unwrap_or(usize::MAX).max(16) - 6;
    let count = bytes.len().div_ceil(room).max(1);
    let mut rest = bytes;
    for index in 0..count {
        let (now, later) = rest.split_at(rest.len().min(room));
        push_p_data_header(out, context, is_command, last && index + 1 == count, now.len());
        out.extend_from_slice(now);
        rest = later;
    }
}

/// Appends the header of a P-DATA-TF PDU with one PDV of `length` bytes.
pub(crate) fn push_p_data_header(
    out: &mut Vec<u8>,
    context: u8,
    is_command: bool,
    last: bool,
    length: usize,
) {
    let pdv = u32::try_from(length + 2).unwrap_or(u32::MAX);
    out.extend_from_slice(&[P_DATA, 0]);
    out.extend_from_slice(&(pdv + 4).to_be_bytes());
    out.extend_from_slice(&pdv.to_be_bytes());
    out.extend_from_slice(&[context, u8::from(is_command) | u8::from(last) << 1]);
}
