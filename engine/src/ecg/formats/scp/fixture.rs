//! Writes SCP-ECG files for tests: plain, differences, default Huffman table, bimodal with a reference beat.

use super::super::raw::crc_ccitt;

#[derive(Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    count: usize,
}

impl BitWriter {
    pub(super) fn bit(&mut self, bit: bool) {
        if self.count.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if bit {
            *self.bytes.last_mut().unwrap() |= 0x80 >> (self.count % 8);
        }
        self.count += 1;
    }

    fn bits(&mut self, value: u32, width: u32) {
        (0..width)
            .rev()
            .for_each(|place| self.bit(value >> place & 1 == 1));
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Codes numbers by the default table.
pub(super) fn encode_default(values: &[i32]) -> Vec<u8> {
    let mut bits = BitWriter::default();
    for value in values {
        match value.unsigned_abs() {
            0 => bits.bit(false),
            size @ 1..=8 => {
                (0..size).for_each(|_| bits.bit(true));
                bits.bit(false);
                bits.bit(*value < 0);
            }
            _ => {
                (0..9).for_each(|_| bits.bit(true));
                let wide = i8::try_from(*value).is_err();
                bits.bit(wide);
                bits.bits(*value as u32, if wide { 16 } else { 8 });
            }
        }
    }
    bits.finish()
}

/// What to write.
pub(super) struct Fixture {
    pub(super) leads: Vec<(u8, Vec<i32>)>,
    pub(super) difference: u8,
    pub(super) huffman: bool,
    /// The beat of each lead, fiducial sample in it (from 1), and the beats: fiducial sample numbers.
    pub(super) beat: Option<(Vec<Vec<i32>>, u16, Vec<u32>)>,
    /// Half width of the protected areas; thins to a quarter outside them.
    pub(super) protected: Option<u32>,
}

fn differences(values: &[i32], times: u8) -> Vec<i32> {
    let at = |place: usize| values[place];
    (0..values.len())
        .map(|n| match times {
            1 if n > 0 => at(n) - at(n - 1),
            2 if n > 1 => at(n) - 2 * at(n - 1) + at(n - 2),
            _ => at(n),
        })
        .collect()
}

impl Fixture {
    fn code(&self, values: &[i32]) -> Vec<u8> {
        let steps = differences(values, self.difference);
        if self.huffman {
            encode_default(&steps)
        } else {
            steps.iter().flat_map(|v| (*v as i16).to_le_bytes()).collect()
        }
    }

    fn coded(&self, interval_us: u16, bimodal: bool, leads: &[Vec<i32>]) -> Vec<u8> {
        let mut parts: Vec<Vec<u8>> = leads.iter().map(|values| self.code(values)).collect();
        parts
            .iter_mut()
            .filter(|p| p.len() % 2 == 1)
            .for_each(|p| p.push(0));
        let mut out = [2_500_u16.to_le_bytes(), interval_us.to_le_bytes()].concat();
        out.extend([self.difference, u8::from(bimodal)]);
        parts
            .iter()
            .for_each(|p| out.extend((p.len() as u16).to_le_bytes()));
        parts.iter().for_each(|p| out.extend(p));
        out
    }

    fn areas(&self) -> Vec<(u32, u32)> {
        match (&self.beat, self.protected) {
            // Aligned so that the thinned stretches before them are whole groups.
            (Some((_, _, beats)), Some(half)) => beats
                .iter()
                .map(|f| ((f - half) / 4 * 4 + 1, (f + half) / 4 * 4))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The rhythm as it is stored: without the beat, thinned outside the areas.
    fn residual(&self, lead: usize) -> Vec<i32> {
        let mut values = self.leads[lead].1.clone();
        if let Some((shapes, fiducial, beats)) = &self.beat {
            for beat in beats {
                for (place, value) in shapes[lead].iter().enumerate() {
                    let number = place as i64 + 1 - i64::from(*fiducial) + i64::from(*beat);
                    values[number as usize - 1] -= value;
                }
            }
        }
        if self.protected.is_none() {
            return values;
        }
        let (mut out, mut at, areas) = (Vec::new(), 0, self.areas());
        let mean = |part: &[i32]| (part.iter().sum::<i32>() as f64 / part.len() as f64).round() as i32;
        for (from, to) in areas {
            out.extend(values[at..from as usize - 1].chunks(4).map(mean));
            out.extend(&values[from as usize - 1..to as usize]);
            at = to as usize;
        }
        out.extend(values[at..].chunks(4).map(mean));
        out
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let samples = self.leads[0].1.len() as u32;
        let mut sections = vec![(1_u16, person())];
        if self.huffman {
            sections.push((2, 19_999_u16.to_le_bytes().to_vec()));
        }
        let mut layout = vec![
            self.leads.len() as u8,
            u8::from(self.beat.is_some()) | 4 | (self.leads.len() as u8) << 3,
        ];
        for (code, _) in &self.leads {
            layout.extend(1_u32.to_le_bytes());
            layout.extend(samples.to_le_bytes());
            layout.push(*code);
        }
        sections.push((3, layout));
        let thinned = self.protected.is_some();
        if let Some((shapes, fiducial, beats)) = &self.beat {
            let length = shapes[0].len() as u32;
            let mut zones = [(length as u16 * 2).to_le_bytes(), fiducial.to_le_bytes()].concat();
            zones.extend((beats.len() as u16).to_le_bytes());
            for beat in beats {
                let start = beat - u32::from(*fiducial) + 1;
                zones.extend(0_u16.to_le_bytes());
                [start, *beat, start + length - 1]
                    .iter()
                    .for_each(|v| zones.extend(v.to_le_bytes()));
            }
            for (from, to) in self.areas() {
                zones.extend([from.to_le_bytes(), to.to_le_bytes()].concat());
            }
            sections.push((4, zones));
            sections.push((5, self.coded(2_000, false, shapes)));
        }
        let rhythm: Vec<_> = (0..self.leads.len()).map(|lead| self.residual(lead)).collect();
        sections.push((
            6,
            self.coded(if thinned { 8_000 } else { 2_000 }, thinned, &rhythm),
        ));
        let mut measured = vec![1, 0];
        [800_u16, 29_999, 100, 200, 260, 360, 640]
            .iter()
            .for_each(|v| measured.extend(v.to_le_bytes()));
        [30_i16, 45, 999]
            .iter()
            .for_each(|v| measured.extend(v.to_le_bytes()));
        sections.push((7, measured));
        let words = "窦性心律\0".as_bytes();
        let statement = [&[1][..], &(words.len() as u16).to_le_bytes(), words].concat();
        sections.push((8, [&[0, 0xd2, 7, 11, 22, 9, 10, 0, 1][..], &statement].concat()));
        assemble(&sections)
    }
}

fn person() -> Vec<u8> {
    let tag = |tag: u8, value: &[u8]| [&[tag][..], &(value.len() as u16).to_le_bytes(), value].concat();
    [
        tag(0, b"Clark\0"),
        tag(1, "\u{738b}".as_bytes()),
        tag(2, b"SBJ-1\0"),
        tag(4, &[46, 0, 1]),
        tag(5, &[0xa1, 7, 5, 8]),
        tag(8, &[1]),
        tag(25, &[0xd2, 7, 11, 22]),
        tag(26, &[9, 10, 0]),
        tag(27, &[5, 0]),
        tag(28, &[150, 0]),
        tag(29, &[2]),
        tag(255, b""),
    ]
    .concat()
}

fn section(number: u16, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0];
    out.extend(number.to_le_bytes());
    out.extend((body.len() as u32 + 16).to_le_bytes());
    out.extend([20, 20]);
    out.extend(if number == 0 { *b"SCPECG" } else { [0; 6] });
    out.extend(body);
    let crc = crc_ccitt(&out[2..]);
    out[..2].copy_from_slice(&crc.to_le_bytes());
    out
}

fn assemble(sections: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut pointers = Vec::new();
    let mut place = 7 + 16 + 120_u32;
    for number in 0..12_u16 {
        let body = sections.iter().find(|s| s.0 == number).map(|s| &s.1);
        let (length, at) = match (number, body) {
            (0, _) => (136, 7),
            (_, Some(body)) => (body.len() as u32 + 16, place),
            _ => (0, 0),
        };
        pointers.extend(number.to_le_bytes());
        pointers.extend(length.to_le_bytes());
        pointers.extend(at.to_le_bytes());
        if number > 0 {
            place += length;
        }
    }
    let mut rest = section(0, &pointers);
    sections
        .iter()
        .for_each(|(number, body)| rest.extend(section(*number, body)));
    let mut file = ((rest.len() + 6) as u32).to_le_bytes().to_vec();
    file.extend(rest);
    let crc = crc_ccitt(&file);
    [&crc.to_le_bytes()[..], &file].concat()
}
