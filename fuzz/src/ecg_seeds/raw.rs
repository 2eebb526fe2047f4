//! The place at which the writer of SCP-ECG expects the checksum to stand.

/// CRC-CCITT.
pub(super) fn crc_ccitt(data: &[u8]) -> u16 {
    data.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            (crc << 1) ^ ((crc >> 15) * 0x1021)
        })
    })
}
