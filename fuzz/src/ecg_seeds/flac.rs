//! A small FLAC stream (RFC 9639): constant, verbatim, fixed and linear prediction.

use super::bits::BitWriter;

/// Samples of a block.
const BLOCK: u64 = 20;

/// Two channels of two blocks, of 16 bits; `order` 0 to 2 chooses fixed prediction, 4 a linear one.
pub(super) fn stream(order: u64) -> Vec<u8> {
    let mut info = BitWriter::default();
    info.put(0, 80);
    info.put(96_000, 20);
    info.put(1, 3);
    info.put(15, 5);
    info.put(2 * BLOCK, 36);
    info.put(0, 128);
    let mut out = [&b"fLaC"[..], &[0x80, 0, 0, 34], &info.bytes].concat();
    for number in 0..2 {
        out.extend(frame(number, order));
    }
    out
}

fn frame(number: u64, order: u64) -> Vec<u8> {
    let mut frame = BitWriter::default();
    frame.put(0x3ffe << 2, 16);
    frame.put(7 << 4, 8);
    // left and side where it is linear, else two channels by themselves
    frame.put((if order == 4 { 8 } else { 1 }) << 4 | 4 << 1, 8);
    frame.put(number, 8);
    frame.put(BLOCK - 1, 16);
    let sum = crc(&frame.bytes, 8, 0x07);
    frame.put(sum, 8);
    for channel in 0..2 {
        let side = u32::from(order == 4 && channel == 1);
        match (order, channel) {
            (0, 0) => {
                frame.put(0, 8);
                frame.put(77, 16);
            }
            (1, 0) => {
                frame.put(1 << 1, 8);
                (0..BLOCK).for_each(|n| frame.put(n * 31, 16));
            }
            _ => predicted(&mut frame, order, 16 + side),
        }
    }
    frame.align();
    let sum = crc(&frame.bytes, 16, 0x8005);
    frame.put(sum, 16);
    frame.bytes
}

fn predicted(frame: &mut BitWriter, order: u64, width: u32) {
    let linear = order == 4;
    let warm = if linear { 2 } else { order };
    frame.put(
        if linear {
            (32 + warm - 1) << 1
        } else {
            (8 + order) << 1
        },
        8,
    );
    (0..warm).for_each(|n| frame.put(100 + n, width));
    if linear {
        frame.put(7, 4);
        frame.put(2, 5);
        frame.put(4, 8);
        frame.put(0xfe, 8);
    }
    // Rice codes of one partition, the parameter 3
    frame.put(0, 2 + 4);
    frame.put(3, 4);
    for n in warm..BLOCK {
        let folded = n * 7 % 30;
        frame.put(0, (folded >> 3) as u32);
        frame.put(8 | folded & 7, 4);
    }
}

fn crc(bytes: &[u8], width: u32, polynomial: u64) -> u64 {
    let top = 1 << (width - 1);
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u64::from(*byte) << (width - 8), |crc, _| {
            let next = if crc & top == 0 {
                crc << 1
            } else {
                crc << 1 ^ polynomial
            };
            next & ((1 << width) - 1)
        })
    })
}
