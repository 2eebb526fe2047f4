//! SCP-ECG by the writer of its reader's unit tests.

#[path = "../../../engine/src/ecg/formats/scp/fixture.rs"]
mod fixture;

use fixture::Fixture;

/// Plain numbers, first and second differences, Huffman codes, a reference beat taken off, thinned stretches.
pub(super) fn files() -> Vec<Vec<u8>> {
    let wave = |n: i32, k: i32| (n * k) % 41 - 20 + 30 * i32::from(n % 50 == 20);
    let leads = |samples: i32| {
        vec![1, 2]
            .into_iter()
            .map(move |code| (code, (0..samples).map(|n| wave(n, i32::from(code))).collect()))
    };
    let mut files: Vec<Vec<u8>> = [(0, false), (1, true), (2, true), (2, false)]
        .into_iter()
        .map(|(difference, huffman)| Fixture {
            leads: leads(120).collect(),
            difference,
            huffman,
            beat: None,
            protected: None,
        })
        .map(|fixture| fixture.write())
        .collect();
    for protected in [None, Some(8)] {
        let shape: Vec<i32> = (0..30).map(|n: i32| 60 - (n - 15).abs() * 4).collect();
        let fixture = Fixture {
            leads: leads(160).collect(),
            difference: 1,
            huffman: true,
            beat: Some((vec![shape.clone(), shape], 15, vec![40, 100])),
            protected,
        };
        files.push(fixture.write());
    }
    files.push(with_own_table());
    files
}

/// As above, with a Huffman table of its own in section 2: four codes, one of them with a number behind it.
fn with_own_table() -> Vec<u8> {
    let fixture = Fixture {
        leads: vec![(1, (0..60).map(|n| n % 3).collect())],
        difference: 1,
        huffman: true,
        beat: None,
        protected: None,
    };
    let mut bytes = fixture.write();
    let words = 19_999_u16.to_le_bytes();
    let Some(at) = bytes.windows(2).position(|pair| pair == words) else {
        return bytes;
    };
    // one table of four codes stands where the section only named the default table
    let mut table = vec![1, 0, 4, 0];
    for (prefix, all, switch, value, code) in [
        (1, 1, 1, 0_i16, 0_u32),
        (2, 2, 1, 1, 1),
        (3, 3, 1, -1, 3),
        (3, 11, 1, 0, 7),
    ] {
        table.extend([prefix, all, switch]);
        table.extend(value.to_le_bytes());
        table.extend(code.to_le_bytes());
    }
    let grown = table.len() as u32 - 2;
    bytes.splice(at..at + 2, table);
    // pointers of section 0: number, length, place
    for number in 2..12 {
        let length = 22 + 10 * number + 2;
        let field = if number == 2 { length } else { length + 4 };
        let word = |at: usize| bytes[at..at + 4].try_into().map_or(0, u32::from_le_bytes);
        if word(length) > 0 {
            let value = word(field) + grown;
            bytes[field..field + 4].copy_from_slice(&value.to_le_bytes());
        }
    }
    bytes
}
