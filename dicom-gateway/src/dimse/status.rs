//! Status codes (PS3.7 Annex C, PS3.4 B.2.3, C.4.1.1.4, F.7.2 and J.3).

/// Done.
pub(crate) const SUCCESS: u16 = 0x0000;
/// C-FIND: an answer follows, all keys supported.
pub(crate) const PENDING: u16 = 0xff00;
/// C-FIND: an answer follows, some optional keys were not supported.
pub(crate) const PENDING_UNSUPPORTED_KEYS: u16 = 0xff01;
/// Ended by a C-CANCEL.
pub(crate) const CANCEL: u16 = 0xfe00;
/// The SOP class does not fit the operation.
pub(crate) const SOP_CLASS_NOT_SUPPORTED: u16 = 0x0122;
/// The peer may not do this.
pub(crate) const NOT_AUTHORISED: u16 = 0x0124;
/// No such operation.
pub(crate) const UNRECOGNISED_OPERATION: u16 = 0x0211;
/// An attribute has a value that it may not have.
pub(crate) const INVALID_ATTRIBUTE_VALUE: u16 = 0x0106;
/// The operation failed; a final performed procedure step is not changed any more.
pub(crate) const PROCESSING_FAILURE: u16 = 0x0110;
/// The SOP Instance UID is taken.
pub(crate) const DUPLICATE_SOP_INSTANCE: u16 = 0x0111;
/// No such instance.
pub(crate) const NO_SUCH_INSTANCE: u16 = 0x0112;
/// The SOP Instance UID is none, or not the one that the service wants.
pub(crate) const INVALID_SOP_INSTANCE: u16 = 0x0117;
/// The instance is of another class.
pub(crate) const CLASS_INSTANCE_CONFLICT: u16 = 0x0119;
/// A required attribute is not there.
pub(crate) const MISSING_ATTRIBUTE: u16 = 0x0120;
/// A required attribute is empty.
pub(crate) const MISSING_ATTRIBUTE_VALUE: u16 = 0x0121;
/// No such action.
pub(crate) const NO_SUCH_ACTION: u16 = 0x0123;
/// More than can be done.
pub(crate) const RESOURCE_LIMITATION: u16 = 0x0213;
/// An attribute of the command is wrong.
pub(crate) const INVALID_ARGUMENT: u16 = 0x0115;
/// No room, or the index does not answer.
pub(crate) const OUT_OF_RESOURCES: u16 = 0xa700;
/// Data set and SOP class, or identifier and query level, do not fit.
pub(crate) const MISMATCH: u16 = 0xa900;
/// The data set cannot be read.
pub(crate) const CANNOT_UNDERSTAND: u16 = 0xc000;
/// C-GET, C-MOVE: no sub-operation succeeded.
pub(crate) const UNABLE_TO_PERFORM_SUBOPERATIONS: u16 = 0xa702;
/// C-GET, C-MOVE: some sub-operations failed.
pub(crate) const SOME_SUBOPERATIONS_FAILED: u16 = 0xb000;
/// C-MOVE: nobody known by that AE title.
pub(crate) const MOVE_DESTINATION_UNKNOWN: u16 = 0xa801;

/// Success, or a warning: the other side did what was asked.
pub(crate) fn is_done(status: u16) -> bool {
    status == SUCCESS || is_warning(status)
}

/// Done, with a remark (PS3.7 C.1 and C.3, PS3.4 B.2.3).
pub(crate) fn is_warning(status: u16) -> bool {
    matches!(status, 0x0001 | 0x0107 | 0x0116 | 0xb000..=0xbfff)
}
